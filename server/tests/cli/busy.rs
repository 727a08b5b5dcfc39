//! Commands that write, while another process holds the database.

use std::process::Stdio;
use std::time::Instant;

use omnitrace_store::OpenOptions;
use sqlx::{Connection, Executor, SqliteConnection};

use crate::Database;
use crate::http::eventually;

#[tokio::test]
async fn they_wait_for_it_longer_than_a_worker_does() {
    let database = Database::full().await;
    let folder = database.folder();
    std::fs::write(folder.join("h.json"), crate::import::HISTORY).unwrap();
    let file = folder.join("omnitrace.db");
    let mut other = SqliteConnection::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let begun = Instant::now();
    let commands = [
        "prune --events-days 14 --runs-days 30",
        "erase --workflow-id nobody --keep-away --yes",
        "set sample_rate 0.5 --reason busy",
        "token create --name me --tenant * --namespace *",
        "import h.json",
    ];
    let mut waiting = commands.map(|command| {
        let args: Vec<&str> = command.split(' ').collect();
        let mut command = database.command(&args);
        command.stdout(Stdio::null()).spawn().unwrap()
    });
    let patience = OpenOptions::default().busy_timeout;
    eventually("a worker would have given up", || {
        for (command, process) in commands.iter().zip(&mut waiting) {
            assert_eq!(process.try_wait().unwrap(), None, "{command}");
        }
        (begun.elapsed() > patience * 3 / 2).then_some(())
    });
    other.execute("COMMIT").await.unwrap();
    for (command, process) in commands.iter().zip(&mut waiting) {
        assert!(process.wait().unwrap().success(), "{command}");
    }
    let told = ["prune", "--events-days", "14", "--runs-days", "30"];
    let left = database.stdout(&told);
    assert!(left.starts_with("0 runs and 0 events deleted"), "{left}");
}
