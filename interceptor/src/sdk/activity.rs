//! What a worker sees of its activities' attempts.
//!
//! Invariant: the attempt's result passes through unchanged, whatever it is; recording adds two
//! offers to the queue and the serialization of at most [`MAX_OUTPUT_BYTES`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use omnitrace_store::ids;
use omnitrace_store::key::Step;
use omnitrace_store::row::{Micros, RunKey};
use opentelemetry::Context;
use opentelemetry::trace::{FutureExt, SpanContext, TraceContextExt};
use temporalio_sdk::{
    activities::{ActivityError, ActivityInfo},
    interceptors::{
        ActivityExecutionValue, ActivityInboundInterceptor, ExecuteActivityInput,
        ExecuteActivityOutput, ExecuteActivityResult, Next,
    },
};

use super::header::StepHeader;
use super::tracer_data;
use crate::attempt::{Attempt, AttemptEnd, AttemptSeen, Deadline, Standalone};
use crate::clock;
use crate::counters::Counter;
use crate::current::Current;
use crate::omnitrace::Recording;
use crate::propagation;
use crate::queue::{Observation, Queue, Subject};
use crate::switches::Switchboard;

/// Outputs beyond this are not recorded with the attempt; the step has them from the workflow.
pub(crate) const MAX_OUTPUT_BYTES: usize = 64 * 1024;

/// Bytes of an observation beside its output.
const OVERHEAD: usize = 512;

/// Records the attempts of activities. One value serves any number of workers.
#[derive(Clone, Debug)]
pub struct ActivityRecorder {
    queue: Queue,
    worker: Arc<str>,
    /// Whether attempts become spans that others can lie under.
    exports: bool,
    switches: Switchboard,
}

impl ActivityRecorder {
    pub(crate) fn new(recording: &Recording) -> Self {
        Self {
            queue: recording.queue.clone(),
            worker: recording.worker.clone(),
            exports: recording.exports,
            switches: recording.switches.clone(),
        }
    }

    fn attempt(&self, input: &ExecuteActivityInput, header: Option<StepHeader>) -> Attempt {
        let info = input.activity_info();
        let is_recorded = header.is_some();
        let header = header.unwrap_or_default();
        let caller = tracer_data::read(input.headers()).unwrap_or_else(|_| {
            self.queue.counters().add(Counter::HeadersMalformed, 1);
            None
        });
        let (run, standalone) = match (&info.workflow_id, &info.workflow_run_id) {
            (Some(workflow_id), Some(run_id)) if !workflow_id.is_empty() => {
                (RunKey::new(&info.namespace, workflow_id, run_id), None)
            }
            _ => standalone(info),
        };
        let trace_state = (caller.as_ref().map(propagation::passed_on)).unwrap_or_default();
        let stranger = (caller.as_ref())
            .filter(|_| !is_recorded && standalone.is_none())
            .map(propagation::traceparent);
        let mut sampled = header.sampled;
        let mut trace_id = caller.as_ref().map(|caller| caller.trace_id().to_string());
        let standalone = standalone.map(|standalone| {
            // A caller's sampled trace is always recorded.
            let is_sampled = caller.as_ref().is_some_and(SpanContext::is_sampled);
            sampled = sampled.or(is_sampled.then_some(true));
            trace_id.get_or_insert_with(|| {
                ids::trace_id(&run.namespace, &run.workflow_id, &run.run_id)
            });
            Standalone {
                caller: caller.map(|caller| caller.span_id().to_string()),
                ..standalone
            }
        });
        let mut attempt = Attempt {
            run,
            stranger,
            step: Step::nth_use(&info.activity_id, header.nth_use.unwrap_or(1)),
            activity_type: info.activity_type.clone(),
            workflow_type: info.workflow_type.clone().unwrap_or_default(),
            tenant: header.tenant,
            began: header.began,
            attempt: info.attempt.max(1),
            local: info.is_local,
            sampled,
            trace_id,
            trace_state,
            task_queue: info.task_queue.clone(),
            worker: self.worker.to_string(),
            scheduled_at: info.current_attempt_scheduled_time.map(clock::micros),
            started_at: self.queue.now(),
            standalone,
            inner: AtomicU32::new(0),
        };
        let of = attempt.beginning();
        if let Some(standalone) = &mut attempt.standalone {
            // Of a workflow's activity its workflow says it.
            let trace_id = attempt.trace_id.as_deref().unwrap_or_default();
            let decided = self.switches.decide(trace_id, sampled, &of);
            standalone.recorded = decided.why().is_some();
        }
        attempt
    }
}

fn standalone(info: &ActivityInfo) -> (RunKey, Option<Standalone>) {
    let run = RunKey::new(
        &info.namespace,
        format!("activity/{}", info.activity_id),
        info.activity_run_id.as_deref().unwrap_or_default(),
    );
    let max_attempts = info
        .retry_policy
        .as_ref()
        .map(temporalio_common::RetryPolicy::maximum_attempts)
        .filter(|attempts| *attempts > 0);
    let standalone = Standalone {
        caller: None,
        recorded: true,
        first_scheduled_at: info.scheduled_time.map(clock::micros),
        max_attempts,
    };
    (run, Some(standalone))
}

impl ActivityInboundInterceptor for ActivityRecorder {
    fn execute_activity<'a>(
        &'a self,
        input: ExecuteActivityInput,
        next: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        let header = StepHeader::read(input.headers());
        let deadline = deadline(input.activity_info(), header.as_ref());
        let attempt = Arc::new(self.attempt(&input, header));
        let current = Current {
            attempt: attempt.clone(),
            queue: self.queue.clone(),
        };
        let mut watch = Watch {
            patience: patience(input.activity_info()),
            deadline,
            began: Instant::now(),
            current: current.clone(),
            ended: false,
        };
        watch.tell(OVERHEAD, || AttemptSeen::Started);
        let context = Context::current();
        let context = match attempt.context().filter(|_| self.exports) {
            Some(own) => context.with_remote_span_context(own),
            None => context,
        };
        let baggage = tracer_data::baggage(input.headers(), self.switches.baggage());
        let context = propagation::with_baggage(context, baggage);
        Box::pin(async move {
            let result = current.scope(next.run(input)).with_context(context).await;
            watch.end(&result);
            result
        })
    }
}

/// How long the server waits for the attempt, from its receipt on. The deadline is on the server's
/// clock, so only its distance from the start counts.
fn patience(info: &ActivityInfo) -> Option<Duration> {
    info.deadline?.duration_since(info.started_time?).ok()
}

/// Which deadline that is: the earlier of two, of which the SDK tells an activity the time alone.
fn deadline(info: &ActivityInfo, header: Option<&StepHeader>) -> Deadline {
    let of_all = || {
        let limit = Duration::from_millis(header?.schedule_to_close_ms?);
        info.scheduled_time?.checked_add(limit)
    };
    match (of_all(), info.deadline) {
        (Some(of_all), Some(deadline)) if deadline >= of_all => Deadline::ScheduleToClose,
        _ => Deadline::StartToClose,
    }
}

/// Tells how the attempt ended, also if its future is dropped.
struct Watch {
    current: Current,
    began: Instant,
    patience: Option<Duration>,
    deadline: Deadline,
    ended: bool,
}

impl Watch {
    fn tell(&self, bytes: usize, seen: impl FnOnce() -> AttemptSeen) {
        let attempt = &self.current.attempt;
        self.current
            .queue
            .offer(bytes, Subject::Row(&attempt.run), || {
                Observation::Attempt(attempt.clone(), seen())
            });
    }

    fn end(&mut self, result: &ExecuteActivityResult) {
        self.ended = true;
        let end = match result {
            Ok(output) => AttemptEnd::Completed(json(output.as_ref())),
            Err(ActivityError::Application(failure)) => AttemptEnd::Failed {
                error_type: failure
                    .type_name()
                    .filter(|name| !name.is_empty())
                    .unwrap_or("ApplicationFailure")
                    .to_owned(),
                message: failure.to_string(),
                non_retryable: failure.is_non_retryable(),
            },
            Err(ActivityError::Cancelled { .. }) => AttemptEnd::Canceled,
            // Someone else will end it.
            Err(ActivityError::WillCompleteAsync) => return,
            Err(other) => AttemptEnd::Failed {
                error_type: "ApplicationFailure".to_owned(),
                message: format!("{other:?}"),
                non_retryable: false,
            },
        };
        self.tell_end(end);
    }

    fn tell_end(&self, end: AttemptEnd) {
        let elapsed = self.began.elapsed();
        let late = self.patience.is_some_and(|patience| elapsed > patience);
        let late = late.then_some(self.deadline);
        let micros = Micros::try_from(elapsed.as_micros()).unwrap_or(Micros::MAX);
        let at = self.current.attempt.started_at.saturating_add(micros);
        let bytes = OVERHEAD
            + match &end {
                AttemptEnd::Completed(output) => output.as_ref().map_or(0, Vec::len),
                AttemptEnd::Failed { message, .. } => message.len(),
                AttemptEnd::Canceled | AttemptEnd::Lost | AttemptEnd::Told { .. } => 0,
            };
        self.tell(bytes, || AttemptSeen::Ended { at, late, end });
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.ended {
            self.tell_end(AttemptEnd::Lost);
        }
    }
}

/// The output as JSON, if it is short enough and has such a form.
fn json(output: &dyn ActivityExecutionValue) -> Option<Vec<u8>> {
    let mut writer = Limited(Vec::new());
    let value = output.as_serde().ok()?;
    serde_json::to_writer(&mut writer, value).ok()?;
    Some(writer.0)
}

struct Limited(Vec<u8>);

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
