//! Lists, searches and single runs.

use omnitrace_store::key::{EventKey, Step};
use omnitrace_store::row::{EventRow, Identity, RunKey, RunRow, SampledBy, Status};
use omnitrace_store::{AccessScope, Batch, Promotion, RunFilter};

use super::TestStore;
use crate::support::{closed_run, event, events, run_key, runs, step};

fn run(run_id: &str, started_at: i64) -> RunRow {
    RunRow {
        started_at: Some(started_at),
        ..RunRow::new(run_key(run_id))
    }
}

async fn found(test: &TestStore, filter: RunFilter) -> Vec<String> {
    let runs = test.store.list_runs(&filter).await.unwrap();
    runs.into_iter().map(|run| run.key.run_id).collect()
}

#[tokio::test]
async fn runs_are_listed_newest_first_and_pages_join_without_a_gap() {
    let test = TestStore::new().await;
    let times = [5, 1, 3, 3, 3, 9];
    let rows = times
        .iter()
        .enumerate()
        .map(|(i, at)| run(&format!("r{i}"), *at))
        .collect();
    test.offer(&runs(rows)).await;
    let all = ["r5", "r0", "r2", "r3", "r4", "r1"];
    assert_eq!(found(&test, RunFilter::default()).await, all);
    let mut pages = Vec::new();
    let mut filter = RunFilter {
        limit: 2,
        ..RunFilter::default()
    };
    loop {
        let page = test.store.list_runs(&filter).await.unwrap();
        let Some(last) = page.last() else { break };
        filter.after = Some((last.started_at.unwrap(), last.key.clone()));
        pages.extend(page.into_iter().map(|run| run.key.run_id));
    }
    assert_eq!(pages, all);
}

#[tokio::test]
async fn every_filter_narrows() {
    let test = TestStore::new().await;
    let typed = |run_id: &str, at, workflow_type: &str, status| RunRow {
        workflow_type: workflow_type.to_owned(),
        status,
        ..run(run_id, at)
    };
    let mut other = typed("r4", 4, "Order", Status::Completed);
    other.key.namespace = "other".to_owned();
    test.offer(&runs(vec![
        typed("r1", 1, "Order", Status::Completed),
        typed("r2", 2, "OrderChild", Status::Failed),
        typed("r3", 3, "order", Status::Running),
        other,
    ]))
    .await;
    let all = RunFilter::default;
    let namespace = Some("default".to_owned());
    assert_eq!(
        found(&test, RunFilter { namespace, ..all() }).await,
        ["r3", "r2", "r1"]
    );
    let statuses = vec![Status::Failed, Status::Running];
    assert_eq!(
        found(&test, RunFilter { statuses, ..all() }).await,
        ["r3", "r2"]
    );
    let (from, before) = (Some(2), Some(4));
    let between = RunFilter {
        started_from: from,
        started_before: before,
        ..all()
    };
    assert_eq!(found(&test, between).await, ["r3", "r2"]);
    for (workflow_type, expected) in [
        ("Order", vec!["r4", "r1"]),
        ("Order*", vec!["r4", "r2", "r1"]),
        ("*Child", vec!["r2"]),
        ("*rder", vec!["r4", "r3", "r1"]),
        ("?rder*", vec![]),
        ("[O]rder*", vec![]),
    ] {
        let workflow_type = Some(workflow_type.to_owned());
        assert_eq!(
            found(
                &test,
                RunFilter {
                    workflow_type,
                    ..all()
                }
            )
            .await,
            expected
        );
    }
}

#[tokio::test]
async fn runs_are_narrowed_by_what_they_took_and_cost_and_whose_they_are() {
    let test = TestStore::new().await;
    let closed = |run_id: &str, at: i64, took: i64, tenant: &str| RunRow {
        closed_at: Some(at + took),
        tenant: Some(Identity {
            rank: 3,
            hash: tenant.to_owned(),
        }),
        error_type: Some(format!("Error.{run_id}")),
        ..closed_run(&run_key(run_id))
    };
    let spent = |run_id: &str, usd| EventRow {
        cost_usd: Some(usd),
        ..step(&run_key(run_id), 1, 1)
    };
    let started = |at, row| RunRow {
        started_at: Some(at),
        ..row
    };
    test.offer(&Batch {
        runs: vec![
            started(10, closed("r1", 10, 5, "a")),
            started(20, closed("r2", 20, 50, "b")),
            run("r3", 30),
        ],
        events: vec![spent("r1", 0.5), spent("r2", 2.0)],
        ..Batch::default()
    })
    .await;
    let all = RunFilter::default;
    let some = |text: &str| Some(text.to_owned());
    #[rustfmt::skip]
    let cases = [
        (RunFilter { min_duration: Some(5), ..all() }, vec!["r2", "r1"]),
        (RunFilter { min_duration: Some(6), ..all() }, vec!["r2"]),
        (RunFilter { max_duration: Some(50), ..all() }, vec!["r2", "r1"]),
        (RunFilter { max_duration: Some(49), ..all() }, vec!["r1"]),
        (RunFilter { min_cost_usd: Some(0.5), ..all() }, vec!["r2", "r1"]),
        (RunFilter { min_cost_usd: Some(0.6), ..all() }, vec!["r2"]),
        (RunFilter { max_cost_usd: Some(0.5), ..all() }, vec!["r3", "r1"]),
        (RunFilter { tenant: some("b"), ..all() }, vec!["r2"]),
        (RunFilter { error_type: some("Error.r1"), ..all() }, vec!["r1"]),
        (RunFilter { error_type: some("Error.*"), ..all() }, vec!["r2", "r1"]),
        (RunFilter { workflow_id: some("order"), run_id: some("r3"), ..all() }, vec!["r3"]),
        (RunFilter { workflow_id: some("another"), ..all() }, vec![]),
    ];
    for (filter, expected) in cases {
        assert_eq!(found(&test, filter.clone()).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn runs_are_counted_by_status_among_the_newest() {
    use Status::{Completed, Failed, Running};
    let test = TestStore::new().await;
    let rows = [Failed, Running, Failed, Completed];
    let rows = rows.iter().enumerate().map(|(at, status)| RunRow {
        status: *status,
        ..run(&format!("r{at}"), at as i64)
    });
    test.offer(&runs(rows.collect())).await;
    let count = async |filter: RunFilter, among| {
        let counts = test.store.count_runs(&filter, among).await.unwrap();
        counts.into_iter().collect::<Vec<_>>()
    };
    // The page is left aside.
    let filter = RunFilter {
        limit: 1,
        after: Some((2, run_key("r2"))),
        ..RunFilter::default()
    };
    assert_eq!(
        count(filter.clone(), 10).await,
        [(Running, 1), (Completed, 1), (Failed, 2)]
    );
    assert_eq!(count(filter, 2).await, [(Completed, 1), (Failed, 1)]);
    let failed = RunFilter {
        statuses: vec![Failed],
        ..RunFilter::default()
    };
    assert_eq!(count(failed, 10).await, [(Failed, 2)]);
}

#[tokio::test]
async fn the_run_that_went_on_is_found() {
    let test = TestStore::new().await;
    let first = run("r1", 1);
    let after = |key: RunKey| RunRow {
        continued_from_run_id: Some("r1".to_owned()),
        started_at: Some(2),
        ..RunRow::new(key)
    };
    let next = after(run_key("r2"));
    let elsewhere = after(RunKey::new("default", "another", "r3"));
    test.offer(&runs(vec![first.clone(), next.clone(), elsewhere]))
        .await;
    let store = &test.store;
    assert_eq!(
        store.next_run(&first.key).await.unwrap(),
        Some(next.clone())
    );
    assert_eq!(store.next_run(&next.key).await.unwrap(), None);
}

#[tokio::test]
async fn a_searched_text_is_taken_as_it_is() {
    let test = TestStore::new().await;
    let with = |run_id: &str, message: &str| RunRow {
        error_message: Some(message.to_owned()),
        ..run(run_id, 1)
    };
    test.offer(&runs(vec![
        with("r1", "100% of it"),
        with("r2", "100 of it"),
        with("r3", "a_b"),
        with("r4", "aXb"),
        with("r5", r"c:\dir"),
        with("r6", "it's [x]"),
    ]))
    .await;
    for (text, expected) in [
        ("100%", vec!["r1"]),
        ("a_b", vec!["r3"]),
        (r"c:\dir", vec!["r5"]),
        ("it's [x]", vec!["r6"]),
        ("OF IT", vec!["r1", "r2"]),
        ("R6", vec!["r6"]),
        ("%", vec!["r1"]),
    ] {
        let text = Some(text.to_owned());
        let filter = RunFilter {
            text: text.clone(),
            ..RunFilter::default()
        };
        assert_eq!(found(&test, filter).await, expected, "{text:?}");
    }
}

#[tokio::test]
async fn runs_are_found_by_workflow_by_run_and_by_parent() {
    let test = TestStore::new().await;
    let parent = run("r1", 1);
    let child = |run_id: &str, at| RunRow {
        key: RunKey::new("other", "child", run_id),
        parent: Some(parent.key.clone()),
        ..run(run_id, at)
    };
    let (late, early) = (child("c2", 20), child("c1", 10));
    test.offer(&runs(vec![parent.clone(), late.clone(), early.clone()]))
        .await;
    let store = &test.store;
    assert_eq!(
        store.children(&parent.key).await.unwrap(),
        [early.clone(), late.clone()]
    );
    assert_eq!(store.children(&late.key).await.unwrap(), []);
    let newest_first = [late.clone(), early];
    assert_eq!(
        store.runs_of_workflow(None, "child").await.unwrap(),
        newest_first
    );
    assert_eq!(
        store
            .runs_of_workflow(Some("other"), "child")
            .await
            .unwrap(),
        newest_first
    );
    assert_eq!(
        store
            .runs_of_workflow(Some("default"), "child")
            .await
            .unwrap(),
        []
    );
    assert_eq!(store.runs_by_run_id("c2").await.unwrap(), [late]);
}

#[tokio::test]
async fn a_trace_id_finds_the_runs_of_its_trace_however_old() {
    let test = TestStore::new().await;
    let trace = "4d578efbb832ed4adcb182cb4af01a79";
    let of = |n: i64, trace_id: &str| RunRow {
        trace_id: trace_id.to_owned(),
        ..run(&format!("r{n:02}"), n)
    };
    let mut rows = vec![of(0, trace), of(1, trace)];
    rows.extend((2..20).map(|n| of(n, "0000000000000000000000000000000a")));
    test.offer(&runs(rows)).await;
    let ids = |runs: Vec<RunRow>| {
        runs.into_iter()
            .map(|run| run.key.run_id)
            .collect::<Vec<_>>()
    };
    let of_trace = test.store.runs_by_trace_id(trace).await.unwrap();
    assert_eq!(ids(of_trace), ["r01", "r00"]);
    let everybody = AccessScope::ALL;
    let reader = test.store.seen_by(&everybody);
    for (text, looks, expected) in [
        (trace.to_owned(), 5, &["r01", "r00"][..]),
        (trace.to_uppercase(), 100, &["r01", "r00"]),
        // Part of a trace id is in many.
        (trace[..31].to_owned(), 100, &[]),
    ] {
        let filter = RunFilter {
            text: Some(text.clone()),
            limit: 50,
            ..RunFilter::default()
        };
        let found = reader.search_runs(&filter, looks).await.unwrap();
        assert_eq!(ids(found.runs), expected, "{text}");
    }
}

#[tokio::test]
async fn events_come_in_the_order_of_their_start() {
    let test = TestStore::new().await;
    let run = run_key("r1");
    let started = |key: &str, at| EventRow {
        started_at: Some(at),
        ..event(&run, key, 0)
    };
    let rows = vec![
        started("timer:2:timer:1", 3),
        event(&run, "timer:3:timer:1", 2),
        started("timer:1:timer:1", 3),
    ];
    test.offer(&events(rows)).await;
    let rows = test.store.events(&run).await.unwrap();
    let steps: Vec<&str> = rows.iter().map(|row| row.step.as_str()).collect();
    assert_eq!(steps, ["3", "1", "2"]);
}

#[tokio::test]
async fn promotions_are_read_from_a_moment_on() {
    let test = TestStore::new().await;
    let promotion = |run_id: &str, at| Promotion {
        run: run_key(run_id),
        reason: SampledBy::Error,
        at,
    };
    let promotions = vec![promotion("r1", 1), promotion("r2", 2), promotion("r3", 3)];
    test.offer(&Batch {
        promotions,
        ..Batch::default()
    })
    .await;
    let since = test.store.promotions_since(2).await.unwrap();
    assert_eq!(since, [promotion("r2", 2), promotion("r3", 3)]);
}

#[tokio::test]
async fn ids_with_any_character_are_kept_apart_and_counted() {
    let test = TestStore::new().await;
    let ids = [
        "a",
        "a\0",
        "a\0b",
        "'; DROP TABLE omnitrace_runs; --",
        "\u{1F980}",
        "",
        "\"\\",
    ];
    let key = |id: &str| RunKey::new("default", id, format!("r-{id}"));
    let rows = ids.iter().map(|id| RunRow::new(key(id))).collect();
    let steps = ids
        .iter()
        .map(|id| event(&key(id), "timer:1:timer:1", 1))
        .collect();
    test.offer(&Batch {
        runs: rows,
        events: steps,
        ..Batch::default()
    })
    .await;
    for id in ids {
        assert_eq!(test.run(&key(id)).await.event_count, 1, "{id:?}");
    }
}

#[tokio::test]
async fn the_longest_ids_of_a_server_are_stored() {
    let test = TestStore::new().await;
    // What no database can compress before it goes into an index.
    let id = |length: usize| -> String {
        let digits = (0..).flat_map(|n: u32| n.wrapping_mul(2_654_435_761).to_be_bytes());
        let letter = |byte: u8| char::from(b'0' + byte % 75);
        digits
            .map(letter)
            .filter(|c| *c != '%' && *c != ':')
            .take(length)
            .collect()
    };
    let run = RunKey::new(id(500), id(1000), "0f8fad5b-d9cb-469f-a165-70867728950e");
    let key = EventKey::new("child_workflow", Step::new(&id(1000)), id(1000), 1);
    let row = EventRow::new(run.clone(), key);
    let batch = Batch {
        runs: vec![RunRow::new(run.clone())],
        events: vec![row.clone()],
        ..Batch::default()
    };
    test.offer(&batch).await;
    let stored = test.store.events(&run).await.unwrap();
    assert_eq!(stored[0].event_key, row.event_key);
    assert_eq!((&stored[0].step, &stored[0].name), (&row.step, &row.name));
}

#[tokio::test]
async fn stats_count_rows_and_bytes() {
    let test = TestStore::new().await;
    let steps = (1..=3)
        .map(|n| event(&run_key("r1"), &format!("timer:{n}:timer:1"), 1))
        .collect();
    test.offer(&Batch {
        runs: vec![run("r1", 1)],
        events: steps,
        ..Batch::default()
    })
    .await;
    let stats = test.store.stats().await.unwrap();
    assert_eq!((stats.runs, stats.events, stats.schema_version), (1, 3, 10));
    assert!(stats.bytes > 4096, "{stats:?}");
}

/// A search looks at so many runs and no more, says where it stopped, and goes on from there; an id is found
/// by how it begins, however old.
#[tokio::test]
async fn a_search_looks_at_a_bounded_number_of_runs() {
    let test = TestStore::new().await;
    let rows = (0..40).map(|n: i64| RunRow {
        status: match n % 2 {
            0 => Status::Failed,
            _ => Status::Completed,
        },
        error_message: (n % 10 == 0).then(|| "the Needle broke".to_owned()),
        workflow_type: format!("Type{n}"),
        ..run(&format!("r{n:02}"), n)
    });
    test.offer(&runs(rows.collect())).await;
    let everybody = AccessScope::ALL;
    let nobody = AccessScope {
        namespaces: Some(vec!["other".to_owned()]),
        ..AccessScope::ALL
    };
    let page = async |scope: &AccessScope, filter: &RunFilter, looks| {
        let found = test.store.seen_by(scope).search_runs(filter, looks).await;
        let found = found.unwrap();
        let ids = found.runs.into_iter().map(|run| run.key.run_id);
        let until = found.until.map(|(_, key)| key.run_id);
        (ids.collect::<Vec<_>>(), until)
    };
    let text = |text: &str| RunFilter {
        text: Some(text.to_owned()),
        limit: 3,
        ..RunFilter::default()
    };
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();

    // Page by page everything is found, once and in order.
    let (mut pages, mut filter) = (Vec::new(), text("needle"));
    for _ in 0..5 {
        let found = test
            .store
            .seen_by(&everybody)
            .search_runs(&filter, 15)
            .await;
        let found = found.unwrap();
        pages.extend(found.runs.into_iter().map(|run| run.key.run_id));
        let Some(until) = found.until else { break };
        filter.after = Some(until);
    }
    assert_eq!(pages, ids(&["r30", "r20", "r10", "r00"]));
    assert_eq!(
        page(&everybody, &text("needle"), 15).await,
        (ids(&["r30"]), Some("r25".to_owned()))
    );
    assert_eq!(
        page(&everybody, &text("needle"), 100).await,
        (ids(&["r30", "r20", "r10"]), None)
    );
    // Of those of a status, so many of them are looked at.
    let failed = RunFilter {
        statuses: vec![Status::Failed],
        ..text("needle")
    };
    assert_eq!(
        page(&everybody, &failed, 15).await,
        (ids(&["r30", "r20", "r10"]), None)
    );
    let both = RunFilter {
        statuses: vec![Status::Completed, Status::Failed],
        ..text("needle")
    };
    assert_eq!(
        page(&everybody, &both, 15).await,
        (ids(&["r30"]), Some("r25".to_owned()))
    );
    // By their beginning, but not for those who may not see them, nor against the other conditions.
    assert_eq!(
        page(&everybody, &text("r0"), 15).await,
        (ids(&["r09", "r08", "r07"]), Some("r25".to_owned()))
    );
    assert_eq!(page(&nobody, &text("r0"), 15).await, (vec![], None));
    let typed = RunFilter {
        workflow_type: Some("*3".to_owned()),
        ..text("r0")
    };
    assert_eq!(
        page(&everybody, &typed, 15).await,
        (ids(&["r03"]), Some("r25".to_owned()))
    );
    // What an index answers is not looked for.
    let exact = RunFilter {
        workflow_type: Some("Type1".to_owned()),
        limit: 3,
        ..RunFilter::default()
    };
    assert_eq!(page(&everybody, &exact, 1).await, (ids(&["r01"]), None));

    let count = async |filter: &RunFilter, looks| {
        let reader = test.store.seen_by(&everybody);
        let counted = reader.count_found(filter, 100, looks).await.unwrap();
        (counted.by_status.into_values().sum::<u64>(), counted.more)
    };
    assert_eq!(count(&text("needle"), 15).await, (1, true));
    assert_eq!(count(&text("needle"), 100).await, (4, false));
    assert_eq!(count(&exact, 1).await, (1, false));
}
