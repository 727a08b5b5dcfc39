//! The door of the desk: each mail comes in as an HTTP request, and its run lies under that.

use axum::{
    Json, Router,
    body::Body,
    extract::{MatchedPath, State},
    http::{
        Request, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
    routing::post,
};
use omnitrace::HttpLayer;
use temporalio_client::Client;
use tower::ServiceExt;
use worker_example::{
    driver::{self, DriveError, Plan},
    ticket::Ticket,
};

/// Takes tickets as JSON at `/tickets`, and starts a run for each.
pub(crate) fn door(client: Client, plan: Plan, layer: HttpLayer) -> Router {
    let layer = layer.with_route(|extensions| {
        let path = extensions.get::<MatchedPath>()?;
        Some(path.as_str().to_owned())
    });
    Router::new()
        .route("/tickets", post(take))
        .layer(layer)
        .with_state((client, plan))
}

async fn take(
    State((client, plan)): State<(Client, Plan)>,
    Json(ticket): Json<Ticket>,
) -> Result<(StatusCode, String), (StatusCode, String)> {
    match driver::start(&client, ticket, &plan).await {
        Ok(workflow_id) => Ok((StatusCode::ACCEPTED, workflow_id)),
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    }
}

/// Hands a ticket in.
pub(crate) async fn hand_in(door: Router, ticket: Ticket) -> Result<(), DriveError> {
    let refused = |reason: String| DriveError::Start {
        workflow_id: ticket.id.clone(),
        reason,
    };
    let body = serde_json::to_vec(&ticket).map_err(|error| refused(error.to_string()))?;
    let request = Request::post("/tickets")
        .header(CONTENT_TYPE, "application/json")
        .header(CONTENT_LENGTH, body.len())
        .body(Body::from(body))
        .map_err(|error| refused(error.to_string()))?;
    let answer = match door.oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    if answer.status().is_success() {
        return Ok(());
    }
    let status = answer.status();
    let said = axum::body::to_bytes(answer.into_body(), MAX_REASON).await;
    let said = said.unwrap_or_default();
    Err(refused(format!(
        "{status}: {}",
        String::from_utf8_lossy(&said)
    )))
}

/// Bytes of a reason that are read.
const MAX_REASON: usize = 4096;
