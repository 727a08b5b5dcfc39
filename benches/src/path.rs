//! The time that recording spends on a workflow's path, call by call, while a history is replayed.
//! The yardstick is the same replay's mean time per activation.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use temporalio_client::WorkflowHistory;
use temporalio_common::protos::coresdk::{
    workflow_activation::WorkflowActivation, workflow_completion::WorkflowActivationCompletion,
};
use temporalio_sdk::{
    Worker, interceptors::WorkerInterceptor, workflow_replayer::WorkflowReplayer,
};

use crate::replay::{Recording, WORKFLOW_ID, options};
use crate::series::{Metrics, Of, Question, RECORDING, Series, quantile};
use crate::{Scale, history};

const NOTHING: &str = "nothing";

const PER_ACTIVATION: &str = "replay_wall_s_per_activation";
const ACTIVATION_P50: &str = "activation_p50_s";
const ACTIVATION_P99: &str = "activation_p99_s";
const COMPLETION_P50: &str = "completion_p50_s";
const COMPLETION_P99: &str = "completion_p99_s";
const BOTH: &str = "activation_and_completion_mean_s";

/// What the series is asked.
pub(crate) const QUESTIONS: [Question; 8] = [
    share("activation, p50", RECORDING, ACTIVATION_P50),
    share("activation, p99", RECORDING, ACTIVATION_P99),
    share("completion, p50", RECORDING, COMPLETION_P50),
    share("completion, p99", RECORDING, COMPLETION_P99),
    share("both together, mean", RECORDING, BOTH),
    share("of which the clock itself, p50", NOTHING, ACTIVATION_P50),
    share("of which the clock itself, p99", NOTHING, ACTIVATION_P99),
    share("of both together the clock itself, mean", NOTHING, BOTH),
];

/// Asks for the share of a replayed activation's whole time.
const fn share(what: &'static str, variant: &'static str, metric: &'static str) -> Question {
    Question::new(
        what,
        Of::new(variant, metric),
        Of::new(NOTHING, PER_ACTIVATION),
    )
}

pub(crate) async fn run(scale: &Scale) -> anyhow::Result<Series> {
    let recording = Recording::start()?;
    let series = Series::measure(scale.rounds, &[NOTHING, RECORDING], async |variant| {
        let times = Times::default();
        let options = options()?;
        let options = match variant {
            RECORDING => {
                let inner = recording.omnitrace.worker_interceptor("bench");
                let inner = inner.context("recording is on")?;
                options.worker_interceptor(Timed {
                    inner,
                    times: times.clone(),
                })
            }
            _ => options.worker_interceptor(Timed {
                inner: Nothing,
                times: times.clone(),
            }),
        };
        let replayer = WorkflowReplayer::new(options.build())?;
        let run_id = uuid::Uuid::new_v4().to_string();
        let history = history::long(WORKFLOW_ID, &run_id, scale.activities)?;
        let before = Instant::now();
        replayer
            .replay_workflow(WorkflowHistory::from(history))
            .await?;
        let wall = before.elapsed();
        recording.settle().await?;
        times.metrics(wall)
    })
    .await?;
    recording.stop().await?;
    Ok(series)
}

/// Measures another interceptor.
struct Timed<I> {
    inner: I,
    times: Times,
}

#[derive(Clone, Default)]
struct Times(Arc<Mutex<Calls>>);

#[derive(Default)]
struct Calls {
    activations: Vec<Duration>,
    completions: Vec<Duration>,
}

impl Times {
    fn note(&self, note: impl FnOnce(&mut Calls)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn metrics(&self, wall: Duration) -> anyhow::Result<Metrics> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sorted = |calls: &[Duration]| {
            let mut seconds: Vec<f64> = calls.iter().map(Duration::as_secs_f64).collect();
            seconds.sort_by(f64::total_cmp);
            seconds
        };
        let (activations, completions) = (sorted(&calls.activations), sorted(&calls.completions));
        let all = activations.iter().chain(&completions).sum::<f64>();
        let of = |sorted: &[f64], q| quantile(sorted, q).context("the replay called nothing");
        Ok(Metrics::from([
            (
                PER_ACTIVATION,
                wall.as_secs_f64() / activations.len() as f64,
            ),
            (ACTIVATION_P50, of(&activations, 0.5)?),
            (ACTIVATION_P99, of(&activations, 0.99)?),
            (COMPLETION_P50, of(&completions, 0.5)?),
            (COMPLETION_P99, of(&completions, 0.99)?),
            (BOTH, all / activations.len() as f64),
        ]))
    }
}

#[async_trait::async_trait(?Send)]
impl<I: WorkerInterceptor> WorkerInterceptor for Timed<I> {
    async fn on_workflow_activation(&self, activation: &WorkflowActivation) -> anyhow::Result<()> {
        let before = Instant::now();
        let result = self.inner.on_workflow_activation(activation).await;
        let elapsed = before.elapsed();
        self.times.note(|calls| calls.activations.push(elapsed));
        result
    }

    async fn on_workflow_activation_completion(&self, completion: &WorkflowActivationCompletion) {
        let before = Instant::now();
        self.inner
            .on_workflow_activation_completion(completion)
            .await;
        let elapsed = before.elapsed();
        self.times.note(|calls| calls.completions.push(elapsed));
    }

    fn on_shutdown(&self, worker: &Worker) {
        self.inner.on_shutdown(worker);
    }
}

struct Nothing;

impl WorkerInterceptor for Nothing {}
