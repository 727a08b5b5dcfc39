//! Runs that somebody watches: what each holds now, and in which order it changed.
//!
//! Invariant: a run that any number of clients watch is read by one task. It keeps each row once, as it is
//! now, so a client that falls behind costs nothing: it gets what is newest when it takes it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Included};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use omnitrace_store::row::{EventRow, Phase, RunKey, RunRow};
use omnitrace_store::tree::{read_data, shown_heads};
use omnitrace_store::{AccessScope, Fingerprint, ReadError, Reader};
use tokio::sync::watch;
use tokio::time::Instant;

use super::database::Database;
use crate::api::{Event, Execution};

/// Between two looks at a run.
const PERIOD: Duration = Duration::from_millis(500);
/// A look that took long is not repeated before so many times as long have passed.
const REST: u32 = 4;
/// Between two looks while the database does not answer.
const RETRY: Duration = Duration::from_secs(5);
/// How long a run stays watched that nobody watches any more: for who comes back.
const LINGER: Duration = Duration::from_secs(30);
/// A closed run is quiet when so many looks in a row saw no change: other workers' rows come late.
const QUIET: u32 = 3;
/// Bytes of rows of all watched runs together.
const MAX_BYTES: usize = 256 << 20;
/// Bytes of rows that are sent at once; one row may be more.
const CHUNK_BYTES: usize = 64 << 10;
/// What a row costs beside its text.
const ROW_BYTES: usize = 200;

/// The runs that are watched. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Watches(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    database: Database,
    runs: Mutex<HashMap<RunKey, Weak<Watched>>>,
    bytes: AtomicUsize,
    stopping: watch::Sender<bool>,
}

/// A run that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    key: RunKey,
    /// Tells this watch from others of the same run: places are its own.
    id: String,
    state: Mutex<State>,
    /// The newest place.
    changed: watch::Sender<u64>,
    shared: Arc<Shared>,
}

/// Places count changes: each row is at that of its last one.
#[derive(Debug, Default)]
struct State {
    newest: u64,
    run: Option<(RunRow, u64)>,
    rows: BTreeMap<u64, Row>,
    places: HashMap<String, Known>,
    /// Rows that are shown no longer.
    gone: BTreeMap<u64, String>,
    bytes: usize,
    ended: bool,
    /// Why it is watched no longer.
    given_up: Option<&'static str>,
}

#[derive(Debug)]
struct Known {
    place: u64,
    digest: i64,
    phase: Phase,
}

/// A row as JSON, its data apart: not everybody may see it.
#[derive(Debug)]
struct Row {
    key: String,
    head: String,
    data: Option<String>,
}

/// What there is after a place.
#[derive(Debug, Default)]
pub(super) struct News {
    /// As JSON; empty if nothing is new.
    pub(super) json: String,
    /// Up to which place; `None` while the run is not known.
    pub(super) place: Option<u64>,
    /// Whether nothing will follow.
    pub(super) ended: bool,
    /// Why nothing will follow though the run goes on.
    pub(super) given_up: Option<&'static str>,
}

impl Watches {
    pub(super) fn new(database: Database) -> Self {
        Self(Arc::new(Shared {
            database,
            runs: Mutex::default(),
            bytes: AtomicUsize::new(0),
            stopping: watch::Sender::new(false),
        }))
    }

    /// Watches a run, together with everybody who does already.
    pub(super) fn watch(&self, run: &RunKey) -> Arc<Watched> {
        let mut runs = lock(&self.0.runs);
        if let Some(watched) = runs.get(run).and_then(Weak::upgrade) {
            return watched;
        }
        let watched = Arc::new(Watched {
            key: run.clone(),
            id: uuid::Uuid::new_v4().simple().to_string(),
            state: Mutex::default(),
            changed: watch::Sender::new(0),
            shared: Arc::clone(&self.0),
        });
        runs.insert(run.clone(), Arc::downgrade(&watched));
        drop(runs);
        tokio::spawn(follow(Arc::clone(&watched)));
        watched
    }

    /// Ends when the server stops: whoever waits for rows then waits no longer.
    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stopping.subscribe()
    }

    pub(super) fn stop(&self) {
        self.0.stopping.send_replace(true);
    }
}

impl Watched {
    /// Where the client was that names the last event it got; `None` for one that was elsewhere.
    pub(super) fn place_of(&self, event_id: &str) -> Option<u64> {
        let of_this = event_id.split_once('.').filter(|(id, _)| *id == self.id);
        let place = of_this.and_then(|(_, place)| place.parse().ok());
        place.filter(|place| *place <= lock(&self.state).newest)
    }

    /// Names a place for [`Self::place_of`].
    pub(super) fn event_id(&self, place: u64) -> String {
        format!("{}.{place}", self.id)
    }

    /// Tells of changes.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// What changed after a place, as much as is sent at once, for someone who may see what is in this
    /// scope, and values only with `content`. Without a place the run alone, as it is now. `None` for
    /// someone who may not see the run any more.
    pub(super) fn news(
        &self,
        after: Option<u64>,
        scope: &AccessScope,
        content: bool,
    ) -> Option<News> {
        let state = lock(&self.state);
        let mut news = News {
            place: after,
            given_up: state.given_up,
            ..News::default()
        };
        let Some((run, run_place)) = &state.run else {
            return Some(news);
        };
        if !scope.has(run) {
            return None;
        }
        let first = after.is_none();
        let after = after.unwrap_or(state.newest);
        let mut rows = String::new();
        let mut last = None;
        for (place, row) in state.rows.range(after + 1..) {
            if rows.len() >= CHUNK_BYTES {
                break;
            }
            if !rows.is_empty() {
                rows.push(',');
            }
            row.write(content, &mut rows);
            last = Some(*place);
        }
        let whole = rows.len() < CHUNK_BYTES;
        let place = match last {
            Some(last) if !whole => last,
            _ => state.newest,
        };
        let gone = state.gone.range((Excluded(after), Included(place)));
        let gone: Vec<_> = gone.map(|(_, key)| key).collect();
        if first || last.is_some() || *run_place > after || !gone.is_empty() {
            // Structs of text and numbers have no way to fail.
            let run = serde_json::to_string(&Execution::from(run)).unwrap_or_default();
            let gone = serde_json::to_string(&gone).unwrap_or_default();
            news.json = format!("{{\"run\":{run},\"rows\":[{rows}],\"gone\":{gone}}}");
        }
        news.place = Some(place);
        news.ended = state.ended && place == state.newest;
        Some(news)
    }

    async fn read(&self) -> Result<bool, ReadError> {
        let store = self.shared.database.store().await;
        let store = store.map_err(|e| ReadError::Database(e.to_string()))?;
        // What each client may see is decided for each; this is what there is.
        let reader = store.seen_by(&AccessScope::ALL);
        let Some(run) = store.run(&self.key).await? else {
            return Ok(self.change(|state, _| state.given_up = Some("the run was deleted")));
        };
        let heads = reader.event_heads(&self.key).await?;
        let shown = shown_heads(&run, &heads);
        let stale: Vec<_> = {
            let state = lock(&self.state);
            (shown.iter())
                .map(|&(at, phase)| (&heads[at], phase))
                .filter(|(head, phase)| {
                    let known = state.places.get(&head.key);
                    known.is_none_or(|known| known.digest != head.digest || known.phase != *phase)
                })
                .collect()
        };
        let mut rows = self.rows(reader, &stale).await?;
        let keys: HashMap<&str, ()> = shown.iter().map(|(at, _)| (&*heads[*at].key, ())).collect();
        Ok(self.change(|state, bytes| {
            for (head, phase) in stale {
                // One that is gone by now is found to be so by the next look.
                let Some(row) = rows.remove(&head.key) else {
                    continue;
                };
                state.newest += 1;
                let place = state.newest;
                *bytes += row.bytes();
                let known = Known {
                    place,
                    digest: head.digest,
                    phase,
                };
                state.gone.retain(|_, gone| *gone != head.key);
                let before = state.places.insert(head.key.clone(), known);
                let before = before.and_then(|known| state.rows.remove(&known.place));
                *bytes -= before.map_or(0, |row| row.bytes());
                state.rows.insert(place, row);
            }
            let lost: Vec<_> = (state.places.keys())
                .filter(|key| !keys.contains_key(key.as_str()))
                .cloned()
                .collect();
            for key in lost {
                let known = state.places.remove(&key);
                let row = known.and_then(|known| state.rows.remove(&known.place));
                *bytes -= row.map_or(0, |row| row.bytes());
                state.newest += 1;
                state.gone.insert(state.newest, key);
            }
            if state.run.as_ref().is_none_or(|(before, _)| *before != run) {
                state.newest += 1;
                state.run = Some((run, state.newest));
            }
        }))
    }

    async fn rows(
        &self,
        reader: Reader<'_>,
        wanted: &[(&omnitrace_store::EventHead, Phase)],
    ) -> Result<HashMap<String, Row>, ReadError> {
        let phases: HashMap<&str, Phase> =
            wanted.iter().map(|(h, phase)| (&*h.key, *phase)).collect();
        let keys: Vec<&str> = wanted.iter().map(|(head, _)| head.key.as_str()).collect();
        let events = reader.events_by_key(&self.key, &keys).await?;
        Ok((events.into_iter())
            .map(|mut event| {
                let phase = phases.get(event.event_key.as_str());
                event.phase = phase.copied().unwrap_or(event.phase);
                (event.event_key.clone(), Row::new(event))
            })
            .collect())
    }

    /// Changes what is known, and tells everybody if there is something new. `bytes` is what the rows cost.
    fn change(&self, change: impl FnOnce(&mut State, &mut usize)) -> bool {
        let mut state = lock(&self.state);
        let (newest, before) = (state.newest, state.bytes);
        let mut bytes = before;
        change(&mut state, &mut bytes);
        state.bytes = bytes;
        let all = &self.shared.bytes;
        let sum = all.fetch_add(bytes.wrapping_sub(before), Ordering::Relaxed);
        if sum.wrapping_add(bytes).wrapping_sub(before) > MAX_BYTES && bytes > before {
            state.given_up = Some("too many large runs are watched: ask for the trace instead");
        }
        let (newest_now, told) = (state.newest, state.given_up.is_some() || state.ended);
        drop(state);
        if newest_now != newest || told {
            self.changed.send_replace(newest_now);
        }
        newest_now != newest
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let bytes = lock(&self.state).bytes;
        self.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Row {
    fn new(mut event: EventRow) -> Self {
        let key = event.event_key.clone();
        let data = read_data(&mut event);
        // Data comes last: it is put in, or not, when the row is sent.
        let mut head = serde_json::to_string(&Event::new((event, None))).unwrap_or_default();
        head.truncate(head.len().saturating_sub(NO_DATA.len()));
        Self {
            key,
            head,
            data: data.map(|data| data.to_string()),
        }
    }

    fn write(&self, content: bool, into: &mut String) {
        into.push_str(&self.head);
        match self.data.as_ref().filter(|_| content) {
            None => into.push_str(NO_DATA),
            Some(data) => {
                into.push_str(DATA);
                into.push_str(data);
                into.push('}');
            }
        }
    }

    fn bytes(&self) -> usize {
        let data = self.data.as_ref().map_or(0, String::len);
        ROW_BYTES + 2 * self.key.len() + self.head.len() + data
    }
}

/// How the JSON of a row without data ends, and how its data begins.
const NO_DATA: &str = ",\"data\":null}";
const DATA: &str = ",\"data\":";

/// Looks at a run until nobody watches it, it has ended, or the server stops.
async fn follow(watched: Arc<Watched>) {
    let mut stopping = watched.shared.stopping.subscribe();
    let mut alone_since = Instant::now();
    let (mut seen, mut quiet) = (None, 0);
    loop {
        let began = Instant::now();
        let wait = match look(&watched, &mut seen).await {
            Ok(changed) => {
                quiet = if changed { 0 } else { quiet + 1 };
                PERIOD.max(began.elapsed() * REST)
            }
            Err(_) => RETRY,
        };
        let closed = {
            let state = lock(&watched.state);
            (state.run.as_ref()).is_some_and(|(run, _)| run.status.is_closed())
        };
        if closed && quiet >= QUIET {
            watched.change(|state, _| state.ended = true);
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let mut runs = lock(&watched.shared.runs);
        let state = lock(&watched.state);
        let over = state.ended || state.given_up.is_some();
        drop(state);
        if Arc::strong_count(&watched) > 1 {
            alone_since = Instant::now();
        }
        // Under the lock by which others find it.
        if over || alone_since.elapsed() > LINGER {
            runs.remove(&watched.key);
            return;
        }
    }
}

/// Reads the run if anything of it changed.
async fn look(
    watched: &Watched,
    seen: &mut Option<(RunRow, Fingerprint)>,
) -> Result<bool, ReadError> {
    let store = watched.shared.database.store().await;
    let store = store.map_err(|e| ReadError::Database(e.to_string()))?;
    let now = store.run(&watched.key).await?;
    let events = store
        .seen_by(&AccessScope::ALL)
        .fingerprint(&watched.key)
        .await?;
    let now = now.map(|run| (run, events));
    if now.is_some() && now == *seen {
        return Ok(false);
    }
    let changed = watched.read().await?;
    *seen = now;
    Ok(changed)
}

/// A thread that panicked while it held the lock left what it held whole: each change is made of values
/// that are there.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
