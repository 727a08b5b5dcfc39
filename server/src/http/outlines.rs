//! Trees of runs, kept while their rows stay as they are: the parts of a large trace are cut from one
//! tree.
//!
//! Invariant: a tree is that of the rows that the database has at the time of the request; what is kept
//! is bounded in bytes, and holds no values of payloads.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use omnitrace_store::row::{Micros, Phase, RunKey, RunRow};
use omnitrace_store::tree::{self, Merged, TraceTree};
use omnitrace_store::{EventHead, Fingerprint, ReadError, Reader};
use sha2::{Digest, Sha256};

use super::backend::Spans;
use super::problem::Problem;

/// Of all trees together.
const KIBIBYTES: u64 = 192 << 10;
/// Of a node, with what belongs to it, and of a run without any.
const NODE_BYTES: usize = 1400;
/// How long a tree is kept that nobody asks for.
const IDLE: Duration = Duration::from_secs(300);
/// A tree of a run that goes on says by the time of day what waits too long.
const MOMENT: Micros = 10_000_000;

/// What a tree is made of, as a hash: equal while it would come out the same.
pub(super) type Version = [u8; 16];

/// A tree without the values of payloads, and the order of the rows.
#[derive(Debug)]
pub(super) struct Outline {
    pub(super) tree: TraceTree,
    /// Keys of the rows that are shown, in the order in which the run took them.
    pub(super) rows: Vec<(String, Phase)>,
    /// How many nodes have a hint that the time of day gave them.
    pub(super) hints: usize,
    /// What became of the spans of a trace backend.
    pub(super) merged: Option<Merged>,
}

/// Trees by run and version. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Outlines(Cache<(RunKey, Version), Arc<Outline>>);

impl Outlines {
    pub(super) fn new() -> Self {
        let weigh = |_: &_, outline: &Arc<Outline>| {
            let spans = outline.merged.as_ref().map_or(0, |merged| merged.below);
            let bytes = (outline.rows.len() + spans + 1).saturating_mul(NODE_BYTES);
            u32::try_from(bytes >> 10).unwrap_or(u32::MAX).max(1)
        };
        let cache = Cache::builder().max_capacity(KIBIBYTES).weigher(weigh);
        Self(cache.time_to_idle(IDLE).build())
    }

    /// The tree of a run, built at most once however many ask for it at the same time.
    pub(super) async fn get(
        &self,
        reader: Reader<'_>,
        run: &RunRow,
        parts: &Parts,
        now: Micros,
    ) -> Result<Arc<Outline>, Problem> {
        let version = parts.version(run, now);
        let build = async {
            let events = reader.events(&run.key).await?;
            let (run, children) = (run.clone(), parts.children.clone());
            let spans = parts.spans.clone();
            let build = move || {
                let heads: Vec<EventHead> = (events.iter())
                    .map(|event| EventHead {
                        key: event.event_key.clone(),
                        phase: event.phase,
                        begin: event.scheduled_at.or(event.started_at),
                        digest: 0,
                    })
                    .collect();
                let shown = tree::shown_heads(&run, &heads);
                let mut tree = TraceTree::outline(&run, events, &children, now);
                let merged = spans.map(|spans| tree.merge(spans.spans.clone()));
                let hinted = |node: &&tree::Node| node.hint.is_some() && node.error.is_none();
                Arc::new(Outline {
                    rows: (shown.into_iter())
                        .map(|(at, phase)| (heads[at].key.clone(), phase))
                        .collect(),
                    hints: tree.root.walk().filter(hinted).count(),
                    merged,
                    tree,
                })
            };
            tokio::task::spawn_blocking(build)
                .await
                .map_err(|_| Problem::Unavailable("the tree could not be built".to_owned()))
        };
        let kept = self.0.try_get_with((run.key.clone(), version), build).await;
        kept.map_err(|problem: Arc<Problem>| Problem::clone(&problem))
    }
}

/// What a tree is made of beside the run itself.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) events: Fingerprint,
    pub(super) children: Vec<RunRow>,
    pub(super) next: Option<RunRow>,
    /// The run that it went on from, and its parent, as far as the caller may know of them.
    pub(super) previous: Option<RunKey>,
    pub(super) parent: Option<RunKey>,
    /// Of a trace backend, to be merged.
    pub(super) spans: Option<Arc<Spans>>,
}

impl Parts {
    pub(super) async fn read(reader: Reader<'_>, run: &RunRow) -> Result<Self, Problem> {
        let previous = (run.continued_from_run_id.as_ref())
            .map(|run_id| RunKey::new(&run.key.namespace, &run.key.workflow_id, run_id));
        let (events, children, next, previous, parent) = tokio::try_join!(
            reader.fingerprint(&run.key),
            reader.children(&run.key),
            reader.next_run(&run.key),
            known(reader, previous),
            known(reader, run.parent.clone()),
        )?;
        Ok(Self {
            events,
            children,
            next,
            previous,
            parent,
            spans: None,
        })
    }

    fn version(&self, run: &RunRow, now: Micros) -> Version {
        let moment = match run.status.is_closed() {
            true => 0,
            false => now / MOMENT,
        };
        hash(&[
            run,
            &self.events,
            &self.children,
            &moment,
            &self.hash_of_spans(),
        ])
    }

    fn hash_of_spans(&self) -> Option<[u8; 16]> {
        self.spans.as_ref().map(|spans| spans.hash)
    }

    /// Names an answer: equal while it would be the same. `shape` is all that the client asked for.
    pub(super) fn tag(&self, run: &RunRow, hints: usize, shape: &dyn Debug) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let links = (&self.children, &self.next, &self.previous, &self.parent);
        let all = (run, &self.events, links, self.hash_of_spans());
        let tag = hash(&[&all, &hints, shape, &version]);
        format!("W/\"{}\"", hex::encode(tag))
    }
}

/// The run, if the caller may know of it.
async fn known(reader: Reader<'_>, run: Option<RunKey>) -> Result<Option<RunKey>, ReadError> {
    let Some(run) = run else { return Ok(None) };
    Ok(reader.may_know(&run).await?.then_some(run))
}

/// Of all that they show of themselves.
fn hash(parts: &[&dyn Debug]) -> Version {
    let mut version = Version::default();
    version.copy_from_slice(&Sha256::digest(format!("{parts:?}"))[..16]);
    version
}
