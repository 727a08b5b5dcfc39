//! The handle that a user holds.

use std::sync::Arc;
use std::time::Duration;

use omnitrace_store::row::RunKey;
use omnitrace_store::{DatabaseUrl, OpenOptions, ProcessReport};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::breaker::Breaker;
use crate::clock;
use crate::config::{DatabaseTarget, Settings};
use crate::counters::{Counter, Counters};
use crate::history::{Background, Reach};
use crate::metrics::Metrics;
use crate::policy::{HashKey, Policy, PolicySettings, PriceTable};
use crate::queue::Queue;
use crate::recorder::Recorder;
use crate::sdk::{self, ActivityRecorder, OmniTracePlugin, ReplayPlugin, WorkerRecorder};
use crate::switches::Switchboard;
use crate::telemetry;
use crate::writer::{self, Control, Gauges, SpoolOptions, WriterOptions};

/// Namespace of runs that are told by hand.
pub const DEFAULT_NAMESPACE: &str = "default";

/// The longest workflow id and trace id of a run that is told by hand, as in Temporal.
pub(crate) const MAX_ID_BYTES: usize = 1000;

/// How long a start waits for what is switched in the store.
const FIRST_SWITCHES: Duration = Duration::from_secs(1);

/// Rows that wait for the database take at most so many times the bytes of the queue.
const BUFFER_PER_QUEUE: usize = 4;

/// Records every workflow run and activity attempt of a process. Cheap to clone; call
/// [`shutdown`](Self::shutdown) on one clone before the process ends.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use omnitrace::OmniTrace;
/// use std::time::Duration;
/// use temporalio_client::{Client, ClientOptions, ConnectionOptions};
///
/// let omnitrace = OmniTrace::from_env().await;
/// let connection = ConnectionOptions::new(url::Url::parse("http://127.0.0.1:7233")?).build();
/// let options = ClientOptions::new("default").plugin(omnitrace.plugin()).build();
/// let client = Client::connect(connection, options).await?;
/// // Workers that are made from this client are recorded.
/// # drop(client);
/// omnitrace.shutdown(Duration::from_secs(5)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "what is not registered records nothing"]
pub struct OmniTrace {
    recording: Option<Recording>,
    control: mpsc::UnboundedSender<Control>,
    counters: Counters,
    gauges: Gauges,
    metrics: Metrics,
}

/// What the interceptors need.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    pub(crate) queue: Queue,
    pub(crate) switches: Switchboard,
    /// Names this process in the rows of attempts.
    pub(crate) worker: Arc<str>,
    /// Whether spans are sent.
    pub(crate) exports: bool,
    /// Reconciles the namespaces of its clients.
    pub(crate) background: Background,
}

/// Why rows are not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlushError {
    /// The database did not take them. A flush may be tried again; after a shutdown they are lost.
    #[error("not everything is stored: {0}")]
    Database(String),
    /// There was not enough time.
    #[error("not everything is stored: there was not enough time")]
    Timeout,
    /// It was shut down before.
    #[error("OmniTrace was shut down before")]
    Stopped,
}

impl OmniTrace {
    /// Reads the environment and starts recording; waits for what is switched in the store, a second at most.
    /// Never fails: what is wrong is logged, one line
    /// each, and fails towards recording less.
    pub async fn from_env() -> Self {
        let (settings, findings) = Settings::from_env();
        for finding in &findings {
            tracing::warn!("{finding}");
        }
        let omnitrace = Self::start(settings);
        if let Some(recording) = &omnitrace.recording {
            recording.switches.answered(FIRST_SWITCHES).await;
        }
        omnitrace
    }

    /// Starts recording with these settings.
    ///
    /// ```
    /// use omnitrace::{OmniTrace, config::Settings};
    ///
    /// let settings = Settings::default().with_sample_rate(0.25).with_enabled(false);
    /// let omnitrace = OmniTrace::start(settings);
    /// assert!(!omnitrace.is_enabled());
    /// ```
    pub fn start(settings: Settings) -> Self {
        let counters = Counters::new();
        let gauges = Gauges::default();
        let metrics = match settings.enabled {
            true => Metrics::start(&settings),
            false => Metrics::default(),
        };
        let (control, receiver) = mpsc::unbounded_channel();
        let recording = settings
            .enabled
            .then(|| start_writer(&settings, receiver, &counters, &gauges, &metrics))
            .flatten();
        Self {
            recording,
            control,
            counters,
            gauges,
            metrics,
        }
    }

    /// Whether anything is recorded.
    pub fn is_enabled(&self) -> bool {
        self.recording.is_some()
    }

    /// The value to register on a client: `ClientOptions::new(…).plugin(omnitrace.plugin())`. It
    /// serves the workers made from that client. Make one for each client, and register it after
    /// plugins that change the client's codec.
    pub fn plugin(&self) -> OmniTracePlugin {
        OmniTracePlugin::new(self.recording.clone())
    }

    /// A layer for an HTTP service of your own, as `Router::layer` of axum takes it: a request gets a span,
    /// in the trace of its caller if `traceparent` names one, and what is started for it with a client that
    /// has the plugin lies under that. Spans of requests are sent, not stored.
    ///
    /// ```
    /// # async fn run(omnitrace: omnitrace::OmniTrace) {
    /// let layer = omnitrace.http_layer().with_route(|extensions| {
    ///     // Of axum: extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned())
    ///     extensions.get::<&'static str>().map(|route| (*route).to_owned())
    /// });
    /// # drop(layer);
    /// # }
    /// ```
    pub fn http_layer(&self) -> crate::HttpLayer {
        crate::HttpLayer::new(self.recording.clone(), self.metrics.clone())
    }

    /// The value to register on a `WorkflowReplayer` that shall record: the replayer makes ids up,
    /// so it is told which run it replays.
    pub fn replay_plugin(&self, run: RunKey) -> ReplayPlugin {
        ReplayPlugin::new(self.recording.clone(), run)
    }

    /// Records workflows, for those who register interceptors one by one: one value per worker. It
    /// is told the namespace because nothing that it sees tells it. The rows are those of the plugin
    /// but for one thing: without the client's codec, what a workflow sends (arguments of activities and
    /// children, its result) is recorded as the codec left it, so as opaque bytes if the
    /// codec encrypts. What reaches a workflow has been decoded. `None` if recording is off.
    pub fn worker_interceptor(&self, namespace: &str) -> Option<WorkerRecorder> {
        let recording = self.recording.as_ref()?;
        Some(sdk::worker_recorder(recording, namespace))
    }

    /// Records attempts of activities, for those who register interceptors one by one. `None` if
    /// recording is off.
    pub fn activity_interceptor(&self) -> Option<ActivityRecorder> {
        self.recording.as_ref().map(sdk::activity_recorder)
    }

    /// Tells activities what their workflow decided, for those who register interceptors one by
    /// one. Without it, attempts are recorded of runs that sampling leaves out, and the second use
    /// of an activity id in a run is taken for the first. `None` if recording is off.
    pub fn workflow_interceptor(&self) -> Option<sdk::WorkflowInterceptorConstructor> {
        let recording = self.recording.as_ref()?;
        Some(sdk::workflow_recorder(recording.switches.clone(), None))
    }

    /// Tells a run by hand, within Temporal or without. The trace id is 32 hex digits, or any text.
    /// Ids of more than 1,000 bytes are refused and counted: the recorder then records nothing.
    pub fn recorder(&self, workflow_id: &str, trace_id: &str) -> Recorder {
        let recording = self.recording.as_ref();
        let mut of = recording.map(|r| (r.queue.clone(), r.switches.clone()));
        if workflow_id.len().max(trace_id.len()) > MAX_ID_BYTES {
            self.counters.add(Counter::DroppedInvalidKey, 1);
            of = None;
        }
        Recorder::new(of, workflow_id, trace_id)
    }

    /// Reconciles the namespace of a client in the background: runs that were terminated, timed out or
    /// left by a worker that never came back are closed as their history says. A client that was made by
    /// `Client::connect` with the plugin does so by itself; call this for one that was made by
    /// `Connection::connect` and `Client::new`. The depth of the queues of this process's workers is asked
    /// for in the same way, where metrics are on. Does nothing of what is switched off, or has begun for the
    /// namespace.
    pub fn reconcile(&self, client: &sdk::Client) {
        if let Some(recording) = &self.recording {
            recording.background.start(Reach::Client(client.clone()));
        }
    }

    /// Lets the level of log lines follow what is switched. Does nothing where recording is off.
    pub fn switch_log_level(&self, level: &crate::logs::SwitchedLevel) {
        if let Some(recording) = &self.recording {
            level.follow(recording.switches.clone());
        }
    }

    /// Waits until everything offered so far is stored.
    ///
    /// # Errors
    /// When the database did not take it; it stays in memory and is tried again.
    pub async fn flush(&self) -> Result<(), FlushError> {
        if self.recording.is_none() {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        self.control
            .send(Control::Flush(reply))
            .map_err(|_| FlushError::Stopped)?;
        answer
            .await
            .map_err(|_| FlushError::Stopped)?
            .map_err(FlushError::Database)
    }

    /// Stores what was offered and stops; at most so long. What is not stored then waits in the spool
    /// for the next process, and what finds no room there is lost; both are logged. Calling it again
    /// does nothing.
    ///
    /// # Errors
    /// When something was lost.
    pub async fn shutdown(&self, timeout: Duration) -> Result<(), FlushError> {
        if self.recording.is_none() {
            return Ok(());
        }
        if let Some(recording) = &self.recording {
            recording.background.stop();
        }
        let deadline = Instant::now() + timeout;
        let (reply, answer) = oneshot::channel();
        if self
            .control
            .send(Control::Shutdown(deadline, reply))
            .is_err()
        {
            return Ok(());
        }
        match tokio::time::timeout_at(deadline + Duration::from_secs(1), answer).await {
            Ok(Ok(stored)) => stored.map_err(FlushError::Database),
            // Stopped by another clone, meanwhile.
            Ok(Err(_)) => Ok(()),
            Err(_) => Err(FlushError::Timeout),
        }
    }

    /// What was offered and what became of it.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters.get(counter)
    }

    /// All counters that are not 0, by name.
    pub fn counters(&self) -> std::collections::BTreeMap<String, u64> {
        self.counters.snapshot()
    }

    /// The metrics of this process, to be read, and to be told of HTTP requests.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Runs that are being followed now.
    pub fn live_recorders(&self) -> usize {
        self.gauges.live_recorders()
    }

    /// Bytes of rows that wait on disk now, because the database did not take them.
    pub fn spool_bytes(&self) -> u64 {
        self.gauges.spool_bytes()
    }

    /// Whether the database is being asked.
    pub fn breaker(&self) -> Breaker {
        self.gauges.breaker()
    }

    /// Whether spans are being sent to the collector.
    pub fn export_breaker(&self) -> Breaker {
        self.gauges.export_breaker()
    }

    /// Bytes of observations that wait for the writer now.
    pub fn queue_bytes(&self) -> usize {
        self.recording.as_ref().map_or(0, |r| r.queue.used())
    }
}

fn start_writer(
    settings: &Settings,
    control: mpsc::UnboundedReceiver<Control>,
    counters: &Counters,
    gauges: &Gauges,
    metrics: &Metrics,
) -> Option<Recording> {
    let switches = Switchboard::new(settings);
    let queue_bytes = usize::try_from(settings.queue_bytes).unwrap_or(usize::MAX);
    let (queue, items) = Queue::new(queue_bytes, counters.clone());
    let process = process(settings);
    let recording = Recording {
        queue: queue.clone(),
        switches: switches.clone(),
        worker: format!("{}@{}", process.pid, process.host).into(),
        exports: settings.telemetry.exports_spans(),
        background: Background::new(settings.clone(), metrics.clone()),
    };
    metrics.tell_health(counters, gauges, queue.used_bytes(), settings, &switches);
    let options = WriterOptions {
        switches,
        slow_ms: i64::try_from(settings.slow_ms).unwrap_or(i64::MAX),
        flush: Duration::from_millis(settings.flush_ms),
        promote_window: Duration::from_secs(settings.promote_window_s),
        buffer_bytes: queue_bytes.saturating_mul(BUFFER_PER_QUEUE),
        database: database(settings),
        spool: spool(settings),
        telemetry: settings.clone(),
        metrics: metrics.clone(),
        process,
    };
    let lost = queue.lost().clone();
    match writer::start(
        options,
        items,
        control,
        counters.clone(),
        lost,
        gauges.clone(),
    ) {
        Ok(()) => Some(recording),
        Err(error) => {
            tracing::warn!(%error, "OmniTrace records nothing: its thread could not be started");
            None
        }
    }
}

impl Settings {
    /// How a store with these settings is opened.
    pub fn open_options(&self) -> OpenOptions {
        let mut options = OpenOptions::default();
        options.max_events_per_run = self.max_events_per_run;
        options.migrate = self.migrate;
        let telemetry = &self.telemetry;
        options.export = telemetry
            .exports_spans()
            .then(|| telemetry::grace(&telemetry.batching));
        options.closings = telemetry.measures();
        options
    }

    /// The policy that a plugin with these settings applies. A file of prices that can't be read is a
    /// warning.
    pub fn policy(&self) -> Policy {
        Policy::new(self.policy_settings())
    }

    pub(crate) fn policy_settings(&self) -> PolicySettings {
        let prices = self.prices.as_ref().and_then(|path| {
            let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
            let table =
                text.and_then(|text| PriceTable::from_json(&text).map_err(|e| e.to_string()));
            table
                .map_err(|error| {
                    tracing::warn!(
                        path = %path.display(), %error,
                        "OMNITRACE_PRICES is not used, the built-in prices are"
                    );
                })
                .ok()
        });
        PolicySettings {
            hash_key: self
                .hash_key
                .as_ref()
                .and_then(|key| HashKey::new(key.expose())),
            allow_fields: self.allow_fields.clone(),
            drop_fields: self.drop_fields.clone(),
            capture_content: self.capture_content,
            max_event_bytes: self.max_event_bytes as usize,
            categories: self.categories.clone(),
            prices: prices.unwrap_or_default(),
        }
    }
}

fn database(settings: &Settings) -> Option<(DatabaseUrl, OpenOptions)> {
    match &settings.database {
        DatabaseTarget::Url(url) => Some((url.clone(), settings.open_options())),
        DatabaseTarget::None => None,
    }
}

/// Where rows wait on disk, if they may.
fn spool(settings: &Settings) -> Option<SpoolOptions> {
    let DatabaseTarget::Url(url) = &settings.database else {
        return None;
    };
    let folder = crate::spool::folder(settings, url)?;
    (settings.spool_bytes > 0).then_some(SpoolOptions {
        folder,
        limit: settings.spool_bytes,
        fsync: settings.spool_fsync,
    })
}

/// Name of this machine.
pub(crate) fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map_or_else(|| "unknown".to_owned(), |name| name.trim().to_owned())
}

fn process(settings: &Settings) -> ProcessReport {
    ProcessReport {
        id: uuid::Uuid::new_v4().to_string(),
        service: settings.service_name.clone(),
        host: host(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: clock::now(),
        ..ProcessReport::default()
    }
}
