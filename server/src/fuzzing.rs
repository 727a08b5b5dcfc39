//! What is not public and takes text from outside, for the fuzzers in `fuzz`.

use crate::cli::SelectionArgs;
pub use crate::http::in_process::Api;

/// The query to the server's visibility for these ids.
pub fn visibility_query(workflow_id: &str, run_id: &str) -> String {
    let selection = SelectionArgs {
        query: None,
        since: None,
        workflow_id: Some(workflow_id.to_owned()),
        run_id: Some(run_id.to_owned()),
        at_once: 1,
    };
    selection.visibility_query(jiff::Timestamp::UNIX_EPOCH)
}
