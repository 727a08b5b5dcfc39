//! Whose a run is, what it cost, and what of it is readable.

use std::time::Duration;

use omnitrace::config::Settings;
use omnitrace_store::row::{EventRow, RunRow};
use omnitrace_tests::{NAMESPACE, Recording, RunningWorker, beside, eventually, unique};
use serde_json::{Value, json};
use temporalio_client::{
    Client, WorkflowGetResultOptions, WorkflowStartOptions, grpc::OperatorService,
};
use temporalio_common::{
    MemoValues,
    protos::temporal::api::{
        enums::v1::IndexedValueType, operatorservice::v1::AddSearchAttributesRequest,
    },
    search_attributes::{SearchAttributeKey, SearchAttributes},
};

use crate::probes::{self, Asker, Trial, Tried};

const USER: SearchAttributeKey<String> = SearchAttributeKey::keyword("user_id");
const TENANT: SearchAttributeKey<String> = SearchAttributeKey::keyword("TenantId");

/// Makes the search attributes known to the server, once for all tests.
async fn search_attributes(client: &Client) {
    let keyword = IndexedValueType::Keyword as i32;
    let request = AddSearchAttributesRequest {
        namespace: NAMESPACE.to_owned(),
        search_attributes: [
            (USER.name().to_owned(), keyword),
            (TENANT.name().to_owned(), keyword),
        ]
        .into(),
    };
    // `Err` means: they are there from a run before; if they are not, no run can be started below.
    let _ = client
        .connection()
        .clone()
        .add_search_attributes(temporalio_client::tonic::Request::new(request))
        .await;
}

async fn start(
    recording: &Recording,
    client: &Client,
    memo: &[(&str, Value)],
    attributes: SearchAttributes,
) -> RunRow {
    let queue = unique("queue");
    let worker = RunningWorker::start(client.clone(), probes::worker(&queue));
    let id = unique("tried");
    beside(worker, async {
        let handle = eventually("the server knows the search attributes", async || {
            let mut values = MemoValues::new();
            for (name, value) in memo {
                values.insert(*name, value.clone());
            }
            let options = WorkflowStartOptions::new(&queue, &id)
                .memo(values)
                .search_attributes(attributes.clone())
                .build();
            client
                .start_workflow(Tried::run, Trial::good(), options)
                .await
                .ok()
        })
        .await;
        handle
            .get_result(WorkflowGetResultOptions::default())
            .await
            .expect("completed");
        recording.closed(&id).await.0
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_and_tenants_are_stored_as_hashes_and_the_memo_goes_before_search_attributes() {
    let recording = Recording::start();
    let client = recording.client().await;
    search_attributes(&client).await;
    let policy = omnitrace::policy::Policy::new(Default::default());
    let hash = |text: &str| Some(policy.identity(text));
    let both = || {
        SearchAttributes::new([
            USER.value_set("searched-user".to_owned()),
            TENANT.value_set("searched-tenant".to_owned()),
        ])
    };
    let user = |run: &RunRow| run.user.as_ref().map(|user| user.hash.clone());
    let tenant = |run: &RunRow| run.tenant.as_ref().map(|tenant| tenant.hash.clone());

    let run = start(
        &recording,
        &client,
        &[("userId", json!("memo-user"))],
        both(),
    )
    .await;
    assert_eq!(user(&run), hash("memo-user"));
    assert_eq!(tenant(&run), hash("searched-tenant"));
    let run = start(&recording, &client, &[], both()).await;
    assert_eq!(
        (user(&run), tenant(&run)),
        (hash("searched-user"), hash("searched-tenant"))
    );
    let none = SearchAttributes::new([]);
    let numbers = [
        ("user_id", json!(4711)),
        ("tenant_id", json!({ "not": "an id" })),
    ];
    let run = start(&recording, &client, &numbers, none).await;
    assert_eq!((user(&run), tenant(&run)), (hash("4711"), None));
    for text in ["memo-user", "searched-user", "searched-tenant"] {
        assert!(!crate::privacy::holds(recording.folder(), text), "{text}");
    }
}

#[tokio::test]
async fn with_a_hash_key_hashes_are_keyed_and_the_key_is_nowhere() {
    let recording = Recording::with(|settings| settings.with_hash_key("pepper-and-salt"));
    let recorder = recording
        .omnitrace
        .recorder("told", "4bf92f3577b34da6a3ce929d0e0e4736");
    recorder.record_run_start(Some("alice"), json!({ "note": "a b" }));
    recorder.record_run_complete(json!({ "count": 1 }));
    let stored = recording.stored().await;
    let run = stored.newest("told").await.expect("recorded");
    let key = omnitrace::policy::HashKey::new("pepper-and-salt");
    let policy = omnitrace::policy::Policy::new(omnitrace::policy::PolicySettings {
        hash_key: key,
        ..Default::default()
    });
    let user = run.user.expect("a user").hash;
    assert!(
        user.starts_with("hmac:") && user == policy.identity("alice"),
        "{user}"
    );
    let input = run.input_redacted.expect("an input");
    assert!(
        input.contains("hmac:") && !input.contains("sha256:"),
        "{input}"
    );
    assert_eq!(run.policy_id, policy.id());
    assert!(!crate::privacy::holds(
        recording.folder(),
        "pepper-and-salt"
    ));
}

async fn ask(change: impl FnOnce(Settings) -> Settings) -> (RunRow, Vec<EventRow>) {
    let recording = Recording::with(change);
    let client = recording.client().await;
    let queue = unique("queue");
    let worker = RunningWorker::start(client.clone(), probes::worker(&queue));
    let id = unique("asker");
    let rows = beside(worker, async {
        let ask = json!({
            "prompt": "Where is my order? Mail bob@example.com", "password": "hunter2",
            "order_number": "A-17", "region": "eu",
        });
        let options = WorkflowStartOptions::new(&queue, &id).build();
        let handle = client
            .start_workflow(Asker::run, ask, options)
            .await
            .expect("started");
        handle
            .get_result(WorkflowGetResultOptions::default())
            .await
            .expect("completed");
        recording.closed(&id).await
    })
    .await;
    let closing = recording.omnitrace.shutdown(Duration::from_secs(10));
    closing.await.expect("stored");
    for secret in ["bob@example.com", "hunter2"] {
        assert!(
            !crate::privacy::holds(recording.folder(), secret),
            "{secret}"
        );
    }
    rows
}

fn data(events: &[EventRow], key: &str) -> Value {
    let event = events
        .iter()
        .find(|event| event.event_key == key)
        .expect(key);
    serde_json::from_str(event.data_redacted.as_ref().expect("data")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_model_cost_and_category_come_from_the_result_of_a_model_call() {
    let (run, events) = ask(|settings| {
        settings
            .with_allow_fields(["order_number"])
            .with_drop_fields(["region"])
            .with_categories("tool=*::draft")
            .expect("valid rules")
    })
    .await;
    for key in ["activity:1:Probes::chat:0", "activity:1:Probes::chat:1"] {
        let event = events
            .iter()
            .find(|event| event.event_key == key)
            .expect(key);
        assert_eq!(event.category.as_deref(), Some("model"), "{key}");
        assert_eq!(event.model.as_deref(), Some("gpt-4o"), "{key}");
        assert_eq!(
            (event.input_tokens, event.output_tokens),
            (Some(1000), Some(100)),
            "{key}"
        );
        assert_eq!(event.cost_usd, Some(0.0035), "{key}");
    }
    assert_eq!(
        (run.input_tokens, run.output_tokens),
        (1000, 100),
        "counted once"
    );
    assert!((run.cost_usd - 0.0035).abs() < 1e-9, "{}", run.cost_usd);
    let draft = events
        .iter()
        .find(|event| event.event_key == "activity:2:Probes::draft:0");
    assert_eq!(draft.expect("a draft").category.as_deref(), Some("tool"));
    // Nothing is readable but what is allowed, and what is dropped is gone.
    let chat = data(&events, "activity:1:Probes::chat:0");
    assert_eq!(chat["input"][0]["order_number"], "A-17");
    assert!(chat["input"][0].get("region").is_none(), "{chat}");
    for text in [&chat["input"][0]["prompt"], &chat["output"]["answer"]] {
        assert!(
            text.as_str().expect("a hash").starts_with("sha256:"),
            "{text}"
        );
    }
    assert_eq!(chat["_redaction"]["dropped"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn captured_content_of_model_calls_is_readable_and_scrubbed() {
    let (_, events) = ask(|settings| {
        settings
            .with_capture_content(true)
            .with_categories("model=Probes::chat,*::draft")
            .expect("valid rules")
    })
    .await;
    let question = "Where is my order? Mail [email]";
    // The second says nothing of tokens: it is a model's by its rule.
    for (name, answer) in [
        ("1:Probes::chat", "You asked: "),
        ("2:Probes::draft", "A draft of "),
    ] {
        let step = data(&events, &format!("activity:{name}:0"));
        assert_eq!(step["input"][0]["prompt"], question, "{step}");
        assert!(step["input"][0].get("password").is_none(), "{step}");
        let attempt = data(&events, &format!("activity:{name}:1"));
        for output in [&step["output"], &attempt["output"]] {
            assert_eq!(output["answer"], format!("{answer}{question}"), "{output}");
        }
    }
}
