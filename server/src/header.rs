//! What is said of a run above its tree.

use jiff::Timestamp;
use omnitrace_store::row::{RunRow, SampledBy};
use omnitrace_store::tree::TraceTree;
use omnitrace_store::{ReplayRow, ReplayVerdict};
use owo_colors::{OwoColorize, Style};

use crate::draw::{Canvas, failure};
use crate::style;
use crate::text::{clean, count, shell_word, thousands, wrap};
use crate::{api, when};

/// Columns of the labels at the left.
const LABEL: usize = 10;

/// The header of a run; `runs` are all of its workflow id, newest first, `replay` what its latest one found.
pub(crate) fn header(
    tree: &TraceTree,
    runs: &[RunRow],
    replay: Option<&ReplayRow>,
    canvas: &Canvas,
    now: Timestamp,
) -> String {
    let run = &tree.run;
    let mut out = Header {
        columns: canvas.columns,
        text: String::new(),
    };
    out.title(tree, now);
    out.line("run", &which_run(run, runs));
    out.line("namespace", &place(run));
    if let Some(started) = run.started_at {
        out.line(
            "started",
            &format!("{}, by {}", when::short(started), clean(&run.trigger)),
        );
    }
    if let Some(chain) = chain(run) {
        out.line("chain", &chain);
    }
    if let Some(parent) = &run.parent {
        out.line("parent", &clean(&parent.workflow_id));
        out.command(&format!("omnitrace show {}", shell_word(&parent.run_id)));
    }
    if !run.trace_id.is_empty() {
        let sampled = match run.sampled_by {
            SampledBy::Ratio => "",
            SampledBy::Error => ", recorded because it failed",
            SampledBy::Slow => ", recorded because it was slow",
            SampledBy::Parent => ", recorded because its caller was",
        };
        out.line("trace", &format!("{}{sampled}", clean(&run.trace_id)));
    }
    for (label, identity) in [("user", &run.user), ("tenant", &run.tenant)] {
        if let Some(identity) = identity {
            out.line(label, &clean(&identity.hash));
        }
    }
    if let Some(usage) = usage(tree) {
        out.line("tokens", &usage);
    }
    if let Some(replay) = replay {
        let style = match replay.verdict {
            ReplayVerdict::Parted | ReplayVerdict::Failed => style::warning(),
            _ => Style::new(),
        };
        out.styled("replay", &clean(&api::sentence(replay)), style);
    }
    if let Some(error) = &tree.root.error {
        out.styled("error", &failure(error), style::of(run.status));
    }
    if let Some(hint) = tree.root.hint {
        out.styled("hint", hint, Style::new());
    }
    for notice in notices(run) {
        out.styled("note", &notice, style::warning());
    }
    out.text.push('\n');
    out.text
}

struct Header {
    columns: usize,
    text: String,
}

impl Header {
    fn title(&mut self, tree: &TraceTree, now: Timestamp) {
        let run = &tree.run;
        let (glyph, word, status) = style::of_node(&tree.root);
        let took = match (tree.root.duration_ms, run.started_at) {
            (Some(ms), _) => format!(" after {}", when::human(ms)),
            (None, Some(start)) if !run.status.is_closed() => {
                let ms = now.as_microsecond().saturating_sub(start) / 1000;
                format!(" for {}", when::human(ms))
            }
            _ => String::new(),
        };
        self.text.push_str(&format!(
            "{} {}\n{}\n",
            clean(&run.workflow_type).style(style::strong()),
            clean(&run.key.workflow_id),
            format_args!("{glyph} {word}{took}").style(status),
        ));
    }

    /// Never broken into lines: it is to be copied.
    fn command(&mut self, command: &str) {
        self.text.push_str(&format!("  {:LABEL$}→ {command}\n", ""));
    }

    fn line(&mut self, label: &str, value: &str) {
        self.styled(label, value, Style::new());
    }

    fn styled(&mut self, label: &str, value: &str, value_style: Style) {
        let lines = wrap(value, self.columns.saturating_sub(LABEL + 2));
        for (i, line) in lines.iter().enumerate() {
            let label = format!("  {:LABEL$}", if i == 0 { label } else { "" });
            let line = line.style(value_style);
            self.text
                .push_str(&format!("{}{line}\n", label.style(style::dim())));
        }
    }
}

fn which_run(run: &RunRow, runs: &[RunRow]) -> String {
    let id = clean(&run.key.run_id);
    let newer = runs
        .iter()
        .position(|other| other.key == run.key)
        .unwrap_or_default();
    match (runs.len(), newer) {
        (0 | 1, _) => id,
        (n, 0) => format!("{id} (newest of {n})"),
        (n, newer) => format!("{id} ({newer} newer of {n})"),
    }
}

fn place(run: &RunRow) -> String {
    let mut place = clean(&run.key.namespace);
    if !run.task_queue.is_empty() {
        place.push_str(&format!(", task queue {}", clean(&run.task_queue)));
    }
    if let Some(build) = &run.build_id {
        place.push_str(&format!(", build {}", clean(build)));
    }
    place
}

fn chain(run: &RunRow) -> Option<String> {
    let mut parts = Vec::new();
    match run.max_attempts {
        Some(max) => parts.push(format!("attempt {} of {max}", run.attempt)),
        None if run.attempt > 1 => parts.push(format!("attempt {}", run.attempt)),
        None => {}
    }
    if let Some(before) = &run.continued_from_run_id {
        parts.push(format!("after run {}", clean(before)));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn usage(tree: &TraceTree) -> Option<String> {
    let total = &tree.root.total;
    let tokens = |n: Option<i64>| thousands(u64::try_from(n.unwrap_or_default()).unwrap_or(0));
    if total.is_empty() {
        return None;
    }
    let (input, output) = (tokens(total.input_tokens), tokens(total.output_tokens));
    let cost = total.cost_usd.map(|usd| format!(", {}", api::dollars(usd)));
    Some(format!(
        "{input} in, {output} out{}",
        cost.unwrap_or_default()
    ))
}

fn notices(run: &RunRow) -> Vec<String> {
    let mut notices = Vec::new();
    if run.dropped_events > 0 {
        let cut = count(run.dropped_events.into(), "event");
        notices.push(format!(
            "{cut} not shown: cut by the limits of rows per run, of attempts per step and of \
             events per attempt (OMNITRACE_MAX_EVENTS_PER_RUN)"
        ));
    }
    if run.incomplete {
        notices.push(
            "incomplete: the recorder lost something of this run; `omnitrace doctor` says why"
                .to_owned(),
        );
    }
    notices
}
