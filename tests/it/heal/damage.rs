//! Whatever is done to the rows of a run, a repair makes them what history says, and a second one finds
//! nothing to do.

use omnitrace::history::{Healed, Standing};
use omnitrace_store::row::{EventRow, RunRow};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use super::place::{Kind, Place};
use super::runs::recorded;

/// Cases of the property.
const CASES: u32 = 64;

/// Something that befalls the rows of a run.
#[derive(Clone, Debug)]
enum Damage {
    /// A row is deleted.
    Delete(Index),
    /// A column of a row is set to this.
    Set(Index, Index),
    /// A row is there under another key, too.
    Copy(Index),
    /// A column of the run is set to this.
    Run(Index),
    /// The run's row is gone.
    Forget,
}

const EVENT_CHANGES: [&str; 12] = [
    "status = 'failed'",
    "status = 'running', phase = 1",
    "phase = 0",
    "ended_at = 5",
    "ended_at = NULL",
    "scheduled_at = 5",
    "latency_ms = 5",
    "data_redacted = NULL",
    r#"data_redacted = '{"input":["x"]}'"#,
    "error_type = 'Wrong', error_message = 'wrong'",
    "name = 'wrong'",
    "source = 3, phase = 2, digest = 9223372036854775807",
];

const RUN_CHANGES: [&str; 8] = [
    "status = 'failed'",
    "status = 'running', phase = 1, closed_at = NULL",
    "input_redacted = NULL",
    "output_redacted = '[1]'",
    "task_queue = 'wrong'",
    "steps_seen = 0",
    "event_count = 99, input_tokens = 99",
    "source = 3, digest = 9223372036854775807, error_type = 'Wrong'",
];

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        3 => any::<Index>().prop_map(Damage::Delete),
        5 => any::<(Index, Index)>().prop_map(|(row, change)| Damage::Set(row, change)),
        2 => any::<Index>().prop_map(Damage::Copy),
        2 => any::<Index>().prop_map(Damage::Run),
        1 => Just(Damage::Forget),
    ]
}

impl Damage {
    fn sql(&self, events: &[EventRow]) -> String {
        let of = |row: &Index| format!("event_key = '{}'", row.get(events).event_key);
        match self {
            Self::Delete(row) => format!("DELETE FROM omnitrace_events WHERE {}", of(row)),
            Self::Set(row, change) => {
                let change = change.get(&EVENT_CHANGES);
                format!("UPDATE omnitrace_events SET {change} WHERE {}", of(row))
            }
            Self::Copy(row) => format!(
                "CREATE TEMPORARY TABLE extra AS SELECT * FROM omnitrace_events WHERE {}; \
                 UPDATE extra SET event_key = kind || ':77:wrong:' || attempt, step = '77', \
                   parent_key = NULL; \
                 INSERT INTO omnitrace_events SELECT * FROM extra WHERE true ON CONFLICT DO NOTHING",
                of(row)
            ),
            Self::Run(change) => {
                format!("UPDATE omnitrace_runs SET {}", change.get(&RUN_CHANGES))
            }
            Self::Forget => "DELETE FROM omnitrace_runs".to_owned(),
        }
    }
}

/// Of one run: its row and its events.
async fn only(place: &Place) -> (RunRow, Vec<EventRow>) {
    place.run_of("whole-0").await
}

#[test]
fn any_damage_is_repaired() {
    let tokio = tokio::runtime::Runtime::new().expect("a runtime");
    let (place, healer) = tokio.block_on(async {
        let place = Place::new(Kind::Sqlite).await;
        recorded(&place, 1).await;
        let healer = place.healer().await;
        (place, healer)
    });
    let (run, events) = tokio.block_on(only(&place));
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let damages = prop::collection::vec(damage(), 1..8);
    let checked = runner.run(&damages, |damages| {
        tokio.block_on(async {
            for damage in &damages {
                place.sql(&damage.sql(&events)).await;
            }
            let (standing, healed) = healer.heal(&run.key).await.expect("healed");
            let after = healer.compare(&run.key).await.expect("compared");
            prop_assert!(
                matches!(after, Standing::Equal { .. }),
                "{after:?}, before: {standing:?}"
            );
            let (repaired, rows) = only(&place).await;
            if healed != Healed::Nothing {
                prop_assert_eq!(repaired.event_count as usize, rows.len());
            }
            let (_, again) = healer.heal(&run.key).await.expect("healed");
            prop_assert_eq!(again, Healed::Nothing);
            prop_assert_eq!(only(&place).await, (repaired, rows));
            Ok(())
        })
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
}
