//! A history replayed against workflows, and what their code commands meanwhile.
//!
//! Invariant: nothing is recorded, and no server is asked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use temporalio_client::WorkflowHistory;
use temporalio_common::{
    data_converters::{DataConverter, SerializationContextData, WorkflowSerializationContext},
    payload_visitor::decode_payloads,
    protos::{
        coresdk::{
            workflow_activation::WorkflowActivation,
            workflow_commands::{
                signal_external_workflow_execution::Target, workflow_command::Variant,
            },
            workflow_completion::{
                WorkflowActivationCompletion, workflow_activation_completion::Status as Answer,
            },
        },
        temporal::api::{
            common::v1::Payload,
            history::v1::{History, HistoryEvent},
        },
    },
};
use temporalio_sdk::{
    SimplePlugin, WorkerOptions,
    interceptors::WorkerInterceptor,
    workflow_replayer::{
        WorkflowReplayError, WorkflowReplayFailure, WorkflowReplayer, WorkflowReplayerOptions,
    },
};

use omnitrace_store::row::Status;

use super::completion::activity_id;
use super::header::StepHeader;
use super::payload::millis;
use crate::history::argument;
use crate::replay::{Argument, ReplayCheck, Step, number};

/// The workflows that histories are replayed against, made from the options of a worker or of a
/// `WorkflowReplayer`.
#[derive(Clone)]
pub struct ReplayWorkflows {
    options: WorkflowReplayerOptions,
    build_id: String,
}

impl From<WorkerOptions> for ReplayWorkflows {
    /// Its workflows, and which errors fail a run. Not the codec, which is the client's, nor workflow
    /// interceptors, which options do not give out.
    fn from(worker: WorkerOptions) -> Self {
        let plugin = SimplePlugin::builder("omnitrace-replay")
            .workflows(worker.workflows())
            .build();
        let options = WorkflowReplayerOptions::new()
            .worker_plugin(plugin)
            .task_queue(worker.task_queue)
            .workflow_failure_errors(worker.workflow_failure_errors)
            .workflow_types_to_failure_errors(worker.workflow_types_to_failure_errors)
            .detect_nondeterministic_futures(worker.detect_nondeterministic_futures)
            .build();
        let build_id = worker.deployment_options.version.build_id;
        Self { options, build_id }
    }
}

impl From<WorkflowReplayerOptions> for ReplayWorkflows {
    /// As they are; the build is named after the program's file.
    fn from(options: WorkflowReplayerOptions) -> Self {
        let program = WorkerOptions::new("").build().deployment_options;
        Self {
            options,
            build_id: program.version.build_id,
        }
    }
}

impl std::fmt::Debug for ReplayWorkflows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplayWorkflows")
            .field("types", &self.types())
            .field("build_id", &self.build_id)
            .finish_non_exhaustive()
    }
}

impl ReplayCheck {
    /// Uses this data converter, if payloads are not plain: the options of a worker don't have the one of
    /// its client.
    pub fn with_data_converter(mut self, converter: DataConverter) -> Self {
        self.workflows.options.data_converter = converter;
        self
    }
}

impl ReplayWorkflows {
    pub(crate) fn build_id(&self) -> &str {
        &self.build_id
    }

    /// Names of the workflow types, in order.
    pub(crate) fn types(&self) -> Vec<String> {
        let Ok(replayer) = WorkflowReplayer::new(self.options.clone()) else {
            return Vec::new();
        };
        let workflows = replayer.options().workflows();
        let types = workflows.workflow_definitions();
        let mut types: Vec<String> = types.map(|of| of.workflow_type.clone()).collect();
        types.sort_unstable();
        types
    }

    /// Replays a history on a thread of its own: a replayer is not `Send`, and a workflow that never gives
    /// way must not hold up the others.
    pub(crate) async fn replay(
        &self,
        namespace: &str,
        events: Vec<HistoryEvent>,
        limit: Duration,
    ) -> Replayed {
        let answers = Answers::default();
        let mut options = self.options.clone();
        namespace.clone_into(&mut options.namespace);
        let converter = options.data_converter.clone();
        options.worker_interceptor(answers.clone());
        let (done, ended) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name("omnitrace-replay".to_owned());
        let spawned = thread.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let end = match runtime {
                Ok(runtime) => {
                    let end = runtime.block_on(replayed(options, events, limit));
                    runtime.shutdown_background();
                    end
                }
                Err(error) => End::Failed(error.to_string()),
            };
            // Nobody waits any more.
            let _ = done.send(end);
        });
        let end = match spawned {
            // Of a thread that never gives way its own clock tells nothing.
            Ok(_) => match tokio::time::timeout(limit + Duration::from_secs(5), ended).await {
                Ok(Ok(end)) => end,
                Ok(Err(_)) => End::Failed("the replay panicked".to_owned()),
                Err(_) => End::TimedOut,
            },
            Err(error) => End::Failed(error.to_string()),
        };
        Replayed {
            steps: answers.steps(&converter).await,
            end,
        }
    }

    /// Decodes the payloads of a history with the workflows' own codec.
    pub(crate) async fn decode(&self, events: &mut [HistoryEvent]) {
        crate::history::decode(events, &self.options.data_converter).await;
    }
}

/// What a replay came to.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// What the code commanded, as far as it came.
    pub(crate) steps: Vec<Step>,
    pub(crate) end: End,
}

/// How a replay ended.
#[derive(Debug)]
pub(crate) enum End {
    Passed,
    /// The code does not do what the history says.
    Parted(String),
    /// The code fails, or the history is none.
    Failed(String),
    TimedOut,
}

async fn replayed(
    options: WorkflowReplayerOptions,
    events: Vec<HistoryEvent>,
    limit: Duration,
) -> End {
    let replayer = match WorkflowReplayer::new(options) {
        Ok(replayer) => replayer,
        Err(error) => return End::Failed(error.to_string()),
    };
    let history = WorkflowHistory::from(History { events });
    let replay = replayer.replay_workflow(history);
    match tokio::time::timeout(limit, replay).await {
        Ok(Ok(())) => End::Passed,
        Ok(Err(WorkflowReplayError::Replay(WorkflowReplayFailure::Nondeterminism { message }))) => {
            End::Parted(message)
        }
        Ok(Err(error)) => match error.to_string() {
            // Core says so in the message where the eviction has another reason.
            message if message.contains("TMPRL1100") => End::Parted(message),
            message => End::Failed(message),
        },
        Err(_) => End::TimedOut,
    }
}

/// Keeps what the code answers, with the length of the history by then.
#[derive(Clone, Default)]
struct Answers(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    length: u32,
    answers: Vec<(u32, WorkflowActivationCompletion)>,
}

#[async_trait::async_trait(?Send)]
impl WorkerInterceptor for Answers {
    async fn on_workflow_activation(
        &self,
        activation: &WorkflowActivation,
    ) -> Result<(), anyhow::Error> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.length = activation.history_length;
        Ok(())
    }

    async fn on_workflow_activation_completion(&self, completion: &WorkflowActivationCompletion) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let length = kept.length;
        kept.answers.push((length, completion.clone()));
    }
}

impl Answers {
    async fn steps(&self, converter: &DataConverter) -> Vec<Step> {
        let answers = std::mem::take(
            &mut self
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .answers,
        );
        let context = SerializationContextData::Workflow(WorkflowSerializationContext::new());
        let mut steps: Vec<Proposed> = Vec::new();
        for (length, mut answer) in answers {
            let decoded = decode_payloads(&mut answer, converter.codec(), &context).await;
            let Some(Answer::Successful(success)) = answer.status else {
                continue;
            };
            for command in success.commands.into_iter().filter_map(|c| c.variant) {
                if let Some(canceled) = canceled(&command) {
                    // What is cancelled in the task that began it leaves nothing in history.
                    let began = |p: &Proposed| p.handle == Some(canceled) && p.length == length;
                    steps.retain(|p| !began(p));
                } else if let Some((handle, mut step)) = step(command) {
                    if decoded.is_err() {
                        step.input.fill(Argument::Unknown);
                    }
                    // The second use of a patch is the first.
                    let known = step.kind == "patch" && steps.iter().any(|p| p.step.is_same(&step));
                    if !known {
                        steps.push(Proposed {
                            length,
                            handle,
                            step,
                        });
                    }
                }
            }
        }
        let mut steps: Vec<Step> = steps.into_iter().map(|p| p.step).collect();
        number(&mut steps);
        steps
    }
}

/// A step that the code asks for.
struct Proposed {
    length: u32,
    handle: Option<Handle>,
    step: Step,
}

/// What a cancellation names.
type Handle = (&'static str, u32);

fn canceled(command: &Variant) -> Option<Handle> {
    Some(match command {
        Variant::CancelTimer(cancel) => ("timer", cancel.seq),
        Variant::RequestCancelActivity(cancel) => ("activity", cancel.seq),
        Variant::RequestCancelLocalActivity(cancel) => ("activity", cancel.seq),
        Variant::CancelChildWorkflowExecution(cancel) => {
            ("child_workflow", cancel.child_workflow_seq)
        }
        Variant::CancelSignalWorkflow(cancel) => ("signal_external", cancel.seq),
        Variant::RequestCancelNexusOperation(cancel) => ("nexus_operation", cancel.seq),
        _ => return None,
    })
}

fn step(command: Variant) -> Option<(Option<Handle>, Step)> {
    let values = |input: &[Payload]| input.iter().map(argument).collect::<Vec<_>>();
    let closing = |status: Status| Step::new("run", "", status.as_str());
    let (seq, step) = match command {
        Variant::StartTimer(timer) => (
            Some(timer.seq),
            Step {
                lasts_ms: (timer.start_to_fire_timeout).map(|d| millis(d.seconds, d.nanos)),
                ..Step::new("timer", timer.seq.to_string(), "timer")
            },
        ),
        Variant::ScheduleActivity(activity) => (
            Some(activity.seq),
            Step {
                input: values(&activity.arguments),
                nth_use: StepHeader::read(&activity.headers).and_then(|header| header.nth_use),
                ..Step::new(
                    "activity",
                    activity_id(&activity.activity_id, activity.seq),
                    activity.activity_type,
                )
            },
        ),
        Variant::ScheduleLocalActivity(activity) => (
            Some(activity.seq),
            Step {
                local: true,
                input: values(&activity.arguments),
                ..Step::new(
                    "activity",
                    activity_id(&activity.activity_id, activity.seq),
                    activity.activity_type,
                )
            },
        ),
        Variant::StartChildWorkflowExecution(child) => (
            Some(child.seq),
            Step {
                input: values(&child.input),
                ..Step::new("child_workflow", child.workflow_id, child.workflow_type)
            },
        ),
        Variant::SignalExternalWorkflowExecution(signal) => {
            let target = match signal.target? {
                Target::WorkflowExecution(execution) => execution.workflow_id,
                Target::ChildWorkflowId(workflow_id) => workflow_id,
            };
            let step = Step {
                input: values(&signal.args),
                ..Step::new("signal_external", target, signal.signal_name)
            };
            (Some(signal.seq), step)
        }
        Variant::RequestCancelExternalWorkflowExecution(cancel) => {
            let target = cancel.workflow_execution?.workflow_id;
            (None, Step::new("cancel_external", target, "cancel"))
        }
        Variant::ScheduleNexusOperation(operation) => {
            let place = format!("{}/{}", operation.endpoint, operation.service);
            let step = Step {
                input: values(operation.input.as_slice()),
                ..Step::new("nexus_operation", place, operation.operation)
            };
            (Some(operation.seq), step)
        }
        Variant::SetPatchMarker(patch) => (None, Step::new("patch", patch.patch_id, "patch")),
        Variant::UpsertWorkflowSearchAttributes(_) => {
            (None, Step::new("search_attributes", "", ""))
        }
        Variant::ModifyWorkflowProperties(_) => (None, Step::new("memo", "", "")),
        Variant::CompleteWorkflowExecution(done) => (
            None,
            Step {
                input: values(done.result.as_slice()),
                ..closing(Status::Completed)
            },
        ),
        Variant::FailWorkflowExecution(_) => (None, closing(Status::Failed)),
        Variant::CancelWorkflowExecution(_) => (None, closing(Status::Canceled)),
        Variant::ContinueAsNewWorkflowExecution(_) => (None, closing(Status::ContinuedAsNew)),
        // Cancellations have no place of their own; queries and updates are no commands.
        _ => return None,
    };
    Some((seq.map(|seq| (step.kind, seq)), step))
}
