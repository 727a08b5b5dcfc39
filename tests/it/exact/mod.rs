//! Rows are exactly what happened, whoever saw it: a worker with a cache, one without, two
//! processes, or a replay.

/// The same test with a cache, without one, and with two processes.
macro_rules! in_each_layout {
    ($($name:ident: $scenario:ident;)+) => {$(
        mod $name {
            #[tokio::test]
            async fn with_a_cache() {
                super::$scenario(crate::exact::stage::Layout::Cached).await;
            }

            #[tokio::test]
            async fn without_a_cache() {
                super::$scenario(crate::exact::stage::Layout::Uncached).await;
            }

            #[tokio::test]
            async fn with_two_processes() {
                super::$scenario(crate::exact::stage::Layout::TwoProcesses).await;
            }
        }
    )+};
}

/// Starts a workflow and gives its handle.
macro_rules! start {
    ($stage:expr, $flow:ident, $input:expr) => {{
        let id = omnitrace_tests::unique(stringify!($flow));
        start!($stage, $flow, $input, $stage.options(&id))
    }};
    ($stage:expr, $flow:ident, $input:expr, $options:expr) => {
        $stage
            .client
            .start_workflow(crate::exact::flows::$flow::run, $input, $options)
            .await
            .expect("started")
    };
}

/// Waits for a run to end, compares its lines, and those of its replay. Gives what is stored.
macro_rules! expect {
    ($stage:expr, $handle:expr, $lines:expr) => {{
        let run = $stage.settled($handle.run_id().expect("an id")).await;
        run.assert_lines(&$lines);
        $stage
            .check_replay(&run, || $handle.fetch_history(Default::default()))
            .await;
        run
    }};
}

mod acceptance;
mod activities;
mod chains;
pub(crate) mod flows;
mod messages;
mod processes;
pub(crate) mod stage;
pub(crate) mod tools;
