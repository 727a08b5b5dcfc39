//! What replays found.

use omnitrace_store::hourly::HOUR;
use omnitrace_store::row::RunRow;
use omnitrace_store::{AccessScope, Batch, PruneStep, ReplayRow, ReplayVerdict, Retention};

use super::TestStore;
use crate::support::{closed_run, run_key};

fn row(run_id: &str, checked_at: i64, verdict: ReplayVerdict) -> ReplayRow {
    ReplayRow {
        run: run_key(run_id),
        build_id: "b1".to_owned(),
        checked_at,
        verdict,
        event_key: Some("activity:2:T:0".to_owned()),
        position: Some(2),
        expected: None,
        found: Some("timer 1".to_owned()),
        message: None,
    }
}

#[tokio::test]
async fn the_latest_is_kept_as_long_as_its_run() {
    let test = TestStore::new().await;
    let (here, elsewhere) = (run_key("r1"), run_key("r2"));
    let mut run = closed_run(&here);
    run.closed_at = Some(1_000_000);
    let runs = vec![run, RunRow::new(elsewhere.clone())];
    test.offer(&Batch {
        runs,
        ..Batch::default()
    })
    .await;
    let store = &test.store;
    let parted = row("r1", 20, ReplayVerdict::Parted);
    let rows = [parted.clone(), row("unknown", 20, ReplayVerdict::Passed)];
    store.write_replays(&rows).await.unwrap();
    assert_eq!(store.replay(&here).await.unwrap(), Some(parted.clone()));
    assert_eq!(store.replay(&elsewhere).await.unwrap(), None);
    assert_eq!(store.replay(&run_key("unknown")).await.unwrap(), None);

    let earlier = row("r1", 10, ReplayVerdict::Passed);
    store.write_replays(&[earlier]).await.unwrap();
    assert_eq!(store.replay(&here).await.unwrap(), Some(parted));
    let later = row("r1", 30, ReplayVerdict::Passed);
    let others = row("r2", 30, ReplayVerdict::Gone);
    let rows = [later.clone(), others.clone()];
    store.write_replays(&rows).await.unwrap();
    assert_eq!(store.replay(&here).await.unwrap(), Some(later));

    let nobody = AccessScope {
        tenants: Some(vec!["acme".to_owned()]),
        ..AccessScope::ALL
    };
    assert_eq!(store.seen_by(&nobody).replay(&here).await.unwrap(), None);

    let retention = Retention {
        runs_before: Some(2 * HOUR),
        ..Retention::default()
    };
    while store.prune(&retention).await.unwrap() != PruneStep::Done {}
    assert_eq!(store.run(&here).await.unwrap(), None, "the run is too old");
    assert_eq!(store.replay(&here).await.unwrap(), None);
    assert_eq!(store.replay(&elsewhere).await.unwrap(), Some(others));
}
