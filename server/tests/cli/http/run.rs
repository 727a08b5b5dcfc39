//! Starting, stopping, and telling how it is.

use std::io::{Read, Write};
use std::net::TcpStream;

use nix::sys::signal::Signal;

use super::Server;
use crate::{Database, rows};

#[tokio::test]
async fn the_document_lists_every_route() {
    let server = Server::full().await;
    let document = server.json("/openapi.json");
    insta::assert_snapshot!("openapi", serde_json::to_string_pretty(&document).unwrap());
}

#[tokio::test]
async fn both_signals_end_it_well_and_give_the_port_back() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = Server::full().await;
        // A connection that stays open without a request does not hold it.
        let mut idle = TcpStream::connect(&server.address).unwrap();
        let host = &server.address;
        write!(idle, "GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        let mut first = [0; 12];
        idle.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        server.signal(signal);
        let ended = server.child.wait().unwrap();
        assert!(ended.success(), "{signal}: {ended}");
        std::net::TcpListener::bind(&server.address).unwrap();
    }
}

/// As in a container, whose first token is made in it, or before its database is there.
#[tokio::test]
async fn an_address_that_others_reach_shows_nothing_until_there_is_a_token() {
    let create = ["token", "create", "--name", "me", "--tenant", "*"];
    let create = [&create[..], &["--namespace", "*"]].concat();
    for options in [&["--listen", "0.0.0.0:0"][..], &["--require-token"]] {
        let (mut server, line) = Server::warning(Database::missing(), options);
        assert!(
            line.starts_with(
                "warning: whoever asks needs a token, and none can be looked up yet: no database"
            ),
            "{line}"
        );
        assert_eq!(server.get("/healthz").status, 200);
        assert_eq!(server.get("/readyz").status, 503);
        assert_eq!(server.problem("/executions").0, 401);
        // Nobody gets a database by asking for a token of it.
        let (code, line) = server.database.failure(&create);
        assert_eq!(code, 1);
        assert!(line.contains("`omnitrace migrate`"), "{line}");
        server.database.stdout(&["migrate"]);
        assert_eq!(server.get("/readyz").status, 200);
        assert_eq!(server.problem("/executions").0, 401);

        let database = std::mem::replace(&mut server.database, Database::missing());
        drop(server);
        let (server, line) = Server::warning(database, options);
        assert!(line.contains("`omnitrace token create`"), "{line}");
        let token = server.database.stdout(&create);
        let bearer = format!("Bearer {}", token.trim());
        let ask = || server.get_with("/executions", &[("Authorization", &bearer)]);
        assert_eq!(ask().status, 200);
        assert_eq!(server.problem("/executions").0, 401);
    }
}

#[tokio::test]
async fn an_address_that_is_not_this_machines_is_refused_in_one_line() {
    let database = Database::full().await;
    let (code, line) = database.failure(&["serve", "--listen", "192.0.2.1:80"]);
    assert_eq!((code, line.lines().count()), (1, 1), "{line}");
    assert!(
        line.starts_with("error: cannot listen on 192.0.2.1:80: "),
        "{line}"
    );
    let (code, line) = database.failure(&["serve", "--listen", "example.com:80"]);
    assert_eq!(code, 2);
    assert!(
        line.contains("write HOST:PORT, as 127.0.0.1:8234"),
        "{line}"
    );
}

#[tokio::test]
async fn an_environment_that_is_none_keeps_it_from_starting() {
    let database = Database::full().await;
    let mut command = database.command(&["serve", "--listen", "127.0.0.1:0"]);
    let output = command.env("OMNITRACE_ENV", "produktion").output().unwrap();
    let (stdout, stderr) = database.texts(&output);
    assert_eq!((output.status.code(), &*stdout), (Some(1), ""));
    assert!(
        stderr.starts_with("error: nothing is done: OMNITRACE_ENV"),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_port_in_use_is_one_line_that_says_what_to_do() {
    let server = Server::full().await;
    let args = ["serve", "--listen", &server.address];
    let (code, line) = server.database.failure(&args);
    assert_eq!((code, line.lines().count()), (1, 1), "{line}");
    assert!(
        line.contains("name another address with --listen"),
        "{line}"
    );
}

#[tokio::test]
async fn its_metrics_are_read_where_they_are_switched_on() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    drop(taken);
    let variables = [
        ("TELEMETRY_ENABLED", "true"),
        ("TELEMETRY_BACKEND", "prom"),
        ("PROM_EXPORT_PORT", &port),
    ];
    let server = Server::with(Database::full().await, &[], &variables);
    server.json("/executions/order-1042/trace");
    assert_eq!(server.get("/executions/nobody/trace").status, 404);
    server.json("/executions");
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let route = r#"method="GET",route="/executions/{execution_id}/trace""#;
    for line in [
        format!("http_requests_total{{{route},status_class=\"2xx\"}} 1"),
        format!("http_requests_total{{{route},status_class=\"4xx\"}} 1"),
        "omnitrace_trace_fetch_seconds_count 2".to_owned(),
    ] {
        assert!(text.contains(&line), "{line} in {text}");
    }
    assert!(!text.contains("order-1042"), "{text}");
}

#[tokio::test]
async fn it_is_not_ready_until_its_database_is_there_and_then_it_is() {
    let server = Server::of(Database::missing(), &[]);
    assert_eq!(server.json("/healthz")["status"], "ok");
    let answer = server.get("/readyz");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["ready"], false);
    let detail = answer.json()["checks"][0]["detail"].clone();
    let detail = detail.as_str().unwrap();
    assert!(
        detail.contains("run a worker with the plugin first"),
        "{detail}"
    );
    for path in ["/executions", "/executions/order-1042/trace"] {
        assert_eq!(server.problem(path), (503, detail.to_owned()), "{path}");
        assert_ne!(server.get(path).header("retry-after"), "");
    }

    let folder = server.database.folder();
    let url = omnitrace_store::DatabaseUrl::parse("sqlite://omnitrace.db", folder).unwrap();
    rows::write(&url, &[rows::order()]).await;
    assert_eq!(server.json("/readyz")["ready"], true);
    let runs = server.json("/executions");
    assert_eq!(runs["executions"].as_array().unwrap().len(), 2);

    // And when it goes away under the server.
    std::fs::remove_file(folder.join("omnitrace.db")).unwrap();
    assert_eq!(server.get("/readyz").status, 503);
}
