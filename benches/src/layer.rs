//! What the layer costs a span outside any attempt, and what propagation costs a workflow for each of its
//! activities. The yardsticks are the same span without the layer, and the same replay without headers.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Context;
use temporalio_client::WorkflowHistory;
use temporalio_sdk::workflow_replayer::WorkflowReplayer;
use tracing::Subscriber;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use crate::cpu::Moment;
use crate::replay::{Recording, WORKFLOW_ID, options};
use crate::series::{Metrics, Of, PLAIN, Question, Series};
use crate::{Scale, history};

/// With the layer, and with its workflow interceptor.
const WITH: &str = "with";

const SPAN: &str = "span_s";
const UNDERSTOOD: &str = "span_of_a_convention_s";
const ADDED: &str = "added_s_per_span";
const ADDED_UNDERSTOOD: &str = "added_s_per_span_of_a_convention";
const GOAL: &str = "goal_s_per_span";
const REPLAY: &str = "replaying_thread_cpu_s_per_activity";

/// Spans of one sample.
const SPANS: u32 = 200_000;

/// What a span outside any attempt may cost.
const GOAL_S: f64 = 50e-9;

/// What the series is asked.
pub(crate) const QUESTIONS: [Question; 5] = [
    added(
        "a span outside any attempt: what the layer adds / 50 ns",
        ADDED,
    )
    .at_most(1.0),
    added(
        "the same of a span that it understands: what it adds / 50 ns",
        ADDED_UNDERSTOOD,
    ),
    with("a span outside any attempt, with the layer / without", SPAN),
    with(
        "a span that it understands, with the layer / without",
        UNDERSTOOD,
    ),
    with(
        "CPU of the replaying thread for an activity, with propagation / without",
        REPLAY,
    ),
];

const fn added(what: &'static str, metric: &'static str) -> Question {
    Question::new(what, Of::new(WITH, metric), Of::new(WITH, GOAL))
}

const fn with(what: &'static str, metric: &'static str) -> Question {
    Question::new(what, Of::new(WITH, metric), Of::new(PLAIN, metric))
}

/// Wants every span, so that they are made without our layer too.
struct Everything;

impl<S: Subscriber> Layer<S> for Everything {}

pub(crate) async fn run(scale: &Scale) -> anyhow::Result<Series> {
    let recording = Recording::start()?;
    let series = Series::measure(scale.rounds, &[PLAIN, WITH], async |variant| {
        let mut metrics = Metrics::new();
        let bare = spans(tracing_subscriber::registry().with(Everything));
        let [span, understood] = match variant {
            WITH => spans(
                tracing_subscriber::registry()
                    .with(Everything)
                    .with(omnitrace::layer()),
            ),
            _ => bare,
        };
        metrics.extend([(SPAN, span), (UNDERSTOOD, understood), (GOAL, GOAL_S)]);
        metrics.insert(ADDED, (span - bare[0]).max(0.0));
        metrics.insert(ADDED_UNDERSTOOD, (understood - bare[1]).max(0.0));

        let mut options = options()?.build();
        if variant == WITH {
            let interceptor = recording.omnitrace.workflow_interceptor();
            options.workflow_interceptor(interceptor.context("recording is on")?);
        }
        let replayer = WorkflowReplayer::new(options)?;
        let run_id = uuid::Uuid::new_v4().to_string();
        let history = history::long(WORKFLOW_ID, &run_id, scale.activities)?;
        let before = Moment::now()?;
        replayer
            .replay_workflow(WorkflowHistory::from(history))
            .await?;
        let thread = before.elapsed()?.thread.as_secs_f64();
        metrics.insert(REPLAY, thread / f64::from(scale.activities));
        Ok(metrics)
    })
    .await?;
    Ok(series)
}

/// Seconds of a span, and of one with a field of the conventions.
fn spans(subscriber: impl Subscriber + Send + Sync) -> [f64; 2] {
    tracing::subscriber::with_default(subscriber, || {
        // The first of each is asked who wants it.
        let span = || drop(black_box(tracing::info_span!("work", n = 1)));
        let understood = || {
            drop(black_box(tracing::info_span!(
                "query",
                db.system.name = "x"
            )))
        };
        span();
        understood();
        [timed(span), timed(understood)]
    })
}

fn timed(span: impl Fn()) -> f64 {
    let before = Instant::now();
    (0..SPANS).for_each(|_| span());
    before.elapsed().as_secs_f64() / f64::from(SPANS)
}
