//! Every workflow of the example passes as it is, and one that is changed is found, by the example's own program
//! too.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use omnitrace::replay::{Outcome, ReplayArgs};
use omnitrace::replay_check;
use omnitrace_store::ReplayVerdict;
use omnitrace_store::row::{RunRow, Status};
use omnitrace_tests::{Recording, RunningWorker, beside, server, unique};
use serde_json::Value;
use temporalio_client::{WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_sdk::{WorkerOptions, workflow_replayer::WorkflowReplayerOptions};
use worker_example::activities::{PaymentRequest, Payments};
use worker_example::driver::{self, Plan};
use worker_example::registration::worker_options;
use worker_example::ticket::Ticket;
use worker_example::workflows::{OrderSupport, SupportBatch};

use super::{args, replay};

/// The example's workflows as another build has them.
mod earlier {
    use temporalio_macros::{workflow, workflow_methods};
    use temporalio_sdk::{
        ChildWorkflowOptions, WorkflowContext, WorkflowResult, workflows::join_all,
    };
    use worker_example::activities::{PaymentRequest, Payments};
    use worker_example::ticket::Ticket;
    use worker_example::workflows::{
        BatchReport, BatchRequest, OrderSupport, Paid, SupportRequest,
    };

    use crate::workflows::options;

    /// Takes nothing from the shop's account.
    #[workflow]
    #[derive(Default)]
    pub(crate) struct Payment;

    #[workflow_methods]
    impl Payment {
        #[run]
        pub(crate) async fn run(
            ctx: &mut WorkflowContext<Self>,
            request: PaymentRequest,
        ) -> WorkflowResult<Paid> {
            ctx.execute_activity(Payments::reserve, request.clone(), options())
                .await?;
            let receipt = ctx
                .execute_activity(Payments::transfer, request, options())
                .await?;
            Ok(Paid {
                id: receipt.id,
                amount_cents: receipt.amount_cents,
            })
        }
    }

    /// Ends after a page.
    #[workflow]
    #[derive(Default)]
    pub(crate) struct SupportBatch;

    #[workflow_methods]
    impl SupportBatch {
        #[run]
        pub(crate) async fn run(
            ctx: &mut WorkflowContext<Self>,
            request: BatchRequest,
        ) -> WorkflowResult<BatchReport> {
            let timeout = request.approval_timeout_ms;
            let page = request.tickets.into_iter().take(request.page);
            join_all(page.map(|ticket| Self::handle(ctx, ticket, timeout))).await;
            Ok(BatchReport::default())
        }

        async fn handle(ctx: &WorkflowContext<Self>, ticket: Ticket, approval_timeout_ms: u64) {
            let id = format!("{}/{}", ctx.workflow_id(), ticket.id);
            let request = SupportRequest {
                ticket,
                approval_timeout_ms,
            };
            let options = ChildWorkflowOptions::workflow_id(id);
            let child = ctx.start_child_workflow(OrderSupport::run, request, options);
            if let Ok(child) = child.await {
                // Some fail.
                let _ = child.result().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_workflow_of_the_example_passes_as_it_is() {
    let recording = Recording::start();
    let client = recording.client().await;
    let queue = unique("support");
    let running = RunningWorker::start(client.clone(), worker_options(&queue).expect("workflows"));
    let samples = std::fs::read_dir("../worker-example/samples").expect("samples");
    let tickets: Vec<Ticket> = (samples.map(|sample| sample.expect("a file").path()))
        .filter(|path| path.extension().is_some_and(|of| of == "txt"))
        .map(|path| {
            let id = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            Ticket::parse(id, &std::fs::read(&path).expect("readable"))
        })
        .collect();
    assert!(tickets.len() > 3, "{tickets:?}");
    let plan = Plan {
        task_queue: queue.clone(),
        prefix: unique("support"),
        approval_timeout: Duration::from_secs(1),
    };
    beside(running, async {
        let driven = driver::drive_batch(&client, tickets.clone(), 4, &plan, drop);
        driven.await.expect("driven");
    })
    .await;
    for ticket in &tickets {
        let id = format!("{}/{}", plan.prefix, ticket.id);
        recording.closed(&id).await;
    }
    recording.closed(&plan.prefix).await;

    let today = || worker_options("any").expect("workflows");
    let report = replay(&recording, today(), &["--at-once", "2", "--strict"]).await;
    assert_eq!(report.exit_code(true), 0, "{report:#?}");
    assert_eq!(report.passed, report.replayed);
    for of in ["OrderSupport", "Payment", "SupportBatch"] {
        assert!(
            report.runs.iter().any(|run| run.workflow_type == of),
            "{of}"
        );
    }
    let half = replay(&recording, today(), &["--sample", "0.5"]);
    let half = half.await.replayed;
    assert!(
        (1..report.replayed).contains(&half),
        "{half} of {}",
        report.replayed
    );

    // Of these, those that are asked for.
    let mut stored = recording.stored().await.runs().await;
    stored.retain(|run| run.has_history());
    stored.sort_by_key(|run| run.started_at);
    let middle = stored[stored.len() / 2].started_at;
    let chosen = async |change: &dyn Fn(&mut ReplayArgs)| {
        let mut args = args(&recording, &["--dry-run"]);
        change(&mut args);
        let report = replay_check(today()).check(args).await;
        let runs = report.expect("replayed").runs.into_iter();
        runs.map(|run| run.run_id).collect::<BTreeSet<_>>()
    };
    let those = |is: &dyn Fn(&RunRow) -> bool| -> BTreeSet<String> {
        let runs = stored.iter().filter(|run| is(run));
        let ids: BTreeSet<_> = runs.map(|run| run.key.run_id.clone()).collect();
        assert!(!ids.is_empty() && ids.len() < stored.len());
        ids
    };
    let statuses = [Status::Failed, Status::ContinuedAsNew];
    assert_eq!(
        chosen(&|args| args.statuses = statuses.to_vec()).await,
        those(&|run| statuses.contains(&run.status))
    );
    assert_eq!(
        chosen(&|args| args.since = middle).await,
        those(&|run| run.started_at >= middle)
    );
    assert_eq!(
        chosen(&|args| args.until = middle).await,
        those(&|run| run.started_at < middle)
    );

    // A payment that is not taken from the shop's account any more.
    let changed = WorkflowReplayerOptions::new()
        .register_workflow::<OrderSupport>()
        .and_then(|options| options.register_workflow::<earlier::Payment>())
        .and_then(|options| options.register_workflow::<SupportBatch>())
        .expect("workflows")
        .build();
    let report = replay(&recording, changed, &[]).await;
    let mut payments = 0;
    for run in &report.runs {
        let told = (run.verdict, run.position, run.event_key.as_deref());
        if run.workflow_type != "Payment" {
            assert_eq!(told, (ReplayVerdict::Passed, None, None), "{run:?}");
            continue;
        }
        payments += 1;
        let charge = "activity:2:Payments::charge:0";
        assert_eq!(told, (ReplayVerdict::Parted, Some(2), Some(charge)));
        let both = [&run.expected, &run.found].map(|said| said.as_deref().unwrap_or_default());
        let are = [
            "activity 2 Payments::charge",
            "activity 2 Payments::transfer",
        ];
        assert_eq!(both, are);
    }
    assert!(payments > 1);

    // A batch that ends after its first page.
    let changed = WorkflowReplayerOptions::new()
        .register_workflow::<earlier::SupportBatch>()
        .expect("a workflow")
        .build();
    let report = replay(&recording, changed, &[]).await;
    let went_on = |run: &&Outcome| run.verdict == ReplayVerdict::Parted;
    for run in report.runs.iter().filter(went_on) {
        let both = [&run.expected, &run.found].map(|said| said.as_deref().unwrap_or_default());
        let are = ["continued_as_new", "completed"].map(|end| format!("the run's end: {end}"));
        assert_eq!(
            (run.position, both),
            (Some(5), are.each_ref().map(String::as_str))
        );
    }
    let pages = tickets.len().div_ceil(4) as u64;
    assert_eq!((report.parted, report.changed), (pages - 1, 1));
}

/// What the program says, and how it ends.
async fn program(recording: &Recording, more: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker-example-under-test"));
    command
        .env_clear()
        .current_dir(recording.folder())
        .args(["replay", "--address", &server(), "--database-url"])
        .arg(format!("sqlite://{}", recording.file().display()))
        .args(more);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.expect("it ran").expect("a process");
    let told = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let said = told(output.stdout) + &told(output.stderr);
    (output.status.code(), said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_tells_a_pipeline_what_passed_and_what_parts() {
    let recording = Recording::start();
    let client = recording.client().await;
    let pay = async |worker: WorkerOptions, queue: &str, id: &str| {
        let request = PaymentRequest {
            id: id.to_owned(),
            amount_cents: 700,
            card_closed: false,
        };
        let start = WorkflowStartOptions::new(queue, id).build();
        let running = RunningWorker::start(client.clone(), worker);
        beside(running, async {
            let paid = client.start_workflow(earlier::Payment::run, request, start);
            let paid = paid.await.expect("started");
            let get = WorkflowGetResultOptions::default();
            paid.get_result(get).await.expect("paid");
        })
        .await;
        recording.closed(id).await;
    };
    let (queue, today) = (unique("queue"), unique("today"));
    pay(worker_options(&queue).expect("workflows"), &queue, &today).await;
    let file = recording.folder().join("replay.xml");
    let machine = ["--build-id", "next", "--json", "--junit", "replay.xml"];
    let (code, said) = program(&recording, &machine).await;
    let report: Value = serde_json::from_str(&said).expect(&said);
    assert_eq!(code, Some(0), "{report}");
    let counts =
        |report: &Value| ["replayed", "passed", "parted"].map(|name| report[name].as_u64());
    assert_eq!(counts(&report), [1, 1, 0].map(Some));
    assert_eq!(report["build_id"], "next");
    assert_eq!(report["runs"][0]["verdict"], "passed");
    let xml = || std::fs::read_to_string(&file).expect("written");
    let suite = |failures: u8, tests: u8| {
        let (tests, failures) = (
            format!("tests=\"{tests}\""),
            format!("failures=\"{failures}\""),
        );
        let xml = xml();
        let line = xml
            .lines()
            .find(|line| line.contains("<testsuite name=\"Payment\""));
        let line = line.expect(&xml);
        assert!(line.contains(&tests) && line.contains(&failures), "{line}");
    };
    suite(0, 1);

    // One that an earlier build paid.
    let (queue, before) = (unique("queue"), unique("before"));
    let worker = WorkerOptions::new(&queue)
        .register_workflow::<earlier::Payment>()
        .expect("a workflow")
        .register_activities(Payments);
    pay(worker.build(), &queue, &before).await;
    let (code, said) = program(&recording, &machine).await;
    let report: Value = serde_json::from_str(&said).expect(&said);
    assert_eq!(code, Some(1), "{report}");
    assert_eq!(counts(&report), [2, 1, 1].map(Some));
    let parted = &report["runs"][0];
    for (field, value) in [
        ("workflow_id", before.as_str()),
        ("workflow_type", "Payment"),
        ("verdict", "parted"),
        ("event_key", "activity:2:Payments::transfer:0"),
        ("expected", "activity 2 Payments::transfer"),
        ("found", "activity 2 Payments::charge"),
    ] {
        assert_eq!(parted[field], value, "{parted}");
    }
    assert_eq!(
        (&parted["position"], &parted["steps"]),
        (&2.into(), &3.into())
    );
    suite(1, 2);
    assert!(xml().contains("parted at step 2 of 3, activity:2:Payments::transfer:0"));

    // For a person; and where nothing is replayed, that is no success.
    let (code, said) = program(&recording, &["--since", "1h", "--workflow-id", &today]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("1 runs replayed with build "), "{said}");
    let (code, said) = program(&recording, &["--until", "1h"]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no stored run fits"), "{said}");
}
