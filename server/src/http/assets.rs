//! The web UI, built into the program.
//!
//! Invariant: a missing file is not found; only what a browser opens as a page is the app.

use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use include_dir::{Dir, File, include_dir};

/// Made by `cargo xtask web`.
static BUNDLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../web/dist");

/// Where files are whose name changes with their content.
const HASHED: &str = "/assets/";

/// A file of the bundle, or the app.
pub(super) async fn page(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    if let Some(file) = BUNDLE.get_file(path.trim_start_matches('/')) {
        return answer(file, path.starts_with(HASHED));
    }
    let api = ["/executions", HASHED]
        .iter()
        .any(|of| path.starts_with(of));
    let app = BUNDLE
        .get_file("index.html")
        .filter(|_| !api && is_page(&headers));
    app.map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        |app| answer(app, false),
    )
}

/// Whether the client wants a page, as a browser does that follows a link.
fn is_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn answer(file: &'static File<'_>, hashed: bool) -> Response {
    let extension = file.path().extension().unwrap_or_default();
    let content = match extension.to_str().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let mut response = file.contents().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
    if hashed {
        let always = HeaderValue::from_static("public, max-age=31536000, immutable");
        headers.insert(CACHE_CONTROL, always);
    }
    response
}
