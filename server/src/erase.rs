//! `omnitrace erase`: what is stored of a user, a tenant or a workflow id goes, and stays away.
//!
//! Invariant: nothing is changed without `--yes`. What is kept of an erasure names nobody; whoever stops leaves
//! nothing half done, and the same command goes on.

use std::collections::HashSet;
use std::time::Duration;

use indicatif::ProgressBar;
use omnitrace::config::Settings;
use omnitrace::spool;
use omnitrace_store::row::{RunKey, RunRow};
use omnitrace_store::{
    Batch, DatabaseUrl, Erasable, EraseStep, Erasure, ErasureRequest, Store, Subject,
};
use serde::Serialize;

use crate::Answer;
use crate::cli::EraseArgs;
use crate::database;
use crate::error::CliError;
use crate::progress;
use crate::text::{clean, count};
use crate::tokens;
use crate::when;

/// What would go, or went.
#[derive(Debug, Serialize)]
struct Summary {
    /// Nothing was changed.
    dry_run: bool,
    kind: &'static str,
    /// The hash of who or what is erased.
    subject: String,
    #[serde(flatten)]
    found: Erasable,
    /// Of what waits on this machine's disk: rows that will be refused.
    spooled: u64,
    /// The record that is kept.
    record: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(url: Option<&str>, args: EraseArgs) -> Result<Answer, CliError> {
    let settings = database::recording_settings()?;
    let url = database::parse(url)?;
    if args.list {
        let store = database::open(&url).await?;
        let erasures = store.erasures().await;
        store.close().await;
        return Ok(Answer::from(list(&erasures?, args.json)));
    }
    let policy = settings.policy();
    let hashed = |id: &String| tokens::hashed(id.clone(), &policy);
    let subject = match (&args.user, &args.tenant, &args.workflow_id) {
        (Some(user), _, _) => Subject::User(hashed(user)),
        (_, Some(tenant), _) => Subject::Tenant(hashed(tenant)),
        (_, _, Some(id)) => Subject::WorkflowId(id.clone()),
        _ => {
            return Err(CliError::Usage(
                "name a user, a tenant or a workflow id".to_owned(),
            ));
        }
    };
    let request = ErasureRequest {
        subject,
        namespace: args.namespace.clone(),
        by: args.by.clone(),
        reason: args.reason.clone().unwrap_or_default(),
    };
    let json = args.json;
    let store = match args.yes {
        true => database::open_as_it_is(&url).await?,
        false => database::open(&url).await?,
    };
    let done = erase(&store, &settings, policy.id(), &url, &request, args).await;
    store.close().await;
    Ok(Answer::from(done?.text(&request, json)))
}

async fn erase(
    store: &Store,
    settings: &Settings,
    policy: &str,
    url: &DatabaseUrl,
    request: &ErasureRequest,
    EraseArgs { yes, keep_away, .. }: EraseArgs,
) -> Result<Summary, CliError> {
    let found = store
        .erasable(&request.subject, request.namespace.as_deref())
        .await?;
    let spooled = spooled(settings, url, request)?;
    let nothing = found == Erasable::default();
    if nothing && !matches!(request.subject, Subject::WorkflowId(_)) {
        check_key(store, policy).await?;
    }
    if nothing && spooled == 0 && yes && !keep_away && !was_erased(store, request).await? {
        return Err(CliError::Erase(format!(
            "{}; --keep-away erases all the same what workers still hold of it",
            nothing_of(request)
        )));
    }
    let mut summary = Summary {
        dry_run: !yes,
        kind: request.subject.kind(),
        subject: request.subject.hash(),
        found,
        spooled,
        record: None,
    };
    if yes {
        let bar = progress::rows("erasing");
        let id = store.begin_erasure(request).await?;
        let done = steps(store, &id, request, database::rest(url), &bar).await;
        bar.finish_and_clear();
        done?;
        // What was found before, and what came meanwhile.
        let erasures = store.erasures().await?;
        if let Some(record) = erasures.into_iter().find(|erasure| erasure.id == id) {
            summary.found.runs = record.runs;
            summary.found.events = record.events;
            summary.found.hours = record.hours;
            summary.found.switches = record.switches;
        }
        summary.record = Some(id);
    }
    Ok(summary)
}

/// A hash made with another key finds nothing, and would keep nothing away.
async fn check_key(store: &Store, policy: &str) -> Result<(), CliError> {
    match database::other_policy(store, policy).await? {
        None => Ok(()),
        Some(other) => Err(CliError::Erase(format!(
            "no row has this id's hash, {other}"
        ))),
    }
}

/// Whether there is a record of the same erasure: it goes on, or is done once more.
async fn was_erased(store: &Store, request: &ErasureRequest) -> Result<bool, CliError> {
    let (kind, hash) = (request.subject.kind(), request.subject.hash());
    let erasures = store.erasures().await?;
    Ok((erasures.iter()).any(|erasure| {
        (erasure.kind.as_str(), &erasure.subject) == (kind, &hash)
            && erasure.namespace == request.namespace
    }))
}

/// For a person: an id that is not there may be one that was mistyped.
fn nothing_of(request: &ErasureRequest) -> String {
    let place = match &request.namespace {
        Some(namespace) => format!(" in namespace {namespace:?}"),
        None => String::new(),
    };
    let (what, pattern) = match &request.subject {
        Subject::User(hash) => (format!("user {hash}"), ""),
        Subject::Tenant(hash) => (format!("tenant {hash}"), ""),
        Subject::WorkflowId(id) if id.contains('*') => (
            format!("workflow id {id:?}"),
            ", and `*` is no pattern in an id",
        ),
        Subject::WorkflowId(id) => (format!("workflow id {id:?}"), ""),
        other => (other.kind().to_owned(), ""),
    };
    format!("nothing is stored of {what}{place}{pattern}")
}

async fn steps(
    store: &Store,
    id: &str,
    request: &ErasureRequest,
    rest: Duration,
    bar: &ProgressBar,
) -> Result<(), CliError> {
    loop {
        match store.erase(id, request).await? {
            EraseStep::Rows { runs, events } => bar.inc(runs + events),
            EraseStep::Hours(hours) => bar.inc(hours),
            _ => return Ok(()),
        }
        tokio::time::sleep(rest).await;
    }
}

/// Rows of the subject that wait on this machine's disk. They are their worker's: when it offers them, the
/// store refuses them.
fn spooled(
    settings: &Settings,
    url: &DatabaseUrl,
    request: &ErasureRequest,
) -> Result<u64, CliError> {
    let Some(folder) = spool::folder(settings, url) else {
        return Ok(0);
    };
    let mut rows = 0;
    let mut runs = HashSet::new();
    let read = spool::read(&folder, |_, _, line| {
        if let spool::Line::Batch(batch) = line {
            rows += count_rows(&batch, request, &mut runs);
        }
        Ok::<_, std::io::Error>(())
    });
    read.map_err(|error| CliError::File {
        file: folder.display().to_string(),
        error,
    })?;
    Ok(rows)
}

fn count_rows(batch: &Batch, request: &ErasureRequest, runs: &mut HashSet<RunKey>) -> u64 {
    let within = |key: &RunKey| {
        let namespace = request.namespace.as_ref();
        namespace.is_none_or(|namespace| key.namespace == *namespace)
    };
    let is_subject = |run: &RunRow| match &request.subject {
        Subject::User(hash) => run.user.as_ref().is_some_and(|user| user.hash == *hash),
        Subject::Tenant(hash) => run.tenant.as_ref().is_some_and(|t| t.hash == *hash),
        Subject::WorkflowId(id) => run.key.workflow_id == *id,
        _ => false,
    };
    let named = batch
        .runs
        .iter()
        .filter(|run| is_subject(run) && within(&run.key));
    runs.extend(named.map(|run| run.key.clone()));
    let is_gone = |key: &RunKey| match &request.subject {
        Subject::WorkflowId(id) => key.workflow_id == *id && within(key),
        _ => runs.contains(key),
    };
    let of_runs = batch.runs.iter().filter(|run| is_gone(&run.key)).count();
    let of_events = batch
        .events
        .iter()
        .filter(|event| is_gone(&event.run))
        .count();
    (of_runs + of_events) as u64
}

impl Summary {
    fn text(&self, request: &ErasureRequest, json: bool) -> String {
        if json {
            return serde_json::to_string(self).unwrap_or_default() + "\n";
        }
        let Erasable {
            runs,
            events,
            cuts,
            promotions,
            hours,
            tokens,
            switches,
            named_by,
        } = self.found;
        if self.record.is_none() && self.found == Erasable::default() && self.spooled == 0 {
            return format!("{}\n", clean(&nothing_of(request)));
        }
        let does = if self.dry_run { "would go" } else { "gone" };
        let mut text = format!(
            "{does}: {} and {} of {} {}\n",
            count(runs, "run"),
            count(events, "event"),
            self.kind.replace('_', " "),
            self.subject
        );
        for (n, what) in [
            (cuts, "mark of what was cut"),
            (promotions, "note of a run recorded after all"),
            (hours, "hourly aggregate that loses the tenant"),
            (tokens, "token that names the tenant"),
            (
                switches,
                "change of a switch for the tenant, whose later runs go by the others",
            ),
            (
                self.spooled,
                "row that waits on this machine's disk, and will be refused",
            ),
        ] {
            if n > 0 {
                text += &format!("  {n} × {what}\n");
            }
        }
        if named_by > 0 {
            text += &format!(
                "  {} started by runs that stay, and whose row of it names its workflow id\n",
                count(named_by, "run")
            );
        }
        match &self.record {
            Some(record) => text += &format!("kept as record {record}\n"),
            None => text += "nothing is erased yet: the same with --yes does it\n",
        }
        if request.reason.is_empty() && !self.dry_run {
            text += "no reason was given (--reason)\n";
        }
        text
    }
}

fn list(erasures: &[Erasure], json: bool) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        #[serde(flatten)]
        erasure: &'a Erasure,
        erased_before: String,
        done_at: Option<String>,
    }
    if json {
        let line = |erasure: &Erasure| {
            let line = serde_json::to_value(Line {
                erasure,
                erased_before: when::exact(erasure.erased_before),
                done_at: erasure.done_at.map(when::exact),
            });
            // Text and numbers alone; of two fields with one name the last stays.
            format!("{}\n", line.unwrap_or_default())
        };
        return erasures.iter().map(line).collect();
    }
    if erasures.is_empty() {
        return "nothing was erased yet\n".to_owned();
    }
    let line = |erasure: &Erasure| {
        let done = match erasure.done_at {
            Some(at) => format!("done {}", when::short(at)),
            None => "not done: the same command goes on".to_owned(),
        };
        let why = match erasure.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        let line = format!(
            "{} {} {}: runs before {}, {done}, by {}, {} and {}{why}",
            erasure.id,
            erasure.kind.replace('_', " "),
            erasure.subject,
            when::short(erasure.erased_before),
            erasure.done_by,
            count(erasure.runs, "run"),
            count(erasure.events, "event"),
        );
        clean(&line) + "\n"
    };
    erasures.iter().map(line).collect()
}
