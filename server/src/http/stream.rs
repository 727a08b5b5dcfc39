//! `GET /executions/{execution_id}/trace/stream`: the rows of a run as they land.

#![expect(unused_qualifications, reason = "in what the macro of utoipa makes")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use omnitrace::metrics::Metrics;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use super::access::Caller;
use super::params::{self, Params};
use super::problem::{self, Problem};
use super::state::AppState;
use super::trace::find;
use super::watch::Watched;
use crate::api;
use crate::tokens::Right;

/// Why a client is cut here, as the metric calls it.
pub(super) const SLOW: &str = "slow";

/// Streams at once.
const STREAMS: usize = 1000;
/// Between two comments that keep a connection open through what is between.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Which run.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamParams {
    /// This run of the workflow id instead of its newest.
    #[serde(deserialize_with = "params::text")]
    run_id: Option<String>,
    /// Only look in this Temporal namespace.
    #[serde(deserialize_with = "params::text")]
    namespace: Option<String>,
    /// `false` leaves the rows that are there out: the first event has none.
    #[serde(deserialize_with = "params::flag")]
    #[param(value_type = Option<bool>)]
    all: Option<bool>,
    /// `false` leaves the data of rows out.
    #[serde(deserialize_with = "params::flag")]
    #[param(value_type = Option<bool>)]
    data: Option<bool>,
}

/// What an event `rows` holds. It is written piece by piece; this is its place in the document.
#[derive(Serialize, ToSchema)]
pub(super) struct StreamRows<'a> {
    run: api::Execution<'a>,
    rows: Vec<api::Event>,
    /// Keys of rows that are shown no longer.
    gone: Vec<String>,
}

/// Watch a run: its rows at first, and then each that lands or changes.
///
/// Events are `rows`, `end` when the run is closed and quiet, and `cut` with a reason. Each `rows` has an
/// id; with it as `Last-Event-ID` the stream goes on where it was, and else begins with everything. A row
/// takes the place of the one with the same key.
#[utoipa::path(
    get,
    path = "/executions/{execution_id}/trace/stream",
    tag = "executions",
    params(
        ("execution_id" = String, Path, description = "Workflow id, percent-encoded"),
        StreamParams,
        ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event that was got"),
    ),
    responses(
        (status = 200, description = "Server-sent events", body = StreamRows, content_type = "text/event-stream"),
        problem::OfRun,
        (status = 503, description = "The database does not answer, or too many streams are open", body = problem::Body, content_type = "application/problem+json"),
    )
)]
pub(super) async fn stream_trace(
    State(state): State<AppState>,
    caller: Caller,
    Path(execution_id): Path<String>,
    Params(params): Params<StreamParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let reader = state.reader(&caller).await?;
    let run = find(reader, params.namespace, &execution_id, params.run_id).await?;
    let place = Place::take(&state.streams)?;
    let watched = state.watches.watch(&run.key);
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let after = last.and_then(|last| watched.place_of(last));
    let client = Client {
        after: after.or((params.all != Some(false)).then_some(0)),
        data: params.data != Some(false),
        changes: watched.changes(),
        stopping: state.watches.stopping(),
        watched,
        caller,
        patience: state.patience,
        metrics: state.metrics.clone(),
        offered: None,
        over: false,
        _place: place,
    };
    let events = futures_util::stream::unfold(client, |mut client| async move {
        let event = client.next().await?;
        Some((Ok::<_, Infallible>(event), client))
    });
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok(([(CACHE_CONTROL, "no-store")], events).into_response())
}

/// One client of a stream.
struct Client {
    watched: Arc<Watched>,
    changes: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    caller: Caller,
    /// The place up to which it was told; `None` is where the run is when it is first known.
    after: Option<u64>,
    data: bool,
    patience: Duration,
    metrics: Metrics,
    /// When it was last given something to take.
    offered: Option<Instant>,
    over: bool,
    _place: Place,
}

impl Client {
    async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        // It is asked for the next when the one before has been taken.
        let slow = self
            .offered
            .take()
            .is_some_and(|at| at.elapsed() > self.patience);
        if slow {
            self.metrics.client_cut(SLOW);
            return self.last(cut(
                "what was sent was taken too slowly: ask again with Last-Event-ID",
            ));
        }
        loop {
            self.changes.mark_unchanged();
            let content = self.data && self.caller.may(Right::Content);
            let Some(news) = self.watched.news(self.after, self.caller.scope(), content) else {
                return self.last(cut("this run is no longer shown to this token"));
            };
            self.after = news.place.or(self.after);
            if !news.json.is_empty() {
                self.offered = Some(Instant::now());
                let id = self.watched.event_id(news.place.unwrap_or_default());
                return Some(Event::default().event("rows").id(id).data(news.json));
            }
            if let Some(reason) = news.given_up {
                return self.last(cut(reason));
            }
            if news.ended {
                return self.last(Event::default().event("end").data("{}"));
            }
            tokio::select! {
                changed = self.changes.changed() => changed.ok()?,
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            }
        }
    }

    fn last(&mut self, event: Event) -> Option<Event> {
        self.over = true;
        Some(event)
    }
}

fn cut(reason: &str) -> Event {
    let reason = serde_json::json!({ "reason": reason });
    Event::default().event("cut").data(reason.to_string())
}

/// One of the streams that may be open.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Result<Self, Problem> {
        let place = Self(Arc::clone(open));
        match open.fetch_add(1, Ordering::Relaxed) < STREAMS {
            true => Ok(place),
            false => Err(Problem::Unavailable(format!(
                "{STREAMS} streams are open: try again later, or ask for the trace"
            ))),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
