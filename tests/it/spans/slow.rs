//! A collector that answers late: within the time of an export nothing is lost or doubled, and beyond it the
//! same holds as where an acknowledgement was lost.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use omnitrace::Counter;
use omnitrace_tests::eventually;
use serde_json::{Value, json};

use super::collector::Collector;
use super::trouble::{Trouble, assert_copies_alike, rows};
use super::{Place, assert_journey, free_address};

/// Toxiproxy in front of a collector.
struct Delaying {
    system: Child,
    api: String,
    /// Where it listens, `host:port`.
    address: String,
}

impl Delaying {
    async fn to(collector: &Collector) -> Self {
        let program = std::env::var("OMNITRACE_TEST_TOXIPROXY_BIN");
        let program = program.expect("a Toxiproxy: run `cargo xtask test`");
        let (api, address) = (free_address(), free_address());
        let (host, port) = api.split_once(':').expect("host:port");
        let system = Command::new(program)
            .args(["-host", host, "-port", port])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a process");
        let delaying = Self {
            system,
            api,
            address: address.clone(),
        };
        let proxy = json!({ "name": "collector", "listen": address, "upstream": collector.http,
            "enabled": true });
        eventually("Toxiproxy listens", async || {
            delaying.post("/proxies", &proxy).await.then_some(())
        })
        .await;
        delaying
    }

    /// Requests, or answers, take so much longer.
    async fn delay(&self, stream: &str, by: Duration) {
        let toxic = json!({ "type": "latency", "stream": stream,
            "attributes": { "latency": by.as_millis() } });
        assert!(self.post("/proxies/collector/toxics", &toxic).await);
    }

    /// Whether it did as it was told.
    async fn post(&self, path: &str, body: &Value) -> bool {
        let (url, body) = (format!("http://{}{path}", self.api), body.clone());
        let posted = tokio::task::spawn_blocking(move || ureq::post(url).send_json(&body));
        posted.await.expect("asked").is_ok()
    }
}

impl Drop for Delaying {
    fn drop(&mut self) {
        // `Err` means: it has ended by itself.
        let _ = self.system.kill();
        let _ = self.system.wait();
    }
}

/// Exports may take a second.
const BELOW: Duration = Duration::from_millis(300);
const ABOVE: Duration = Duration::from_millis(2500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_slow_gets_all_spans_once() {
    for stream in ["upstream", "downstream"] {
        let collector = Collector::start().await;
        let delaying = Delaying::to(&collector).await;
        delaying.delay(stream, BELOW).await;
        let trouble = Trouble::at(collector, &delaying.address);
        let runs = trouble.journey().await;
        assert_journey(&Place::File(&trouble.collector), &runs, &[]).await;
        trouble.acknowledged(rows(&runs)).await;
        trouble.breaker(true).await;
        for counter in [Counter::ExportErrors, Counter::SpansDropped] {
            assert_eq!(trouble.counted(counter), 0, "{stream}: {counter:?}");
        }
        trouble.recording.assert_accounted().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_was_too_slow_gets_all_spans_and_twice_only_what_it_answered_too_late() {
    for stream in ["upstream", "downstream"] {
        let collector = Collector::start().await;
        let delaying = Delaying::to(&collector).await;
        delaying.delay(stream, ABOVE).await;
        let trouble = Trouble::at(collector, &delaying.address);
        let late = trouble.journey().await;
        trouble.breaker(false).await;
        assert_eq!(trouble.counted(Counter::SpansExported), 0, "{stream}");
        assert!(trouble.counted(Counter::ExportErrors) >= 5, "{stream}");

        assert!(delaying.post("/reset", &json!({})).await);
        trouble.breaker(true).await;
        let in_time = trouble.journey().await;
        // Of what was answered in time none comes twice: `assert_journey` checks it.
        assert_journey(&Place::File(&trouble.collector), &in_time, &[]).await;
        trouble.acknowledged(rows(&late) + rows(&in_time)).await;
        assert_copies_alike(&trouble.collector, &late).await;
        assert_eq!(trouble.counted(Counter::SpansDropped), 0, "{stream}");
        trouble.recording.assert_accounted().await;
    }
}
