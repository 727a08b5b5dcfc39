//! `omnitrace show`: finds a run and draws its trace.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use omnitrace_store::row::{RunKey, RunRow};
use omnitrace_store::tree::TraceTree;
use omnitrace_store::{DatabaseUrl, ReadError, ReplayRow, RunFilter, Store};

use crate::api;
use crate::cli::ShowArgs;
use crate::database::{self, DEFAULT_COLUMNS};
use crate::draw::{self, Canvas};
use crate::error::CliError;
use crate::header;

/// Runs that are searched for ids like one that was not found.
const SEARCHED: u32 = 500;

/// Runs the command.
pub(crate) async fn run(
    url: Option<&str>,
    args: ShowArgs,
    now: Timestamp,
) -> Result<String, CliError> {
    let url = database::parse(url)?;
    let store = database::open(&url).await?;
    let found = load(&store, &url, &args, now).await;
    store.close().await;
    let (tree, runs, replay) = found?;
    if args.json {
        let is_next =
            |run: &&RunRow| run.continued_from_run_id.as_deref() == Some(&tree.run.key.run_id);
        let next = runs.iter().find(is_next);
        let key = &tree.run.key;
        let previous = (tree.run.continued_from_run_id.as_ref())
            .map(|run_id| RunKey::new(&key.namespace, &key.workflow_id, run_id));
        let near = api::Near {
            previous: previous.as_ref(),
            next,
            parent: tree.run.parent.as_ref(),
            replay: replay.as_ref(),
        };
        let trace = api::Trace::new(&tree, &tree.root, api::View::WHOLE, near, BTreeMap::new());
        return Ok(format!("{}\n", api::whole_trace(&trace)));
    }
    let canvas = Canvas {
        columns: database::columns().unwrap_or(DEFAULT_COLUMNS),
        all: args.all,
        data: args.data,
    };
    let mut text = header::header(&tree, &runs, replay.as_ref(), &canvas, now);
    text.push_str(&draw::tree(&tree, &canvas));
    Ok(text)
}

/// The trace, all runs of its workflow id, newest first, and what its latest replay found.
async fn load(
    store: &Store,
    url: &DatabaseUrl,
    args: &ShowArgs,
    now: Timestamp,
) -> Result<(TraceTree, Vec<RunRow>, Option<ReplayRow>), CliError> {
    let namespace = args.namespace.as_deref();
    let mut runs = store.runs_of_workflow(namespace, &args.id).await?;
    if runs.is_empty() && args.run_id.is_none() {
        runs = store.runs_by_run_id(&args.id).await?;
        runs.retain(|run| namespace.is_none_or(|n| n == run.key.namespace));
    }
    if runs.is_empty() && args.run_id.is_none() {
        runs = store
            .runs_by_trace_id(&args.id.to_ascii_lowercase())
            .await?;
        runs.retain(|run| namespace.is_none_or(|n| n == run.key.namespace));
        // The one that the others came of.
        runs.reverse();
    }
    let wanted = args.run_id.as_deref();
    let run = runs
        .iter()
        .find(|run| wanted.is_none_or(|id| id == run.key.run_id))
        .cloned();
    let Some(run) = run else {
        let mut near = near(store, args).await?;
        if !runs.is_empty() {
            // The workflow is there, the run is not.
            near = runs
                .iter()
                .take(3)
                .map(|r| format!("--run-id {}", r.key.run_id))
                .collect();
        }
        return Err(CliError::NotFound {
            id: wanted.unwrap_or(&args.id).to_owned(),
            place: url.to_string(),
            near,
        });
    };
    let events = store.events(&run.key).await?;
    let children = store.children(&run.key).await?;
    let tree = TraceTree::build(&run, events, &children, now.as_microsecond());
    let (namespace, workflow_id) = (&run.key.namespace, &run.key.workflow_id);
    let runs = store.runs_of_workflow(Some(namespace), workflow_id).await?;
    let replay = store.replay(&run.key).await?;
    Ok((tree, runs, replay))
}

/// Workflow ids like the one that was asked for, of the newest runs, best first.
async fn near(store: &Store, args: &ShowArgs) -> Result<Vec<String>, ReadError> {
    let mut filter = RunFilter::default();
    filter.namespace.clone_from(&args.namespace);
    filter.limit = SEARCHED;
    let runs = store.list_runs(&filter).await?;
    let ids: BTreeSet<_> = runs
        .iter()
        .map(|run| run.key.workflow_id.as_str())
        .collect();
    let mut near: Vec<_> = ids
        .into_iter()
        .filter_map(|id| Some((unlikeness(&args.id, id)?, id)))
        .collect();
    near.sort_unstable();
    Ok(near
        .into_iter()
        .take(3)
        .map(|(_, id)| id.to_owned())
        .collect())
}

/// How far an id is from what was asked for; `None` where nobody would take one for the other.
fn unlikeness(asked: &str, id: &str) -> Option<usize> {
    let (asked, id) = (asked.to_lowercase(), id.to_lowercase());
    if asked.is_empty() {
        return None;
    }
    if id.contains(&asked) {
        return Some(0);
    }
    let head = |text: &str| text.chars().take(64).collect::<Vec<_>>();
    let (asked, id) = (head(&asked), head(&id));
    let distance = edits(&asked, &id);
    (distance <= (asked.len() / 4).max(2) && distance < asked.len()).then_some(distance)
}

/// Levenshtein distance.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_and_a_part_of_an_id_are_near_it_and_another_id_is_not() {
        assert_eq!(unlikeness("ordr-1042", "order-1042"), Some(1));
        assert_eq!(unlikeness("1042", "Order-1042"), Some(0));
        assert_eq!(unlikeness("order-1042", "payment-7"), None);
        assert_eq!(unlikeness("a", "b"), None);
    }
}
