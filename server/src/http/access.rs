//! Who asks, and what they may see.
//!
//! Invariant: a handler reads through a [`Caller`], which nobody has who was not let in; the rest is left
//! out by the database. No token is ever printed or kept.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use omnitrace_store::AccessScope;

use super::jwt::Jwt;
use super::listen::Peer;
use super::problem::Problem;
use super::state::AppState;
use crate::tokens::{self, Right, Rights};

/// Wrong tokens that an address may show at once, and one more each second.
const WRONG_AT_ONCE: NonZeroU32 = NonZeroU32::new(20).expect("not zero");
/// Callers that are remembered before those who rest are forgotten.
const REMEMBERED: usize = 10_000;

/// Someone who was let in. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Caller(Arc<Who>);

#[derive(Debug)]
struct Who {
    name: Option<String>,
    rights: Rights,
    scope: AccessScope,
}

impl Caller {
    pub(super) fn new(name: Option<String>, rights: Rights, scope: AccessScope) -> Self {
        Self(Arc::new(Who {
            name,
            rights,
            scope,
        }))
    }

    /// Whoever reaches a loopback address.
    fn local() -> Self {
        Self::new(None, Right::ALL.into(), AccessScope::ALL)
    }

    /// Whom the token is for; `None` where none is needed.
    pub(super) fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    pub(super) fn scope(&self) -> &AccessScope {
        &self.0.scope
    }

    pub(super) fn rights(&self) -> &BTreeSet<Right> {
        &self.0.rights.0
    }

    pub(super) fn may(&self, right: Right) -> bool {
        self.rights().contains(&right)
    }

    /// Fails, and says which right is missing.
    pub(super) fn must(&self, right: Right, what: &str) -> Result<(), Problem> {
        match self.may(right) {
            true => Ok(()),
            false => Err(Problem::Forbidden(format!(
                "{what} needs the right `{}`, which this token does not have: ask whoever made it",
                right.as_str()
            ))),
        }
    }
}

/// Everybody who asks for what is recorded must be let in, with the right to read it.
impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let caller = state.access.admit(parts, state).await?;
        caller.must(Right::Read, "this")?;
        Ok(caller)
    }
}

/// Someone with the right to look after this server; `None` is anybody else.
pub(super) struct Admin(pub(super) Option<Caller>);

impl FromRequestParts<AppState> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let caller = state.access.admit(parts, state).await;
        Ok(Self(caller.ok().filter(|caller| caller.may(Right::Admin))))
    }
}

/// Who is let in.
#[derive(Debug)]
pub(super) struct Access {
    /// Whether a token is needed.
    closed: bool,
    jwt: Option<Jwt>,
    rate: Option<Limit>,
    wrong: Limit,
}

impl Access {
    /// `rate` is how many requests a caller may make each second; without one, any number.
    pub(super) fn new(closed: bool, jwt: Option<Jwt>, rate: Option<NonZeroU32>) -> Self {
        let rate = rate.map(|rate| {
            Limit::new(Quota::per_second(rate).allow_burst(rate.saturating_mul(TWICE)))
        });
        let wrong = Quota::per_second(NonZeroU32::MIN).allow_burst(WRONG_AT_ONCE);
        Self {
            closed,
            jwt,
            rate,
            wrong: Limit::new(wrong),
        }
    }

    /// Whether a token is needed.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    async fn admit(&self, parts: &Parts, state: &AppState) -> Result<Caller, Problem> {
        let peer = parts.extensions.get::<Peer>();
        let peer = peer.map_or_else(String::new, |peer| peer.0.ip().to_string());
        let Some(header) = parts.headers.get(AUTHORIZATION) else {
            if self.closed {
                let how = "this needs a token: send `Authorization: Bearer TOKEN`; `omnitrace token \
                           create` makes one";
                return Err(Problem::Unauthorized(how.to_owned()));
            }
            self.within_rate(&peer)?;
            return Ok(Caller::local());
        };
        let token = header.to_str().ok().and_then(|header| {
            let (scheme, token) = header.split_once(' ')?;
            (scheme.eq_ignore_ascii_case("bearer")).then_some(token.trim())
        });
        let known = match token {
            Some(token) if tokens::is_ours(token) => stored(token, state).await?,
            Some(token) => match &self.jwt {
                Some(jwt) => jwt.caller(token).await,
                None => None,
            },
            None => None,
        };
        let Some((name, caller)) = known else {
            self.wrong.pass(&peer)?;
            return Err(Problem::Unauthorized(
                "this token is not known, has ended or was taken back: `omnitrace token list` shows \
                 which there are"
                    .to_owned(),
            ));
        };
        self.within_rate(&name)?;
        Ok(caller)
    }

    fn within_rate(&self, name: &str) -> Result<(), Problem> {
        self.rate.as_ref().map_or(Ok(()), |rate| rate.pass(name))
    }
}

const TWICE: NonZeroU32 = NonZeroU32::new(2).expect("not zero");

/// Whose token it is, if it is stored and still good.
async fn stored(token: &str, state: &AppState) -> Result<Option<(String, Caller)>, Problem> {
    let store = state.database.store().await;
    let store = store.map_err(|e| Problem::from(&e))?;
    let row = match tokens::id(token) {
        Some(id) => store.token(id).await?,
        None => None,
    };
    let now = jiff::Timestamp::now().as_microsecond();
    let row = row.filter(|row| tokens::opens(row, token, now));
    Ok(row.map(|row| {
        let caller = Caller::new(Some(row.name), Rights::read(&row.rights), row.scope);
        (row.id, caller)
    }))
}

/// How often someone may do something.
#[derive(Debug)]
struct Limit(DefaultKeyedRateLimiter<String>);

impl Limit {
    fn new(quota: Quota) -> Self {
        Self(RateLimiter::keyed(quota))
    }

    fn pass(&self, name: &str) -> Result<(), Problem> {
        if self.0.len() > REMEMBERED {
            self.0.retain_recent();
        }
        self.0.check_key(&name.to_owned()).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            Problem::TooMany(wait.max(Duration::from_secs(1)))
        })
    }
}
