//! A run is recorded as it was.

use omnitrace_store::row::Status;
use omnitrace_tests::{Recording, RunningWorker, beside, unique};
use temporalio_client::{WorkflowGetResultOptions, WorkflowStartOptions};

use crate::workflows::{self, Sampler};

#[tokio::test]
async fn a_run_is_recorded_with_its_steps_and_attempts() {
    let recording = Recording::start();
    let client = recording.client().await;
    let queue = unique("queue");
    let worker = RunningWorker::start(client.clone(), workflows::worker(&queue));
    let id = unique("sampler");
    let (run, events) = beside(worker, async {
        let options = WorkflowStartOptions::new(&queue, &id).build();
        let handle = client
            .start_workflow(Sampler::run, "hello".to_owned(), options)
            .await
            .expect("started");
        let result = handle.get_result(WorkflowGetResultOptions::default()).await;
        assert_eq!(result.expect("completed"), "hello");
        recording.closed(&id).await
    })
    .await;
    for e in &events {
        eprintln!(
            "{:?} {} {:?} {:?}",
            e.phase, e.event_key, e.status, e.data_redacted
        );
    }
    eprintln!("{:#?}", recording.omnitrace.counters());
    assert_eq!(run.status, Status::Completed);
    let keys: Vec<_> = events
        .iter()
        .map(|event| event.event_key.as_str())
        .collect();
    for key in [
        "activity:1:Acts::echo:0",
        "activity:1:Acts::echo:1",
        "activity:2:Acts::flaky:0",
        "activity:2:Acts::flaky:3",
        "timer:1:timer:1",
        "activity:3:Acts::echo:0",
    ] {
        assert!(keys.contains(&key), "{key} in {keys:?}");
    }
    assert_eq!(run.event_count as usize, events.len());
    recording.assert_accounted().await;
}
