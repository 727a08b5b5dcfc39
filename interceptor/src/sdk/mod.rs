//! The only code, beside the reader of histories, that names the Temporal SDK.
//!
//! Invariant: on a workflow's or activity's path this clones what was seen and offers it to the
//! queue; it never waits, fails or panics there.

pub(crate) mod activation;
mod activity;
mod client;
mod completion;
pub(crate) mod failure;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub(crate) mod header;
pub(crate) mod payload;
mod plugin;
#[cfg(feature = "replay")]
pub(crate) mod replay;
pub(crate) mod tracer_data;
mod worker;
mod workflow;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use temporalio_common::{
    data_converters::{SerializationContextData, WorkflowSerializationContext},
    payload_visitor::decode_payloads,
    protos::coresdk::{
        workflow_activation::WorkflowActivation, workflow_completion::WorkflowActivationCompletion,
    },
};

pub(crate) use temporalio_client::Client;
pub use temporalio_sdk::workflow_interceptors::WorkflowInterceptorConstructor;

pub use activity::ActivityRecorder;
pub(crate) use activity::MAX_OUTPUT_BYTES;
pub use plugin::{OmniTracePlugin, ReplayPlugin};
pub(crate) use plugin::{activity_recorder, worker_recorder};
#[cfg(feature = "replay")]
pub use replay::ReplayWorkflows;
pub use worker::WorkerRecorder;
pub(crate) use workflow::constructor as workflow_recorder;

use crate::counters::{Counter, Counters};
use crate::observe::{Activation, Completion};
use crate::policy::Policy;
use crate::switches::{Beginning, Switchboard};
use crate::tracker::WorkerId;
use worker::Origin;

/// How long a user's codec may take to decode one completion.
const CODEC_TIMEOUT: Duration = Duration::from_secs(5);

/// What was seen on a workflow's path, in the SDK's terms.
#[derive(Debug)]
pub(crate) enum Seen {
    /// The codec has decoded it already.
    Activation(Arc<Origin>, Box<WorkflowActivation>),
    /// The codec has encoded it already.
    Completion(Arc<Origin>, Box<WorkflowActivationCompletion>),
    WorkerStopped(Arc<Origin>),
}

/// The same in our own terms.
#[derive(Debug)]
pub(crate) enum Observed {
    Activation(WorkerId, Activation),
    Completion(WorkerId, Completion),
    WorkerStopped(WorkerId),
}

impl Seen {
    /// The run that it belongs to.
    pub(crate) fn run_id(&self) -> Option<&str> {
        match self {
            Self::Activation(_, activation) => Some(&activation.run_id),
            Self::Completion(_, completion) => Some(&completion.run_id),
            Self::WorkerStopped(_) => None,
        }
    }

    /// Whether it tells a run from its beginning.
    pub(crate) fn begins_run(&self) -> bool {
        match self {
            Self::Activation(_, activation) => worker::begins_run(activation),
            Self::Completion(..) | Self::WorkerStopped(_) => false,
        }
    }

    /// What switches go by, if it tells a run from its beginning.
    pub(crate) fn beginning(&self, switches: &Switchboard) -> Option<Beginning> {
        let Self::Activation(_, activation) = self else {
            return None;
        };
        let start = worker::start_of(activation)?;
        Some(match switches.is_untouched() {
            true => Beginning::default(),
            false => activation::beginning(start, switches),
        })
    }

    /// Whether it ends what a worker knows of a run.
    pub(crate) fn leaves_cache(&self) -> bool {
        match self {
            Self::Activation(_, activation) => worker::leaves_cache(activation),
            Self::Completion(..) | Self::WorkerStopped(_) => false,
        }
    }

    /// Decodes and redacts it.
    pub(crate) async fn observe(self, policy: &Policy, counters: &Counters) -> Observed {
        match self {
            Self::Activation(origin, message) => {
                let activation = activation::observe(&message, &origin, policy);
                let malformed = activation
                    .jobs
                    .iter()
                    .filter(|job| job.has_malformed_header());
                counters.add(Counter::HeadersMalformed, malformed.count() as u64);
                Observed::Activation(origin.id, activation)
            }
            Self::Completion(origin, mut message) => {
                decode(&mut message, &origin, counters).await;
                Observed::Completion(origin.id, completion::observe(&message, policy))
            }
            Self::WorkerStopped(origin) => Observed::WorkerStopped(origin.id),
        }
    }
}

async fn decode(message: &mut WorkflowActivationCompletion, origin: &Origin, counters: &Counters) {
    let Some(converter) = &origin.data_converter else {
        return;
    };
    if origin.codec_rests() {
        counters.add(Counter::Undecodable, 1);
        return;
    }
    let context = SerializationContextData::Workflow(WorkflowSerializationContext::new());
    let decoding = decode_payloads(message, converter.codec(), &context);
    // The codec is a user's code, and here it runs where nobody else would catch its panic.
    let decoding = AssertUnwindSafe(decoding).catch_unwind();
    let decoded = tokio::time::timeout(CODEC_TIMEOUT, decoding).await;
    if decoded.is_err() {
        origin.let_codec_rest();
    }
    if !matches!(decoded, Ok(Ok(Ok(())))) {
        counters.add(Counter::Undecodable, 1);
    }
}
