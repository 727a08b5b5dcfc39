//! Runs that follow upon each other, patches and Nexus operations.

use std::time::Duration;

use omnitrace_store::row::{RunRow, Status};
use omnitrace_tests::{NAMESPACE, connection, eventually, unique};
use temporalio_client::tonic;
use temporalio_client::{WorkflowExecutionInfo, WorkflowStartOptions, WorkflowTerminateOptions};
use temporalio_common::RetryPolicy;
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution,
    nexus::v1::{EndpointSpec, EndpointTarget, endpoint_target},
    operatorservice::v1::CreateNexusEndpointRequest,
    workflowservice::v1::ResetWorkflowExecutionRequest,
};

use super::stage::{Layout, Stage, recorded, stored};

in_each_layout! {
    a_retry_and_a_run_continued_as_new_know_their_chain: chain;
    a_cron_run_knows_the_run_before_it: cron;
    a_patch_is_recorded_once: patch;
    a_reset_run_is_recorded_as_a_run_of_its_own: reset;
    a_nexus_operation_that_nobody_serves_is_recorded: nexus;
}

async fn chain(layout: Layout) {
    let mut stage = Stage::start(layout).await;
    let id = unique("chain");
    let retry = RetryPolicy::builder()
        .initial_interval(Duration::from_millis(10))
        .maximum_attempts(5)
        .build();
    let options = WorkflowStartOptions::new(&stage.queue, &id)
        .retry_policy(retry)
        .build();
    let first = start!(stage, Chain, 0_u32, options);
    let runs = eventually("all three runs are closed", async || {
        let stored = stored(&stage.recording).await?;
        let mut runs = stored.store.runs_of_workflow(None, &id).await.ok()?;
        runs.reverse();
        (runs.len() == 3 && runs.iter().all(|run| run.closed_at.is_some())).then_some(runs)
    })
    .await;
    let what: Vec<_> = runs
        .iter()
        .map(|run| (run.trigger.as_str(), run.attempt, run.status))
        .collect();
    let expected = [
        ("client", 1, Status::Failed),
        ("retry", 2, Status::ContinuedAsNew),
        ("continue_as_new", 1, Status::Completed),
    ];
    assert_eq!(what, expected);
    let first = first.run_id().expect("an id");
    for run in &runs {
        compare(&stage, run).await;
        assert_eq!(run.max_attempts, Some(5));
        assert_eq!(run.first_execution_run_id.as_deref(), Some(first));
        assert_eq!(run.event_count, 1, "a timer");
    }
    let before = |n: usize| runs[n].continued_from_run_id.as_deref();
    assert_eq!(before(0), None);
    assert_eq!(before(1), Some(runs[0].key.run_id.as_str()));
    assert_eq!(before(2), Some(runs[1].key.run_id.as_str()));
    assert_eq!(
        runs[0].trace_id, runs[1].trace_id,
        "a retry stays in its trace"
    );
    assert_ne!(runs[1].trace_id, runs[2].trace_id, "a trace stays bounded");
    stage.stop().await;
    stored(&stage.recording).await;
    stage.recording.assert_accounted().await;
}

/// Compares a run that is recorded with its history.
async fn compare(stage: &Stage, run: &RunRow) {
    let run = recorded(&stage.recording, &run.key.run_id).await;
    let run = run.expect("recorded");
    let key = &run.run.key;
    let handle = WorkflowExecutionInfo::builder()
        .namespace(NAMESPACE)
        .workflow_id(key.workflow_id.clone())
        .run_id(key.run_id.clone())
        .build()
        .bind_untyped(stage.client.clone());
    let history = handle.fetch_history(Default::default()).into_events().await;
    let history = history.expect("a history");
    crate::history::compare::assert_same(&run.run, &run.events, history);
}

async fn cron(layout: Layout) {
    let mut stage = Stage::start(layout).await;
    let id = unique("cron");
    let options = WorkflowStartOptions::new(&stage.queue, &id)
        .cron_schedule("@every 1s".to_owned())
        .build();
    let handle = start!(stage, Child, super::flows::Fate::Complete, options);
    let runs = eventually("two runs are closed", async || {
        let stored = stored(&stage.recording).await?;
        let mut runs = stored.store.runs_of_workflow(None, &id).await.ok()?;
        runs.reverse();
        let closed = |run: &RunRow| run.closed_at.is_some();
        (runs.len() >= 2 && runs[..2].iter().all(closed)).then_some(runs)
    })
    .await;
    let handle = stage
        .client
        .get_workflow_handle::<super::flows::Child>(&handle.info().workflow_id);
    let end = handle.terminate(WorkflowTerminateOptions::default()).await;
    end.expect("terminated");
    stage.stop().await;
    for run in &runs[..2] {
        compare(&stage, run).await;
    }
    let (first, second) = (&runs[0], &runs[1]);
    assert_eq!(
        (first.trigger.as_str(), second.trigger.as_str()),
        ("cron", "cron")
    );
    let before = second.continued_from_run_id.as_deref();
    assert_eq!(before, Some(first.key.run_id.as_str()));
    assert_ne!(first.trace_id, second.trace_id);
    // What a cron run closes with is its result, and the server goes on by itself.
    assert_eq!(first.status, Status::Completed);
}

async fn patch(layout: Layout) {
    let mut stage = Stage::start(layout).await;
    let handle = start!(stage, Patched, ());
    let lines = [
        "patch:a new way:patch:1 completed",
        "timer:1:timer:1 completed",
        "timer:2:timer:1 completed",
    ];
    expect!(stage, handle, lines);
}

async fn reset(layout: Layout) {
    let mut stage = Stage::start(layout).await;
    let handle = start!(stage, Patched, ());
    let first = stage.closed(handle.run_id().expect("an id")).await;
    let request = ResetWorkflowExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_execution: Some(WorkflowExecution {
            workflow_id: first.run.key.workflow_id.clone(),
            run_id: first.run.key.run_id.clone(),
        }),
        reason: "a test".to_owned(),
        // The first task's.
        workflow_task_finish_event_id: 4,
        request_id: unique("reset"),
        ..ResetWorkflowExecutionRequest::default()
    };
    let mut service = connection().await.workflow_service();
    let reset = service.reset_workflow_execution(tonic::Request::new(request));
    let run_id = reset.await.expect("reset").into_inner().run_id;
    let second = stage.settled(&run_id).await;
    assert_eq!(second.run.trigger, "reset");
    assert_eq!(second.run.status, Status::Completed);
    assert_eq!(second.lines(), first.lines());
    compare(&stage, &second.run).await;
    assert_eq!(second.run.event_count as usize, second.events.len());
}

async fn nexus(layout: Layout) {
    let mut stage = Stage::start(layout).await;
    let endpoint = unique("endpoint");
    let target = endpoint_target::Worker {
        namespace: NAMESPACE.to_owned(),
        task_queue: format!("{}-nobody", stage.queue),
    };
    let request = CreateNexusEndpointRequest {
        spec: Some(EndpointSpec {
            name: endpoint.clone(),
            description: None,
            target: Some(EndpointTarget {
                variant: Some(endpoint_target::Variant::Worker(target)),
            }),
        }),
    };
    let mut service = connection().await.operator_service();
    let created = service.create_nexus_endpoint(tonic::Request::new(request));
    created.await.expect("an endpoint");
    let handle = start!(stage, Calls, endpoint.clone());
    let run = stage.settled(handle.run_id().expect("an id")).await;
    let [operation] = &run.events[..] else {
        panic!("one operation: {:#?}", run.lines());
    };
    let key = format!("nexus_operation:{endpoint}/desk:ask:1");
    assert_eq!(operation.event_key, key);
    // Which error it is depends on what the server finds out first.
    assert!(operation.status.is_error() && operation.error_type.is_some());
    stage
        .check_replay(&run, || handle.fetch_history(Default::default()))
        .await;
}
