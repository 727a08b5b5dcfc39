//! Any history, damaged in any way.

use omnitrace_store::key::EventKey;
use proptest::prelude::*;
use prost::Message;

use super::*;

/// What a random history is made of.
fn shapes() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let id = 1..40_i64;
    let part = (0..16_u8, id.clone(), id).prop_map(|(shape, a, b)| {
        let (a, b) = (a.to_string(), b.to_string());
        match shape {
            0 | 1 => task().to_vec(),
            2 => vec![
                ("WorkflowTaskScheduled", json!({})),
                ("WorkflowTaskStarted", json!({})),
                ("WorkflowTaskFailed", json!({})),
            ],
            3 => vec![(
                "ActivityTaskScheduled",
                json!({ "activityId": a, "activityType": { "name": b } }),
            )],
            4 => vec![(
                "ActivityTaskStarted",
                json!({ "scheduledEventId": a, "attempt": 2, "lastFailure": {} }),
            )],
            5 => vec![("ActivityTaskCompleted", json!({ "scheduledEventId": a }))],
            6 => vec![
                (
                    "ActivityTaskCancelRequested",
                    json!({ "scheduledEventId": a }),
                ),
                ("ActivityTaskCanceled", json!({ "scheduledEventId": b })),
            ],
            7 => vec![
                ("TimerStarted", json!({ "timerId": a })),
                ("TimerFired", json!({ "timerId": a, "startedEventId": b })),
            ],
            8 => vec![(
                "TimerCanceled",
                json!({ "timerId": a, "startedEventId": b }),
            )],
            9 => vec![
                (
                    "StartChildWorkflowExecutionInitiated",
                    json!({ "workflowId": a }),
                ),
                (
                    "RequestCancelExternalWorkflowExecutionInitiated",
                    json!({ "childWorkflowOnly": true, "workflowExecution": { "workflowId": a } }),
                ),
            ],
            10 => vec![
                (
                    "ChildWorkflowExecutionStarted",
                    json!({ "initiatedEventId": a }),
                ),
                (
                    "ChildWorkflowExecutionTerminated",
                    json!({ "initiatedEventId": b }),
                ),
            ],
            11 => vec![
                (
                    "WorkflowExecutionUpdateAdmitted",
                    json!({ "request": { "meta": { "updateId": a }, "input": {} } }),
                ),
                (
                    "WorkflowExecutionUpdateAccepted",
                    json!({ "protocolInstanceId": b }),
                ),
                (
                    "WorkflowExecutionUpdateCompleted",
                    json!({ "acceptedEventId": a, "meta": { "updateId": b } }),
                ),
            ],
            12 => vec![
                ("NexusOperationScheduled", json!({ "endpoint": a })),
                ("NexusOperationCompleted", json!({ "scheduledEventId": b })),
            ],
            13 => vec![
                ("SignalExternalWorkflowExecutionInitiated", json!({})),
                (
                    "SignalExternalWorkflowExecutionFailed",
                    json!({ "initiatedEventId": a }),
                ),
            ],
            14 => vec![
                ("MarkerRecorded", json!({ "markerName": a })),
                ("WorkflowExecutionSignaled", json!({ "signalName": b })),
                ("WorkflowExecutionCancelRequested", json!({})),
            ],
            _ => vec![
                ("UpsertWorkflowSearchAttributes", json!({})),
                ("WorkflowExecutionUnpaused", json!({})),
            ],
        }
    });
    let end = prop_oneof![
        Just(vec![]),
        Just(vec![("WorkflowExecutionCompleted", json!({}))]),
        Just(vec![("WorkflowExecutionTerminated", json!({}))]),
        Just(vec![("WorkflowExecutionTimedOut", json!({}))]),
    ];
    (prop::collection::vec(part, 0..20), end)
        .prop_map(|(parts, end)| events(&[&[started()], &task(), &parts.concat(), &end]))
}

/// One way to damage a history.
#[derive(Clone, Debug)]
enum Damage {
    Drop,
    Repeat,
    Move(prop::sample::Index),
    Renumber(i64),
    /// Cuts or changes a byte of its encoding.
    Byte(prop::sample::Index, Option<u8>),
    Empty,
}

fn damages() -> impl Strategy<Value = Vec<(prop::sample::Index, Damage)>> {
    let damage = prop_oneof![
        Just(Damage::Drop),
        Just(Damage::Repeat),
        any::<prop::sample::Index>().prop_map(Damage::Move),
        any::<i64>().prop_map(Damage::Renumber),
        any::<(prop::sample::Index, Option<u8>)>().prop_map(|(at, byte)| Damage::Byte(at, byte)),
        Just(Damage::Empty),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), damage), 0..8)
}

fn damage(all: &mut Vec<HistoryEvent>, at: &prop::sample::Index, damage: Damage) {
    if all.is_empty() {
        return;
    }
    let at = at.index(all.len());
    match damage {
        Damage::Drop => drop(all.remove(at)),
        Damage::Repeat => all.insert(at, all[at].clone()),
        Damage::Move(to) => {
            let event = all.remove(at);
            all.insert(to.index(all.len() + 1), event);
        }
        Damage::Renumber(id) => all[at].event_id = id,
        Damage::Byte(byte, change) => {
            let mut bytes = all[at].encode_to_vec();
            let place = byte.index(bytes.len().max(1));
            match change {
                Some(change) if place < bytes.len() => bytes[place] = change,
                _ => bytes.truncate(place),
            }
            if let Ok(event) = HistoryEvent::decode(bytes.as_slice()) {
                all[at] = event;
            }
        }
        Damage::Empty => all[at] = HistoryEvent::default(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_damaged_history_makes_no_panic_and_loses_no_event(shapes in shapes(), damages in damages()) {
        let mut all = history(&shapes);
        for (at, how) in damages {
            damage(&mut all, &at, how);
        }
        let rows = read(all);
        for row in &rows.events {
            prop_assert!(row.phase > Phase::Provisional && row.source <= Source::History);
            prop_assert_eq!(EventKey::parse(&row.event_key).map(|key| key.to_string()), Ok(row.event_key.clone()));
        }
    }
}
