//! No secret reaches a log, however much is logged: the demo's worker at trace level, with all that it depends
//! on, where things work and where nothing does.

use std::path::Path;
use std::process::Command;

use omnitrace_tests::{server, unique};

use crate::spans::collector::Collector;
use crate::spans::free_address;

/// What the settings hold.
const HASH_KEY: &str = "hash-key-5f2c91";
const PASSWORD: &str = "db-password-81c07d";
const TOKEN: &str = "collector-token-3ad9e2";

/// What the mail holds.
const CARD: &str = "4111 1111 1111 1111";
const CUSTOMER: &str = "zx9qv7canary@example.com";
const PHRASE: &str = "Zx9Qv7canary";

/// Parts of the SDK log what they send at trace level: a user's own setting, and no line of ours.
const SDK: [&str; 2] = [" temporalio", " tonic"];

struct Log {
    text: String,
}

impl Log {
    /// Handles one mail, with everything logged.
    async fn of(folder: &Path, settings: &[(&str, String)]) -> Self {
        let mails = folder.join("mails");
        std::fs::create_dir_all(&mails).expect("a folder");
        let mail = format!(
            "From: {CUSTOMER}\nSubject: Refund\n\nOrder A-1042 never came, said {PHRASE}. Refund 20 EUR \
             to my card {CARD}.\n"
        );
        std::fs::write(mails.join("mail.txt"), mail).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker-example-under-test"));
        command
            .env_clear()
            .current_dir(folder)
            .env("RUST_LOG", "trace")
            .env("NO_COLOR", "1")
            .env("OMNITRACE_HASH_KEY", HASH_KEY)
            .env("TELEMETRY_ENABLED", "true")
            .env("TELEMETRY_BACKEND", "otel")
            .env("OTEL_BSP_SCHEDULE_DELAY", "50")
            .env("OTEL_METRIC_EXPORT_INTERVAL", "100")
            .env(
                "OTEL_EXPORTER_OTLP_HEADERS",
                format!("authorization=Bearer%20{TOKEN}"),
            )
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .args(["run", "mails", "--address", &server()])
            .args(["--task-queue", &unique("support")]);
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await.expect("it ran").expect("a process");
        let text = [&output.stdout[..], &output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(
            output.status.success(),
            "{}",
            &text[text.len().saturating_sub(2000)..]
        );
        Self { text }
    }

    fn assert_private(&self, how: &str) {
        // All of it is there, and at the lowest level.
        assert!(self.text.contains("OmniTrace sampling"), "{how}");
        assert!(self.text.contains("TRACE "), "{how}");
        for secret in [HASH_KEY, PASSWORD, TOKEN] {
            let line = self.text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{how}");
        }
        let ours = self
            .text
            .lines()
            .filter(|line| !SDK.iter().any(|sdk| line.contains(sdk)));
        for line in ours {
            for secret in [CARD, CUSTOMER, PHRASE] {
                assert!(!line.contains(secret), "{how}: {line}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_logged_at_trace_level() {
    let collector = Collector::start().await;
    let nobody = free_address();
    let down = format!("postgres://omnitrace:{PASSWORD}@{nobody}/omnitrace");
    let ways = [
        ("http/protobuf", &collector.http, "sqlite://omnitrace.db"),
        ("grpc", &collector.grpc, "none"),
        ("http/protobuf", &nobody, &down),
        ("grpc", &nobody, &down),
    ];
    for (protocol, address, database) in ways {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")),
            ("OMNITRACE_DATABASE_URL", database.to_owned()),
        ];
        let log = Log::of(folder.path(), &settings).await;
        // Whoever starts a worker is told once that its collector is not there.
        let warnings = log.text.matches("OmniTrace cannot send spans").count();
        assert_eq!(warnings, usize::from(address == &nobody));
        log.assert_private(&format!("{protocol} to {address}"));
    }
}
