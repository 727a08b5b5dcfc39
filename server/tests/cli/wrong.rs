//! What goes wrong is one line on standard error, and an exit code: 1, or 2 for wrong arguments.

use crate::Database;

#[tokio::test]
async fn an_unknown_id_names_ids_like_it() {
    let database = Database::full().await;
    assert_eq!(
        database.failure(&["show", "ordr-1042"]),
        (
            1,
            "error: no run has the workflow id, run id or trace id \"ordr-1042\" in \
             sqlite://[folder]/omnitrace.db; did you mean order-1042, order-1043?\n"
                .to_owned()
        )
    );
    let (code, line) = database.failure(&["show", "nothing\x1blike it"]);
    assert_eq!(code, 1);
    assert!(
        line.ends_with("; `omnitrace list` shows what there is\n"),
        "{line}"
    );
    assert!(line.contains(r"nothing\x1blike it"), "{line}");
}

#[tokio::test]
async fn an_unknown_run_of_a_known_workflow_names_its_runs() {
    let args = ["show", "order-1042", "--run-id", "gone"];
    let (code, line) = Database::full().await.failure(&args);
    assert_eq!(code, 1);
    assert!(
        line.ends_with("did you mean --run-id 0197d6a8-52d4-7b6e-9d0e-000000000010?\n"),
        "{line}"
    );
}

#[tokio::test]
async fn a_missing_database_is_one_line_that_says_what_to_do() {
    for args in [["list", "--json"], ["show", "order-1042"]] {
        let (code, line) = Database::missing().failure(&args);
        assert_eq!(code, 1);
        assert!(
            line.starts_with("error: no database at [folder]/omnitrace.db: "),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1);
    }
}

#[tokio::test]
async fn what_is_changed_must_be_there() {
    let database = Database::missing();
    for args in [
        &["set", "recording", "false", "--reason", "x"][..],
        &["switches", "unset", "recording", "--reason", "x"],
        &[
            "token",
            "create",
            "--name",
            "me",
            "--tenant",
            "*",
            "--namespace",
            "*",
        ],
        &["token", "revoke", "8d1f0c2a77e3"],
    ] {
        let (code, line) = database.failure(args);
        assert_eq!(code, 1, "{line}");
        assert!(line.starts_with("error: no database at "), "{line}");
    }
    assert_eq!(std::fs::read_dir(database.folder()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_token_whose_tenant_nobody_has_by_this_key_is_warned_of() {
    let mut order = crate::rows::order();
    for run in &mut order.runs {
        run.policy_id = "0123456789abcdef".to_owned();
    }
    let database = Database::with(&[order]).await;
    let create = [
        "token",
        "create",
        "--name",
        "x",
        "--namespace",
        "*",
        "--tenant",
    ];
    let output = database
        .command(&[&create[..], &["acme"]].concat())
        .output();
    let (stdout, stderr) = database.texts(&output.unwrap());
    assert!(stdout.starts_with("omt_"), "{stdout}");
    assert!(
        stderr.starts_with("warning: no run is of tenant sha256:")
            && stderr.contains("OMNITRACE_HASH_KEY")
            && stderr.lines().count() == 1,
        "{stderr}"
    );
    database.stdout(&[&create[..], &["*"]].concat());
}

#[tokio::test]
async fn a_password_is_never_printed() {
    let database = Database::missing();
    for url in [
        "mysql://me:hunter2@host/db",
        "postgres://me:hunter2@127.0.0.1:1/db?connect_timeout=1",
        "postgres://me:hunter2@host:port/db",
        "hunter2",
        "sqlite:hunter2/",
    ] {
        for command in [
            &["list"][..],
            &["show", "x"],
            &["doctor"],
            &["migrate"],
            &["--help"],
            &["nonsense"],
        ] {
            let mut command = database.command(command);
            let output = command.env("OMNITRACE_DATABASE_URL", url).output().unwrap();
            let (stdout, stderr) = database.texts(&output);
            assert!(
                !stdout.contains("hunter2") && !stderr.contains("hunter2"),
                "{stdout}{stderr}"
            );
        }
    }
    let (code, line) = database.failure(&["list", "--database-url", "mysql://me:hunter2@host/db"]);
    assert_eq!(code, 1);
    assert!(line.contains("begins with sqlite://"), "{line}");
    for (url, said) in [
        ("omnitrace.db", "that of a file is sqlite://omnitrace.db"),
        ("sqlite://o.db?mode=ro", "takes no parameters"),
    ] {
        let (_, line) = database.failure(&["list", "--database-url", url]);
        assert!(line.contains(said), "{line}");
    }
}

#[tokio::test]
async fn wrong_arguments_end_with_2() {
    let database = Database::full().await;
    let times = ["list", "--since", "2026-01-02", "--until", "2026-01-01"];
    for args in [
        &times[..],
        &["list", "--status", "done"],
        &["list", "--since", "yesterday"],
        &["list", "--limit", "-1"],
        &["list", "--limit", "x"],
        &["reconcile", "--every", "0s"],
        &[
            "token",
            "create",
            "--name",
            "x",
            "--tenant",
            "*",
            "--namespace",
            "*",
            "--expires",
            "0s",
        ],
        &["show"],
        &["nonsense"],
    ] {
        let (code, line) = database.failure(args);
        assert_eq!(code, 2, "{line}");
    }
    let (_, line) = database.failure(&["list", "--limit", "x"]);
    assert!(line.contains("write a whole number, as 50"), "{line}");
    for (args, tip) in [
        (&["serve", "--ui", "false"][..], "write --ui=false"),
        (&["export", "--otlp", "http://h"], "write --otlp=http://h"),
        (&["verify", "--tls", "true"], "write --tls=true"),
    ] {
        let (code, text) = database.failure(args);
        assert_eq!(code, 2);
        assert!(text.contains(&format!("tip: {tip}\n")), "{text}");
    }
    let (_, line) = database.failure(&times);
    assert_eq!(
        line,
        "error: --since 2026-01-02T00:00:00Z is not before --until 2026-01-01T00:00:00Z: \
         nothing can match\n"
    );
}

#[tokio::test]
async fn every_command_has_examples_in_its_help() {
    let database = Database::missing();
    for args in [
        &["--help"][..],
        &["list", "--help"],
        &["show", "--help"],
        &["doctor", "--help"],
        &["token", "--help"],
        &["token", "list", "--help"],
        &["token", "revoke", "--help"],
        &["switches", "--help"],
        &["switches", "list", "--help"],
        &["switches", "history", "--help"],
        &["switches", "unset", "--help"],
        &["man", "--help"],
    ] {
        assert!(
            database.stdout(args).contains("Examples:\n  omnitrace "),
            "{args:?}"
        );
    }
    assert_eq!(
        database.stdout(&["-V"]),
        format!("omnitrace {}\n", env!("CARGO_PKG_VERSION"))
    );
}
