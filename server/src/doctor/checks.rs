//! The checks of the configuration and of the store.

use std::time::Duration;

use jiff::Timestamp;
use omnitrace::config::Settings;
use omnitrace_store::{
    DatabaseUrl, ProcessReport, ReadError, RunFilter, Store, Switches, WriteError,
};

use super::{Check, prometheus};
use crate::database;
use crate::error::CliError;
use crate::switches;
use crate::text::{count, thousands};
use crate::when;

/// Runs that are looked at for lost observations.
const LOOKED_AT: u32 = 1000;

/// Processes that are named; older ones are counted.
const NAMED: usize = 5;

/// What a recording process counts under these names it dropped: observations, and rows.
const DROPPED: [&str; 2] = ["dropped.", "rows.dropped."];

/// And spans.
const SPANS: &str = "spans.dropped";

/// Proposals that the server never accepted, and rows of erased runs: nothing is lost with them.
const NO_LOSS: [&str; 2] = ["ghost", "erased"];

/// Makes all checks, in an order in which each rests on those before.
pub(super) async fn all(url: Option<&str>, now: Timestamp) -> Vec<Check> {
    let mut checks = configuration();
    let (settings, _) = Settings::from_env();
    checks.extend(collector(&settings).await);
    checks.extend(prometheus::check(&settings).await);
    checks.extend(stored(url, now).await);
    checks
}

/// What the environment says to a worker that starts with it.
fn configuration() -> Vec<Check> {
    let (settings, findings) = Settings::from_env();
    let mut checks = vec![if settings.enabled {
        let rate = settings.sample_rate * 100.0;
        let environment = settings.env.as_str();
        Check::ok(
            "configured",
            format!("{environment}, records {rate} % of runs"),
        )
    } else {
        let hint = "set OMNITRACE_ENABLED=true to record";
        Check::warn("configured", "recording is off", hint)
    }];
    let telemetry = &settings.telemetry;
    if !telemetry.enabled && !telemetry.backends.is_empty() {
        let hint = "set TELEMETRY_ENABLED=true, or take TELEMETRY_BACKEND away";
        let text =
            "TELEMETRY_BACKEND names one, and TELEMETRY_ENABLED is not true: no spans, no metrics";
        checks.push(Check::warn("telemetry", text, hint));
    }
    checks.extend(findings.iter().map(|finding| {
        let hint = "a worker that starts with this environment does the same";
        Check::warn("variable", finding.to_string(), hint)
    }));
    checks
}

/// Whether spans could be sent now.
async fn collector(settings: &Settings) -> Option<Check> {
    let (address, answers) = omnitrace::telemetry::collector(settings).await?;
    Some(match answers {
        Ok(()) => Check::ok("collector", format!("{address} answers")),
        Err(error) => {
            let hint = "start it, or look at OTEL_EXPORTER_OTLP_ENDPOINT and its protocol; workers keep \
                        what is stored until it takes it";
            Check::warn("collector", format!("{address}: {error}"), hint)
        }
    })
}

async fn stored(url: Option<&str>, now: Timestamp) -> Vec<Check> {
    let database = match database::parse(url) {
        Ok(database) => database,
        Err(CliError::NoStore) => {
            let hint = "name a database in OMNITRACE_DATABASE_URL to keep what is recorded";
            return vec![Check::warn("database", "none: recording to no store", hint)];
        }
        Err(error) => return vec![Check::fail("database", error.to_string(), None)],
    };
    let store = match database::open(&database).await {
        Ok(store) => store,
        Err(error) => return vec![Check::fail("database", error.to_string(), None)],
    };
    let mut checks = vec![Check::ok("database", database.to_string())];
    let read = read(&store, now, &mut checks).await;
    store.close().await;
    if let Err(error) = read {
        checks.push(Check::fail("read", error.to_string(), None));
    }
    checks.insert(checks.len().min(2), writable(&database).await);
    checks
}

async fn read(store: &Store, now: Timestamp, checks: &mut Vec<Check>) -> Result<(), ReadError> {
    let stats = store.stats().await?;
    checks.push(Check::ok(
        "schema",
        format!("version {}", stats.schema_version),
    ));
    checks.push(Check::ok(
        "rows",
        format!(
            "{}, {}, {}",
            count(stats.runs, "run"),
            count(stats.events, "event"),
            bytes(stats.bytes)
        ),
    ));
    checks.push(switched(&store.switches().await?));
    let reports = store.processes().await?;
    processes(&reports, now, checks);
    dropped(&reports, checks);
    let filter = RunFilter {
        limit: LOOKED_AT,
        ..RunFilter::default()
    };
    let runs = store.list_runs(&filter).await?;
    let lost = runs.iter().filter(|run| run.incomplete).count();
    let of = count(runs.len() as u64, "newest run");
    checks.push(if lost == 0 {
        Check::ok("incomplete", format!("none of the {of}"))
    } else {
        Check::warn(
            "incomplete",
            format!("{lost} of the {of} lost something"),
            "they are marked in `omnitrace list` by a + at their events; see what was dropped above",
        )
    });
    Ok(())
}

/// What is switched, beside the workers' configuration.
fn switched(switches: &Switches) -> Check {
    let set: Vec<String> = (switches.set().iter())
        .map(|row| {
            let value = row.value.as_deref().unwrap_or_default();
            format!(
                "{} = {value} for {}",
                row.name.as_str(),
                switches::place(&row.scope)
            )
        })
        .collect();
    match set.is_empty() {
        true => Check::ok("switches", "none: the workers' configuration holds"),
        false => Check::ok("switches", set.join("; ")),
    }
}

/// How long a check waits for another process that writes.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether a worker that runs as this user could record now.
async fn writable(database: &DatabaseUrl) -> Check {
    let reason = match Store::probe(database, PATIENCE).await {
        Ok(()) => return Check::ok("writable", "yes, by this user"),
        Err(WriteError::Retry(reason) | WriteError::Corrupt(reason)) => reason,
        Err(error) => error.to_string(),
    };
    let hint = if reason.contains("locked") {
        "another process holds the database; workers keep their rows until it lets go"
    } else if reason.contains("full") || reason.contains("I/O") {
        "make room on its disk; workers keep their rows until then, as long as their memory and \
         spool last"
    } else {
        "a worker that runs as this user can't record: give it write access, to the folder of a \
         file, or to all tables of a server that is no standby"
    };
    Check::fail("writable", format!("no: {reason}"), Some(hint))
}

fn processes(reports: &[ProcessReport], now: Timestamp, checks: &mut Vec<Check>) {
    if reports.is_empty() {
        checks.push(Check::warn(
            "processes",
            "none has recorded here yet",
            "register the plugin on the client of your workers, with the same OMNITRACE_DATABASE_URL",
        ));
    }
    for report in reports.iter().take(NAMED) {
        checks.push(Check::ok(
            "process",
            format!(
                "{} {} on {}, pid {}, last wrote {}",
                report.service,
                report.version,
                report.host,
                report.pid,
                when::ago(report.updated_at, now)
            ),
        ));
    }
    let refused = reports.iter().filter_map(|report| {
        let at = report.last_error_at?;
        Some((at, report.last_error.as_deref()?, report.pid))
    });
    if let Some((at, error, pid)) = refused.max() {
        let ago = when::ago(at, now);
        checks.push(Check::warn(
            "refused",
            format!("{ago}, the rows of pid {pid}: {error}"),
            "they were offered again; what was lost is counted below",
        ));
    }
    if let Some(more) = reports.len().checked_sub(NAMED).filter(|&n| n > 0) {
        checks.push(Check::ok(
            "processes",
            format!("and {} before", count(more as u64, "other")),
        ));
    }
}

/// What all processes dropped, one line per reason.
fn dropped(reports: &[ProcessReport], checks: &mut Vec<Check>) {
    let mut reasons = std::collections::BTreeMap::new();
    for (name, n) in reports.iter().flat_map(|report| &report.counters) {
        let reason = DROPPED.iter().find_map(|prefix| name.strip_prefix(prefix));
        let reason = reason.or((name == SPANS).then_some(SPANS));
        if let Some(reason) = reason.filter(|reason| *n > 0 && !NO_LOSS.contains(reason)) {
            let total: &mut u64 = reasons.entry(reason).or_default();
            *total = total.saturating_add(*n);
        }
    }
    if reasons.is_empty() {
        checks.push(Check::ok("dropped", "nothing"));
    }
    for (reason, n) in reasons {
        let hint = match reason {
            "queue_full" => {
                "more was observed than the recorder's queue holds: raise OMNITRACE_QUEUE_BYTES"
            }
            "buffer_full" => {
                "the database was away or too slow for longer than buffer and spool last: look at its \
                 disk and load, or raise OMNITRACE_SPOOL_BYTES"
            }
            "run_incomplete" => {
                "an earlier observation of the same runs was dropped: they are whole again once a \
                 worker replays them"
            }
            "run_cap" => "runs had more rows than are kept: raise OMNITRACE_MAX_EVENTS_PER_RUN",
            "step_cap" => "steps had more attempts, or attempts more events, than are kept",
            "no_store" => "there was no store: set OMNITRACE_DATABASE_URL to keep rows",
            "shutdown" => {
                "the process ended before its rows were stored, and its spool had no room: call \
                 `shutdown` with more time, or raise OMNITRACE_SPOOL_BYTES"
            }
            "spool" => "rows that waited on disk could not be read back: look at that disk",
            SPANS => {
                "without a store the collector was away too long, or it refused them for good: look at \
                 its log, or raise OTEL_BSP_MAX_QUEUE_SIZE"
            }
            "held_full" => {
                "more runs that sampling left out were open than are held: they are missing if \
                 they failed"
            }
            "invalid_key" => {
                "record_event was called with a key that is not <kind>:<step>:<name>:<attempt>"
            }
            _ => "the worker's log says more about the first of them",
        };
        checks.push(Check::warn(
            "dropped",
            format!("{} {reason}", thousands(n)),
            hint,
        ));
    }
}

/// Bytes for people.
fn bytes(n: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut rest, mut unit) = (n, 0, 0);
    while whole >= 1024 && unit + 1 < units.len() {
        (whole, rest, unit) = (whole / 1024, whole % 1024, unit + 1);
    }
    if unit == 0 {
        format!("{whole} bytes")
    } else {
        format!("{whole}.{} {}", rest * 10 / 1024, units[unit])
    }
}
