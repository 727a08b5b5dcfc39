//! What proves that the server accepted what a workflow last answered.
//!
//! Invariant: a completion is a proposal until one of these rules says otherwise; whatever is not
//! named here proves nothing, and then what was proposed is thrown away.

use crate::observe::{Activation, Eviction};

/// When a completion was proposed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proposed {
    /// Events of the history then.
    pub(super) history_length: u32,
    /// It was made to answer a query, from events that no task has taken up yet.
    pub(super) ahead: bool,
}

/// What followed upon a completion.
#[derive(Clone, Copy, Debug)]
pub(super) enum Evidence<'a> {
    /// The run went on.
    Activation(&'a Activation),
    /// It left the worker's cache, `history_length` as the eviction said it.
    Eviction {
        reason: Eviction,
        history_length: u32,
    },
    /// The worker stopped; it evicts nothing when it does.
    WorkerStopped,
}

/// The rules, each by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// A longer history holds what was proposed.
    LongerHistoryProves,
    /// What a worker answers to be asked a query is not sent: it is part of the next task.
    AheadProvesNothing,
    /// Several activations of one task, rejected updates and queries repeat the number.
    SameHistoryProvesNothing,
    /// Whatever number it has: a query is answered beside the tasks.
    QueryProvesNothing,
    /// `WORKFLOW_EXECUTION_ENDING` is said after the server took the closing command.
    EndingProves,
    /// `CACHE_FULL` with the number of an answered task.
    CacheFullProves,
    /// `CACHE_FULL` with 0: a task was still open.
    CacheFullInTaskProvesNothing,
    /// `LANG_REQUESTED` comes from the replayer.
    LangRequestedProvesNothing,
    /// `TASK_NOT_FOUND`: the task timed out, or the run ended by other means.
    TaskNotFoundProvesNothing,
    /// `FATAL`: the answer may never have been sent.
    FatalProvesNothing,
    /// `NONDETERMINISM`: core itself refused the answer.
    NondeterminismProvesNothing,
    /// `UNHANDLED_COMMAND`: the server refused the closing command.
    UnhandledCommandProvesNothing,
    /// Any other reason to evict.
    OtherEvictionProvesNothing,
    /// The worker may have stopped before it sent the answer.
    StopProvesNothing,
}

impl Rule {
    /// What the rule says of the evidence that it is about.
    fn proves(self) -> bool {
        matches!(
            self,
            Self::LongerHistoryProves | Self::EndingProves | Self::CacheFullProves
        )
    }
}

/// All rules; a test may turn one round.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Acceptance {
    #[cfg(test)]
    off: Option<Rule>,
}

impl Acceptance {
    /// All rules but one, which says the opposite.
    #[cfg(test)]
    pub(super) fn without(rule: Rule) -> Self {
        Self { off: Some(rule) }
    }

    /// Whether the evidence proves that the server accepted what was proposed.
    pub(super) fn proves(self, proposed: Proposed, evidence: Evidence<'_>) -> bool {
        let rule = rule(proposed, evidence);
        #[cfg(test)]
        if self.off == Some(rule) {
            return !rule.proves();
        }
        rule.proves()
    }
}

/// The rule that decides.
fn rule(proposed: Proposed, evidence: Evidence<'_>) -> Rule {
    match evidence {
        _ if proposed.ahead => Rule::AheadProvesNothing,
        Evidence::Activation(activation) if activation.is_query_only() => Rule::QueryProvesNothing,
        Evidence::Activation(activation) if activation.history_length > proposed.history_length => {
            Rule::LongerHistoryProves
        }
        Evidence::Activation(_) => Rule::SameHistoryProvesNothing,
        Evidence::Eviction {
            reason,
            history_length,
        } => match reason {
            Eviction::ExecutionEnding => Rule::EndingProves,
            Eviction::CacheFull if history_length > 0 => Rule::CacheFullProves,
            Eviction::CacheFull => Rule::CacheFullInTaskProvesNothing,
            Eviction::LangRequested => Rule::LangRequestedProvesNothing,
            Eviction::TaskNotFound => Rule::TaskNotFoundProvesNothing,
            Eviction::Fatal => Rule::FatalProvesNothing,
            Eviction::Nondeterminism => Rule::NondeterminismProvesNothing,
            Eviction::UnhandledCommand => Rule::UnhandledCommandProvesNothing,
            Eviction::Other => Rule::OtherEvictionProvesNothing,
        },
        Evidence::WorkerStopped => Rule::StopProvesNothing,
    }
}
