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
    /// Whom the token is for; null where none was shown.
    name: Option<String>,
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
        problem::OfCaller,
    )
)]
pub(super) async fn get_me(caller: Caller) -> Json<Me> {
    let scope = caller.scope();
    Json(Me {
        name: caller.name().map(str::to_owned),
        rights: caller.rights().clone(),
        tenants: scope.tenants.clone(),
        namespaces: scope.namespaces.clone(),
        content: caller.may(Right::Content),
    })
}
