//! The roles of the guide to PostgreSQL, made by its own SQL: each command works with the role that the guide
//! names for it, and what a role is not for is refused.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use sqlx::{Connection, Executor, PgConnection};

const GUIDE: &str = include_str!("../../docs/postgresql.md");

/// URL of a PostgreSQL server whose role may create databases and roles.
const SERVER_VARIABLE: &str = "OMNITRACE_TEST_POSTGRES";

const ROLES: [&str; 5] = ["owner", "recorder", "server", "reader", "admin"];

/// A database of its own, and a prefix for its roles, which are the server's.
struct Roles {
    server: url::Url,
    name: String,
}

impl Roles {
    fn url(&self, role: &str) -> String {
        let mut url = self.server.clone();
        url.set_path(&self.name);
        if !role.is_empty() {
            url.set_username(&format!("{}_{role}", self.name))
                .expect("a name");
            url.set_password(Some("hunter2")).expect("a password");
        }
        url.to_string()
    }

    /// SQL of the guide, with the names and a password of this test.
    fn sql(&self, sql: &str) -> String {
        let sql = sql.replace("'…'", "'hunter2'");
        ROLES.iter().fold(sql, |sql, role| {
            sql.replace(
                &format!("omnitrace_{role}"),
                &format!("{}_{role}", self.name),
            )
        })
    }

    async fn run(&self, sql: &str) {
        let mut admin = PgConnection::connect(&self.url(""))
            .await
            .expect("a server");
        admin.execute(self.sql(sql).as_str()).await.expect(sql);
    }

    /// The command line with this role and nothing else in its environment.
    fn command(&self, role: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_omnitrace-under-test"));
        command
            .env_clear()
            .env("OMNITRACE_DATABASE_URL", self.url(role))
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// What a command prints that works with this role.
    fn good(&self, role: &str, arguments: &[&str]) -> String {
        let said = self.command(role, arguments).output().expect("started");
        assert!(said.status.success(), "{role} {arguments:?}: {said:?}");
        String::from_utf8(said.stdout).expect("text")
    }

    /// A command that this role is not for.
    fn refused(&self, role: &str, arguments: &[&str]) {
        let said = self.command(role, arguments).output().expect("started");
        let error = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(1), "{role} {arguments:?}: {error}");
        assert!(
            error.contains("permission denied") || error.contains("read-only"),
            "{role} {arguments:?}: {error}"
        );
    }
}

/// A server that ends with the test.
struct Serving(Child, String);

impl Serving {
    fn new(roles: &Roles, role: &str, environment: &str) -> Self {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--require-token"];
        let mut child = (roles.command(role, &serve))
            .env("OMNITRACE_ENV", environment)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        stdout.read_line(&mut line).expect("a line");
        let address = line.split_once("http://").expect(&line).1;
        let address = address.split(' ').next().unwrap_or_default().to_owned();
        Self(child, format!("http://{address}/executions"))
    }

    /// How many runs it shows to who has this token.
    fn shows(&self, token: &str) -> usize {
        let asked = ureq::get(&self.1).header("Authorization", format!("Bearer {token}"));
        let mut answer = asked.call().expect("let in");
        let page = answer.body_mut().read_to_string().expect("text");
        let page: serde_json::Value = serde_json::from_str(&page).expect("JSON");
        page["executions"].as_array().expect("runs").len()
    }

    /// What it complained of until it was stopped.
    fn complaints(mut self) -> String {
        self.0.kill().expect("stopped");
        let said = BufReader::new(self.0.stderr.take().expect("piped"));
        said.lines()
            .map(|line| line.expect("text") + "\n")
            .collect()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const HISTORY: &str = r#"{"events": [
  {"eventId": "1", "eventTime": "2026-01-01T00:00:01Z", "eventType": "WorkflowExecutionStarted",
   "workflowExecutionStartedEventAttributes": {"workflowId": "WORKFLOW", "originalExecutionRunId": "run-WORKFLOW",
     "workflowType": {"name": "Order"}, "taskQueue": {"name": "orders"}}},
  {"eventId": "2", "eventTime": "2026-01-01T00:00:02Z", "eventType": "WorkflowExecutionTerminated",
   "workflowExecutionTerminatedEventAttributes": {}}
]}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_command_works_with_the_role_that_the_guide_names_for_it() {
    let server = std::env::var(SERVER_VARIABLE).unwrap_or_else(|_| {
        panic!("no PostgreSQL server in {SERVER_VARIABLE}: run `cargo xtask test`")
    });
    let server: url::Url = server.parse().expect("a URL");
    let mut admin = PgConnection::connect(server.as_str())
        .await
        .expect("a server");
    let name = format!("roles_{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
    let roles = Roles { server, name };
    let create = format!("CREATE DATABASE {}", roles.name);
    admin.execute(create.as_str()).await.expect("created");
    let blocks: Vec<&str> = (GUIDE.split("```sql\n").skip(1))
        .filter_map(|part| part.split("```").next())
        .collect();
    let (_, granting) = blocks[0].split_once("\\c omnitrace\n").expect("roles");
    roles.run(granting).await;
    roles.good("owner", &["migrate"]);
    roles.run(blocks[1]).await;

    let folder = tempfile::tempdir().expect("a folder");
    for id in ["old", "other"] {
        let file = folder.path().join(format!("{id}.json"));
        std::fs::write(&file, HISTORY.replace("WORKFLOW", id)).expect("written");
        roles.good("recorder", &["import", &file.display().to_string()]);
    }
    let set = ["set", "recording", "true", "--reason", "why"];
    roles.good("recorder", &set);
    roles.good("recorder", &["doctor"]);
    roles.good("recorder", &["prune", "--runs-days", "36500"]);
    let create = [
        "token",
        "create",
        "--name",
        "me",
        "--tenant",
        "*",
        "--namespace",
        "*",
    ];
    let token = roles.good("admin", &create);
    let token = token.trim();

    for read in [
        &["list"][..],
        &["show", "old"],
        &["switches", "list"],
        &["token", "list"],
        &["erase", "--list"],
    ] {
        roles.good("reader", read);
        roles.good("admin", read);
    }
    roles.refused("recorder", &["token", "list"]);
    roles.refused("recorder", &create);
    roles.refused("server", &create);
    roles.refused("reader", &set);
    roles.refused("reader", &["prune", "--runs-days", "1"]);

    // With everything kept, a role that reads is enough.
    let reading = Serving::new(&roles, "reader", "dev");
    assert_eq!(reading.shows(token), 2);
    assert_eq!(reading.complaints(), "");
    roles.good("admin", &["erase", "--workflow-id", "other", "--yes"]);
    roles.good(
        "admin",
        &["erase", "--tenant", "acme", "--yes", "--keep-away"],
    );
    // And else one that deletes what is old.
    let deleting = Serving::new(&roles, "server", "prod");
    omnitrace_tests::eventually("the old run is deleted", async || {
        (deleting.shows(token) == 0).then_some(())
    })
    .await;
    assert_eq!(deleting.complaints(), "");

    let drop = format!("DROP DATABASE {} WITH (FORCE)", roles.name);
    admin.execute(drop.as_str()).await.expect("dropped");
    for role in ROLES {
        let drop = format!("DROP ROLE {}_{role}", roles.name);
        admin.execute(drop.as_str()).await.expect("dropped");
    }
}
