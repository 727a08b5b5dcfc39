//! Workers in processes of their own, which can be killed: this binary, started again for a test that is ignored
//! otherwise.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use omnitrace::OmniTrace;
use omnitrace_tests::{RunningWorker, client_with};
use temporalio_client::ClientOptions;
use temporalio_sdk::WorkerOptions;

/// One that ends well when its standard input does, as when the test that started it dies.
pub(crate) struct Process {
    system: Child,
}

/// What starts this binary for that test alone.
pub(crate) fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", test, "--ignored"]);
    command
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let system = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        Self {
            system: system.expect("a process"),
        }
    }

    /// Stops it, and waits until it has stored everything.
    pub(crate) fn stop(mut self) {
        drop(self.system.stdin.take());
        let ended = self.system.wait().expect("a process");
        assert!(ended.success(), "the process ended well: {ended}");
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.system.kill().expect("it runs");
        self.system.wait().expect("a process");
    }
}

/// What such a process does: it serves until it is told to end.
pub(crate) fn serve(
    namespace: &str,
    worker: WorkerOptions,
    record: impl AsyncFnOnce() -> OmniTrace,
) {
    let tokio = tokio::runtime::Runtime::new().expect("a runtime");
    tokio.block_on(async {
        let omnitrace = record().await;
        let plugin = omnitrace.plugin();
        let client = client_with(ClientOptions::new(namespace).plugin(plugin).build()).await;
        let worker = RunningWorker::start(client, worker);
        let told = tokio::task::spawn_blocking(|| {
            std::io::copy(&mut std::io::stdin(), &mut std::io::sink())
        });
        told.await.expect("it waits").expect("standard input");
        tokio::task::spawn_blocking(move || worker.stop())
            .await
            .expect("it stops");
        let stored = omnitrace.shutdown(Duration::from_secs(20)).await;
        stored.expect("everything is stored");
    });
}
