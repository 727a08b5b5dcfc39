//! The settings of a process, and how they are read.
//!
//! Invariant: every number is within its range and every path is absolute.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use omnitrace_store::DatabaseUrl;

use super::defaults::*;
use super::env::Env;
use super::finding::Finding;
use super::parse;
use super::reader::{Number, Reader, Vars};
use super::secret::Secret;
use super::telemetry::Telemetry;
use super::variables as v;
use crate::policy::CategoryRules;

/// Where rows are stored. `Debug` shows no password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatabaseTarget {
    /// Nowhere.
    None,
    /// In this database.
    Url(DatabaseUrl),
}

/// The settings of a process.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// Whether anything is recorded.
    pub enabled: bool,
    /// Kind of environment.
    pub env: Env,
    /// Part of the runs that is recorded, from 0 to 1.
    pub sample_rate: f64,
    /// Whether somebody chose the rate, so that another environment leaves it.
    pub(super) sample_rate_chosen: bool,
    /// Event rows that are stored of one run.
    pub max_events_per_run: u32,
    /// Bytes of redacted data that one row keeps.
    pub max_event_bytes: u32,
    /// Where rows are stored.
    pub database: DatabaseTarget,
    /// Whether a missing database is created and an older schema migrated.
    pub migrate: bool,
    /// Milliseconds after which a step or a run is slow.
    pub slow_ms: u64,
    /// Bytes of memory for what was observed and not yet written.
    pub queue_bytes: u64,
    /// Bytes on disk for rows that find no room in memory while the database is away; 0 is none.
    pub spool_bytes: u64,
    /// That folder, absolute; `None` is beside the database.
    pub spool_path: Option<PathBuf>,
    /// Whether each batch in it is forced to the disk.
    pub spool_fsync: bool,
    /// Whether runs that ended without a worker seeing it are closed from their history.
    pub reconcile: bool,
    /// Seconds between two looks at them.
    pub reconcile_s: u64,
    /// Milliseconds that rows are gathered before they are written.
    pub flush_ms: u64,
    /// Seconds that the attempts of a run that was not sampled are held.
    pub promote_window_s: u64,
    /// Whether a run that continues as new goes on in its trace.
    pub trace_per_chain: bool,
    /// Keys of baggage that calls pass on.
    pub baggage: Vec<String>,
    /// Rules that give activity types a category, as they were written.
    pub categories_text: String,
    /// The same rules, to be asked.
    pub categories: CategoryRules,
    /// Fields whose values are kept, as they were written, beside the built-in ones.
    pub allow_fields: Vec<String>,
    /// Fields whose values are dropped, as they were written, beside the built-in ones.
    pub drop_fields: Vec<String>,
    /// Key of the hashes; without one they are plain.
    pub hash_key: Option<Secret>,
    /// Whether prompts and responses stay readable.
    pub capture_content: bool,
    /// A file with a price table, instead of the built-in one.
    pub prices: Option<PathBuf>,
    /// Name of the service.
    pub service_name: String,
    /// Spans and metrics.
    pub telemetry: Telemetry,
}

impl Default for Settings {
    /// What an empty environment gives.
    fn default() -> Self {
        Self::from_vars(&|_| None).0
    }
}

impl Settings {
    /// Reads the environment of the process, and names variables that look misspelt. The findings
    /// are for the log, one line each.
    pub fn from_env() -> (Self, Vec<Finding>) {
        let (settings, mut findings) = Self::from_vars(&|name| std::env::var_os(name));
        let names: Vec<OsString> = std::env::vars_os().map(|(name, _)| name).collect();
        findings.extend(v::unknown(names.iter().map(OsString::as_os_str)));
        (settings, findings)
    }

    /// Reads variables from a function; relative paths begin at the current directory.
    pub fn from_vars(vars: &dyn Fn(&str) -> Option<OsString>) -> (Self, Vec<Finding>) {
        // Without a current directory only absolute paths are taken.
        let cwd = std::env::current_dir().unwrap_or_default();
        Self::from_vars_in(vars, &cwd)
    }

    /// Reads variables from a function; relative paths begin at `cwd`. Pure.
    pub fn from_vars_in(vars: &Vars<'_>, cwd: &Path) -> (Self, Vec<Finding>) {
        let mut r = Reader::new(vars, cwd);
        let settings = Self::read(&mut r);
        (settings, r.findings)
    }

    fn read(r: &mut Reader<'_>) -> Self {
        let off = "recording is off";
        let enabled = r.boolean(v::ENABLED, DEFAULT_ENABLED, off);
        let env = r
            .parsed(v::ENV, Env::Prod, "prod is used", Env::parse)
            .unwrap_or(Env::Dev);
        let chosen_rate = sample_rate(r);
        let hash_key = hash_key(r);
        // A field that should be dropped would only be hashed if it were left out.
        let drop_fields = r.parsed(v::DROP_FIELDS, None, off, |text| {
            Some(Some(
                parse::items(text)
                    .map(|item| is_field_name(item).then(|| item.to_owned()))
                    .collect::<Option<Vec<_>>>()?,
            ))
        });
        let (categories_text, categories) = categories(r);
        let private = hash_key != Some(None) && drop_fields != Some(None);
        let events = Number::limit(MAX_EVENTS_PER_RUN_RANGE, DEFAULT_MAX_EVENTS_PER_RUN);
        let event_bytes = Number::limit(MAX_EVENT_BYTES_RANGE, DEFAULT_MAX_EVENT_BYTES);
        let slow = Number {
            // Here the greater number records less.
            below: DEFAULT_SLOW_MS,
            above: *SLOW_MS_RANGE.end(),
            ..Number::neutral(SLOW_MS_RANGE, DEFAULT_SLOW_MS)
        };
        let queue = Number::limit(QUEUE_BYTES_RANGE, DEFAULT_QUEUE_BYTES);
        let flush = Number::neutral(FLUSH_MS_RANGE, DEFAULT_FLUSH_MS);
        let promote = Number::limit(PROMOTE_WINDOW_S_RANGE, DEFAULT_PROMOTE_WINDOW_S);
        let reconcile = Number::neutral(RECONCILE_S_RANGE, DEFAULT_RECONCILE_S);
        let spool = Number::limit(SPOOL_BYTES_RANGE, DEFAULT_SPOOL_BYTES);
        let spool_bytes = r.number(v::SPOOL_BYTES, &spool, parse::bytes);
        // Rows do not go to another folder than the one that was meant.
        let spool_path = r.folder(v::SPOOL_PATH, "rows wait in memory alone");
        let telemetry = Telemetry::read(r);
        Self {
            enabled: enabled && private,
            env,
            sample_rate: chosen_rate.unwrap_or(env.default_sample_rate()),
            sample_rate_chosen: chosen_rate.is_some(),
            max_events_per_run: r
                .number(v::MAX_EVENTS_PER_RUN, &events, parse::whole)
                .unwrap_or(DEFAULT_MAX_EVENTS_PER_RUN),
            max_event_bytes: r
                .number(v::MAX_EVENT_BYTES, &event_bytes, parse::bytes)
                .unwrap_or(DEFAULT_MAX_EVENT_BYTES),
            database: database(r),
            migrate: r.boolean(
                v::MIGRATE,
                DEFAULT_MIGRATE,
                "no schema is created or changed",
            ),
            slow_ms: r
                .number(v::SLOW_MS, &slow, parse::whole)
                .unwrap_or(DEFAULT_SLOW_MS),
            queue_bytes: r
                .number(v::QUEUE_BYTES, &queue, parse::bytes)
                .unwrap_or(DEFAULT_QUEUE_BYTES),
            spool_bytes: if spool_path == Some(None) {
                0
            } else {
                spool_bytes.unwrap_or(DEFAULT_SPOOL_BYTES)
            },
            spool_path: spool_path.flatten(),
            spool_fsync: r.boolean(
                v::SPOOL_FSYNC,
                DEFAULT_SPOOL_FSYNC,
                "the system decides when the spool reaches the disk",
            ),
            reconcile: r.boolean(
                v::RECONCILE,
                DEFAULT_RECONCILE,
                "nothing is read from histories",
            ),
            reconcile_s: r
                .number(v::RECONCILE_S, &reconcile, parse::whole)
                .unwrap_or(DEFAULT_RECONCILE_S),
            flush_ms: r
                .number(v::FLUSH_MS, &flush, parse::whole)
                .unwrap_or(DEFAULT_FLUSH_MS),
            promote_window_s: r
                .number(v::PROMOTE_WINDOW_S, &promote, parse::whole)
                .unwrap_or(DEFAULT_PROMOTE_WINDOW_S),
            trace_per_chain: r.boolean(
                v::TRACE_PER_CHAIN,
                DEFAULT_TRACE_PER_CHAIN,
                "a run that continues as new begins a trace",
            ),
            baggage: r
                .parsed(v::BAGGAGE, Vec::new(), "no baggage is passed on", |text| {
                    let keys = parse::items(text);
                    keys.map(|key| is_baggage_key(key).then(|| key.to_owned()))
                        .collect()
                })
                .unwrap_or_default(),
            categories_text,
            categories,
            allow_fields: allow_fields(r),
            drop_fields: drop_fields.flatten().unwrap_or_default(),
            hash_key: hash_key.flatten(),
            capture_content: r.boolean(
                v::CAPTURE_CONTENT,
                DEFAULT_CAPTURE_CONTENT,
                "prompts and responses are not kept readable",
            ),
            prices: r.path(v::PRICES, "the built-in prices are used").flatten(),
            service_name: service_name(r, &telemetry),
            telemetry,
        }
    }
}

/// The rate that somebody chose: ours, else that of OpenTelemetry's sampler.
fn sample_rate(r: &mut Reader<'_>) -> Option<f64> {
    const WRONG: f64 = DEFAULT_SAMPLE_RATE_PROD;
    let overruled = r.raw(v::SAMPLE_RATE).is_some();
    let instead = if overruled {
        "OMNITRACE_SAMPLE_RATE goes before it".to_owned()
    } else {
        format!("the rate {WRONG} is used")
    };
    let sampler = r.parsed(v::OTEL_TRACES_SAMPLER, Some(WRONG), &instead, |text| {
        let text = text.to_ascii_lowercase();
        match text.strip_prefix("parentbased_").unwrap_or(&text) {
            "always_on" => Some(Some(1.0)),
            "always_off" => Some(Some(0.0)),
            "traceidratio" => Some(None),
            _ => None,
        }
    });
    let standard = match sampler {
        // Without an argument the specification has 1.
        Some(None) => {
            let rate = r.parsed(v::OTEL_TRACES_SAMPLER_ARG, WRONG, &instead, parse::rate);
            Some(rate.unwrap_or(1.0))
        }
        Some(fixed) => fixed,
        None => None,
    };
    let wrong = standard.map_or(WRONG, |standard| WRONG.min(standard));
    r.parsed(
        v::SAMPLE_RATE,
        wrong,
        &format!("the rate {wrong} is used"),
        parse::rate,
    )
    .or(standard)
}

/// The database. What is no database URL is no database.
fn database(r: &mut Reader<'_>) -> DatabaseTarget {
    const INSTEAD: &str = "nothing is stored";
    let raw = r.raw(v::DATABASE_URL);
    let text = match raw.as_deref().map(OsStr::to_str) {
        None => DEFAULT_DATABASE_URL,
        Some(Some(text)) => text.trim(),
        // Not UTF-8, so not a URL.
        Some(None) => "",
    };
    if text.eq_ignore_ascii_case("none") {
        return DatabaseTarget::None;
    }
    let reason = match DatabaseUrl::parse(text, r.cwd) {
        Ok(DatabaseUrl::Sqlite(path)) if !path.is_absolute() => {
            "the current directory cannot be read, so the path must be absolute".to_owned()
        }
        Ok(url) => return DatabaseTarget::Url(url),
        Err(error) => format!("{error} (or is none)"),
    };
    let shown = raw.as_deref().unwrap_or(OsStr::new(text));
    r.findings.push(Finding::invalid_because(
        v::DATABASE_URL,
        shown,
        &reason,
        INSTEAD,
    ));
    DatabaseTarget::None
}

/// The key of the hashes, without white space around it, such as the newline of a file. An inner
/// `None` is a key that was meant and is none: plain hashes would show more than was asked for.
fn hash_key(r: &mut Reader<'_>) -> Option<Option<Secret>> {
    let raw = r.untrimmed(v::HASH_KEY)?;
    let key = raw.to_str().map_or("", str::trim);
    if key.is_empty() {
        r.findings
            .push(Finding::invalid(v::HASH_KEY, &raw, "recording is off"));
        return Some(None);
    }
    if key.len() < GOOD_HASH_KEY_BYTES {
        let what = format!(
            "has less than {GOOD_HASH_KEY_BYTES} bytes and may be guessed: it is used, but take a \
             longer one"
        );
        r.findings.push(Finding::note(v::HASH_KEY, &what));
    }
    Some(Some(Secret::new(key)))
}

/// Rules on activity types. One that cannot be read leaves none.
fn categories(r: &mut Reader<'_>) -> (String, CategoryRules) {
    const INSTEAD: &str = "no rule is used";
    let Some(raw) = r.raw(v::CATEGORIES) else {
        return Default::default();
    };
    let Some(text) = raw.to_str().map(str::trim) else {
        r.findings
            .push(Finding::invalid(v::CATEGORIES, &raw, INSTEAD));
        return Default::default();
    };
    match CategoryRules::parse(text) {
        Ok(rules) => (text.to_owned(), rules),
        Err(error) => {
            let finding =
                Finding::invalid_because(v::CATEGORIES, &raw, &error.to_string(), INSTEAD);
            r.findings.push(finding);
            Default::default()
        }
    }
}

/// The fields to keep. What is no field name is left out.
fn allow_fields(r: &mut Reader<'_>) -> Vec<String> {
    let mut fields = Vec::new();
    r.parsed(
        v::ALLOW_FIELDS,
        (),
        "what is no field name in it is left out",
        |text| {
            let mut all_good = true;
            for item in parse::items(text) {
                if is_field_name(item) {
                    fields.push(item.to_owned());
                } else {
                    all_good = false;
                }
            }
            all_good.then_some(())
        },
    );
    fields
}

/// Redaction compares words of letters and digits; a wildcard, for one, would never match.
fn is_field_name(item: &str) -> bool {
    item.chars().count() <= 64
        && item.chars().any(char::is_alphanumeric)
        && item
            .chars()
            .all(|c| c.is_alphanumeric() || "_-. ".contains(c))
}

/// Keys that need no encoding, in a header or elsewhere.
pub(super) fn is_baggage_key(item: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    (1..=64).contains(&item.len()) && item.bytes().all(is_plain)
}

fn service_name(r: &mut Reader<'_>, telemetry: &Telemetry) -> String {
    let good = |text: &str| {
        let text = text.trim();
        let one_line = !text.is_empty() && !text.contains(char::is_control);
        (one_line && text.chars().count() <= 255).then(|| text.to_owned())
    };
    let attribute = telemetry
        .resource_attributes
        .iter()
        .find(|(key, _)| key == "service.name");
    let fallback = attribute
        .and_then(|(_, name)| good(name))
        .unwrap_or_else(|| DEFAULT_SERVICE_NAME.to_owned());
    let instead = format!("{} is used", super::finding::quoted(&fallback));
    r.parsed(v::OTEL_SERVICE_NAME, fallback.clone(), &instead, good)
        .unwrap_or(fallback)
}
