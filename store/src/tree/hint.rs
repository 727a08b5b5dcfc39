//! What to do about a failure, by its kind.
//!
//! Invariant: only failures that Temporal or the SDK made have a hint. An application's own failure
//! has none: its message is for the application's author.

use super::Role;
use crate::row::Status;

/// One sentence that says what to do about a failed, or lost, run or event.
pub fn hint(
    role: Role,
    status: Status,
    error_type: Option<&str>,
    error_message: Option<&str>,
) -> Option<&'static str> {
    let message = error_message.unwrap_or_default();
    if !status.is_error() && status != Status::Canceled {
        return None;
    }
    if role == Role::Run && status == Status::TimedOut {
        return Some(
            "The run reached its execution or run timeout: look below for what it was waiting \
             for, or start it with a longer timeout.",
        );
    }
    // Core and the server mark their own messages by a code, which an application does not use.
    if message.starts_with("[TMPRL1100]") {
        return Some(
            "The workflow's code changed in a way that its history does not fit: put the change \
             behind a patch, or reset the run.",
        );
    }
    if message.starts_with("[TMPRL1103]") || error_type == Some("PayloadsTooLarge") {
        return Some(
            "A payload is larger than the server allows: store the data elsewhere and pass a \
             reference to it.",
        );
    }
    match error_type {
        Some("TimeoutFailure.StartToClose") => Some(
            "The attempt took longer than start_to_close_timeout, or its worker died: raise the \
             timeout, or add a heartbeat so that a dead worker is seen sooner.",
        ),
        Some("TimeoutFailure.ScheduleToStart") => {
            Some("No worker took the task in time: check that enough workers poll this task queue.")
        }
        Some("TimeoutFailure.ScheduleToClose") => Some(
            "All attempts together took longer than schedule_to_close_timeout: raise it, or let \
             the retry policy give up sooner.",
        ),
        Some("TimeoutFailure.Heartbeat") => Some(
            "No heartbeat came within heartbeat_timeout: heartbeat more often than that, and look \
             whether the worker died or was blocked.",
        ),
        Some("NotFoundError") if message.contains("is not registered on this worker") => Some(
            "The worker that took the task does not know this activity: register it there, or \
             send the activity to a task queue whose workers do.",
        ),
        // A failure that the server itself made of a result that it did not take.
        Some("ServerFailure") if message.contains("exceeds size limit") => Some(
            "A payload is larger than the server allows: store the data elsewhere and pass a \
             reference to it.",
        ),
        Some("CanceledFailure") => Some(CANCELED),
        Some("TerminatedFailure") => Some(TERMINATED),
        // A timer that its own workflow cancels is nothing to look into.
        None if status == Status::Canceled && role == Role::Run => Some(CANCELED),
        _ if status == Status::Terminated => Some(TERMINATED),
        _ if status == Status::Lost => Some(
            "It was given up before a result came: look in its worker's log for a crash, a \
             restart or a late answer at this time.",
        ),
        None if status == Status::TimedOut => Some(
            "It took longer than its timeout allows: raise the timeout, or find out what it \
             waited for.",
        ),
        _ => None,
    }
}

/// For an activity that was scheduled and of which no attempt is known.
pub(super) const NOT_STARTED: &str = "No attempt was seen: check that a worker with this activity \
     registered polls its task queue, and that it records too.";

const CANCELED: &str =
    "It was cancelled on request: if that was not meant, look for who cancelled it or its parent.";

const TERMINATED: &str = "It was terminated from outside: the reason stands in the run's history, for example with \
     `temporal workflow show`.";

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: Status, error_type: &str, message: &str) -> Option<&'static str> {
        hint(Role::Attempt, status, Some(error_type), Some(message))
    }

    #[test]
    fn every_failure_that_temporal_makes_has_a_hint_of_its_own() {
        let hints: Vec<_> = [
            (Status::TimedOut, "TimeoutFailure.StartToClose", ""),
            (Status::TimedOut, "TimeoutFailure.ScheduleToStart", ""),
            (Status::TimedOut, "TimeoutFailure.ScheduleToClose", ""),
            (Status::TimedOut, "TimeoutFailure.Heartbeat", ""),
            (Status::Canceled, "CanceledFailure", ""),
            (Status::Terminated, "TerminatedFailure", ""),
            (
                Status::Failed,
                "",
                "[TMPRL1100] Nondeterminism error: no timer",
            ),
            (Status::Failed, "PayloadsTooLarge", ""),
            (
                Status::Failed,
                "NotFoundError",
                "Activity A::b is not registered on this worker, no available activities.",
            ),
            (Status::Lost, "", ""),
        ]
        .into_iter()
        .map(|(status, error_type, message)| {
            of(status, error_type, message).unwrap_or_else(|| panic!("{error_type} {status:?}"))
        })
        .collect();
        for (i, hint) in hints.iter().enumerate() {
            assert!(!hints[..i].contains(hint), "said twice: {hint}");
            assert_eq!(
                hint.matches(". ").count(),
                0,
                "more than a sentence: {hint}"
            );
        }
    }

    #[test]
    fn an_application_failure_has_no_hint() {
        assert_eq!(of(Status::Failed, "CardDeclined", "no money"), None);
        assert_eq!(
            of(Status::Failed, "NotFoundError", "no such customer"),
            None
        );
        assert_eq!(
            of(Status::Failed, "ApplicationFailure", "exceeds size limit"),
            None
        );
    }

    #[test]
    fn what_ended_well_has_no_hint() {
        assert_eq!(of(Status::Completed, "TimeoutFailure.Heartbeat", ""), None);
    }
}
