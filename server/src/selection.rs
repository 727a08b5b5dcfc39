//! Which runs a command is about: those of a server, or those that are stored.

use futures_util::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use omnitrace::history::{Execution, Server, ServerError};
use omnitrace_store::RunFilter;

use crate::cli::{FilterArgs, SelectionArgs};
use crate::error::CliError;
use crate::when;

impl FilterArgs {
    /// The arguments as a filter, without a limit.
    pub(crate) fn filter(&self, now: Timestamp) -> Result<RunFilter, CliError> {
        let since = self.since.map(|m| m.micros(now));
        let until = self.until.map(|m| m.micros(now));
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            return Err(CliError::Usage(format!(
                "--since {} is not before --until {}: nothing can match",
                when::short(since),
                when::short(until)
            )));
        }
        let mut filter = RunFilter::default();
        filter.namespace.clone_from(&self.namespace);
        filter.statuses.clone_from(&self.statuses);
        filter.workflow_type.clone_from(&self.workflow_type);
        filter.started_from = since;
        filter.started_before = until;
        filter.text.clone_from(&self.text);
        Ok(filter)
    }
}

impl SelectionArgs {
    /// Whether every run of the namespace is meant.
    pub(crate) fn is_everything(&self) -> bool {
        self.query.is_none()
            && self.since.is_none()
            && self.workflow_id.is_none()
            && self.run_id.is_none()
    }

    /// Whether certain runs are meant, so that finding none is a mistake.
    pub(crate) fn names_runs(&self) -> bool {
        self.query.is_some() || self.workflow_id.is_some() || self.run_id.is_some()
    }

    /// Finds the runs.
    pub(crate) async fn find(
        &self,
        server: &Server,
        now: Timestamp,
    ) -> Result<BoxStream<'static, Result<Execution, ServerError>>, CliError> {
        if let (Some(workflow_id), Some(run_id)) = (&self.workflow_id, &self.run_id) {
            // Found also where the server's index is behind.
            let found = server.describe(workflow_id, run_id).await?;
            return Ok(stream::iter(found.map(Ok)).boxed());
        }
        Ok(server.list(&self.visibility_query(now)))
    }

    pub(crate) fn visibility_query(&self, now: Timestamp) -> String {
        let mut parts: Vec<String> = self
            .query
            .iter()
            .map(|query| format!("({query})"))
            .collect();
        if let Some(since) = self.since {
            let since = when::exact(since.micros(now));
            parts.push(format!("StartTime >= '{since}'"));
        }
        let ids = [("WorkflowId", &self.workflow_id), ("RunId", &self.run_id)];
        for (name, id) in ids {
            if let Some(id) = id {
                parts.push(format!("{name} = '{}'", id.replace('\'', "''")));
            }
        }
        parts.join(" AND ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::when::Moment;

    #[test]
    fn a_query_has_all_that_was_asked_for() {
        let selection = SelectionArgs {
            query: Some("A = 1 OR B = 2".to_owned()),
            since: Some(Moment::At(Timestamp::UNIX_EPOCH)),
            workflow_id: Some("it's".to_owned()),
            run_id: None,
            at_once: 1,
        };
        assert!(!selection.is_everything());
        assert_eq!(
            selection.visibility_query(Timestamp::UNIX_EPOCH),
            "(A = 1 OR B = 2) AND StartTime >= '1970-01-01T00:00:00.000000Z' AND WorkflowId = 'it''s'"
        );
    }
}
