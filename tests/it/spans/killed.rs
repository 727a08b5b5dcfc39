//! A worker in a process of its own that is killed, and another that finishes its run: one whole trace.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use omnitrace::OmniTrace;
use omnitrace::config::{DatabaseTarget, OtlpProtocol};
use omnitrace_store::row::Status;
use omnitrace_store::{OpenOptions, Store};
use omnitrace_tests::{
    NAMESPACE, Recording, RunningWorker, Stored, client_with, database, eventually, settings,
    unique,
};
use temporalio_client::{
    ClientOptions, WorkflowGetResultOptions, WorkflowSignalOptions, WorkflowStartOptions,
};

use super::collector::Collector;
use super::journey::{Crossing, worker};
use super::span::{Span, assert_whole};
use super::{Place, Run, journey, named, replay, sending, spans};

const QUEUE: &str = "OMNITRACE_TEST_CROSSING_QUEUE";
const FOLDER: &str = "OMNITRACE_TEST_CROSSING_FOLDER";
const COLLECTOR: &str = "OMNITRACE_TEST_CROSSING_COLLECTOR";

#[test]
#[ignore = "this is the process that the test below starts"]
fn serve() {
    let variables = [QUEUE, FOLDER, COLLECTOR].map(std::env::var);
    let [Ok(queue), Ok(folder), Ok(collector)] = variables else {
        return;
    };
    let tokio = tokio::runtime::Runtime::new().expect("a runtime");
    tokio.block_on(async {
        let settings = sending(
            settings(Path::new(&folder)),
            OtlpProtocol::HttpProtobuf,
            &collector,
        );
        let omnitrace = OmniTrace::start(settings.with_service_name("guides"));
        let plugin = omnitrace.plugin();
        let client = client_with(ClientOptions::new(NAMESPACE).plugin(plugin).build()).await;
        let _worker = RunningWorker::start(client, worker(&queue, 100));
        // Until it is killed.
        std::future::pending::<()>().await;
    });
}

/// Is killed when it is dropped.
struct Killed(Child);

impl Killed {
    fn start(queue: &str, folder: &Path, collector: &str) -> Self {
        let child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "spans::killed::serve", "--ignored"])
            .env(QUEUE, queue)
            .env(FOLDER, folder)
            .env(COLLECTOR, collector)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        Self(child.expect("a process"))
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // `Err` means: it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The database, once the process made it.
async fn open(folder: &Path) -> Option<Stored> {
    let mut options = OpenOptions::default();
    options.read_only = true;
    let store = Store::open(&database(folder), options).await.ok()?;
    Some(Stored { store })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_another_worker_finished_is_one_whole_trace() {
    let collector = Collector::start().await;
    let place = Place::File(&collector);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let queue = unique("queue");
    let client = omnitrace_tests::client().await;
    let first = Killed::start(&queue, folder.path(), &collector.http);
    let id = unique("crossing");
    let options = WorkflowStartOptions::new(&queue, &id)
        .task_timeout(Duration::from_secs(2))
        .build();
    let handle = client.start_workflow(Crossing::run, 0, options).await;
    let handle = handle.expect("started");
    let call = handle.signal(Crossing::call, (), WorkflowSignalOptions::default());
    call.await.expect("signaled");
    eventually("it is in its middle", async || {
        let stored = open(folder.path()).await?;
        let run = stored.newest(&id).await?;
        let events = stored.events(&run).await;
        let holds = |key: &str| events.iter().any(|event| event.event_key == key);
        holds("activity:3:Guide::hold:1").then_some(())
    })
    .await;
    drop(first);

    let second = Killed::start(&queue, folder.path(), &collector.http);
    let result = handle.get_result(WorkflowGetResultOptions::default()).await;
    assert_eq!(result.expect("completed"), 1);
    let runs = journey(async || Stored::open(folder.path()).await, &id).await;
    assert_eq!(runs[0].0.status, Status::ContinuedAsNew);
    let found = spans(&place, &runs, &[]).await;
    let [_, _] = &found[..] else {
        panic!("the child lies in its parent's trace, what continues in its own")
    };
    for trace in &found {
        assert_whole(trace);
    }
    let crossings = named(&found, "RunWorkflow:Crossing");
    let of = |run: &Run| {
        let found = crossings.iter().find(|span| span.id == run.0.span_id);
        *found.expect("the run's span")
    };
    let (first_run, second_run) = (of(&runs[0]), of(&runs[2]));
    assert!(!first_run.is_error() && !second_run.is_error());
    let link = (first_run.trace.clone(), first_run.id.clone());
    assert_eq!(second_run.links, [link]);
    let tried = named(&found, "RunActivity:Acts::flaky");
    let [failed, again, well] = &tried[..] else {
        panic!("three attempts: {tried:#?}")
    };
    for (before, attempt) in [(failed, again), (again, well)] {
        assert!(before.is_error());
        assert_eq!(attempt.links, [(before.trace.clone(), before.id.clone())]);
        assert_eq!(attempt.parent, before.parent);
    }
    assert!(!well.is_error());
    assert_eq!(named(&found, "HandleSignal:call").len(), 1);
    assert_eq!(named(&found, "RunWorkflow:Leg").len(), 1);
    let attempts = named(&found, "RunActivity:Guide::hold");
    let [lost, good] = &attempts[..] else {
        panic!("two attempts: {attempts:#?}")
    };
    assert!(lost.is_error() && !good.is_error());
    assert_eq!(good.links, [(lost.trace.clone(), lost.id.clone())]);
    assert_eq!(lost.parent, good.parent);
    drop(second);

    // The whole of it once more, in a third process.
    let recording = Recording::with(|settings| {
        let url = DatabaseTarget::Url(database(folder.path()));
        sending(settings, OtlpProtocol::HttpProtobuf, &collector.http).with_database(url)
    });
    for (run, _) in &runs {
        replay(&recording, &client, run).await;
    }
    let stopped = recording.omnitrace.shutdown(Duration::from_secs(5)).await;
    stopped.expect("all is stored");
    assert_eq!(
        recording
            .omnitrace
            .counter(omnitrace::Counter::SpansExported),
        0
    );
    let after = spans(&place, &runs, &[]).await;
    let count = |traces: &[Vec<Span>]| traces.iter().map(Vec::len).sum::<usize>();
    assert_eq!(count(&after), count(&found), "not one span more");
}
