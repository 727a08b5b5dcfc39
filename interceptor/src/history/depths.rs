//! How many tasks wait in the queues of this process's workers, for metrics.
//!
//! Invariant: a queue is asked for as long as the process lives, also when its worker has stopped: then its
//! tasks wait.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use temporalio_common::protos::temporal::api::enums::v1::TaskQueueType;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Server;
use super::background::Work;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Queues that are asked for.
const MAX_QUEUES: usize = 100;

/// Kinds of queues, as metrics call them.
const KINDS: [(&str, TaskQueueType); 2] = [
    ("workflow", TaskQueueType::Workflow),
    ("activity", TaskQueueType::Activity),
];

/// Task queues that workers of this process have or had, by namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Queues(Arc<Mutex<BTreeSet<(String, String)>>>);

impl Queues {
    pub(super) fn add(&self, namespace: &str, task_queue: &str) {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queues.len() < MAX_QUEUES {
            queues.insert((namespace.to_owned(), task_queue.to_owned()));
        }
    }

    fn of(&self, namespace: &str) -> Vec<String> {
        let queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = queues.iter().filter(|(of, _)| of == namespace);
        own.map(|(_, task_queue)| task_queue.clone()).collect()
    }
}

/// Asks again and again, where that is measured.
pub(super) async fn depths(work: &Work) {
    if !work.metrics.is_on() {
        return;
    }
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connected = None;
    let mut trouble = false;
    loop {
        ticks.tick().await;
        let server = match connected.take() {
            Some(server) => Ok(server),
            None => work.connect().await,
        };
        let asked = match server {
            Ok(server) => ask(&server, work).await.map(|()| server),
            Err(error) => Err(error),
        };
        if let Err(error) = &asked
            && !trouble
        {
            tracing::warn!(%error, "OmniTrace cannot ask for the depth of queues; it tries again");
        }
        trouble = asked.is_err();
        connected = asked.ok();
    }
}

async fn ask(server: &Server, work: &Work) -> Result<(), String> {
    let namespace = server.namespace();
    for queue in work.queues.of(namespace) {
        for (name, kind) in KINDS {
            let answer = timeout(PATIENCE, server.backlog(&queue, kind)).await;
            let answer = answer.map_err(|error| error.to_string())?;
            let tasks = answer.map_err(|error| error.to_string())?;
            work.metrics.depth(namespace, &queue, name, tasks);
        }
    }
    Ok(())
}
