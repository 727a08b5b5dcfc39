//! What is switched for a tenant or a type, as a person switches it, is seen in the rows and log lines of its new
//! runs alone.

use std::path::Path;
use std::time::Duration;

use omnitrace::OmniTrace;
use omnitrace::logs::SwitchedLevel;
use omnitrace_store::row::{EventRow, RunRow};
use omnitrace_tests::{RunningWorker, eventually, unique};
use serde_json::{Value, json};
use temporalio_client::{
    Client, WorkflowGetResultOptions, WorkflowSignalOptions, WorkflowStartOptions,
};
use temporalio_common::MemoValues;
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{SyncWorkflowContext, WorkerOptions, WorkflowContext, WorkflowResult};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::prelude::*;

use super::place::{Kind, Place};
use super::runs;
use crate::process::{self, Process};
use crate::workflows::options;

on_each_database! {
    content_is_readable_in_new_runs_of_its_tenant_alone;
    content_is_readable_in_new_runs_of_its_type_alone;
    rules_of_redaction_hold_for_new_runs_of_their_tenant_alone;
}

const ACME: Option<&str> = Some("acme");
const OTHER: Option<&str> = Some("other");

/// What only a model may be asked, and a person may read only where content is captured.
const QUESTION: &str = "when will the grey lamp arrive";

pub(crate) struct Model;

#[activities]
impl Model {
    #[activity]
    pub(crate) async fn ask(_ctx: ActivityContext, order: Value) -> Result<Value, ActivityError> {
        tracing::debug!(id = order["id"].as_str(), "asked");
        Ok(order)
    }
}

/// Asks a model, when it is told to.
#[workflow]
#[derive(Default)]
pub(crate) struct Asking {
    told: bool,
}

#[workflow_methods]
impl Asking {
    #[run]
    pub(crate) async fn run(
        ctx: &mut WorkflowContext<Self>,
        order: Value,
    ) -> WorkflowResult<Value> {
        ctx.wait_condition(|this| this.told).await?;
        Ok(ctx.execute_activity(Model::ask, order, options()).await?)
    }

    #[signal]
    pub(crate) fn go(&mut self, _ctx: &mut SyncWorkflowContext<Self>) {
        self.told = true;
    }
}

/// Asks a model at once.
#[workflow]
#[derive(Default)]
pub(crate) struct Advising;

#[workflow_methods]
impl Advising {
    #[run]
    pub(crate) async fn run(
        ctx: &mut WorkflowContext<Self>,
        order: Value,
    ) -> WorkflowResult<Value> {
        Ok(ctx.execute_activity(Model::ask, order, options()).await?)
    }
}

fn worker(queue: &str) -> WorkerOptions {
    WorkerOptions::new(queue)
        .register_activities(Model)
        .register_workflow::<Asking>()
        .expect("a workflow")
        .register_workflow::<Advising>()
        .expect("a workflow")
        .build()
}

fn order(id: &str) -> Value {
    json!({"id": id, "question": QUESTION, "iban": "DE02120300000000202051", "subject": "lamp"})
}

/// Begins a run of a tenant, which waits.
async fn begin(client: &Client, queue: &str, tenant: Option<&str>) -> String {
    let id = unique("asking");
    let mut memo = MemoValues::new();
    if let Some(tenant) = tenant {
        memo.insert("tenant_id", tenant.to_owned());
    }
    let options = WorkflowStartOptions::new(queue, &id).memo(memo).build();
    let started = client.start_workflow(Asking::run, order(&id), options);
    let started = started.await;
    started.expect("started");
    id
}

/// Lets it ask, and waits for its end.
async fn finish(client: &Client, id: &str) {
    let handle = client.get_workflow_handle::<Asking>(id);
    let told = handle
        .signal(Asking::go, (), WorkflowSignalOptions::default())
        .await;
    told.expect("it runs");
    let result = handle.get_result(WorkflowGetResultOptions::default()).await;
    assert_eq!(result.expect("completed")["id"], id);
}

/// For the tenant.
async fn switch(place: &Place, arguments: &[&str]) {
    switch_for(place, ["--tenant", "acme"], arguments).await;
}

async fn switch_for(place: &Place, scope: [&str; 2], arguments: &[&str]) {
    let who = ["--reason", "a test", "--by", "ann"];
    let said = place.run(&[arguments, &scope, &who].concat()).await;
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
}

/// A worker that records, and whoever asks it.
struct Shop {
    place: Place,
    omnitrace: OmniTrace,
    client: Client,
    queue: String,
    worker: RunningWorker,
}

impl Shop {
    async fn open(kind: Kind) -> Self {
        let place = Place::new(kind).await;
        let settings = place.settings().with_categories("model=Model::ask");
        let omnitrace = OmniTrace::start(settings.expect("a rule"));
        let client = place.client(&[&omnitrace]).await;
        let queue = unique("queue");
        Self {
            worker: RunningWorker::start(client.clone(), worker(&queue)),
            place,
            omnitrace,
            client,
            queue,
        }
    }

    async fn begin(&self, tenant: Option<&str>) -> String {
        begin(&self.client, &self.queue, tenant).await
    }

    /// Lets a run go on, and tells all that is stored of it.
    async fn stored(&self, id: &str) -> String {
        finish(&self.client, id).await;
        self.rows(id).await
    }

    /// Of a new run of the other type.
    async fn of_advising(&self) -> String {
        let id = unique("advising");
        let options = WorkflowStartOptions::new(&self.queue, &id).build();
        let started = (self.client).start_workflow(Advising::run, order(&id), options);
        started.await.expect("started");
        self.rows(&id).await
    }

    /// All that is stored of a run, when it is over. It was made by one policy.
    async fn rows(&self, id: &str) -> String {
        let (run, events): (RunRow, Vec<EventRow>) = eventually("it is stored", async || {
            self.omnitrace.flush().await.expect("stored");
            let stored = self.place.stored().await.into_iter();
            stored
                .filter(|(run, _)| run.closed_at.is_some())
                .find(|(run, _)| run.key.workflow_id == id)
        })
        .await;
        assert!(!run.policy_id.is_empty());
        let data = events.iter().map(|event| {
            assert_eq!(event.policy_id, run.policy_id, "{event:#?}");
            &event.data_redacted
        });
        let data = data.chain([&run.input_redacted, &run.output_redacted]);
        data.flatten().map(String::as_str).collect()
    }

    /// Of a run that begins now.
    async fn of_new(&self, tenant: Option<&str>) -> String {
        self.stored(&self.begin(tenant).await).await
    }

    async fn close(self) {
        runs::stop(self.worker).await;
        let stored = self.omnitrace.shutdown(Duration::from_secs(10)).await;
        stored.expect("everything is stored");
    }
}

async fn content_is_readable_in_new_runs_of_its_tenant_alone(kind: Kind) {
    let shop = Shop::open(kind).await;
    assert!(!shop.of_new(ACME).await.contains(QUESTION));
    let before = shop.begin(ACME).await;
    switch(&shop.place, &["set", "capture_content", "true"]).await;
    eventually("content of a new run is readable", async || {
        shop.of_new(ACME).await.contains(QUESTION).then_some(())
    })
    .await;
    for other in [OTHER, None] {
        assert!(!shop.of_new(other).await.contains(QUESTION), "{other:?}");
    }
    assert!(!shop.stored(&before).await.contains(QUESTION));

    let during = shop.begin(ACME).await;
    switch(&shop.place, &["set", "capture_content", "false"]).await;
    eventually("content of a new run is hashed", async || {
        (!shop.of_new(ACME).await.contains(QUESTION)).then_some(())
    })
    .await;
    assert!(shop.stored(&during).await.contains(QUESTION));
    shop.close().await;
}

async fn content_is_readable_in_new_runs_of_its_type_alone(kind: Kind) {
    const ASKING: [&str; 2] = ["--type", "Asking"];
    let shop = Shop::open(kind).await;
    assert!(!shop.of_new(None).await.contains(QUESTION));
    switch_for(&shop.place, ASKING, &["set", "capture_content", "true"]).await;
    eventually("content of a new run is readable", async || {
        shop.of_new(None).await.contains(QUESTION).then_some(())
    })
    .await;
    assert!(shop.of_new(ACME).await.contains(QUESTION));
    assert!(!shop.of_advising().await.contains(QUESTION));

    let unset = ["switches", "unset", "capture_content"];
    switch_for(&shop.place, ASKING, &unset).await;
    eventually("content of a new run is hashed", async || {
        (!shop.of_new(None).await.contains(QUESTION)).then_some(())
    })
    .await;
    shop.close().await;
}

async fn rules_of_redaction_hold_for_new_runs_of_their_tenant_alone(kind: Kind) {
    const KEPT: &str = r#""subject":"lamp""#;
    const HASHED: [&str; 2] = [r#""subject":"sha256:"#, r#""iban":"sha256:"#];
    let shop = Shop::open(kind).await;
    let is_plain = |stored: &str| HASHED.iter().all(|text| stored.contains(text));
    assert!(is_plain(&shop.of_new(ACME).await));
    let before = shop.begin(ACME).await;
    switch(&shop.place, &["set", "drop_fields", "iban"]).await;
    switch(&shop.place, &["set", "allow_fields", "subject"]).await;
    eventually("rules of the tenant hold", async || {
        let stored = shop.of_new(ACME).await;
        let hold = stored.contains(KEPT) && !stored.contains("iban");
        hold.then_some(())
    })
    .await;
    for id in [shop.begin(OTHER).await, shop.begin(None).await, before] {
        let stored = shop.stored(&id).await;
        assert!(is_plain(&stored) && !stored.contains(KEPT), "{stored}");
    }

    switch(&shop.place, &["switches", "unset", "drop_fields"]).await;
    switch(&shop.place, &["switches", "unset", "allow_fields"]).await;
    eventually("the rules were taken back", async || {
        is_plain(&shop.of_new(ACME).await).then_some(())
    })
    .await;
    shop.close().await;
}

const QUEUE: &str = "OMNITRACE_TEST_TENANT_QUEUE";
const NAMESPACE: &str = "OMNITRACE_TEST_TENANT_NAMESPACE";

#[test]
#[ignore = "this is the process that another test starts"]
fn serve() {
    let (Ok(queue), Ok(namespace)) = (std::env::var(QUEUE), std::env::var(NAMESPACE)) else {
        return;
    };
    let level = SwitchedLevel::new(LevelFilter::WARN);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_filter(level.clone());
    tracing_subscriber::registry().with(lines).init();
    process::serve(&namespace, worker(&queue), async || {
        let omnitrace = OmniTrace::from_env().await;
        omnitrace.switch_log_level(&level);
        omnitrace
    });
}

/// Whether the process has written a line inside this run.
fn told(log: &Path, id: &str) -> bool {
    let lines = std::fs::read_to_string(log).expect("a log");
    lines
        .lines()
        .any(|line| line.contains("asked") && line.contains(id))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_process_writes_finer_lines_of_its_tenant_alone() {
    let place = Place::new(Kind::Sqlite).await;
    let log = place.folder().join("log");
    let queue = unique("queue");
    let mut command = process::again("heal::tenant::serve");
    command
        .env(QUEUE, &queue)
        .env(NAMESPACE, &place.namespace)
        .env("OMNITRACE_DATABASE_URL", &place.url)
        .stderr(std::fs::File::create(&log).expect("a file"));
    let process = Process::start(&mut command);
    let client = place.client(&[]).await;
    // A line is written before its activity's result is.
    let tells = async |tenant: Option<&str>| {
        let id = begin(&client, &queue, tenant).await;
        finish(&client, &id).await;
        told(&log, &id)
    };
    assert!(!tells(ACME).await);
    eventually("the store is made", async || place.open().await.map(drop)).await;
    switch(&place, &["set", "log_level", "debug"]).await;
    eventually("the tenant's runs are told of", async || {
        tells(ACME).await.then_some(())
    })
    .await;
    for other in [OTHER, None] {
        assert!(!tells(other).await, "{other:?}");
    }
    switch(&place, &["switches", "unset", "log_level"]).await;
    eventually("they are no more", async || {
        (!tells(ACME).await).then_some(())
    })
    .await;
    process.stop();
}
