//! What is derived from the stored rows of a run: which rows stay under the cap, how many are
//! missing, and the sums of tokens and cost.
//!
//! Invariant: [`settle`] and [`usage`] are functions of what was offered, not of the order in which
//! it came. So a mark, once made, only grows, and while rows have been cut from a run, each of its
//! attempts and inner events leaves one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use crate::key::EventKey;
use crate::row::{EventRow, Micros, Phase, Source, Status};
use crate::store::{Scope, Spent};

/// Marks of attempts and inner events that are kept of a run, per event row that is. Beyond, those
/// with the smallest scopes stay and the count of missing rows is a lower bound.
const MARKS_PER_EVENT: usize = 10;

/// The mark of a run from which rows were cut.
const CAP: &str = "cap";

/// The text by which a scope is stored.
pub(crate) fn scope_text(scope: &Scope) -> String {
    match scope {
        Scope::Attempts { step } => format!("attempts:{step}"),
        Scope::Inner { step, attempt } => format!("inner:{step}:{attempt}"),
        Scope::Process { id } => format!("process:{id}"),
    }
}

/// What the cap needs to know of an event row.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) event_key: String,
    pub(crate) kind: String,
    pub(crate) step: String,
    pub(crate) attempt: u32,
    pub(crate) parent_key: Option<String>,
    pub(crate) status: Status,
    pub(crate) phase: Phase,
    pub(crate) source: Source,
    /// When it was scheduled, else when it started. Scheduling goes first because it stays the same
    /// when the row is written again with a later start.
    pub(crate) at: Micros,
}

/// What a row is to its run, in the order in which rows stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class<'a> {
    Step,
    Attempt,
    /// The n-th event inside an attempt of a step.
    Inner {
        step: &'a str,
        n: u32,
    },
}

/// A row's class by itself alone, so that it does not change when other rows are cut.
fn class<'a>(kind: &str, step: &'a str, attempt: u32, parent_key: Option<&str>) -> Class<'a> {
    if kind == "activity" {
        return if attempt >= 1 {
            Class::Attempt
        } else {
            Class::Step
        };
    }
    let inside = parent_key
        .and_then(|key| EventKey::parse(key).ok())
        .filter(|parent| parent.attempt >= 1);
    // An event inside another inner event has a step of the same form, `<activity id>.<n>`.
    let numbered = step
        .rsplit_once('.')
        .and_then(|(step, n)| Some((step, n.parse::<u32>().ok()?)));
    match (inside, numbered) {
        (Some(parent), Some((step, n)))
            if parent.step.as_str() == step
                || parent
                    .step
                    .as_str()
                    .rsplit_once('.')
                    .is_some_and(|(of, _)| of == step) =>
        {
            Class::Inner { step, n }
        }
        _ => Class::Step,
    }
}

/// Whether a row is a step of its run: no attempt of one, and nothing inside an attempt.
pub(crate) fn is_step(row: &EventRow) -> bool {
    class(&row.kind, &row.step, row.attempt, row.parent_key.as_deref()) == Class::Step
}

/// The high water mark that a row leaves: what it is counted against, and its number there. A step
/// leaves none.
fn mark(row: &Candidate, class: &Class<'_>) -> Option<(Scope, u32)> {
    match *class {
        Class::Step => None,
        Class::Attempt => {
            let step = row.step.clone();
            Some((Scope::Attempts { step }, row.attempt))
        }
        Class::Inner { step, n } => {
            let (step, attempt) = (step.to_owned(), row.attempt);
            Some((Scope::Inner { step, attempt }, n))
        }
    }
}

/// What is to be done to a run's rows and marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Keys of rows to delete.
    pub(crate) cut: Vec<String>,
    /// Marks to set.
    pub(crate) raised: Vec<(String, u32)>,
    /// Marks to delete.
    pub(crate) forgotten: Vec<String>,
    /// Rows that are known of and not stored.
    pub(crate) dropped: u32,
}

/// Applies the cap to all rows and marks of a run.
///
/// Up to `max` rows that are not provisional stay: failed ones first, then steps, then attempts,
/// then inner events, each by their time. Provisional rows come last; they stay while the run never
/// had more than `max` others, and while all rows together are at most twice as many.
pub(crate) fn settle(
    rows: &[Candidate],
    marks: &BTreeMap<String, u32>,
    steps_seen: u32,
    max: usize,
) -> Settled {
    let mut order: Vec<(&Candidate, Class<'_>)> = rows
        .iter()
        .map(|r| {
            (
                r,
                class(&r.kind, &r.step, r.attempt, r.parent_key.as_deref()),
            )
        })
        .collect();
    order.sort_by_cached_key(|(row, class)| {
        let failed = row.status.is_error() && row.source > Source::Inferred;
        let class = match class {
            Class::Step => 0,
            Class::Attempt => 1,
            Class::Inner { .. } => 2,
        };
        (
            row.phase == Phase::Provisional,
            Reverse(failed),
            class,
            row.at,
            row.event_key.clone(),
        )
    });
    let confirmed = order.partition_point(|(row, _)| row.phase > Phase::Provisional);
    let capped = confirmed > max || marks.contains_key(CAP);
    let stay = if capped {
        confirmed.min(max)
    } else {
        order.len().min(2 * max)
    };

    let mut grown = marks.clone();
    if capped {
        grown.insert(CAP.to_owned(), 1);
        for (row, class) in &order[..confirmed] {
            let Some((scope, count)) = mark(row, class) else {
                continue;
            };
            let mark = grown.entry(scope_text(&scope)).or_default();
            *mark = count.max(*mark);
        }
    }
    let forgotten: Vec<String> = grown
        .keys()
        .filter(|scope| scope.starts_with("attempts:") || scope.starts_with("inner:"))
        .skip(max.saturating_mul(MARKS_PER_EVENT))
        .cloned()
        .collect();
    for scope in &forgotten {
        grown.remove(scope);
    }
    let kept = &order[..stay.min(confirmed)];
    Settled {
        cut: order[stay..]
            .iter()
            .map(|(row, _)| row.event_key.clone())
            .collect(),
        dropped: dropped(kept, &grown, steps_seen),
        raised: grown
            .into_iter()
            .filter(|(scope, count)| marks.get(scope) != Some(count))
            .collect(),
        forgotten: forgotten
            .into_iter()
            .filter(|scope| marks.contains_key(scope))
            .collect(),
    }
}

/// Rows that marks tell of and that are not among the kept ones.
fn dropped(
    kept: &[(&Candidate, Class<'_>)],
    marks: &BTreeMap<String, u32>,
    steps_seen: u32,
) -> u32 {
    let mut steps = 0u32;
    // Per scope: how many are stored, and the highest number of them.
    let mut stored: HashMap<String, (u32, u32)> = HashMap::new();
    for (row, class) in kept {
        let Some((scope, number)) = mark(row, class) else {
            steps += 1;
            continue;
        };
        let (count, highest) = stored.entry(scope_text(&scope)).or_default();
        *count += 1;
        *highest = number.max(*highest);
    }
    marks
        .iter()
        .map(|(scope, &mark)| {
            if scope == CAP {
                return steps_seen.saturating_sub(steps);
            }
            let (count, highest) = stored.get(scope).copied().unwrap_or_default();
            mark.max(highest).saturating_sub(count)
        })
        .fold(0, u32::saturating_add)
}

/// Tokens and cost of an event row, if it has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used {
    pub(crate) event_key: String,
    pub(crate) kind: String,
    pub(crate) step: String,
    pub(crate) attempt: u32,
    pub(crate) parent_key: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) input_tokens: Option<i64>,
    pub(crate) output_tokens: Option<i64>,
    pub(crate) cost_usd: Option<f64>,
}

impl From<&EventRow> for Used {
    fn from(row: &EventRow) -> Self {
        Self {
            event_key: row.event_key.clone(),
            kind: row.kind.clone(),
            step: row.step.clone(),
            attempt: row.attempt,
            parent_key: row.parent_key.clone(),
            model: row.model.clone(),
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            cost_usd: row.cost_usd,
        }
    }
}

/// Tokens and cost of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    pub(crate) input_tokens: i64,
    pub(crate) output_tokens: i64,
    pub(crate) cost_usd: f64,
}

/// Sums tokens and cost over the rows of a run, in the order of their keys.
///
/// A step, its attempts and the events inside them may all tell of the same call of a model, so
/// each of the three values counts where it stands highest: not in a row that has an ancestor with
/// that value. `rows` must hold all rows with a value and all inner events.
pub(crate) fn usage(rows: &[Used]) -> Usage {
    let mut sum = Usage::default();
    counted(rows, |_, own| sum += own);
    sum
}

/// The same by model.
pub(crate) fn spent(rows: &[Used]) -> Vec<Spent> {
    let mut by_model: BTreeMap<Option<&str>, Usage> = BTreeMap::new();
    counted(rows, |row, own| {
        *by_model.entry(row.model.as_deref()).or_default() += own;
    });
    by_model.retain(|_, sum| *sum != Usage::default());
    let spent = by_model.into_iter().map(|(model, sum)| Spent {
        model: model.map(ToOwned::to_owned),
        input_tokens: sum.input_tokens,
        output_tokens: sum.output_tokens,
        cost_usd: sum.cost_usd,
    });
    spent.collect()
}

/// What was spent by rows that are stored nowhere: all of a run, or of an attempt.
pub fn spent_by<'a>(rows: impl IntoIterator<Item = &'a EventRow>) -> Vec<Spent> {
    let rows: Vec<Used> = rows.into_iter().map(Used::from).collect();
    spent(&rows)
}

/// What was spent since. Where a row above tells the same calls anew, maybe with another name of the model,
/// the sum over all models decides: nothing is counted twice.
pub(crate) fn added(before: &[Spent], now: &[Spent]) -> Vec<Spent> {
    let input = grown(before, now, |spent| spent.input_tokens as f64);
    let output = grown(before, now, |spent| spent.output_tokens as f64);
    let cost = grown(before, now, |spent| spent.cost_usd);
    (now.iter().enumerate())
        .map(|(at, spent)| Spent {
            model: spent.model.clone(),
            input_tokens: input[at].round() as i64,
            output_tokens: output[at].round() as i64,
            cost_usd: cost[at],
        })
        .filter(|more| more.input_tokens > 0 || more.output_tokens > 0 || more.cost_usd > 0.0)
        .collect()
}

/// By how much each has grown, together by no more than the sum.
fn grown(before: &[Spent], now: &[Spent], value: impl Fn(&Spent) -> f64) -> Vec<f64> {
    let was = |model: &Option<String>| {
        let before = before.iter().find(|spent| spent.model == *model);
        before.map_or(0.0, &value)
    };
    let sum = |spent: &[Spent]| -> f64 { spent.iter().map(&value).sum() };
    let each: Vec<f64> = (now.iter())
        .map(|spent| (value(spent) - was(&spent.model)).max(0.0))
        .collect();
    let all: f64 = each.iter().sum();
    if all <= 0.0 {
        return each;
    }
    let part = ((sum(now) - sum(before)).max(0.0) / all).min(1.0);
    each.into_iter().map(|grown| grown * part).collect()
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, own: Self) {
        self.input_tokens = self.input_tokens.saturating_add(own.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(own.output_tokens);
        // What is no number would spoil the sum and be refused by the database.
        if (self.cost_usd + own.cost_usd).is_finite() {
            self.cost_usd += own.cost_usd;
        }
    }
}

/// Calls with each row, in the order of their keys, and what it alone tells.
pub(crate) fn counted<'a>(rows: &'a [Used], mut each: impl FnMut(&'a Used, Usage)) {
    let by_key: HashMap<&str, &Used> = rows.iter().map(|r| (r.event_key.as_str(), r)).collect();
    // Attempts and steps are found by step and attempt: a row between may not be stored.
    let activities: HashMap<(&str, u32), &Used> = rows
        .iter()
        .filter(|r| r.kind == "activity")
        .map(|r| ((r.step.as_str(), r.attempt), r))
        .collect();
    let mut order: Vec<&Used> = rows.iter().collect();
    order.sort_by_key(|row| row.event_key.as_str());
    for row in order {
        let above = ancestors(row, &by_key, &activities);
        let mut own = Usage::default();
        if let Some(tokens) = row.input_tokens
            && above.iter().all(|a| a.input_tokens.is_none())
        {
            own.input_tokens = tokens;
        }
        if let Some(tokens) = row.output_tokens
            && above.iter().all(|a| a.output_tokens.is_none())
        {
            own.output_tokens = tokens;
        }
        if let Some(cost) = row.cost_usd
            && above.iter().all(|a| a.cost_usd.is_none())
        {
            own.cost_usd = cost;
        }
        each(row, own);
    }
}

fn ancestors<'a>(
    row: &'a Used,
    by_key: &HashMap<&str, &'a Used>,
    activities: &HashMap<(&str, u32), &'a Used>,
) -> Vec<&'a Used> {
    let mut found = Vec::new();
    let mut visited = HashSet::from([row.event_key.as_str()]);
    let mut next = row.parent_key.as_deref();
    while let Some(parent) = next.filter(|key| visited.insert(key)) {
        let Some(parent) = by_key.get(parent) else {
            break;
        };
        found.push(*parent);
        next = parent.parent_key.as_deref();
    }
    let of_activity: &[(&str, u32)] =
        match class(&row.kind, &row.step, row.attempt, row.parent_key.as_deref()) {
            Class::Step => &[],
            Class::Attempt => &[(&row.step, 0)],
            Class::Inner { step, .. } => &[(step, row.attempt), (step, 0)],
        };
    found.extend(of_activity.iter().filter_map(|at| activities.get(at)));
    found
}
