//! A store of its own per test, rows to put in it, and all its tables as text.

use std::collections::HashSet;

use omnitrace_store::key::{EventKey, Step};
use omnitrace_store::row::{EventRow, Phase, RunKey, RunRow, Status};
use omnitrace_store::{
    Batch, DatabaseUrl, OpenOptions, ProcessReport, Promotion, Seen, Store, WriteReport,
};

/// A database that is deleted with it.
pub(crate) trait Database: Sized {
    /// An empty one.
    async fn make() -> Self;

    fn url(&self) -> DatabaseUrl;

    /// Makes the tables of the first migration alone, and rows in them.
    async fn first_schema(&self, rows: &str);

    /// All columns of all rows of a table whose key begins with this namespace, but the namespace
    /// itself.
    async fn rows(&self, table: &str, namespace: &str) -> Vec<String>;
}

/// A store of its own.
pub(crate) struct TestStore<D> {
    pub(crate) store: Store,
    pub(crate) database: D,
}

impl<D: Database> TestStore<D> {
    pub(crate) async fn new() -> Self {
        Self::with(OpenOptions::default()).await
    }

    pub(crate) async fn capped(max_events_per_run: u32) -> Self {
        let mut options = OpenOptions::default();
        options.max_events_per_run = max_events_per_run;
        Self::with(options).await
    }

    pub(crate) async fn with(options: OpenOptions) -> Self {
        let database = D::make().await;
        let store = Store::open(&database.url(), options).await.unwrap();
        Self { store, database }
    }

    pub(crate) fn url(&self) -> DatabaseUrl {
        self.database.url()
    }

    /// All rows whose key begins with this namespace.
    pub(crate) async fn tables(&self, namespace: &str) -> Vec<String> {
        let mut tables = Vec::new();
        for table in ["runs", "events", "cuts", "promotions", "replays"] {
            let table = format!("omnitrace_{table}");
            let rows = self.database.rows(&table, namespace).await;
            tables.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
        }
        tables
    }

    /// Writes these in this order, in batches of these sizes (the last one again and again).
    pub(crate) async fn write_all(&self, writes: &[Write], sizes: &[usize]) -> Vec<WriteReport> {
        let mut reports = Vec::new();
        let mut batch = Batch::default();
        let mut keys = HashSet::new();
        let mut sizes = sizes
            .iter()
            .copied()
            .chain(std::iter::repeat(sizes[sizes.len() - 1]));
        let mut left = sizes.next().unwrap();
        for write in writes {
            // A batch holds each key once.
            if left == 0 || !keys.insert(write.id()) {
                reports.push(self.offer(&batch).await);
                batch = Batch::default();
                keys = HashSet::from([write.id()]);
                left = sizes.next().unwrap();
            }
            left = left.saturating_sub(1);
            write.clone().put_into(&mut batch);
        }
        reports.push(self.offer(&batch).await);
        reports
    }

    /// Writes a batch and checks that each offered row is accounted for.
    pub(crate) async fn offer(&self, batch: &Batch) -> WriteReport {
        let report = self.store.write(batch).await.unwrap();
        assert_eq!(
            batch.events.len() as u64,
            report.changed_events.len() as u64
                + report.unchanged_events
                + report.cut_events
                + report.ghost_events
                + report.erased_events,
            "{report:?}"
        );
        assert_eq!(
            batch.runs.len() as u64,
            report.changed_runs.len() as u64 + report.unchanged_runs + report.erased_runs,
            "{report:?}"
        );
        report
    }

    /// The one run with this key.
    pub(crate) async fn run(&self, key: &RunKey) -> RunRow {
        let mut runs = self.store.runs_by_run_id(&key.run_id).await.unwrap();
        runs.retain(|run| run.key == *key);
        assert_eq!(runs.len(), 1);
        runs.remove(0)
    }

    /// The keys of a run's events, in order.
    pub(crate) async fn event_keys(&self, run: &RunKey) -> Vec<String> {
        let events = self.store.events(run).await.unwrap();
        let mut keys: Vec<String> = events.into_iter().map(|row| row.event_key).collect();
        keys.sort();
        keys
    }
}

/// One thing that is offered to a store.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a test holds a few dozen")]
pub(crate) enum Write {
    Run(RunRow),
    Event(EventRow),
    Seen(Seen),
    Promotion(Promotion),
    Process(ProcessReport),
}

impl Write {
    fn id(&self) -> String {
        match self {
            Self::Run(row) => format!("run {:?}", row.key),
            Self::Event(row) => format!("event {:?} {}", row.run, row.event_key),
            Self::Seen(seen) => format!("seen {:?} {:?}", seen.run, seen.scope),
            Self::Promotion(promotion) => format!("promotion {:?}", promotion.run),
            Self::Process(_) => "process".to_owned(),
        }
    }

    fn put_into(self, batch: &mut Batch) {
        match self {
            Self::Run(row) => batch.runs.push(row),
            Self::Event(row) => batch.events.push(row),
            Self::Seen(seen) => batch.seen.push(seen),
            Self::Promotion(promotion) => batch.promotions.push(promotion),
            Self::Process(report) => batch.process = Some(report),
        }
    }

    /// The same in another namespace, so that one store holds many orders side by side.
    pub(crate) fn within(mut self, namespace: &str) -> Self {
        let key = match &mut self {
            Self::Run(row) => &mut row.key,
            Self::Event(row) => &mut row.run,
            Self::Seen(seen) => &mut seen.run,
            Self::Promotion(promotion) => &mut promotion.run,
            Self::Process(report) => {
                report.id = format!("{namespace} {}", report.id);
                return self;
            }
        };
        key.namespace = namespace.to_owned();
        self
    }
}

pub(crate) fn run_key(run_id: &str) -> RunKey {
    RunKey::new("default", "order", run_id)
}

/// A row that is accepted and open, at this time.
pub(crate) fn event(run: &RunKey, key: &str, at: i64) -> EventRow {
    EventRow {
        scheduled_at: Some(at),
        ..EventRow::new(run.clone(), EventKey::parse(key).unwrap())
    }
}

/// An activity step.
pub(crate) fn step(run: &RunKey, id: u32, at: i64) -> EventRow {
    event(run, &format!("activity:{id}:T:0"), at)
}

/// An attempt of an activity step.
pub(crate) fn attempt(run: &RunKey, id: u32, attempt: u32, at: i64) -> EventRow {
    EventRow {
        parent_key: Some(format!("activity:{id}:T:0")),
        ..event(run, &format!("activity:{id}:T:{attempt}"), at)
    }
}

/// The n-th event inside an attempt.
pub(crate) fn inner(run: &RunKey, id: u32, attempt: u32, n: u32, at: i64) -> EventRow {
    let step = Step::new(&id.to_string()).inner(n);
    EventRow {
        parent_key: Some(format!("activity:{id}:T:{attempt}")),
        ..event(run, &format!("tool:{step}:search:{attempt}"), at)
    }
}

pub(crate) fn failed(row: EventRow) -> EventRow {
    EventRow {
        status: Status::Failed,
        phase: Phase::Closed,
        ..row
    }
}

pub(crate) fn proposed(row: EventRow) -> EventRow {
    EventRow {
        phase: Phase::Provisional,
        ..row
    }
}

pub(crate) fn events(events: Vec<EventRow>) -> Batch {
    Batch {
        events,
        ..Batch::default()
    }
}

pub(crate) fn runs(runs: Vec<RunRow>) -> Batch {
    Batch {
        runs,
        ..Batch::default()
    }
}

pub(crate) fn closed_run(key: &RunKey) -> RunRow {
    RunRow {
        status: Status::Completed,
        phase: Phase::Closed,
        ..RunRow::new(key.clone())
    }
}
