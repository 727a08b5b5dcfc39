//! A payload codec that fails where only OmniTrace calls it costs payloads, never a run.

use futures::FutureExt;
use futures::future::BoxFuture;
use omnitrace::Counter;
use omnitrace_store::row::Status;
use omnitrace_tests::{NAMESPACE, Recording, RunningWorker, client_with, eventually, unique};
use temporalio_client::ClientOptions;
use temporalio_common::data_converters::{
    DataConverter, DefaultFailureConverter, PayloadCodec, PayloadConversionError, PayloadConverter,
    SerializationContextData,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;

use crate::outage::sample;
use crate::workflows;

/// How the codec decodes on OmniTrace's thread.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Panics,
    Hangs,
}

impl PayloadCodec for Trouble {
    fn encode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        async move { Ok(payloads) }.boxed()
    }

    fn decode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        let trouble = *self;
        async move {
            if std::thread::current().name() == Some("omnitrace-writer") {
                match trouble {
                    Self::Panics => panic!("a codec that panics"),
                    Self::Hangs => std::future::pending().await,
                }
            }
            Ok(payloads)
        }
        .boxed()
    }
}

async fn runs_with(trouble: Trouble) {
    let recording = Recording::start();
    let omnitrace = &recording.omnitrace;
    let converter = DataConverter::new(
        PayloadConverter::serde_json(),
        DefaultFailureConverter::default(),
        trouble,
    );
    let options = ClientOptions::new(NAMESPACE)
        .data_converter(converter)
        .plugin(omnitrace.plugin());
    let client = client_with(options.build()).await;
    let queue = unique("queue");
    let worker = RunningWorker::start(client.clone(), workflows::worker(&queue));
    let ids = sample(&client, &queue, 2).await;
    for id in &ids {
        let (run, events) = recording.closed(id).await;
        assert_eq!(run.status, Status::Completed);
        assert!(!run.incomplete);
        assert_eq!((run.event_count, events.len()), (9, 9));
    }
    eventually("no recorder is live", async || {
        (omnitrace.live_recorders() == 0).then_some(())
    })
    .await;
    tokio::task::spawn_blocking(move || worker.stop())
        .await
        .expect("the worker stops");
    omnitrace.flush().await.expect("stored");
    assert!(omnitrace.counter(Counter::Undecodable) > 1);
    assert_eq!(omnitrace.counter(Counter::DroppedPanic), 0);
    recording.assert_accounted().await;
}

#[tokio::test]
async fn a_codec_that_panics_on_the_writer_costs_no_row() {
    runs_with(Trouble::Panics).await;
}

#[tokio::test]
async fn a_codec_that_never_answers_the_writer_costs_no_row() {
    runs_with(Trouble::Hangs).await;
}
