//! Where two ways of a run part: that of its history, and that of today's code.
//!
//! Invariant: pure. Whether they part is Temporal's word; this says where.

use super::step::{Argument, Step};

/// Where they part: the step of the history, and that of the code; none where one has nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parting {
    pub(crate) expected: Option<usize>,
    pub(crate) found: Option<usize>,
}

/// Finds the first step of the history that the code does not take in its place. Local activities stand in
/// a history where they ended, so they are looked for by their id, and must have begun before what follows
/// their end.
pub(crate) fn part(expected: &[Step], found: &[Step]) -> Option<Parting> {
    let mut matched = vec![false; expected.len()];
    let mut next = 0;
    // A local activity that history does not tell: a new one, or one that had not ended.
    let mut untold = None;
    for (n, step) in found.iter().enumerate() {
        if step.local {
            let mut told = expected.iter().zip(&matched);
            let told = told.position(|(e, matched)| e.local && !matched && e.id == step.id);
            match told {
                Some(e) if expected[e].is_same(step) => matched[e] = true,
                Some(_) => {
                    return Some(Parting {
                        expected: told,
                        found: Some(n),
                    });
                }
                None => untold = untold.or(Some(n)),
            }
            continue;
        }
        let place = (next..expected.len()).find(|e| !expected[*e].local);
        let before = place.unwrap_or(expected.len());
        let lost = (0..before).find(|e| expected[*e].local && !matched[*e]);
        match place {
            Some(e) if lost.is_none() && expected[e].is_same(step) => {
                matched[e] = true;
                next = e + 1;
            }
            _ => {
                return Some(Parting {
                    expected: lost.or(place),
                    found: untold.or(Some(n)),
                });
            }
        }
    }
    let expected = matched.iter().position(|matched| !matched);
    (expected.is_some() || untold.is_some()).then_some(Parting {
        expected,
        found: untold,
    })
}

/// What differs between two that do not part: the step, and how, one line.
pub(crate) fn changes<'a>(expected: &'a [Step], found: &[Step]) -> Vec<(&'a Step, String)> {
    let mut changes = Vec::new();
    let mut left: Vec<&Step> = found.iter().collect();
    for step in expected {
        let Some(at) = left.iter().position(|found| found.is_same(step)) else {
            continue;
        };
        let other = left.remove(at);
        changes.extend(change(step, other).map(|change| (step, change)));
    }
    changes
}

fn change(expected: &Step, found: &Step) -> Option<String> {
    if !expected.is_named_as(found) {
        return Some(format!("{} instead", found.say()));
    }
    if let (Some(was), Some(is)) = (expected.lasts_ms, found.lasts_ms)
        && was != is
    {
        return Some(format!("lasts {is} ms, was {was} ms"));
    }
    let (was, is) = (&expected.input, &found.input);
    // A local activity's arguments are in a history only where the workflow asks for that.
    if was == is || expected.local && was.is_empty() {
        return None;
    }
    if expected.kind == "run" {
        return Some("another result".to_owned());
    }
    if was.len() != is.len() {
        return Some(format!("{} arguments, was {}", is.len(), was.len()));
    }
    let differing: Vec<usize> = (0..was.len()).filter(|n| was[*n] != is[*n]).collect();
    let mut others: Vec<&Argument> = differing.iter().map(|n| &was[*n]).collect();
    let moved = differing.iter().all(|n| {
        let at = others.iter().position(|other| **other == is[*n]);
        at.map(|at| others.remove(at)).is_some()
    });
    let numbers: Vec<String> = differing.iter().map(|n| (n + 1).to_string()).collect();
    let numbers = numbers.join(", ");
    Some(match moved {
        true => format!("arguments {numbers} in another order"),
        false => format!("another argument {numbers}"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn steps(text: &str) -> Vec<Step> {
        let step = |word: &str| {
            let (id, name) = word.split_once('=').expect("id=name");
            match id.strip_prefix('l') {
                Some(id) => Step {
                    local: true,
                    ..Step::new("activity", id, name)
                },
                None => Step::new("activity", id, name),
            }
        };
        text.split_whitespace().map(step).collect()
    }

    #[test]
    fn the_first_step_that_is_not_taken_in_its_place_is_found() {
        let at = |expected, found| Some(Parting { expected, found });
        for (expected, found, parting) in [
            ("1=a 2=b", "1=a 2=b", None),
            ("1=a 2=b 3=c", "1=a 2=x", at(Some(1), Some(1))),
            ("1=a 2=b", "1=a", at(Some(1), None)),
            ("1=a", "1=a 2=b", at(None, Some(1))),
            ("", "1=a", at(None, Some(0))),
            // Local activities end when they like.
            ("2=b l1=a", "l1=a 2=b", None),
            ("l1=a 2=b", "l1=x", at(Some(0), Some(0))),
            ("l1=a 2=b", "1=b", at(Some(0), Some(0))),
            ("2=b l1=a 3=c", "1=b", at(Some(0), Some(0))),
            ("1=a 2=b", "l1=x", at(Some(0), Some(0))),
            ("1=a", "1=a l2=x", at(None, Some(1))),
            ("1=a l2=b 3=c", "1=a 2=c", at(Some(1), Some(1))),
        ] {
            let found = part(&steps(expected), &steps(found));
            assert_eq!(found, parting, "{expected} | {parting:?}");
        }
    }

    #[test]
    fn what_changes_without_a_parting_is_named_by_its_place() {
        let with = |input: &[serde_json::Value], lasts_ms| Step {
            input: input.iter().cloned().map(Argument::Json).collect(),
            lasts_ms,
            ..Step::new("activity", "1", "a")
        };
        let told = |was: Step, is: Step| changes(&[was], &[is]).pop().map(|(_, text)| text);
        let (one, two, three) = (json!(1), json!({ "a": 2 }), json!(3));
        let base = || with(&[one.clone(), two.clone()], None);
        assert_eq!(told(base(), base()), None);
        let swapped = with(&[two.clone(), one.clone()], None);
        assert_eq!(
            told(base(), swapped).as_deref(),
            Some("arguments 1, 2 in another order")
        );
        let other = with(&[one.clone(), three], None);
        assert_eq!(told(base(), other).as_deref(), Some("another argument 2"));
        let fewer = with(std::slice::from_ref(&one), None);
        assert_eq!(told(base(), fewer).as_deref(), Some("1 arguments, was 2"));
        let timer = told(with(&[], Some(5)), with(&[], Some(7)));
        assert_eq!(timer.as_deref(), Some("lasts 7 ms, was 5 ms"));
        let sent = |id, name| Step::new("signal_external", id, name);
        assert_eq!(
            told(sent("a", "stop"), sent("b", "go")).as_deref(),
            Some("signal go to b instead")
        );
        let mut unread = base();
        unread.input = vec![Argument::Unknown, Argument::Unknown];
        assert_eq!(told(base(), unread), None);
    }
}
