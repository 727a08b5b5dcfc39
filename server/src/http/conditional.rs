//! ETags: an answer that the client has already is not sent again.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::problem::Problem;

/// Tags what a GET answers and has neither tagged nor said how long it lasts; says "not modified" to whoever has it.
pub(super) async fn conditional(request: Request, next: Next) -> Response {
    let get = request.method() == Method::GET;
    let known = request.headers().get(IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    let answered = matches!(response.status(), StatusCode::OK | StatusCode::NOT_MODIFIED);
    if !get || !answered || response.headers().contains_key(CACHE_CONTROL) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    // Kept by the client alone, and asked for anew each time.
    let private = HeaderValue::from_static("private, no-cache");
    head.headers.insert(CACHE_CONTROL, private);
    if head.headers.contains_key(ETAG) {
        return Response::from_parts(head, body);
    }
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return Problem::Unavailable("the answer broke off: try again".to_owned()).into_response();
    };
    let tag = format!("W/\"{}\"", hex::encode(&Sha256::digest(&body)[..16]));
    let hit = known.is_some_and(|known| has(&known, &tag));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        head.headers.insert(ETAG, tag);
    }
    if hit {
        head.status = StatusCode::NOT_MODIFIED;
        strip(&mut head.headers);
        return Response::from_parts(head, Body::empty());
    }
    Response::from_parts(head, Body::from(body))
}

/// Whether the client has the answer with this tag.
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| has(known, tag))
}

fn strip(headers: &mut HeaderMap) {
    headers.remove(CONTENT_TYPE);
    headers.remove(CONTENT_LENGTH);
}

/// Whether a list of tags has this one, compared weakly.
fn has(known: &HeaderValue, tag: &str) -> bool {
    let bare = tag.trim_start_matches("W/");
    known.to_str().is_ok_and(|known| {
        (known.split(',').map(str::trim))
            .any(|one| one == "*" || one.trim_start_matches("W/") == bare)
    })
}
