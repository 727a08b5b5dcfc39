//! Markers: what a worker wrote into history for itself.
//!
//! Invariant: a marker that is not understood is one of the other markers, never lost. TypeScript,
//! Python, .NET, Ruby and Rust write core's form; Go and Java each have their own.

use std::collections::HashMap;

use serde::Deserialize;
use temporalio_common::protos::temporal::api::{
    common::v1::{Payload, Payloads},
    history::v1::MarkerRecordedEventAttributes,
};

use omnitrace_store::row::Micros;

use crate::sdk::payload::{micros, millis};

/// What a marker stands for.
pub(super) enum Marker {
    LocalActivity(LocalActivity),
    Patch(String),
    Other,
}

/// A local activity that ended.
#[derive(Debug, Default, PartialEq)]
pub(super) struct LocalActivity {
    pub(super) activity_id: String,
    pub(super) activity_type: String,
    /// The last one.
    pub(super) attempt: u32,
    /// To which workflow time moves on.
    pub(super) complete_time: Option<Micros>,
    /// It is tried again after a timer of so many milliseconds.
    pub(super) backoff_ms: Option<i64>,
    pub(super) original_schedule_time: Option<Micros>,
    /// In which activation of its task it was resolved, from 0.
    pub(super) activation_index: Option<u64>,
}

pub(super) fn read(marker: &MarkerRecordedEventAttributes) -> Marker {
    let details = &marker.details;
    let found = match marker.marker_name.as_str() {
        "core_patch" => patch(details).map(Marker::Patch),
        "core_local_activity" => of_core(details).map(Marker::LocalActivity),
        "LocalActivity" => of_go(details)
            .or_else(|| of_java(details))
            .map(Marker::LocalActivity),
        // Go, then Java.
        "Version" => json(details, "change-id")
            .or_else(|| json(details, "changeId"))
            .map(Marker::Patch),
        _ => None,
    };
    found.unwrap_or(Marker::Other)
}

/// The single payload under a name.
pub(super) fn single<'a>(
    details: &'a HashMap<String, Payloads>,
    name: &str,
) -> Option<&'a Payload> {
    details.get(name)?.payloads.first()
}

fn json<'a, T: Deserialize<'a>>(details: &'a HashMap<String, Payloads>, name: &str) -> Option<T> {
    serde_json::from_slice(&single(details, name)?.data).ok()
}

fn patch(details: &HashMap<String, Payloads>) -> Option<String> {
    #[derive(Deserialize)]
    struct Patch {
        id: String,
    }
    let patch: Option<Patch> = json(details, "patch-data");
    patch.map(|patch| patch.id).or_else(|| {
        // Written by early versions.
        let id = single(details, "patch_id")?;
        String::from_utf8(id.data.clone()).ok()
    })
}

/// Whether the code may leave out the patch that a marker tells.
#[cfg(feature = "replay")]
pub(super) fn is_deprecated(marker: &MarkerRecordedEventAttributes) -> bool {
    #[derive(Deserialize)]
    struct Patch {
        deprecated: bool,
    }
    json(&marker.details, "patch-data").is_some_and(|patch: Patch| patch.deprecated)
}

/// Seconds and nanoseconds, of a timestamp or a duration.
#[derive(Clone, Copy, Deserialize)]
struct Parts {
    #[serde(default)]
    seconds: i64,
    #[serde(default)]
    nanos: i32,
}

fn of_core(details: &HashMap<String, Payloads>) -> Option<LocalActivity> {
    #[derive(Deserialize)]
    struct Data {
        activity_id: String,
        activity_type: String,
        #[serde(default)]
        attempt: u32,
        complete_time: Option<Parts>,
        backoff: Option<Parts>,
        original_schedule_time: Option<Parts>,
        activation_index: Option<u64>,
    }
    let data: Data = json(details, "data")?;
    let at = |parts: Parts| micros(parts.seconds, parts.nanos);
    Some(LocalActivity {
        activity_id: data.activity_id,
        activity_type: data.activity_type,
        attempt: data.attempt,
        complete_time: data.complete_time.map(at),
        backoff_ms: data.backoff.map(|d| millis(d.seconds, d.nanos)),
        original_schedule_time: data.original_schedule_time.map(at),
        activation_index: data.activation_index,
    })
}

fn of_go(details: &HashMap<String, Payloads>) -> Option<LocalActivity> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Data {
        #[serde(rename = "ActivityID")]
        activity_id: String,
        activity_type: String,
        replay_time: Option<String>,
        #[serde(default)]
        attempt: u32,
        /// Nanoseconds.
        #[serde(default)]
        backoff: i64,
    }
    let data: Data = json(details, "data")?;
    let replay_time = data.replay_time.and_then(|time| {
        let time: prost_types::Timestamp = time.parse().ok()?;
        Some(micros(time.seconds, time.nanos))
    });
    Some(LocalActivity {
        activity_id: data.activity_id,
        activity_type: data.activity_type,
        attempt: data.attempt,
        complete_time: replay_time,
        backoff_ms: (data.backoff > 0).then_some(data.backoff / 1_000_000),
        ..LocalActivity::default()
    })
}

fn of_java(details: &HashMap<String, Payloads>) -> Option<LocalActivity> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Meta {
        /// Milliseconds since 1970.
        #[serde(rename = "firstSkd")]
        first_scheduled: Option<i64>,
        #[serde(rename = "atpt")]
        attempt: u32,
        /// Milliseconds.
        backoff: Option<i64>,
    }
    let meta: Meta = json(details, "meta").unwrap_or_default();
    let at = |millis: i64| millis.saturating_mul(1000);
    Some(LocalActivity {
        activity_id: json(details, "activityId")?,
        activity_type: json(details, "type")?,
        attempt: meta.attempt,
        complete_time: json(details, "time").map(at),
        backoff_ms: meta.backoff,
        original_schedule_time: meta.first_scheduled.map(at),
        activation_index: None,
    })
}
