//! `GET /me`: what the caller may see.

use std::collections::BTreeSet;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::access::Caller;
use super::problem;
use crate::tokens::Right;

/// What the caller may see.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    #[schema(value_type = Vec<String>)]
    rights: BTreeSet<Right>,
    /// Hashed; null is every one.
    tenants: Option<Vec<String>>,
    /// Null is every one.
    namespaces: Option<Vec<String>>,
    /// Whether `include=` may be asked for.
    content: bool,
}

/// Say what the caller may see.
#[utoipa::path(
    get,
    path = "/me",
    tag = "access",
    responses(
        (status = 200, description = "Rights, tenants and namespaces", body = Me),
        (status = 401, description = "A token is needed", body = problem::Body, content_type = "application/problem+json"),
        (status = 403, description = "The token lacks a right", body = problem::Body, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = problem::Body, content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer", body = problem::Body, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_me(caller: Caller) -> Json<Me> {
    let scope = caller.scope();
    Json(Me {
        rights: caller.rights().clone(),
        tenants: scope.tenants.clone(),
        namespaces: scope.namespaces.clone(),
        content: caller.may(Right::Content),
    })
}
