//! No secret reaches a log, however much is logged: the demo's worker at trace level, with all that it depends
//! on, where things work and where nothing does.

use std::path::Path;
use std::process::Command;

use omnitrace_tests::{server, unique};
use sqlx::{Connection, Executor, PgConnection};

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
        // Of the SDK's own lines too: payloads are base64 there, which is a user's own setting.
        for secret in [HASH_KEY, PASSWORD, TOKEN, CARD, CUSTOMER, PHRASE] {
            let line = self.text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{how}");
        }
    }
}

/// A role of PostgreSQL that has a password, and a database of its own.
struct Role {
    name: String,
    url: String,
}

impl Role {
    async fn make() -> Self {
        let name = format!("omnitrace_secrets_{}", uuid::Uuid::new_v4().simple());
        admin(&format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")).await;
        admin(&format!("CREATE DATABASE {name} OWNER {name}")).await;
        let mut url: url::Url = postgres().parse().expect("a URL");
        url.set_path(&name);
        url.set_username(&name).expect("a user");
        url.set_password(Some(PASSWORD)).expect("a password");
        let url = url.to_string();
        Self { name, url }
    }

    async fn drop(self) {
        admin(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
        admin(&format!("DROP ROLE {}", self.name)).await;
    }
}

fn postgres() -> String {
    std::env::var("OMNITRACE_TEST_POSTGRES").expect("a server: run `cargo xtask test`")
}

async fn admin(sql: &str) {
    let connection = PgConnection::connect(&postgres()).await;
    let done = connection.expect("a server").execute(sql).await;
    done.expect("it may do this");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_logged_at_trace_level() {
    let collector = Collector::start().await;
    let nobody = free_address();
    let down = format!("postgres://omnitrace:{PASSWORD}@{nobody}/omnitrace");
    let role = Role::make().await;
    let ways = [
        ("http/protobuf", &collector.http, role.url.as_str()),
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
        if database == role.url {
            // It was used, with its password.
            let connection = PgConnection::connect(database).await;
            let query = sqlx::query_scalar("SELECT count(*) FROM omnitrace_events");
            let rows: i64 = query
                .fetch_one(&mut connection.expect("a database"))
                .await
                .expect("tables");
            assert!(rows > 5, "{rows}");
        }
    }
    role.drop().await;
}
