//! A history as the server would have written it, made up: it needs no server and is the same every
//! time but for its run id.

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use temporalio_common::protos::temporal::api::{
    common::v1::{ActivityType, Payload, Payloads, WorkflowType},
    enums::v1::EventType,
    history::v1::{
        ActivityTaskCompletedEventAttributes, ActivityTaskScheduledEventAttributes,
        ActivityTaskStartedEventAttributes, History, HistoryEvent,
        WorkflowExecutionCompletedEventAttributes, WorkflowExecutionStartedEventAttributes,
        WorkflowTaskCompletedEventAttributes, WorkflowTaskScheduledEventAttributes,
        WorkflowTaskStartedEventAttributes, history_event::Attributes,
    },
    sdk::v1::WorkflowTaskCompletedMetadata,
    taskqueue::v1::TaskQueue,
};

use crate::workflows::{Order, Receipt};

const TASK_QUEUE: &str = "bench";
/// What the SDK of today writes down as used.
const CORE_FLAGS: [u32; 3] = [1, 2, 3];
/// When the history begins, in milliseconds since 1970; its events are one millisecond apart.
const EPOCH_MILLIS: u64 = 1_750_000_000_000;

/// The history of a run of [`crate::workflows::Long`] with so many activities: six events for each,
/// and five more.
pub(crate) fn long(workflow_id: &str, run_id: &str, activities: u32) -> anyhow::Result<History> {
    let mut writer = Writer::default();
    writer.push(
        EventType::WorkflowExecutionStarted,
        Attributes::WorkflowExecutionStartedEventAttributes(
            WorkflowExecutionStartedEventAttributes {
                workflow_type: Some(WorkflowType {
                    name: "Long".to_owned(),
                }),
                task_queue: Some(task_queue()),
                input: Some(payloads(&activities)?),
                workflow_id: workflow_id.to_owned(),
                original_execution_run_id: run_id.to_owned(),
                first_execution_run_id: run_id.to_owned(),
                attempt: 1,
                ..Default::default()
            },
        ),
    );
    let mut task = writer.task();
    for n in 0..activities {
        let order = Order::nth(n);
        let scheduled = writer.push(
            EventType::ActivityTaskScheduled,
            Attributes::ActivityTaskScheduledEventAttributes(
                ActivityTaskScheduledEventAttributes {
                    activity_id: (n + 1).to_string(),
                    activity_type: Some(ActivityType {
                        name: "Shop::ship".to_owned(),
                    }),
                    task_queue: Some(task_queue()),
                    input: Some(payloads(&order)?),
                    workflow_task_completed_event_id: task,
                    ..Default::default()
                },
            ),
        );
        let started = writer.push(
            EventType::ActivityTaskStarted,
            Attributes::ActivityTaskStartedEventAttributes(ActivityTaskStartedEventAttributes {
                scheduled_event_id: scheduled,
                attempt: 1,
                ..Default::default()
            }),
        );
        writer.push(
            EventType::ActivityTaskCompleted,
            Attributes::ActivityTaskCompletedEventAttributes(
                ActivityTaskCompletedEventAttributes {
                    result: Some(payloads(&Receipt::of(&order))?),
                    scheduled_event_id: scheduled,
                    started_event_id: started,
                    ..Default::default()
                },
            ),
        );
        task = writer.task();
    }
    writer.push(
        EventType::WorkflowExecutionCompleted,
        Attributes::WorkflowExecutionCompletedEventAttributes(
            WorkflowExecutionCompletedEventAttributes {
                result: Some(payloads(&activities)?),
                workflow_task_completed_event_id: task,
                ..Default::default()
            },
        ),
    );
    Ok(History {
        events: writer.events,
    })
}

#[derive(Default)]
struct Writer {
    events: Vec<HistoryEvent>,
}

impl Writer {
    /// Adds an event and gives its id.
    fn push(&mut self, event_type: EventType, attributes: Attributes) -> i64 {
        let before = self.events.last();
        let event_id = before.map_or(1, |event| event.event_id + 1);
        let mut event = HistoryEvent {
            event_id,
            attributes: Some(attributes),
            ..Default::default()
        };
        event.set_event_type(event_type);
        let millis = EPOCH_MILLIS + event_id.unsigned_abs();
        event.event_time = Some((UNIX_EPOCH + Duration::from_millis(millis)).into());
        self.events.push(event);
        event_id
    }

    /// Adds a workflow task and gives the id of its completion.
    fn task(&mut self) -> i64 {
        let first = self.events.len() == 1;
        let scheduled_event_id = self.push(
            EventType::WorkflowTaskScheduled,
            Attributes::WorkflowTaskScheduledEventAttributes(
                WorkflowTaskScheduledEventAttributes {
                    task_queue: Some(task_queue()),
                    attempt: 1,
                    ..Default::default()
                },
            ),
        );
        let started_event_id = self.push(
            EventType::WorkflowTaskStarted,
            Attributes::WorkflowTaskStartedEventAttributes(WorkflowTaskStartedEventAttributes {
                scheduled_event_id,
                ..Default::default()
            }),
        );
        let core_used_flags = if first {
            CORE_FLAGS.to_vec()
        } else {
            Vec::new()
        };
        self.push(
            EventType::WorkflowTaskCompleted,
            Attributes::WorkflowTaskCompletedEventAttributes(
                WorkflowTaskCompletedEventAttributes {
                    scheduled_event_id,
                    started_event_id,
                    sdk_metadata: Some(WorkflowTaskCompletedMetadata {
                        core_used_flags,
                        ..Default::default()
                    }),
                    ..Default::default()
                },
            ),
        )
    }
}

fn task_queue() -> TaskQueue {
    TaskQueue {
        name: TASK_QUEUE.to_owned(),
        ..Default::default()
    }
}

fn payloads(value: &impl Serialize) -> anyhow::Result<Payloads> {
    Ok(Payloads {
        payloads: vec![Payload {
            metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
            data: serde_json::to_vec(value)?,
            ..Default::default()
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_has_six_events_for_each_activity_and_five_more() {
        let history = long("id", "run", 1500).unwrap();
        assert_eq!(history.events.len(), 9005);
        let last = history.events.last().unwrap();
        assert_eq!(last.event_id, 9005);
    }
}
