//! What a worker sees of its workflows.
//!
//! Invariant: the trait's methods are async, and nothing in them is awaited; they return `Ok`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use omnitrace_store::row::RunKey;
use prost::Message;
use temporalio_common::{
    data_converters::DataConverter,
    protos::coresdk::{
        workflow_activation::{
            InitializeWorkflow, WorkflowActivation, workflow_activation_job::Variant,
        },
        workflow_completion::WorkflowActivationCompletion,
    },
};
use temporalio_sdk::{
    Worker, WorkerRunError,
    interceptors::{Next, RunWorkerInput, WorkerInterceptor},
};

use super::Seen;
use crate::history::Background;
use crate::omnitrace::Recording;
use crate::queue::{Observation, Queue, Subject};
use crate::tracker::WorkerId;

/// Where an activation or completion comes from.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) id: WorkerId,
    pub(crate) namespace: String,
    task_queue: OnceLock<String>,
    /// The client's, to decode completions with.
    pub(crate) data_converter: Option<DataConverter>,
    /// The run that a replayer's made-up ids stand for.
    pub(crate) fixed_run: Option<RunKey>,
    /// Whether runs that continue as new go on in their trace.
    pub(crate) trace_per_chain: bool,
    /// Until when the codec is not asked: it did not answer.
    codec_rests: Mutex<Option<Instant>>,
}

/// How long a codec that did not answer is not asked again, lest every completion wait for it.
const CODEC_REST: Duration = Duration::from_secs(60);

impl Origin {
    pub(crate) fn new(
        namespace: String,
        data_converter: Option<DataConverter>,
        fixed_run: Option<RunKey>,
    ) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            namespace,
            task_queue: OnceLock::new(),
            data_converter,
            fixed_run,
            trace_per_chain: false,
            codec_rests: Mutex::new(None),
        }
    }

    pub(crate) fn codec_rests(&self) -> bool {
        let until = self.codec_rests.lock();
        until
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|until| Instant::now() < until)
    }

    pub(crate) fn let_codec_rest(&self) {
        let mut until = self
            .codec_rests
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *until = Some(Instant::now() + CODEC_REST);
    }

    pub(crate) fn task_queue(&self) -> &str {
        self.task_queue.get().map_or("", String::as_str)
    }

    pub(crate) fn set_task_queue(&self, task_queue: &str) {
        // `Err` means: set before, to the same.
        let _ = self.task_queue.set(task_queue.to_owned());
    }
}

/// Records the workflows of one worker. Register one value on one worker.
#[derive(Debug)]
pub struct WorkerRecorder {
    origin: Arc<Origin>,
    queue: Queue,
    background: Background,
}

impl WorkerRecorder {
    pub(crate) fn new(origin: Origin, recording: &Recording) -> Self {
        Self {
            origin: Arc::new(Origin {
                trace_per_chain: recording.switches.trace_per_chain(),
                ..origin
            }),
            queue: recording.queue.clone(),
            background: recording.background.clone(),
        }
    }
}

/// Bytes of an observation beside its message.
const OVERHEAD: usize = 128;

/// How a run begins, if it does.
pub(super) fn start_of(activation: &WorkflowActivation) -> Option<&InitializeWorkflow> {
    activation.jobs.iter().find_map(|job| match &job.variant {
        Some(Variant::InitializeWorkflow(start)) => Some(start),
        _ => None,
    })
}

pub(super) fn begins_run(activation: &WorkflowActivation) -> bool {
    start_of(activation).is_some()
}

pub(super) fn leaves_cache(activation: &WorkflowActivation) -> bool {
    activation
        .jobs
        .iter()
        .any(|job| matches!(job.variant, Some(Variant::RemoveFromCache(_))))
}

#[async_trait::async_trait(?Send)]
impl WorkerInterceptor for WorkerRecorder {
    fn run_worker<'a>(
        &'a self,
        input: RunWorkerInput<'a>,
        next: Next<'a, RunWorkerInput<'a>, LocalBoxFuture<'a, Result<(), WorkerRunError>>>,
    ) -> LocalBoxFuture<'a, Result<(), WorkerRunError>> {
        let task_queue = input.worker.task_queue();
        self.origin.set_task_queue(task_queue);
        if self.origin.fixed_run.is_none() {
            self.background.queue(&self.origin.namespace, task_queue);
        }
        next.run(input)
    }

    async fn on_workflow_activation(
        &self,
        activation: &WorkflowActivation,
    ) -> Result<(), anyhow::Error> {
        let bytes = activation.encoded_len() + OVERHEAD;
        self.queue
            .offer(bytes, Subject::Workflow(&activation.run_id), || {
                let message = Box::new(activation.clone());
                Observation::Workflow(Seen::Activation(self.origin.clone(), message))
            });
        Ok(())
    }

    async fn on_workflow_activation_completion(&self, completion: &WorkflowActivationCompletion) {
        let bytes = completion.encoded_len() + OVERHEAD;
        self.queue
            .offer(bytes, Subject::Workflow(&completion.run_id), || {
                let message = Box::new(completion.clone());
                Observation::Workflow(Seen::Completion(self.origin.clone(), message))
            });
    }

    fn on_shutdown(&self, _worker: &Worker) {
        // Takes no room, so it gets through a full queue: what the worker had in its cache would
        // be followed for ever.
        self.queue.offer(0, Subject::None, || {
            Observation::Workflow(Seen::WorkerStopped(self.origin.clone()))
        });
    }
}
