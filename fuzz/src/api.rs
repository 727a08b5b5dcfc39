//! Requests to the API, of this machine and of somebody who may see one tenant alone, and no values.

use omnitrace::store::Batch;
use omnitrace::store::key::{EventKey, Step};
use omnitrace::store::row::{EventRow, Identity, Phase, RunKey, RunRow, Status};
use omnitrace_server::fuzzing::Api;
use serde_json::Value;
use tempfile::TempDir;

/// 2026-01-01T10:00:00Z.
const T0: i64 = 1_767_261_600_000_000;
/// Whose runs the token shows, and whose it does not.
const TENANT: &str = "sha256:00000000000000aa";
const OTHER: &str = "sha256:00000000000000bb";
/// What of the other tenant's runs must not be shown, and what is a value.
const HIDDEN: &str = "Zx9Qv7other";
const VALUE: &str = "Zx9Qv7value";

thread_local! {
    /// Dropped before its folder.
    static API: (Api, TempDir) = {
        let folder = TempDir::new().expect("a folder");
        (Api::new(folder.path().join("fuzz.db"), &rows(), TENANT), folder)
    };
}

/// A request: its target in the first line, headers in the others. It is answered, or refused with one line
/// that says why.
pub fn api(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let target = target(lines.next().unwrap_or_default());
    let mut headers: Vec<(&[u8], &[u8])> = vec![(b"host", b"localhost")];
    headers.extend(lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    }));
    API.with(|(api, _)| {
        let Some(status) = ask(api, &target, &headers, &[]) else {
            return;
        };
        if status == 200 {
            headers.insert(0, (b"authorization", Api::AUTHORIZATION.as_bytes()));
            ask(api, &target, &headers, &[HIDDEN, VALUE]);
        }
    });
}

/// As a client writes it: what can't stand in a line is percent-encoded.
fn target(line: &[u8]) -> Vec<u8> {
    let mut target = Vec::with_capacity(line.len() + 1);
    if line.first() != Some(&b'/') {
        target.push(b'/');
    }
    for byte in line {
        match byte {
            b'!'..=b'~' => target.push(*byte),
            _ => target.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    target
}

/// What is percent-encoded, as a server reads it.
fn decoded(text: &[u8]) -> Vec<u8> {
    let hex = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut bytes, mut at) = (Vec::new(), 0);
    while let Some(byte) = text.get(at) {
        let (byte, length) = match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => ((high * 16 + low) as u8, 3),
            _ => (*byte, 1),
        };
        bytes.push(byte);
        at += length;
    }
    bytes
}

/// The answer's status, if it was a request. What is answered must not hold what is hidden from who asks.
fn ask(api: &Api, target: &[u8], headers: &[(&[u8], &[u8])], hidden: &[&str]) -> Option<u16> {
    let answer = api.get(target, headers)?;
    let status = answer.status();
    let header = |name| answer.headers().get(name).map(|value| value.as_bytes());
    let body = String::from_utf8_lossy(answer.body());
    assert!(!status.is_server_error(), "{status}: {body}");
    if header("content-encoding").is_some() {
        return Some(status.as_u16());
    }
    if status.is_client_error() {
        assert_eq!(
            header("content-type"),
            Some(&b"application/problem+json"[..])
        );
        let problem: Value = serde_json::from_str(&body).expect("a problem is JSON");
        assert_eq!(problem["status"], status.as_u16());
        let detail = problem["detail"].as_str().expect("a problem has a detail");
        assert!(!detail.is_empty(), "{status}");
        assert!(!detail.contains(char::is_control), "{detail:?}");
        // It may say again what was asked.
        let asked: Vec<u8> = [target]
            .into_iter()
            .chain(headers.iter().map(|(_, value)| *value))
            .flat_map(decoded)
            .collect();
        let asked = String::from_utf8_lossy(&asked);
        for hidden in hidden {
            assert!(
                asked.contains(hidden) || !body.contains(hidden),
                "{hidden} in {body}"
            );
        }
        return Some(status.as_u16());
    }
    if header("content-type") == Some(b"application/json") {
        serde_json::from_str::<Value>(&body).expect("valid JSON");
    }
    for hidden in hidden {
        assert!(!body.contains(hidden), "{hidden} in {body}");
    }
    Some(status.as_u16())
}

/// A run that failed, the one it went on from, a child of it that is another tenant's, and one that goes on.
fn rows() -> Batch {
    let run = |workflow_id: &str, run_id: &str, tenant: &str, n: i64| {
        let mut run = RunRow::new(RunKey::new("default", workflow_id, run_id));
        run.workflow_type = "Order".to_owned();
        run.trace_id = format!("{n:032x}");
        run.started_at = Some(T0 + n * 1_000_000);
        run.accepted_through = T0 + n * 1_000_000 + 500_000;
        run.tenant = Some(Identity {
            hash: tenant.to_owned(),
            ..Identity::default()
        });
        run
    };
    let close = |run: &mut RunRow, status: Status| {
        run.status = status;
        run.phase = Phase::Closed;
        run.closed_at = run.started_at.map(|at| at + 500_000);
    };
    let mut before = run("order-1", HIDDEN, OTHER, 1);
    close(&mut before, Status::ContinuedAsNew);
    let mut order = run("order-1", "r1", TENANT, 2);
    close(&mut order, Status::Failed);
    order.continued_from_run_id = Some(HIDDEN.to_owned());
    order.error_type = Some("CardError".to_owned());
    order.error_message = Some("the bank did not answer".to_owned());
    order.input_redacted = Some(format!(r#"{{"id":"{VALUE}"}}"#));
    let mut child = run(HIDDEN, "r2", OTHER, 3);
    close(&mut child, Status::Completed);
    child.workflow_type = HIDDEN.to_owned();
    child.parent = Some(order.key.clone());
    let open = run("order-2", "r3", TENANT, 4);

    let mut events = Vec::new();
    for run in [&before, &order, &child, &open] {
        for (kind, name, attempt) in [
            ("activity", "Llm::chat", 0),
            ("activity", "Llm::chat", 1),
            ("timer", "timer", 1),
        ] {
            let key = EventKey::new(kind, Step::new("1"), name, attempt);
            let mut row = EventRow::new(run.key.clone(), key);
            row.category = (kind == "activity").then(|| "model".to_owned());
            row.status = Status::Completed;
            row.phase = Phase::Closed;
            row.scheduled_at = run.started_at;
            row.started_at = run.started_at;
            row.ended_at = run.started_at.map(|at| at + 1_000);
            row.data_redacted = Some(format!(r#"{{"input":["{VALUE}"]}}"#));
            events.push(row);
        }
    }
    Batch {
        runs: vec![before, order, child, open],
        events,
        ..Batch::default()
    }
}
