//! Of which run a history is.
//!
//! Invariant: what a caller says of the run id goes before what the history says, because a history
//! names the run that it began as, not the one that it is; the workflow id never differs.

use omnitrace_store::row::RunKey;
use temporalio_common::protos::temporal::api::{
    enums::v1::WorkflowTaskFailedCause,
    history::v1::{HistoryEvent, history_event::Attributes},
};

use super::ImportError;
use crate::DEFAULT_NAMESPACE;

/// What is known of a history's run beside the history.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ids {
    /// Histories don't name theirs.
    pub namespace: String,
    /// Must be that of the history, if it names one.
    pub workflow_id: Option<String>,
    /// Goes before what the history says.
    pub run_id: Option<String>,
    /// Workflow id of a history that names none, for instance the name of its file.
    pub fallback: Option<String>,
}

impl Default for Ids {
    fn default() -> Self {
        Self {
            namespace: DEFAULT_NAMESPACE.to_owned(),
            workflow_id: None,
            run_id: None,
            fallback: None,
        }
    }
}

impl Ids {
    /// The run that a history is of. A reset run has the events of another one; its own id is in the
    /// failed task at which they part, everyone else's in the first event.
    ///
    /// # Errors
    /// When the history has no beginning, or names another workflow than the caller.
    pub fn of(&self, events: &[HistoryEvent]) -> Result<RunKey, ImportError> {
        let first = events.first().ok_or(ImportError::Empty)?;
        let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) = &first.attributes
        else {
            return Err(ImportError::NoStart);
        };
        let filled = |id: &str| (!id.is_empty()).then(|| id.to_owned());
        let found = filled(&started.workflow_id);
        if let (Some(found), Some(asked)) = (&found, &self.workflow_id)
            && found != asked
        {
            return Err(ImportError::OtherWorkflow {
                found: found.clone(),
                asked: asked.clone(),
            });
        }
        let workflow_id = found
            .or_else(|| self.workflow_id.clone())
            .or_else(|| self.fallback.clone())
            .ok_or(ImportError::Unnamed("workflow id", "--workflow-id"))?;
        let reset = || {
            events
                .iter()
                .rev()
                .find_map(|event| match &event.attributes {
                    Some(Attributes::WorkflowTaskFailedEventAttributes(failed))
                        if failed.cause() == WorkflowTaskFailedCause::ResetWorkflow =>
                    {
                        filled(&failed.new_run_id)
                    }
                    _ => None,
                })
        };
        let run_id = self
            .run_id
            .clone()
            .or_else(reset)
            .or_else(|| filled(&started.original_execution_run_id))
            .ok_or(ImportError::Unnamed("run id", "--run-id"))?;
        Ok(RunKey::new(&self.namespace, workflow_id, run_id))
    }
}
