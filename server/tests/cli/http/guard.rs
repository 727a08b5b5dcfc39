//! What stands before every request, and what goes out with every answer.

use std::io::Read;

use flate2::read::GzDecoder;

use super::Server;

#[tokio::test]
async fn a_name_that_was_made_to_point_here_gets_nothing() {
    let server = Server::full().await;
    let port = server.address.split(':').nth(1).unwrap();
    let ask = |host: &str| server.send(&format!("GET /executions HTTP/1.0\r\n{host}\r\n"));
    for host in [
        format!("Host: localhost:{port}\r\n"),
        format!("Host: 127.0.0.1:{port}\r\n"),
        format!("Host: [::1]:{port}\r\n"),
    ] {
        assert_eq!(ask(&host).status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "10.0.0.1"] {
        let (status, detail) = ask(&format!("Host: {host}:{port}\r\n")).problem();
        assert_eq!(status, 403, "{host}");
        assert!(detail.contains("http://localhost"), "{detail}");
    }
    let forwarded = format!("Host: evil.example\r\nX-Forwarded-Host: localhost:{port}\r\n");
    assert_eq!(ask(&forwarded).status, 403);
    let two = format!("Host: localhost:{port}\r\nHost: evil.example\r\n");
    assert_eq!(ask(&two).problem().0, 400);
    assert_eq!(ask("").problem().0, 400);
}

#[tokio::test]
async fn every_answer_has_the_security_headers_and_none_is_for_other_sites() {
    let server = Server::full().await;
    let origin = [("Origin", "http://evil.example")];
    for path in [
        "/executions",
        "/executions/gone/trace",
        "/nothing",
        "/readyz",
    ] {
        let answer = server.get_with(path, &origin);
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; "), "{path}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_is_a_problem() {
    let server = Server::full().await;
    let (status, detail) = server.problem("/nothing");
    assert_eq!(status, 404);
    assert!(detail.contains("/openapi.json"), "{detail}");

    let host = &server.address;
    let post = server.send(&format!(
        "POST /executions HTTP/1.0\r\nHost: {host}\r\nContent-Length: 2\r\n\r\n{{}}"
    ));
    assert_eq!(post.problem().0, 405);
    assert!(post.header("allow").contains("GET"));

    let large = server.send(&format!(
        "GET /executions HTTP/1.0\r\nHost: {host}\r\nContent-Length: 99999999\r\n\r\n"
    ));
    assert_eq!(large.problem().0, 413);
}

#[tokio::test]
async fn an_answer_that_the_client_has_is_not_sent_again() {
    let server = Server::full().await;
    let path = "/executions/order-1042/trace";
    let first = server.get(path);
    let tag = first.header("etag");
    assert!(tag.starts_with("W/\""), "{tag}");
    assert_eq!(first.header("cache-control"), "private, no-cache");
    let list = format!("\"other\", {}", tag.trim_start_matches("W/"));
    for known in [tag, &list, "*"] {
        let again = server.get_with(path, &[("If-None-Match", known)]);
        assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
        assert_eq!(again.header("etag"), tag);
    }
    let other = server.get_with(path, &[("If-None-Match", "\"other\"")]);
    assert_eq!((other.status, other.body.len()), (200, first.body.len()));
}

#[tokio::test]
async fn answers_are_compressed_as_the_client_likes() {
    let server = Server::full().await;
    let path = "/executions/import-7/trace";
    let plain = server.get(path);
    assert_eq!(plain.header("content-encoding"), "");
    for (accepted, encoding) in [("gzip", "gzip"), ("br", "br"), ("gzip, br", "br")] {
        let packed = server.get_with(path, &[("Accept-Encoding", accepted)]);
        assert_eq!(packed.header("content-encoding"), encoding);
        assert!(packed.header("vary").contains("accept-encoding"));
        assert!(packed.body.len() * 4 < plain.body.len(), "{accepted}");
        if encoding == "gzip" {
            let mut text = Vec::new();
            GzDecoder::new(&packed.body[..])
                .read_to_end(&mut text)
                .unwrap();
            assert!(text == plain.body);
        }
    }
}
