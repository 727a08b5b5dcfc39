//! What goes wrong, as problem+json (RFC 9457): what happened, and what to do.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::to_bytes;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use omnitrace_store::{OpenError, ReadError};
use serde::Serialize;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response as Described, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::text;

/// Media type of a problem.
const PROBLEM_JSON: &str = "application/problem+json";

/// Bytes of a plain error text that become a problem's detail.
const MAX_DETAIL: usize = 4096;

/// Why a request is not answered.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Problem {
    /// The request itself is wrong.
    #[error("{0}")]
    BadRequest(String),
    /// Asked by somebody who is not known.
    #[error("{0}")]
    Unauthorized(String),
    /// Asked too often; so long until the next may come.
    #[error("too many requests: wait {} s, and ask less often", .0.as_secs())]
    TooMany(Duration),
    /// Asked in a way that is not allowed.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The database does not answer.
    #[error("{0}")]
    Unavailable(String),
}

/// The body of a problem.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Body {
    /// Always `about:blank`: the status says what kind of problem it is.
    r#type: &'static str,
    title: String,
    status: u16,
    /// What happened, and what to do.
    detail: String,
}

/// Problems as a route declares them: of who asks, of what a query says too, and of a run that may not be
/// there too.
pub(super) type OfCaller = Problems<0>;
pub(super) type OfQuery = Problems<1>;
pub(super) type OfRun = Problems<2>;

pub(super) struct Problems<const KIND: u8>;

impl<const KIND: u8> IntoResponses for Problems<KIND> {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        let all = [
            (401, 0, "A token is needed"),
            (403, 0, "The token lacks a right"),
            (429, 0, "Too many requests"),
            (503, 0, "The database does not answer"),
            (400, 1, "A parameter is wrong"),
            (404, 2, "There is no such run"),
        ];
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Body::name())));
        let content = content.build();
        let described = |what: &str| {
            ResponseBuilder::new()
                .description(what)
                .content(PROBLEM_JSON, content.clone())
                .build()
        };
        (all.into_iter())
            .filter(|(_, from, _)| *from <= KIND)
            .map(|(status, _, what)| (status.to_string(), described(what).into()))
            .collect()
    }
}

impl Problem {
    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = respond(self.status(), self.to_string());
        let headers = response.headers_mut();
        match self {
            Self::Unauthorized(_) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::TooMany(wait) => {
                headers.insert(RETRY_AFTER, wait.as_secs().into());
            }
            _ => {}
        }
        response
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<&OpenError> for Problem {
    fn from(error: &OpenError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Turns an error that a library answered, as plain text or as nothing, into a problem.
pub(super) async fn as_problem(response: Response) -> Response {
    let status = response.status();
    let content = response.headers().get(CONTENT_TYPE);
    let json = content.is_some_and(|content| content.as_bytes().ends_with(b"json"));
    if json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (head, body) = response.into_parts();
    let text = to_bytes(body, MAX_DETAIL).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let detail = match status {
        _ if !text.is_empty() => text.into_owned(),
        StatusCode::NOT_FOUND => "there is nothing here: /openapi.json lists what there is".into(),
        StatusCode::METHOD_NOT_ALLOWED => "this can only be read: use GET".into(),
        StatusCode::PAYLOAD_TOO_LARGE => "requests have no body here: leave it out".into(),
        StatusCode::SERVICE_UNAVAILABLE => {
            "it took too long: ask for less, or look at /readyz and try again".into()
        }
        _ => "look at /readyz, and try again".to_owned(),
    };
    let mut problem = respond(status, detail);
    // What the library said beside the body, as `Allow`.
    for (name, value) in &head.headers {
        if !problem.headers().contains_key(name) && name != "content-length" {
            problem.headers_mut().insert(name, value.clone());
        }
    }
    problem
}

fn respond(status: StatusCode, detail: String) -> Response {
    let body = Body {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        status: status.as_u16(),
        // Names and values that a client wrote are part of it.
        detail: text::clean(&detail),
    };
    let mut response = (status, axum::Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
    }
    response
}
