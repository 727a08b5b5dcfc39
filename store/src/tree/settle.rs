//! What the parts of a step prove about each other.
//!
//! Invariant: an attempt that failed by its own word stays failed. One that did not is over as soon
//! as a later attempt or the step's end shows it, whatever its worker still said.

use super::{Node, Role};
use crate::row::{Micros, Status};

/// Settles a step's status against its attempts and the other way round. `children` are in order.
pub(super) fn settle(step: &mut Node, run_over: bool) {
    let (mut seen, mut last) = (0, None);
    for (i, child) in step.children.iter().enumerate() {
        if child.role == Role::Attempt {
            seen += 1;
            last = Some(i);
        }
    }
    let Some(last) = last else { return };
    if step.synthetic {
        synthesise(step, last, run_over);
    } else if step.status == Status::Scheduled {
        step.status = Status::Running;
    }

    let step_timed_out = step.status == Status::TimedOut || says_timeout(step);
    let step_status = step.status;
    let next_starts = next_starts(&step.children);
    for (i, attempt) in step.children.iter_mut().enumerate() {
        if attempt.role != Role::Attempt || has_failed(attempt.status) {
            continue;
        }
        let settled = if i != last && says_timeout(attempt) {
            Status::TimedOut
        } else if i != last {
            Status::Lost
        } else if !step_status.is_closed() {
            continue;
        } else if step_status == Status::Completed {
            Status::Completed
        } else if step_timed_out || says_timeout(attempt) {
            Status::TimedOut
        } else {
            Status::Lost
        };
        if settled != attempt.status {
            attempt.reported = Some(attempt.status);
            attempt.status = settled;
        }
        if attempt.ended_at.is_none() {
            // Its own end is not known; this is when it was over at the latest.
            let over = if i == last {
                step.ended_at
            } else {
                next_starts[i]
            };
            super::build::set_extent(attempt, over);
        }
    }

    let first = step.children.iter().find(|c| c.role == Role::Attempt);
    let start = first.filter(|c| c.attempt == 1).and_then(|c| c.started_at);
    if let (Some(scheduled), Some(start), true) = (step.scheduled_at, start, seen > 0) {
        // Two clocks: a worker's that is behind must not make the wait negative.
        step.waiting_ms = Some(start.saturating_sub(scheduled).max(0) / 1000);
    }
}

/// Status, times and error of a step of which only attempts are known.
fn synthesise(step: &mut Node, last: usize, run_over: bool) {
    let attempt = &step.children[last];
    let over = attempt.status == Status::Completed || (run_over && attempt.status.is_closed());
    let (status, ended_at, error) = if over {
        (attempt.status, attempt.ended_at, attempt.error.clone())
    } else {
        (Status::Running, None, None)
    };
    let attempts = || step.children.iter().filter(|c| c.role == Role::Attempt);
    let scheduled_at = attempts().filter_map(|c| c.scheduled_at).min();
    let started_at = attempts().filter_map(|c| c.started_at).min();
    let category = attempts().find_map(|c| c.category.clone());
    let local = attempts().any(|c| c.local);
    step.status = status;
    step.ended_at = ended_at;
    step.error = error;
    step.scheduled_at = scheduled_at.or(started_at);
    step.category = category;
    step.local = local;
    if let (Some(from), Some(to)) = (step.scheduled_at, ended_at) {
        step.duration_ms = Some(to.saturating_sub(from).max(0) / 1000);
    }
}

/// For each child, when the attempt after it began.
fn next_starts(children: &[Node]) -> Vec<Option<Micros>> {
    let mut next = None;
    let mut starts: Vec<_> = children
        .iter()
        .rev()
        .map(|child| {
            let after = next;
            if child.role == Role::Attempt {
                next = child.started_at.or(child.scheduled_at).or(next);
            }
            after
        })
        .collect();
    starts.reverse();
    starts
}

fn has_failed(status: Status) -> bool {
    matches!(
        status,
        Status::Failed | Status::TimedOut | Status::Canceled | Status::Terminated
    )
}

fn says_timeout(node: &Node) -> bool {
    node.error
        .as_ref()
        .and_then(|e| e.kind.as_deref())
        .is_some_and(|kind| kind.starts_with("TimeoutFailure"))
}
