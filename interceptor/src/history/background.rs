//! What the plugin asks the server by itself: which of a namespace's runs ended without a worker seeing it,
//! and how many tasks wait in the queues of its workers.
//!
//! Invariant: one thread for each namespace of a process, off every user's path; whatever goes wrong in
//! it is logged, and tried again at the next pass.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use omnitrace_store::Store;
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions};
use tokio::sync::watch;

use super::depths::{Queues, depths};
use super::{Healer, Pass, ReconcileOptions, Reconciler, Server};
use crate::config::{DatabaseTarget, Settings};
use crate::metrics::Metrics;

/// How far back the first pass looks for closed runs.
const SINCE: Duration = Duration::from_secs(3600);

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Those of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Background(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    metrics: Metrics,
    namespaces: Mutex<HashSet<String>>,
    queues: Queues,
    stop: watch::Sender<bool>,
}

/// What a thread works with. It holds no handle that would keep it going.
pub(super) struct Work {
    settings: Settings,
    pub(super) metrics: Metrics,
    pub(super) queues: Queues,
    reach: Reach,
}

/// How the server is reached.
pub(crate) enum Reach {
    /// By a connection of its own. The options of the client name namespace and data converter.
    Options(Box<ConnectionOptions>, Box<ClientOptions>),
    /// By a client of the user's.
    Client(Client),
}

impl Background {
    pub(crate) fn new(settings: Settings, metrics: Metrics) -> Self {
        Self(Arc::new(Inner {
            settings,
            metrics,
            namespaces: Mutex::default(),
            queues: Queues::default(),
            stop: watch::Sender::new(false),
        }))
    }

    /// A worker takes its tasks from there.
    pub(crate) fn queue(&self, namespace: &str, task_queue: &str) {
        self.0.queues.add(namespace, task_queue);
    }

    /// Begins to ask after a namespace, unless that is switched off or has begun.
    pub(crate) fn start(&self, reach: Reach) {
        let inner = &self.0;
        let is_wanted = reconciles(&inner.settings) || inner.metrics.is_on();
        if !is_wanted || *inner.stop.borrow() {
            return;
        }
        let namespace = match &reach {
            Reach::Options(_, options) => options.namespace.clone(),
            Reach::Client(client) => client.options().namespace.clone(),
        };
        let mut namespaces = inner
            .namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !namespaces.insert(namespace) {
            return;
        }
        let work = Work {
            settings: inner.settings.clone(),
            metrics: inner.metrics.clone(),
            queues: inner.queues.clone(),
            reach,
        };
        let stop = inner.stop.subscribe();
        let thread = std::thread::Builder::new().name("omnitrace-reconcile".to_owned());
        let started = thread.spawn(move || run(&work, stop));
        if let Err(error) = started {
            tracing::warn!(%error, "OmniTrace does not reconcile: its thread could not be started");
        }
    }

    /// Ends all of them; a pass that is under way is cut off, which does no harm.
    pub(crate) fn stop(&self) {
        self.0.stop.send_replace(true);
    }
}

fn reconciles(settings: &Settings) -> bool {
    settings.reconcile && settings.database != DatabaseTarget::None
}

fn run(work: &Work, mut stop: watch::Receiver<bool>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::warn!(%error, "OmniTrace does not reconcile");
            return;
        }
    };
    runtime.block_on(async {
        tokio::select! {
            _ = async { tokio::join!(passes(work), depths(work)) } => {}
            // `Err`: every handle is gone.
            _ = stop.wait_for(|stop| *stop) => {}
        }
    });
}

async fn passes(work: &Work) {
    if !reconciles(&work.settings) {
        return;
    }
    let every = Duration::from_secs(work.settings.reconcile_s);
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // At once: its workers have only begun.
    ticks.tick().await;
    let mut reconciler = None;
    let mut trouble = false;
    loop {
        ticks.tick().await;
        let passed = match &mut reconciler {
            Some(reconciler) => pass(reconciler).await,
            None => match open(work, every).await {
                Ok(opened) => pass(reconciler.insert(opened)).await,
                Err(error) => Err(error),
            },
        };
        match passed {
            Ok(pass) => {
                trouble = false;
                if pass.healed + pass.recorded > 0 {
                    tracing::info!(
                        healed = pass.healed,
                        recorded = pass.recorded,
                        "OmniTrace put runs right from their histories"
                    );
                }
            }
            Err(error) => {
                // Both are made anew: a database may have moved, a server been restarted.
                reconciler = None;
                if !std::mem::replace(&mut trouble, true) {
                    tracing::warn!(%error, "OmniTrace cannot reconcile now; it tries again");
                }
            }
        }
    }
}

async fn pass(reconciler: &mut Reconciler) -> Result<Pass, String> {
    reconciler.pass().await.map_err(|error| error.to_string())
}

impl Work {
    pub(super) async fn connect(&self) -> Result<Server, String> {
        let client = match &self.reach {
            Reach::Client(client) => client.clone(),
            Reach::Options(connection, client) => {
                let connecting = Connection::connect((**connection).clone());
                let connecting = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
                let connection = connecting.map_err(|error| error.to_string())?;
                let connection = connection.map_err(|error| error.to_string())?;
                Client::new(connection, (**client).clone()).map_err(|error| error.to_string())?
            }
        };
        Ok(Server::new(client))
    }
}

async fn open(work: &Work, every: Duration) -> Result<Reconciler, String> {
    let server = work.connect().await?;
    let settings = &work.settings;
    let DatabaseTarget::Url(url) = &settings.database else {
        return Err("there is no store".to_owned());
    };
    let store = Store::open(url, settings.open_options()).await;
    let store = store.map_err(|error| error.to_string())?;
    let healer = Healer::new(server, store, settings);
    let healer = healer.measured(work.metrics.clone());
    let options = ReconcileOptions {
        settle: ReconcileOptions::default().settle.min(every),
        since: SINCE,
        lease: every * 2 + Duration::from_secs(30),
        at_once: 1,
        ..ReconcileOptions::default()
    };
    Ok(Reconciler::new(healer, options))
}
