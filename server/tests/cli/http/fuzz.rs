//! Anything that a client may send, made from the OpenAPI document: no answer is an error of the server,
//! and each is as the document says.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use jsonschema::Validator;
use omnitrace_store::Batch;
use omnitrace_store::row::RunKey;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::{Answer, Server};
use crate::Database;
use crate::rows;

/// Requests. Each is another; a seed that fails is printed, shrunk.
const CASES: u32 = 1500;

/// What ids and texts may be, and what somebody may try.
const NASTY: [&str; 24] = [
    "",
    " ",
    ".",
    "..",
    "/",
    "a/b",
    "order 1",
    "100%",
    "%00",
    "\0",
    "'",
    "\"",
    "' OR 1=1 --",
    "\\",
    "*",
    "%_",
    "ünï çødé",
    "通知",
    "\u{202e}evil",
    "\u{1f469}\u{200d}\u{1f680}",
    "<script>alert(1)</script>",
    "a,b",
    "[1]",
    "\r\nX: y",
];

/// What a number, a time or a list may be, and what it may not.
const VALUES: [&str; 26] = [
    "0",
    "1",
    "-1",
    "2",
    "500",
    "501",
    "10000",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "1e308",
    "NaN",
    "inf",
    "0.25",
    "true",
    "2h",
    "99999999d",
    "2026-01-01",
    "-009999-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "failed",
    "failed,running",
    "counts",
    "prompts,responses,artifacts,attributes",
    "otlp",
];

/// Ids, keys and cursors that are there.
const THERE: [&str; 8] = [
    "order-1042",
    "order-1043",
    "import-7",
    "default",
    "activity:3:Agent::chat:0",
    "activity:5:Orders::price:0",
    "csv",
    "OrderWorkflow",
];

fn text() -> impl Strategy<Value = Vec<u8>> {
    let of = |list: &'static [&'static str]| select(list).prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![
        4 => of(&THERE),
        2 => of(&NASTY),
        3 => of(&VALUES),
        1 => "\\PC{0,40}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..20),
        1 => Just("x".repeat(1000).into_bytes()),
    ]
}

/// Percent-encoded: all of it, or what must be.
fn encoded(bytes: &[u8], all: bool) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:,*".contains(&byte);
    (bytes.iter())
        .map(|&byte| match plain(byte) && !all {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// A request, before it is known which route it is for.
#[derive(Clone, Debug)]
struct Request {
    method: &'static str,
    route: Index,
    segment: Vec<u8>,
    /// Which of the route's parameters, and with which value.
    parameters: Vec<(Index, Vec<u8>)>,
    /// One that the route does not have.
    unknown: Option<(Vec<u8>, Vec<u8>)>,
    headers: Vec<(&'static str, &'static str)>,
    all_encoded: bool,
}

fn request() -> impl Strategy<Value = Request> {
    let methods = [
        "GET", "GET", "GET", "GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "X",
    ];
    let headers = [
        ("Accept-Encoding", "gzip, br"),
        ("Accept", "text/html"),
        ("Authorization", "Bearer omt_0_0"),
        ("Authorization", "Basic é"),
        ("If-None-Match", "*"),
        ("If-None-Match", "W/\"x\", \""),
        ("Last-Event-ID", "0.99999999999999999999"),
        ("Content-Length", "0"),
        ("Range", "bytes=0-1"),
        ("Origin", "null"),
    ];
    let unknown = prop_oneof![9 => Just(None), 1 => (text(), text()).prop_map(Some)];
    (
        select(methods.to_vec()),
        any::<Index>(),
        text(),
        vec((any::<Index>(), text()), 0..4),
        unknown,
        vec(select(headers.to_vec()), 0..2),
        any::<bool>(),
    )
        .prop_map(
            |(method, route, segment, parameters, unknown, headers, all_encoded)| Request {
                method,
                route,
                segment,
                parameters,
                unknown,
                headers,
                all_encoded,
            },
        )
}

/// The document, and what checks answers by it.
struct Api {
    document: Value,
    routes: Vec<String>,
    /// By route and status.
    validators: RefCell<HashMap<(String, u16), Validator>>,
}

impl Api {
    fn of(server: &Server) -> Self {
        let document = server.json("/openapi.json");
        let routes = document["paths"].as_object().unwrap().keys().cloned();
        Self {
            routes: routes.collect(),
            document,
            validators: RefCell::default(),
        }
    }

    /// The route, and the path with the query.
    fn target(&self, request: &Request) -> (&str, String) {
        let route = request.route.get(&self.routes).as_str();
        let encode = |bytes: &[u8]| encoded(bytes, request.all_encoded);
        let segment = match encode(&request.segment) {
            // An empty part is another path.
            empty if empty.is_empty() => "x".to_owned(),
            segment => segment,
        };
        let path = route.replace("{execution_id}", &segment);
        let documented = self.document["paths"][route]["get"]["parameters"].as_array();
        let named: Vec<&str> = (documented.into_iter().flatten())
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let mut query = Vec::new();
        for (which, value) in &request.parameters {
            if !named.is_empty() {
                query.push(format!("{}={}", which.get(&named), encode(value)));
            }
        }
        if let Some((name, value)) = &request.unknown {
            query.push(format!("{}={}", encode(name), encode(value)));
        }
        (route, format!("{path}?{}", query.join("&")))
    }

    /// Why an answer is not as the document says.
    fn fault(&self, route: &str, request: &Request, answer: &Answer) -> Result<(), String> {
        let status = answer.status;
        if status >= 500 {
            return Err(format!("{status}: {}", answer.text()));
        }
        for header in ["content-security-policy", "x-content-type-options"] {
            // What is no HTTP is refused before anything else.
            if answer.header(header).is_empty() && !(status == 400 && answer.body.is_empty()) {
                return Err(format!("no {header}"));
            }
        }
        if request.method != "GET" || status == 304 || answer.body.is_empty() {
            return Ok(());
        }
        let described = &self.document["paths"][route]["get"]["responses"][status.to_string()];
        if described.is_null() {
            return Err(format!(
                "{status} is not in the document: {}",
                answer.text()
            ));
        }
        let content = answer.header("content-type");
        let plain = content.split(';').next().unwrap();
        let schema = &described["content"][plain]["schema"];
        if schema.is_null() {
            return Err(format!("{status} as {content} is not in the document"));
        }
        if plain.ends_with("json") && !answer.header("content-encoding").is_empty() {
            return Ok(());
        }
        if plain.ends_with("json") {
            let json: Value = serde_json::from_slice(&answer.body).map_err(|e| e.to_string())?;
            // Spans are as OpenTelemetry has them.
            if json.get("resourceSpans").is_some() {
                return Ok(());
            }
            let mut validators = self.validators.borrow_mut();
            let validator = validators.entry((route.to_owned(), status));
            let validator = validator.or_insert_with(|| self.validator(schema));
            if let Some(error) = validator.iter_errors(&json).next() {
                return Err(format!("{error} at {}", error.instance_path()));
            }
        }
        Ok(())
    }

    fn validator(&self, schema: &Value) -> Validator {
        let mut schema = schema.clone();
        schema["components"] = self.document["components"].clone();
        jsonschema::validator_for(&schema).unwrap()
    }
}

/// Sends a request and reads the answer; of a stream its head alone, as it does not end.
fn ask(server: &Server, request: &Request, target: &str) -> Answer {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut text = format!(
        "{} {target} HTTP/1.0\r\nHost: {}\r\n",
        request.method, server.address
    );
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    // A server that refused may have closed already.
    let _ = stream.write_all(text.as_bytes());
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 << 10]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
        }
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let streams = head.is_some_and(|end| {
            let head = String::from_utf8_lossy(&bytes[..end]);
            head.contains("text/event-stream")
        });
        if streams {
            bytes.truncate(head.unwrap() + 4);
            break;
        }
    }
    Answer::read(&bytes)
}

#[tokio::test]
async fn no_request_is_an_error_of_the_server() {
    let mut batches = vec![rows::order(), rows::open_order(), rows::long_run()];
    batches.extend(NASTY.iter().filter(|id| !id.is_empty()).map(|id| {
        let mut batch = rows::long_run();
        batch.runs[0].key = RunKey::new("default", *id, "r1");
        batch.runs[0].workflow_type = (*id).to_owned();
        batch.events.clear();
        batch
    }));
    let server = Server::of(Database::with(&batches).await, &["--ui=false"]);
    let api = Api::of(&server);
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let checked = runner.run(&request(), |request| {
        let (route, target) = api.target(&request);
        let answer = ask(&server, &request, &target);
        api.fault(route, &request, &answer)
            .map_err(|fault| TestCaseError::fail(format!("{} {target}: {fault}", request.method)))
    });
    checked.unwrap();
}

/// The run of this id, with markup in every field.
fn hostile() -> Batch {
    let markup = "<img src=x onerror=alert(1)>\"'&</script>{{7*7}}";
    let mut batch = rows::order();
    batch.runs.truncate(1);
    let run = &mut batch.runs[0];
    run.key = RunKey::new(markup, markup, markup);
    for field in [
        &mut run.workflow_type,
        &mut run.task_queue,
        &mut run.trigger,
    ] {
        *field = markup.to_owned();
    }
    run.error_type = Some(markup.to_owned());
    run.error_message = Some(markup.to_owned());
    run.input_redacted = Some(json!({ markup: [markup] }).to_string());
    run.build_id = Some(markup.to_owned());
    let key = run.key.clone();
    for event in &mut batch.events {
        event.run = key.clone();
        event.category = Some(markup.to_owned());
        event.error_message = Some(markup.to_owned());
        event.error_type = Some(markup.to_owned());
        event.model = Some(markup.to_owned());
        event.data_redacted =
            Some(json!({ markup: markup, "url": "javascript:alert(1)" }).to_string());
    }
    batch
}

#[tokio::test]
async fn markup_is_never_sent_as_markup() {
    let batch = hostile();
    let id = encoded(batch.runs[0].key.workflow_id.as_bytes(), true);
    let markup = batch.runs[0].key.workflow_id.clone();
    let server = Server::of(Database::with(&[batch]).await, &[]);
    let api = Api::of(&server);
    for route in &api.routes {
        if route.contains("stream") {
            continue;
        }
        let compared = format!("?a={id}&b={id}");
        let query = if route.ends_with("compare") {
            &*compared
        } else {
            ""
        };
        let path = format!("{}{query}", route.replace("{execution_id}", &id));
        let answer = server.get_with(&path, &[("Accept", "text/html")]);
        assert_eq!(answer.status, 200, "{route}");
        let content = answer.header("content-type");
        assert!(
            !content.contains("html") && !content.contains("xml"),
            "{route}: {content}"
        );
        assert_eq!(
            answer.header("x-content-type-options"),
            "nosniff",
            "{route}"
        );
    }
    let trace = server.json(&format!("/executions/{id}/trace"));
    assert_eq!(trace["workflow_type"], markup);
    assert_eq!(trace["root"]["error"]["message"], markup);
    // What cannot be found is said without being made markup of.
    let gone = server.get_with("/executions/%3Cscript%3E/trace", &[("Accept", "text/html")]);
    assert_eq!(gone.problem().0, 404);
    let export = server.get(&format!("/executions/{id}/export"));
    let disposition = export.header("content-disposition");
    assert!(!disposition.contains(['<', '\'', '\n']), "{disposition}");
}
