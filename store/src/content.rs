//! Where a row's data holds what a language model was asked, and what it said.
//!
//! Invariant: pure. The payload of an activity goes before what an event was told.

use serde_json::{Map, Value};

/// Fields under which events tell it.
const PROMPTS: &[&str] = &["prompt", "prompts", "messages", "input"];
const RESPONSES: &[&str] = &["response", "responses", "completion", "output"];

/// What a model was asked, if this is the data of a call of one.
pub fn prompts(data: &Map<String, Value>) -> Option<&Value> {
    found(data, "input", PROMPTS)
}

/// What a model said, if this is the data of a call of one.
pub fn responses(data: &Map<String, Value>) -> Option<&Value> {
    found(data, "output", RESPONSES)
}

fn found<'a>(data: &'a Map<String, Value>, payload: &str, fields: &[&str]) -> Option<&'a Value> {
    let told = || {
        let told = data.get("data")?;
        fields.iter().find_map(|field| told.get(field))
    };
    data.get(payload).or_else(told)
}
