//! What all requests share.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use omnitrace::metrics::Metrics;
use omnitrace_store::Reader;
use omnitrace_store::row::RunRow;

use super::access::{Access, Caller};
use super::backend::TraceBackend;
use super::database::Database;
use super::outlines::Outlines;
use super::problem::Problem;
use super::watch::Watches;

/// Shared by all requests. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct AppState {
    pub(super) database: Database,
    pub(super) dashboards: Arc<[Dashboard]>,
    pub(super) access: Arc<Access>,
    pub(super) outlines: Outlines,
    pub(super) watches: Watches,
    /// Streams that are open.
    pub(super) streams: Arc<AtomicUsize>,
    /// How long a client may take nothing of what it is sent.
    pub(super) patience: Duration,
    pub(super) metrics: Metrics,
    pub(super) backend: Option<TraceBackend>,
}

impl AppState {
    /// What is recorded, as far as this caller may see it.
    pub(super) async fn reader<'a>(&'a self, caller: &'a Caller) -> Result<Reader<'a>, Problem> {
        let store = self.database.store().await;
        let store = store.map_err(|e| Problem::from(&e))?;
        Ok(store.seen_by(caller.scope()))
    }

    /// Pages of other programs about a run.
    pub(super) fn dashboards(&self, run: &RunRow) -> BTreeMap<&str, String> {
        (self.dashboards.iter())
            .map(|dashboard| (dashboard.name.as_str(), dashboard.url(run)))
            .collect()
    }
}

/// A page of another program about a run, as `jaeger=http://127.0.0.1:16686/trace/{trace_id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dashboard {
    name: String,
    template: String,
}

impl FromStr for Dashboard {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, template) = text
            .split_once('=')
            .filter(|(name, url)| {
                !name.is_empty() && ["http://", "https://"].iter().any(|s| url.starts_with(s))
            })
            .ok_or("write NAME=URL, as jaeger=http://127.0.0.1:16686/trace/{trace_id}")?;
        Ok(Self {
            name: name.to_owned(),
            template: template.to_owned(),
        })
    }
}

impl Dashboard {
    fn url(&self, run: &RunRow) -> String {
        [
            ("{namespace}", &run.key.namespace),
            ("{workflow_id}", &run.key.workflow_id),
            ("{run_id}", &run.key.run_id),
            ("{trace_id}", &run.trace_id),
        ]
        .iter()
        .fold(self.template.clone(), |url, (name, value)| {
            url.replace(name, &encoded(value))
        })
    }
}

/// Percent-encoded, so that it stays one part of a path or a query.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use omnitrace_store::row::RunKey;

    use super::*;

    #[test]
    fn ids_stay_one_part_of_a_dashboards_url() {
        let url = |text: &str| {
            let run = RunRow::new(RunKey::new("default", "a/b {run_id}?é", "r1"));
            text.parse::<Dashboard>().unwrap().url(&run)
        };
        assert_eq!(
            url(
                "temporal=http://h:1/namespaces/{namespace}/workflows/{workflow_id}/{run_id}/history"
            ),
            "http://h:1/namespaces/default/workflows/a%2Fb%20%7Brun_id%7D%3F%C3%A9/r1/history"
        );
        assert_eq!(url("x=https://h/"), "https://h/");
    }

    #[test]
    fn only_web_addresses_are_dashboards() {
        for text in [
            "",
            "jaeger",
            "jaeger=",
            "=http://h",
            "x=javascript:alert(1)",
        ] {
            assert!(text.parse::<Dashboard>().is_err(), "{text}");
        }
    }
}
