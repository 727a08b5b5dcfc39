//! Each call of a client carries the context that is current where it is made, to whoever it calls.

use std::sync::{Arc, Mutex};

use omnitrace_store::row::SENDER;
use omnitrace_tests::{Recording, RunningWorker, beside, unique};
use opentelemetry::trace::FutureExt;
use temporalio_client::{
    Client, WorkflowExecuteUpdateOptions, WorkflowGetResultOptions, WorkflowIdConflictPolicy,
    WorkflowQueryOptions, WorkflowSignalOptions, WorkflowStartOptions,
    WorkflowUpdateWithStartOptions,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::workflow_interceptors::{
    HandleQueryInput, HandleQueryResult, HandleSignalInput, HandleSignalResult, HandleUpdateInput,
    HandleUpdateResult, SyncWorkflowInterceptorContext, WorkflowInterceptor,
    WorkflowInterceptorConstructor, WorkflowInterceptorContext, WorkflowInterceptorFuture,
    WorkflowNext,
};
use temporalio_sdk::{
    SyncWorkflowContext, WorkerOptions, WorkflowContext, WorkflowContextView, WorkflowResult,
};

use super::propagation::{SPAN, TRACE, caller};

/// What was heard: the workflow, what reached it, and the header's text.
type Heard = Arc<Mutex<Vec<(String, &'static str, String)>>>;

/// Notes the header of what reaches a workflow.
struct Ears {
    workflow_id: String,
    heard: Heard,
}

impl Ears {
    fn note(&self, what: &'static str, headers: &std::collections::HashMap<String, Payload>) {
        let data = headers
            .get("_tracer-data")
            .map(|payload| payload.data.clone());
        let text = String::from_utf8(data.unwrap_or_default()).expect("text");
        let mut heard = self.heard.lock().expect("unpoisoned");
        heard.push((self.workflow_id.clone(), what, text));
    }
}

impl WorkflowInterceptor for Ears {
    fn handle_signal<'a>(
        &'a self,
        _ctx: WorkflowInterceptorContext,
        input: HandleSignalInput,
        next: WorkflowNext<
            'a,
            HandleSignalInput,
            WorkflowInterceptorFuture<'a, HandleSignalResult>,
        >,
    ) -> WorkflowInterceptorFuture<'a, HandleSignalResult> {
        self.note("signal", input.headers());
        next.run(input)
    }

    fn handle_update<'a>(
        &'a self,
        _ctx: WorkflowInterceptorContext,
        input: HandleUpdateInput,
        next: WorkflowNext<
            'a,
            HandleUpdateInput,
            WorkflowInterceptorFuture<'a, HandleUpdateResult>,
        >,
    ) -> WorkflowInterceptorFuture<'a, HandleUpdateResult> {
        self.note("update", input.headers());
        next.run(input)
    }

    fn handle_query(
        &self,
        _ctx: SyncWorkflowInterceptorContext,
        input: HandleQueryInput,
        next: WorkflowNext<'_, HandleQueryInput, HandleQueryResult>,
    ) -> HandleQueryResult {
        self.note("query", input.headers());
        next.run(input)
    }
}

/// Listens until it was told to go.
#[workflow]
#[derive(Default)]
struct Post {
    letters: u32,
}

#[workflow_methods]
impl Post {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, letters: u32) -> WorkflowResult<u32> {
        ctx.wait_condition(|post| post.letters >= letters).await?;
        Ok(letters)
    }

    #[signal]
    fn send(&mut self, _ctx: &mut SyncWorkflowContext<Self>) {
        self.letters += 1;
    }

    #[update]
    fn hand(&mut self, _ctx: &mut SyncWorkflowContext<Self>) -> u32 {
        self.letters += 1;
        self.letters
    }

    #[query]
    fn count(&self, _ctx: &WorkflowContextView) -> u32 {
        self.letters
    }
}

/// Calls in every way; gives the workflow ids.
async fn call(client: &Client, queue: &str) -> [String; 2] {
    let [first, second] = [unique("post"), unique("post")];
    let start = WorkflowStartOptions::new(queue, &first).build();
    let handle = client
        .signal_with_start_workflow(Post::run, 3, Post::send, (), start)
        .await
        .expect("started");
    let options = WorkflowExecuteUpdateOptions::default();
    let update = handle.execute_update(Post::hand, (), options).await;
    assert_eq!(update.expect("updated"), 2);
    let query = handle.query(Post::count, (), WorkflowQueryOptions::default());
    assert_eq!(query.await.expect("answered"), 2);
    let signal = handle.signal(Post::send, (), WorkflowSignalOptions::default());
    signal.await.expect("signaled");
    let result = handle.get_result(WorkflowGetResultOptions::default()).await;
    assert_eq!(result.expect("completed"), 3);

    let conflict = WorkflowIdConflictPolicy::Fail;
    let options = WorkflowUpdateWithStartOptions::new(queue, &second, conflict).build();
    let update = client
        .execute_update_with_start_workflow(Post::run, 1, Post::hand, (), options)
        .await;
    assert_eq!(update.expect("updated"), 1);
    [first, second]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_carries_the_callers_context() {
    let recording = Recording::start();
    let client = recording.client().await;
    let queue = unique("queue");
    let heard = Heard::default();
    let ears = {
        let heard = heard.clone();
        WorkflowInterceptorConstructor::new(move |view: &WorkflowContextView| Ears {
            workflow_id: view.workflow_id().to_owned(),
            heard: heard.clone(),
        })
    };
    let options = WorkerOptions::new(&queue)
        .workflow_interceptor(ears)
        .register_workflow::<Post>()
        .expect("a workflow")
        .build();
    let running = RunningWorker::start(client.clone(), options);
    let called = call(&client, &queue).with_context(caller());
    let [first, second] = beside(running, called).await;
    let expected = format!("00-{TRACE}-{SPAN}-01");
    let mut what = Vec::new();
    for (workflow_id, how, header) in heard.lock().expect("unpoisoned").iter() {
        let header: serde_json::Value = serde_json::from_str(header).expect("JSON");
        assert_eq!(header["traceparent"], expected, "{how}");
        what.push((workflow_id.clone(), *how));
    }
    for (id, hows) in [
        (&first, &["signal", "update", "query", "signal"][..]),
        (&second, &["update"]),
    ] {
        let heard: Vec<&str> = (what.iter())
            .filter(|(workflow_id, _)| workflow_id == id)
            .map(|(_, how)| *how)
            .collect();
        assert_eq!(heard, hows);
        let (run, events) = recording.closed(id).await;
        assert_eq!(run.trace_id, TRACE);
        assert_eq!(run.parent_span_id.as_deref(), Some(SPAN));
        // Each signal and update knows who sent it, in history too.
        let sent: Vec<_> = (events.iter())
            .filter_map(|event| {
                let data = event.data_redacted.as_deref()?;
                let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
                Some(data[SENDER].as_str()?.to_owned())
            })
            .collect();
        let expected_of = hows.iter().filter(|how| **how != "query");
        assert_eq!(sent, vec![expected.clone(); expected_of.count()]);
        let history = super::passed_on::history(&client, &run.key).await;
        crate::history::compare::assert_same(&run, &events, history);
    }
}
