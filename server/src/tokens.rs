//! Tokens that open the API, and `omnitrace token`, which makes, lists and revokes them.
//!
//! Invariant: a token is printed once, when it is made. What is stored is its hash, compared in constant
//! time; a token is 256 random bits, so nothing is gained by guessing at hashes.

use std::collections::BTreeSet;

use comfy_table::{Table, presets};
use jiff::Timestamp;
use omnitrace::policy::Policy;
use omnitrace_store::row::Micros;
use omnitrace_store::{AccessScope, RunFilter, Store, TokenRow};
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::cli::{TokenCommand, TokenCreateArgs};
use crate::database;
use crate::error::CliError;
use crate::progress;
use crate::text::clean;
use crate::when;

/// What every token begins with, so that scanners of secrets know one.
const PREFIX: &str = "omt_";
/// Bytes of an id, and of what is secret.
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;
/// Stands for every tenant or namespace.
pub(crate) const ANY: &str = "*";

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Right {
    /// See names, statuses and times.
    Read,
    /// See what was recorded of values too: prompts, responses, artifacts, attributes.
    Content,
    /// See how the server itself is.
    Admin,
}

impl Right {
    pub(crate) const ALL: [Self; 3] = [Self::Read, Self::Content, Self::Admin];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Content => "content",
            Self::Admin => "admin",
        }
    }
}

/// Several rights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rights(pub(crate) BTreeSet<Right>);

impl Rights {
    /// Those that these names name.
    pub(crate) fn read(names: &[String]) -> Self {
        let named = |right: &Right| names.iter().any(|name| name == right.as_str());
        Self(Right::ALL.into_iter().filter(named).collect())
    }
}

impl From<[Right; 3]> for Rights {
    fn from(rights: [Right; 3]) -> Self {
        Self(rights.into())
    }
}

/// Whether a bearer token is one that `omnitrace token create` could have made.
pub(crate) fn is_ours(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// The part of a token that is no secret.
pub(crate) fn id(token: &str) -> Option<&str> {
    let (id, _) = token.strip_prefix(PREFIX)?.split_once('_')?;
    Some(id)
}

/// Whether this is the token of the row, and good at this moment.
pub(crate) fn opens(row: &TokenRow, token: &str, now: Micros) -> bool {
    let same = hash(token).as_bytes().ct_eq(row.hash.as_bytes());
    bool::from(same) && is_good(row, now)
}

/// Whether a token neither ended nor was taken back.
pub(crate) fn is_good(row: &TokenRow, now: Micros) -> bool {
    row.revoked_at.is_none() && row.expires_at.is_none_or(|at| now < at)
}

/// A list in which `*` stands for everything.
pub(crate) fn all_or(list: Vec<String>) -> Option<Vec<String>> {
    match list.iter().any(|one| one == ANY) {
        true => None,
        false => Some(list),
    }
}

/// A tenant as runs tell it: hashed, unless it is a hash.
pub(crate) fn hashed(tenant: String, policy: &Policy) -> String {
    let hash = ["sha256:", "hmac:"].iter().find_map(|kind| {
        let hex = tenant.strip_prefix(kind)?;
        (hex.len() == 16 && hex.bytes().all(|b| b.is_ascii_hexdigit())).then_some(())
    });
    match hash {
        Some(()) => tenant,
        None => policy.identity(&tenant),
    }
}

/// Tenants as runs tell them; `*` is every one.
pub(crate) fn tenants(list: Vec<String>, policy: &Policy) -> Option<Vec<String>> {
    let hash = |tenant| hashed(tenant, policy);
    all_or(list).map(|list| list.into_iter().map(hash).collect())
}

/// What is stored of a token.
pub(crate) fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

/// Runs `omnitrace token`.
pub(crate) async fn run(
    url: Option<&str>,
    command: TokenCommand,
    now: Timestamp,
) -> Result<String, CliError> {
    match command {
        TokenCommand::Create(args) => create(url, args, now).await,
        TokenCommand::List { json } => list(url, json, now).await,
        TokenCommand::Revoke { id } => revoke(url, &id, now).await,
    }
}

async fn create(
    url: Option<&str>,
    args: TokenCreateArgs,
    now: Timestamp,
) -> Result<String, CliError> {
    // Tenants are hashed as workers hash them.
    let policy = database::recording_settings()?.policy();
    let random = |bytes: &mut [u8]| {
        getrandom::fill(bytes).map_err(|error| CliError::Random(error.to_string()))
    };
    let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
    random(&mut id)?;
    random(&mut secret)?;
    let id = hex::encode(id);
    let token = format!("{PREFIX}{id}_{}", hex::encode(secret));
    let ends = args.expires.map(|after| {
        let micros = i64::try_from(after.as_micros()).unwrap_or(i64::MAX);
        now.as_microsecond().saturating_add(micros)
    });
    let mut rights: Vec<_> = args.rights;
    rights.sort_unstable();
    rights.dedup();
    let row = TokenRow {
        id,
        name: args.name,
        hash: hash(&token),
        rights: rights
            .iter()
            .map(|right| right.as_str().to_owned())
            .collect(),
        scope: AccessScope {
            namespaces: all_or(args.namespaces),
            tenants: tenants(args.tenants, &policy),
        },
        created_at: now.as_microsecond(),
        expires_at: ends,
        revoked_at: None,
    };
    let bar = progress::writing("writing the token");
    let store = database::open_as_it_is(&database::parse(url)?).await?;
    let created = async {
        store.create_token(&row).await?;
        shows_nothing(&store, &row.scope, &policy).await
    };
    let created = created.await;
    store.close().await;
    drop(bar);
    if let Some(warning) = created? {
        crate::warn(&warning);
    }
    Ok(format!("{token}\n"))
}

/// Why a token shows no run of its tenants: their hashes may be made with another key than the workers'.
async fn shows_nothing(
    store: &Store,
    scope: &AccessScope,
    policy: &Policy,
) -> Result<Option<String>, CliError> {
    for tenant in scope.tenants.iter().flatten() {
        let filter = RunFilter {
            tenant: Some(tenant.clone()),
            limit: 1,
            ..RunFilter::default()
        };
        if store.list_runs(&filter).await?.is_empty()
            && let Some(other) = database::other_policy(store, policy.id()).await?
        {
            return Ok(Some(format!("no run is of tenant {tenant}, {other}")));
        }
    }
    Ok(None)
}

/// A token in a list.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    name: &'a str,
    /// `good`, `ended` or `revoked`.
    state: &'static str,
    rights: &'a [String],
    namespaces: Option<&'a [String]>,
    tenants: Option<&'a [String]>,
    created_at: String,
    expires_at: Option<String>,
}

impl<'a> Listed<'a> {
    fn new(row: &'a TokenRow, now: Micros) -> Self {
        Self {
            id: &row.id,
            name: &row.name,
            state: match row.revoked_at {
                Some(_) => "revoked",
                None if is_good(row, now) => "good",
                None => "ended",
            },
            rights: &row.rights,
            namespaces: row.scope.namespaces.as_deref(),
            tenants: row.scope.tenants.as_deref(),
            created_at: when::short(row.created_at),
            expires_at: row.expires_at.map(when::short),
        }
    }
}

async fn list(url: Option<&str>, json: bool, now: Timestamp) -> Result<String, CliError> {
    let store = database::open(&database::parse(url)?).await?;
    let tokens = store.tokens().await;
    store.close().await;
    let tokens = tokens?;
    let now = now.as_microsecond();
    let listed: Vec<_> = tokens.iter().map(|row| Listed::new(row, now)).collect();
    if json {
        // Text has no way to fail.
        let line = |token| serde_json::to_string(token).unwrap_or_default() + "\n";
        return Ok(listed.iter().map(line).collect());
    }
    if listed.is_empty() {
        return Ok("no token was made yet: `omnitrace token create` makes one\n".to_owned());
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "ID",
        "NAME",
        "STATE",
        "RIGHTS",
        "NAMESPACES",
        "TENANTS",
        "ENDS",
    ]);
    let joined = |list: Option<&[String]>| clean(&list.map_or(ANY.to_owned(), |l| l.join(",")));
    for token in &listed {
        table.add_row([
            token.id.to_owned(),
            clean(token.name),
            token.state.to_owned(),
            token.rights.join(","),
            joined(token.namespaces),
            joined(token.tenants),
            token.expires_at.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    let lines = table.to_string();
    Ok(lines
        .lines()
        .map(|line| format!("{}\n", line.trim()))
        .collect())
}

async fn revoke(url: Option<&str>, id: &str, now: Timestamp) -> Result<String, CliError> {
    // Whoever has only the token at hand gives that.
    let id = self::id(id).unwrap_or(id);
    let bar = progress::writing("writing the token");
    let store = database::open_as_it_is(&database::parse(url)?).await?;
    let revoked = store.revoke_token(id, now.as_microsecond()).await;
    store.close().await;
    drop(bar);
    match revoked? {
        true => Ok(format!("revoked {}\n", clean(id))),
        false => Err(CliError::NoToken(clean(id))),
    }
}

#[cfg(test)]
mod tests {
    use omnitrace::config::Settings;

    use super::*;

    fn row(token: &str) -> TokenRow {
        TokenRow {
            id: id(token).unwrap().to_owned(),
            name: String::new(),
            hash: hash(token),
            rights: Vec::new(),
            scope: AccessScope::ALL,
            created_at: 0,
            expires_at: Some(10),
            revoked_at: None,
        }
    }

    #[test]
    fn a_token_opens_until_it_ends_or_is_taken_back() {
        let token = "omt_0a_secret";
        let row = row(token);
        assert!(opens(&row, token, 9));
        assert!(!opens(&row, token, 10));
        for other in ["omt_0a_secre", "omt_0a_secret ", "omt_0b_secret", ""] {
            assert!(!opens(&row, other, 9), "{other}");
        }
        let revoked = TokenRow {
            revoked_at: Some(1),
            ..row
        };
        assert!(!opens(&revoked, token, 9));
    }

    #[test]
    fn a_tenant_is_hashed_once() {
        let policy = Settings::default().policy();
        let hash = hashed("acme".to_owned(), &policy);
        assert!(hash.starts_with("sha256:"));
        assert_eq!(hashed(hash.clone(), &policy), hash);
        assert_ne!(hashed("sha256:acme".to_owned(), &policy), "sha256:acme");
        assert_eq!(tenants(vec!["a".into(), "*".into()], &policy), None);
        assert_eq!(tenants(Vec::new(), &policy), Some(Vec::new()));
    }
}
