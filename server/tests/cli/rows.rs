//! Rows as workers write them, for runs that show what the tree can hold.

use omnitrace_store::key::{EventKey, Step};
use omnitrace_store::row::{EventRow, Micros, Phase, RunKey, RunRow, Status};
use omnitrace_store::{Batch, DatabaseUrl, OpenOptions, ProcessReport, Store};

/// 2026-01-01T10:00:00Z.
pub(crate) const T0: Micros = 1_767_261_600_000_000;

/// Milliseconds after [`T0`].
pub(crate) fn at(ms: i64) -> Micros {
    T0 + ms * 1000
}

/// A run that lasted from and to, in milliseconds after [`T0`].
pub(crate) fn run(workflow_id: &str, workflow_type: &str, times: (i64, Option<i64>)) -> RunRow {
    let run_id = format!("0197d6a8-52d4-7b6e-9d0e-{:0>12}", workflow_id.len());
    let mut run = RunRow::new(RunKey::new("default", workflow_id, run_id));
    run.workflow_type = workflow_type.to_owned();
    run.task_queue = "orders".to_owned();
    run.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736".to_owned();
    run.started_at = Some(at(times.0));
    run.closed_at = times.1.map(at);
    if times.1.is_some() {
        run.status = Status::Completed;
        run.phase = Phase::Closed;
    }
    run.accepted_through = at(times.1.unwrap_or(60_000));
    run
}

/// An event with a status and times (scheduled, started, ended) in milliseconds after [`T0`].
pub(crate) fn event(
    run: &RunRow,
    key: (&str, &str, &str, u32),
    status: Status,
    times: (Option<i64>, Option<i64>, Option<i64>),
) -> EventRow {
    let key = EventKey::new(key.0, Step::new(key.1), key.2, key.3);
    let mut row = EventRow::new(run.key.clone(), key);
    row.status = status;
    row.scheduled_at = times.0.map(at);
    row.started_at = times.1.map(at);
    row.ended_at = times.2.map(at);
    row.phase = if status.is_closed() {
        Phase::Closed
    } else {
        Phase::Open
    };
    row
}

/// An activity that succeeded at once.
pub(crate) fn activity(run: &RunRow, id: &str, name: &str, from: i64, to: i64) -> Vec<EventRow> {
    let done = Status::Completed;
    vec![
        event(
            run,
            ("activity", id, name, 0),
            done,
            (Some(from), None, Some(to)),
        ),
        event(
            run,
            ("activity", id, name, 1),
            done,
            (Some(from), Some(from + 4), Some(to - 2)),
        ),
    ]
}

trait With {
    fn error(self, kind: &str, message: &str) -> Self;
    fn data(self, data: serde_json::Value) -> Self;
    fn inside(self, parent: &str) -> Self;
    fn usage(self, category: &str, model: &str, tokens: (i64, i64), usd: f64) -> Self;
}

impl With for EventRow {
    fn error(mut self, kind: &str, message: &str) -> Self {
        self.error_type = Some(kind.to_owned());
        self.error_message = Some(message.to_owned());
        self
    }

    fn data(mut self, data: serde_json::Value) -> Self {
        self.data_redacted = Some(data.to_string());
        self
    }

    fn inside(mut self, parent: &str) -> Self {
        self.parent_key = Some(parent.to_owned());
        self
    }

    fn usage(mut self, category: &str, model: &str, tokens: (i64, i64), usd: f64) -> Self {
        self.category = Some(category.to_owned());
        self.model = Some(model.to_owned());
        self.input_tokens = Some(tokens.0);
        self.output_tokens = Some(tokens.1);
        self.cost_usd = Some(usd);
        self
    }
}

/// A run with all that can go wrong, and its child.
pub(crate) fn order() -> Batch {
    use Status::{Canceled, Completed, Failed, TimedOut};
    let mut run = run("order-1042", "OrderWorkflow", (0, Some(14_400)));
    run.status = Failed;
    run.error_type = Some("NotFoundError".to_owned());
    run.error_message = Some(
        "Activity Orders::archive is not registered on this worker, no available activities."
            .to_owned(),
    );
    run.input_redacted =
        Some(r#"{"id":"order-1042","email":"sha256:973dfe463ec85785"}"#.to_owned());
    run.build_id = Some("2026.1.0".to_owned());
    run.steps_seen = 14;
    let mut child = self::run("ship-1042", "ShippingWorkflow", (8_200, Some(9_900)));
    child.parent = Some(run.key.clone());
    child.trigger = "parent".to_owned();

    let r = &run;
    let mut events = activity(r, "1", "Orders::reserve", 3, 125);
    events.push(event(
        r,
        ("signal", "9", "approve", 1),
        Completed,
        (Some(400), None, None),
    ));
    events.extend([
        event(
            r,
            ("activity", "2", "Payments::charge", 0),
            Completed,
            (Some(410), None, Some(3_950)),
        ),
        event(
            r,
            ("activity", "2", "Payments::charge", 1),
            Failed,
            (Some(410), Some(640), Some(900)),
        )
        .error("CardError", "the bank did not answer, try again later"),
        event(
            r,
            ("activity", "2", "Payments::charge", 2),
            Completed,
            (Some(1_900), Some(1_905), Some(3_600)),
        )
        .error(
            "TimeoutFailure.StartToClose",
            "activity StartToClose timeout",
        ),
        event(
            r,
            ("activity", "2", "Payments::charge", 3),
            Status::Running,
            (Some(3_500), Some(3_510), None),
        ),
    ]);
    let chat = "activity:3:Agent::chat:1";
    events.extend([
        event(
            r,
            ("activity", "3", "Agent::chat", 0),
            Completed,
            (Some(3_960), None, Some(6_400)),
        )
        .usage("model", "gpt-5-mini", (1_834, 240), 0.0123)
        .data(serde_json::json!({
            "input": [{"prompt": "sha256:5e884898da280471", "count": 2}],
            "_redaction": {"dropped": 0, "hashed": 1, "truncated": 0},
        })),
        event(
            r,
            ("activity", "3", "Agent::chat", 1),
            Completed,
            (Some(3_960), Some(3_966), Some(6_390)),
        )
        .usage("model", "gpt-5-mini", (1_834, 240), 0.0123),
        event(
            r,
            ("model", "3.1", "chat gpt-5-mini", 1),
            Completed,
            (None, Some(3_970), Some(5_100)),
        )
        .usage("model", "gpt-5-mini", (1_834, 240), 0.0123)
        .inside(chat),
        event(
            r,
            ("tool", "3.2", "search_catalogue", 1),
            Failed,
            (None, Some(5_110), Some(6_300)),
        )
        .error("HttpError", "503 Service Unavailable")
        .inside(chat),
        event(
            r,
            ("cache", "3.3", "get catalogue", 1),
            Completed,
            (None, Some(5_115), Some(5_116)),
        )
        .inside("tool:3.2:search_catalogue:1"),
    ]);
    events.push(event(
        r,
        ("timer", "1", "timer", 1),
        Completed,
        (Some(6_400), None, Some(8_200)),
    ));
    events.push(event(
        r,
        ("child_workflow", "ship-1042", "ShippingWorkflow", 1),
        Completed,
        (Some(8_200), Some(8_215), Some(9_905)),
    ));
    let local =
        serde_json::json!({"local": true, "original_schedule_time": "2026-01-01T10:00:09.905Z"});
    events.extend([
        event(
            r,
            ("activity", "4", "Orders::price", 0),
            Failed,
            (Some(9_905), None, Some(10_000)),
        )
        .data(local.clone()),
        event(
            r,
            ("activity", "4", "Orders::price", 1),
            Failed,
            (Some(9_905), Some(9_906), Some(9_990)),
        )
        .error("Busy", "price list is being written"),
        event(
            r,
            ("timer", "2", "timer", 1),
            Completed,
            (Some(10_000), None, Some(12_000)),
        )
        .data(serde_json::json!({"la_backoff": true})),
        event(
            r,
            ("activity", "5", "Orders::price", 0),
            Completed,
            (Some(12_000), None, Some(12_080)),
        )
        .data(local),
        event(
            r,
            ("activity", "5", "Orders::price", 2),
            Completed,
            (Some(12_000), Some(12_001), Some(12_078)),
        ),
    ]);
    events.extend([
        event(
            r,
            ("update", "upd-1", "set_address", 1),
            Completed,
            (Some(12_100), None, Some(12_130)),
        ),
        event(
            r,
            ("patch", "new-price", "patch", 1),
            Completed,
            (Some(12_130), None, None),
        ),
        event(
            r,
            ("signal_external", "stock/7", "released", 1),
            Completed,
            (Some(12_131), None, Some(12_150)),
        ),
        event(
            r,
            ("activity", "mail:1", "通知::メールを送る", 0),
            Canceled,
            (Some(12_150), None, Some(12_300)),
        )
        .error("CanceledFailure", "cancelled"),
        event(
            r,
            ("activity", "7", "evil\x1b[2J\r\nname\u{202e}", 1),
            TimedOut,
            (Some(12_310), Some(12_900), Some(13_900)),
        )
        .error("TimeoutFailure.Heartbeat", "activity Heartbeat timeout\x07"),
        event(
            r,
            ("activity", "8", "Orders::archive", 0),
            Failed,
            (Some(13_950), None, Some(14_390)),
        )
        .error(
            "NotFoundError",
            "Activity Orders::archive is not registered on this worker, no available activities.",
        ),
    ]);
    Batch {
        runs: vec![run, child],
        events,
        ..Batch::default()
    }
}

/// A run that goes on.
pub(crate) fn open_order() -> Batch {
    use Status::{Completed, Failed, Running, Scheduled};
    let mut run = run("order-1043", "OrderWorkflow", (0, None));
    run.accepted_through = at(5_000);
    run.incomplete = true;
    let r = &run;
    let mut events = activity(r, "1", "Orders::reserve", 3, 125);
    events.extend([
        event(
            r,
            ("timer", "1", "timer", 1),
            Running,
            (Some(130), None, None),
        ),
        event(
            r,
            ("activity", "2", "Payments::charge", 0),
            Scheduled,
            (Some(131), None, None),
        ),
        event(
            r,
            ("activity", "3", "Orders::pack", 0),
            Scheduled,
            (Some(131), None, None),
        ),
    ]);
    for n in 1..=9 {
        let from = 131 + i64::from(n) * 500;
        events.push(
            event(
                r,
                ("activity", "3", "Orders::pack", n),
                Failed,
                (Some(from), Some(from), Some(from + 40)),
            )
            .error("OutOfBoxes", "no box is large enough"),
        );
    }
    events.push(event(
        r,
        ("signal", "12", "approve", 1),
        Completed,
        (Some(4_000), None, None),
    ));
    let mut proposed = event(
        r,
        ("activity", "4", "Orders::ship", 0),
        Scheduled,
        (Some(5_500), None, None),
    );
    proposed.phase = Phase::Provisional;
    let mut ghost = event(
        r,
        ("activity", "5", "Orders::never", 0),
        Scheduled,
        (Some(4_500), None, None),
    );
    ghost.phase = Phase::Provisional;
    events.extend([proposed, ghost]);
    Batch {
        runs: vec![run],
        events,
        ..Batch::default()
    }
}

/// A run of two hundred rows.
pub(crate) fn long_run() -> Batch {
    let run = run("import-7", "ImportWorkflow", (0, Some(50_000)));
    let events = (0..100)
        .flat_map(|n: i64| {
            activity(
                &run,
                &(n + 1).to_string(),
                "Import::page",
                n * 500,
                n * 500 + 480,
            )
        })
        .collect();
    Batch {
        runs: vec![run],
        events,
        ..Batch::default()
    }
}

/// What a recording process says of itself.
pub(crate) fn process() -> ProcessReport {
    ProcessReport {
        id: "p1".to_owned(),
        service: "orders-worker".to_owned(),
        host: "host-1".to_owned(),
        pid: 4711,
        version: "0.1.0".to_owned(),
        started_at: T0,
        updated_at: at(15_000),
        counters: [
            ("dropped.queue_full", 3),
            ("dropped.invalid_key", 0),
            ("stored.events", 1_200),
        ]
        .map(|(name, n)| (name.to_owned(), n))
        .into(),
        last_error: Some("database is locked".to_owned()),
        last_error_at: Some(at(9_000)),
    }
}

/// Writes batches to a new store.
pub(crate) async fn write(url: &DatabaseUrl, batches: &[Batch]) {
    let store = Store::open(url, OpenOptions::default()).await.unwrap();
    for batch in batches {
        store.write(batch).await.unwrap();
    }
    store.close().await;
}
