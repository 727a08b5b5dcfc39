//! What stands before every request, and what goes out with every answer.

use axum::extract::Request;
use axum::http::header::{self, HOST, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// Scripts, styles and requests of this server alone; no frame, no form, no plugin.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Names and values.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// Puts the security headers on an answer.
pub(super) async fn security_headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

/// Refuses requests for another host than this machine: a page of another site whose name was made
/// to point here (DNS rebinding) would read all that is recorded.
pub(super) async fn only_this_host(request: Request, next: Next) -> Response {
    match host(request.headers(), request.uri()) {
        Some(host) if is_loopback(host) => next.run(request).await,
        Some(host) => Problem::Forbidden(format!(
            "this server answers for localhost, not for {host:?}: open it as http://localhost or \
             http://127.0.0.1 and its port"
        ))
        .into_response(),
        None => Problem::BadRequest(
            "the request must have one Host header, with localhost or 127.0.0.1 and the port"
                .to_owned(),
        )
        .into_response(),
    }
}

/// The host that is asked for, without its port. Two Host headers are none.
fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    let mut hosts = headers.get_all(HOST).iter();
    let authority = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok()?,
        (None, None) => uri.authority()?.as_str(),
        _ => return None,
    };
    let end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    Some(&authority[..end])
}

fn is_loopback(host: &str) -> bool {
    let name = host.to_ascii_lowercase();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost"
        || name.ends_with(".localhost")
        || (bare.parse()).is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        super::host(&headers, &Uri::from_static("/")).is_some_and(is_loopback)
    }

    #[test]
    fn only_names_of_this_machine_are_its_host() {
        for host in [
            "localhost",
            "LocalHost:8234",
            "127.0.0.1:8234",
            "127.1.2.3",
            "[::1]:8234",
            "x.localhost",
        ] {
            assert!(allowed(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:8234",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "0.0.0.0",
            "[::]",
            "",
            "notlocalhost",
        ] {
            assert!(!allowed(host), "{host}");
        }
    }
}
