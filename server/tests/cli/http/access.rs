//! Who may see what.

use std::collections::BTreeSet;

use omnitrace_store::Batch;
use omnitrace_store::row::{Identity, RunKey, Status};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Server;
use crate::Database;
use crate::rows::{self, at};

/// Makes a token, as an administrator does.
fn token(database: &Database, args: &[&str]) -> String {
    let args = [&["token", "create", "--name", "test"], args].concat();
    database.stdout(&args).trim().to_owned()
}

fn bearer(token: &str) -> (&'static str, String) {
    ("Authorization", format!("Bearer {token}"))
}

impl Server {
    fn get_as(&self, path: &str, token: &str) -> super::Answer {
        let (name, value) = bearer(token);
        self.get_with(path, &[(name, &value)])
    }
}

/// A run of a tenant, with a step, whose every text names the tenant; linked with the other tenant's.
fn batch(tenant: &str, other: &str) -> Batch {
    let mut batch = rows::long_run();
    batch.events.truncate(2);
    let run = &mut batch.runs[0];
    let key = |tenant: &str| {
        RunKey::new(
            tenant,
            format!("run-of-{tenant}"),
            format!("id-of-{tenant}"),
        )
    };
    run.key = key(tenant);
    run.workflow_type = format!("TypeOf-{tenant}");
    run.status = Status::Failed;
    run.error_type = Some(format!("ErrorOf-{tenant}"));
    run.input_redacted = Some(json!({ "input": format!("value-of-{tenant}") }).to_string());
    run.started_at = Some(at(0));
    run.tenant = Some(Identity {
        rank: 3,
        hash: hash(tenant),
    });
    for event in &mut batch.events {
        event.run = run.key.clone();
        event.data_redacted = Some(json!({ "input": format!("value-of-{tenant}") }).to_string());
    }
    // It has a child that is the other tenant's.
    let mut child = batch.runs[0].clone();
    child.key = RunKey::new(
        tenant,
        format!("child-of-{other}"),
        format!("child-id-of-{other}"),
    );
    child.parent = Some(key(tenant));
    child.input_redacted = None;
    child.error_type = None;
    child.started_at = Some(at(-1));
    child.workflow_type = format!("TypeOf-{other}");
    child.tenant = Some(Identity {
        rank: 3,
        hash: hash(other),
    });
    batch.runs.push(child);
    batch
}

/// A run of a tenant that closed long before those.
fn old(tenant: &str) -> Batch {
    let mut batch = batch(tenant, tenant);
    batch.runs.truncate(1);
    batch.events.clear();
    let run = &mut batch.runs[0];
    run.key.workflow_id = format!("old-of-{tenant}");
    run.started_at = Some(at(-800 * 86_400_000));
    run.closed_at = run.started_at;
    batch
}

/// Deletes what closed before the first of 2025.
fn prune(database: &Database) {
    let day = |at: jiff::Timestamp| at.as_second() / 86_400;
    let first = "2025-01-01T00:00:00Z".parse().unwrap();
    let days = (day(jiff::Timestamp::now()) - day(first)).to_string();
    let args = [
        "--runs-days",
        &days,
        "--events-days",
        "none",
        "--hourly-days",
        "none",
    ];
    let told = database.stdout(&[&["prune"], &args[..]].concat());
    assert!(told.starts_with("2 runs and 0 events deleted, "), "{told}");
}

/// As workers without a key hash a tenant.
fn hash(tenant: &str) -> String {
    let digest = Sha256::digest(json!(tenant).to_string());
    format!("sha256:{}", &hex::encode(digest)[..16])
}

/// Whether an answer holds anything of a tenant.
fn tells_of(answer: &super::Answer, tenant: &str) -> bool {
    let marks = [
        format!("-of-{tenant}"),
        format!("Of-{tenant}"),
        hash(tenant),
    ];
    let text = answer.text();
    marks.iter().any(|mark| text.contains(mark))
}

/// What each route shows, and to whom. A route that is not here fails the test below.
enum Shows {
    /// Nothing that was recorded: everybody may have it.
    Nothing,
    /// What the token's tenants did. With requests that ask for what the tenant named did.
    Tenant(fn(&str) -> Vec<String>),
    /// How the server is, to administrators.
    Server,
}

fn classify(path: &str) -> Shows {
    match path {
        "/healthz" | "/readyz" => Shows::Nothing,
        "/metrics" => Shows::Server,
        "/me" => Shows::Tenant(|_| vec!["/me".to_owned()]),
        "/executions" => Shows::Tenant(|tenant| {
            let narrowed = format!("/executions?workflow_id=run-of-{tenant}");
            let of_tenant = format!("/executions?tenant={}&include=counts", hash(tenant));
            let text = format!("/executions?q=run-of-{tenant}&namespace={tenant}");
            vec![
                "/executions?include=counts".to_owned(),
                narrowed,
                of_tenant,
                text,
            ]
        }),
        "/executions/compare" => Shows::Tenant(|tenant| {
            vec![format!(
                "/executions/compare?a=run-of-{tenant}&b=run-of-{tenant}"
            )]
        }),
        "/stats" => Shows::Tenant(|tenant| {
            let range = "from=2026-01-01&to=2026-01-05";
            let narrowed = format!("/stats?{range}&workflow_type=TypeOf-{tenant}");
            vec![format!("/stats?{range}"), narrowed]
        }),
        "/aggregates" => Shows::Tenant(|tenant| {
            let by = "/aggregates?from=2023-01-01&by=type,tenant,namespace";
            vec![by.to_owned(), format!("{by}&workflow_type=TypeOf-{tenant}")]
        }),
        "/executions/{execution_id}/trace" => Shows::Tenant(|tenant| {
            let of = format!("/executions/run-of-{tenant}/trace");
            vec![
                format!("/executions/child-of-{tenant}/trace"),
                format!("{of}?include=attributes"),
                format!("{of}?run_id=id-of-{tenant}&namespace={tenant}"),
            ]
        }),
        "/executions/{execution_id}/trace/stream" => {
            Shows::Tenant(|tenant| vec![format!("/executions/run-of-{tenant}/trace/stream")])
        }
        "/executions/{execution_id}/events" => {
            Shows::Tenant(|tenant| vec![format!("/executions/run-of-{tenant}/events")])
        }
        "/executions/{execution_id}/export" => Shows::Tenant(|tenant| {
            let of = format!("/executions/run-of-{tenant}/export");
            vec![
                of.clone(),
                format!("{of}?format=csv"),
                format!("{of}?format=otlp"),
            ]
        }),
        path => panic!("say here what {path} shows, and to whom"),
    }
}

#[tokio::test]
async fn nothing_is_shown_across_tenants_on_any_route() {
    let batches = [
        batch("alpha", "beta"),
        batch("beta", "alpha"),
        old("alpha"),
        old("beta"),
    ];
    let database = Database::with(&batches).await;
    prune(&database);
    let read = ["--right", "read,content", "--namespace", "*"];
    let of = |tenant: &str| token(&database, &[&read[..], &["--tenant", tenant]].concat());
    let (alpha, beta, every) = (of("alpha"), of("beta"), of("*"));
    let elsewhere = token(
        &database,
        &[
            "--right",
            "read,content",
            "--namespace",
            "gamma",
            "--tenant",
            "*",
        ],
    );
    let none = token(
        &database,
        &["--right", "admin", "--namespace", "*", "--tenant", "*"],
    );
    let server = Server::of(database, &["--require-token", "--rate-limit", "0"]);
    let document = server.json("/openapi.json");
    let paths = document["paths"].as_object().unwrap();
    let mut shown = BTreeSet::new();
    for (path, operations) in paths {
        assert_eq!(
            operations.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["get"],
            "{path}: say who may do it"
        );
        match classify(path) {
            Shows::Nothing => {
                let answer = server.get(path);
                assert_eq!(answer.status, 200, "{path}");
                assert!(!answer.text().contains("-of-"), "{path}");
            }
            Shows::Server => {
                for token in [&alpha, &every] {
                    assert_eq!(server.get_as(path, token).problem().0, 403, "{path}");
                }
                assert_eq!(server.get(path).problem().0, 403);
                assert_eq!(server.get_as(path, &none).status, 200);
            }
            Shows::Tenant(requests) => {
                let both = [
                    ("alpha", &alpha, "beta", &beta),
                    ("beta", &beta, "alpha", &alpha),
                ];
                for (tenant, own, other, foreign) in both {
                    for request in requests(tenant) {
                        assert_eq!(server.get(&request).problem().0, 401, "{request}");
                        let wrong = server.get_as(&request, "omt_0_0").problem().0;
                        // An address that shows many of them is slowed down.
                        assert!([401, 429].contains(&wrong), "{request}: {wrong}");
                        assert_eq!(server.get_as(&request, &none).problem().0, 403, "{request}");
                        for stranger in [foreign, &elsewhere] {
                            let answer = server.get_as(&request, stranger);
                            // A refusal repeats what was asked for.
                            if answer.status == 200 {
                                assert!(!tells_of(&answer, tenant), "{request}: {}", answer.text());
                            } else {
                                assert_eq!(answer.problem().0, 404, "{request}");
                            }
                        }
                        for token in [own, &every] {
                            let answer = server.get_as(&request, token);
                            assert_eq!(answer.status, 200, "{request}: {}", answer.text());
                            let told = tells_of(&answer, tenant);
                            shown.extend(told.then(|| path.clone()));
                            if token == own {
                                assert!(!tells_of(&answer, other), "{request}: {}", answer.text());
                            }
                        }
                    }
                }
            }
        }
    }
    // Each of them would show it, were it not for the tokens.
    let tells = paths
        .keys()
        .filter(|path| matches!(classify(path), Shows::Tenant(_)));
    assert_eq!(shown, tells.cloned().collect());
}

#[tokio::test]
async fn values_are_shown_to_those_who_have_the_right() {
    let database = Database::with(&[batch("alpha", "beta")]).await;
    let all = ["--namespace", "*", "--tenant", "*"];
    let plain = token(&database, &all);
    let content = token(
        &database,
        &[&all[..], &["--right", "read,content"]].concat(),
    );
    let server = Server::of(database, &["--require-token"]);
    for include in ["prompts", "responses", "artifacts", "attributes"] {
        let path = format!("/executions/run-of-alpha/trace?include={include}");
        let (status, detail) = server.get_as(&path, &plain).problem();
        assert_eq!(status, 403);
        assert!(detail.contains("the right `content`"), "{detail}");
        assert_eq!(server.get_as(&path, &content).status, 200);
    }
    for path in [
        "/executions",
        "/executions/run-of-alpha/trace",
        "/executions/run-of-alpha/events",
        "/executions/run-of-alpha/export",
        "/executions/run-of-alpha/export?format=csv",
        "/executions/run-of-alpha/export?format=otlp",
        "/executions/run-of-alpha/trace/stream",
    ] {
        let answer = server.get_as(path, &plain);
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.text().contains("value-of-alpha"), "{path}");
    }
    for path in ["events", "export", "export?format=csv", "trace/stream"] {
        let answer = server.get_as(&format!("/executions/run-of-alpha/{path}"), &content);
        assert!(answer.text().contains("value-of-alpha"), "{path}");
    }
    let me = server.get_as("/me", &plain).json();
    assert_eq!(
        me,
        json!({
            "name": "test", "rights": ["read"], "tenants": null, "namespaces": null, "content": false,
        })
    );
}

#[tokio::test]
async fn a_token_opens_until_it_is_taken_back() {
    let database = Database::full().await;
    let made = token(
        &database,
        &["--tenant", "acme", "--namespace", "*", "--expires", "1h"],
    );
    let server = Server::of(database, &["--require-token"]);
    let me = server.get_as("/me", &made).json();
    assert_eq!(me["tenants"], json!([hash("acme")]));
    let answer = server.get("/me");
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    let (_, detail) = answer.problem();
    assert!(detail.contains("omnitrace token create"), "{detail}");

    let listed = server.database.stdout(&["token", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["state"], "good");
    let id = listed["id"].as_str().unwrap();
    assert!(made.starts_with(&format!("omt_{id}_")), "{made}");
    assert!(
        !server
            .database
            .stdout(&["token", "list"])
            .contains(&made[16..])
    );
    server.database.stdout(&["token", "revoke", id]);
    let (status, detail) = server.get_as("/me", &made).problem();
    assert_eq!(status, 401);
    // Nor does it say the token.
    assert!(!detail.contains(&made[16..]), "{detail}");
    let (code, line) = server.database.failure(&["token", "revoke", id]);
    assert_eq!(code, 1);
    assert!(line.contains("omnitrace token list"), "{line}");
}

#[tokio::test]
async fn an_address_that_others_reach_is_served_with_a_token_alone() {
    let database = Database::full().await;
    let made = token(&database, &["--tenant", "*", "--namespace", "*"]);
    let server = Server::of(database, &["--listen", "0.0.0.0:0"]);
    let port = server.address.rsplit(':').next().unwrap();
    let ask = |headers: &str| {
        let request =
            format!("GET /executions HTTP/1.0\r\nHost: traces.example:{port}\r\n{headers}\r\n");
        server.send(&request)
    };
    assert_eq!(ask("").problem().0, 401);
    assert_eq!(
        ask(&format!("Authorization: bearer {made}\r\n")).status,
        200
    );
    assert_eq!(
        ask(&format!("Authorization: Basic {made}\r\n")).problem().0,
        401
    );
    let ready = server.json("/readyz");
    assert_eq!(ready["checks"], json!([{ "name": "database", "ok": true }]));

    // Guessing is slowed down, and does not touch those who know.
    let mut last = 401;
    for _ in 0..40 {
        last = ask("Authorization: Bearer omt_0_guess\r\n").problem().0;
    }
    assert_eq!(last, 429);
    assert_eq!(
        ask(&format!("Authorization: Bearer {made}\r\n")).status,
        200
    );
}

#[tokio::test]
async fn whoever_asks_too_often_waits() {
    let server = Server::of(Database::full().await, &["--rate-limit", "2"]);
    let answers: Vec<_> = (0..20).map(|_| server.get("/executions?limit=1")).collect();
    assert_eq!(answers[0].status, 200);
    let limited = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(limited.header("retry-after"), "1");
    let (_, detail) = limited.problem();
    assert!(detail.contains("wait 1 s"), "{detail}");
    // Whether it lives may always be asked.
    assert_eq!(server.get("/healthz").status, 200);
}

#[tokio::test]
async fn another_site_is_let_in_by_name_alone() {
    let server = Server::of(
        Database::full().await,
        &["--cors-origin", "https://traces.example"],
    );
    let from = |origin| {
        let answer = server.get_with("/executions?limit=1", &[("Origin", origin)]);
        answer.header("access-control-allow-origin").to_owned()
    };
    assert_eq!(from("https://traces.example"), "https://traces.example");
    assert_eq!(from("https://evil.example"), "");
    let (code, line) = server.database.failure(&["serve", "--cors-origin", "*"]);
    assert_eq!(code, 2);
    assert!(line.contains("https://traces.example"), "{line}");
}
