//! What fields say of a span: OpenTelemetry's conventions, and our own `tool.*`, `policy.*` and
//! `omnitrace.*`.
//!
//! Invariant: pure. No other file of the layer spells a field.

use serde_json::{Map, Value, json};

use crate::attempt::{Told, ToldFailure};

/// Says what a span or event is, whatever else it has.
const KIND: &str = "omnitrace.kind";

/// What is understood, by what the names of fields begin with; the first that a span has decides what it
/// is.
const PREFIXES: &[(&str, &str)] = &[
    ("gen_ai.", "model"),
    ("tool.", "tool"),
    ("policy.", "policy"),
    ("db.", "db"),
    ("messaging.", "messaging"),
    ("http.", "http"),
];

/// Fields that hold names, classes and numbers of a few kinds, and no user's data. They stay readable.
const PLAIN: &[&str] = &[
    "db.collection.name",
    "db.operation",
    "db.operation.name",
    "db.response.status_code",
    "db.system",
    "db.system.name",
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.max_tokens",
    "gen_ai.request.model",
    "gen_ai.request.temperature",
    "gen_ai.response.model",
    "gen_ai.system",
    "gen_ai.tool.name",
    "gen_ai.tool.type",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "messaging.batch.message_count",
    "messaging.destination.name",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.system",
    "network.protocol.name",
    "policy.decision",
    "policy.name",
    "policy.outcome",
    "policy.rule",
    "server.address",
    "server.port",
    "tool.name",
    "url.scheme",
    "url.template",
];

/// Names that older conventions have for the tokens of prompt and answer.
const INPUT_TOKENS: &[&str] = &["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"];
const OUTPUT_TOKENS: &[&str] = &[
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
];
const MODEL: &[&str] = &["gen_ai.response.model", "gen_ai.request.model"];
/// Prompt and answer.
const INPUT: &[&str] = &["gen_ai.input.messages", "gen_ai.prompt"];
const OUTPUT: &[&str] = &["gen_ai.output.messages", "gen_ai.completion"];

const ERROR_TYPE: &str = "error.type";
const STATUS_CODE: &str = "otel.status_code";
/// What an error said.
const MESSAGES: &[&str] = &[
    "exception.message",
    "error.message",
    "otel.status_description",
    "otel.status_message",
];

/// The longest name that fields give.
const MAX_NAME: usize = 64;

/// Whether any of these fields is understood.
pub(super) fn concern<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    names.any(|name| name == KIND || PREFIXES.iter().any(|(prefix, _)| name.starts_with(prefix)))
}

/// Kind and name of a span, by its own name and its fields when it begins.
pub(super) fn identity(own: &str, fields: &Map<String, Value>) -> (String, String) {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let chosen = text(KIND).filter(|kind| is_kind(kind));
    let kind = chosen.unwrap_or_else(|| kind(fields));
    let named = match kind {
        "model" => text("gen_ai.request.model").map(ToOwned::to_owned),
        "tool" => (text("gen_ai.tool.name").or_else(|| text("tool.name"))).map(ToOwned::to_owned),
        "policy" => text("policy.name").map(ToOwned::to_owned),
        "db" => (text("db.query.summary").map(ToOwned::to_owned)).or_else(|| {
            let operation = text("db.operation.name").or_else(|| text("db.operation"));
            both(operation, text("db.collection.name"))
        }),
        "publish" | "messaging" => both(
            text("messaging.operation.name"),
            text("messaging.destination.name"),
        ),
        "http" => both(
            text("http.request.method"),
            (text("url.template").or_else(|| text("http.route")))
                .or_else(|| text("server.address")),
        ),
        _ => None,
    };
    let named = named.or_else(|| text("otel.name").map(ToOwned::to_owned));
    let named = named.filter(|name| is_name(name));
    (kind.to_owned(), named.unwrap_or_else(|| own.to_owned()))
}

fn kind(fields: &Map<String, Value>) -> &'static str {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let has = |prefix: &str| fields.keys().any(|name| name.starts_with(prefix));
    let found = PREFIXES.iter().find(|(prefix, _)| has(prefix));
    match found.map_or("span", |(_, kind)| *kind) {
        "model"
            if text("gen_ai.operation.name") == Some("execute_tool")
                || fields.contains_key("gen_ai.tool.name") =>
        {
            "tool"
        }
        "model"
            if matches!(
                text("gen_ai.operation.name"),
                Some("invoke_agent" | "create_agent")
            ) =>
        {
            "agent"
        }
        "messaging" => {
            let operation =
                text("messaging.operation.type").or_else(|| text("messaging.operation.name"));
            match operation {
                Some("send" | "publish" | "create") => "publish",
                _ => "messaging",
            }
        }
        kind => kind,
    }
}

fn is_kind(kind: &str) -> bool {
    !kind.is_empty()
        && kind.len() <= 32
        && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// Whether a value may be a name, which stays readable.
fn is_name(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b" ._:/{}-".contains(&b);
    !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(is_plain)
}

fn both(one: Option<&str>, other: Option<&str>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Some(format!("{one} {other}")),
        (one, other) => one.or(other).map(ToOwned::to_owned),
    }
}

/// What the fields of a span that is over say.
pub(super) fn told(kind: &str, mut fields: Map<String, Value>) -> Told {
    fields.remove(KIND);
    let failure = failure(&mut fields);
    let mut data = Map::new();
    if kind == "model" {
        let first = |names: &[&str]| names.iter().find_map(|name| fields.get(*name)).cloned();
        let (input, output) = (first(INPUT_TOKENS), first(OUTPUT_TOKENS));
        if let Some(model) = first(MODEL) {
            data.insert("model".to_owned(), model);
        }
        if input.is_some() || output.is_some() {
            let usage = json!({ "input_tokens": input, "output_tokens": output });
            data.insert("usage".to_owned(), usage);
        }
        for (name, from) in [("input", INPUT), ("output", OUTPUT)] {
            if let Some(value) = from.iter().find_map(|from| fields.remove(*from)) {
                data.insert(name.to_owned(), parsed(value));
            }
        }
    }
    let mut detail = Map::new();
    for (name, value) in fields {
        match PLAIN.contains(&name.as_str()) {
            true => drop(detail.insert(name, value)),
            false => drop(data.insert(name.replace('.', "_"), value)),
        }
    }
    Told {
        detail,
        data: Value::Object(data),
        failure,
    }
}

/// Messages are JSON in a text.
fn parsed(value: Value) -> Value {
    match value.as_str().map(serde_json::from_str) {
        Some(Ok(parsed)) => parsed,
        _ => value,
    }
}

fn failure(fields: &mut Map<String, Value>) -> Option<ToldFailure> {
    let taken = |fields: &mut Map<String, Value>, name: &str| match fields.remove(name)? {
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    let error_type = taken(fields, ERROR_TYPE);
    let status = taken(fields, STATUS_CODE);
    let message = MESSAGES.iter().find_map(|name| taken(fields, name));
    let failed = status.is_some_and(|status| status.eq_ignore_ascii_case("error"));
    (failed || error_type.is_some()).then(|| ToldFailure {
        error_type: error_type.unwrap_or_else(|| "error".to_owned()),
        message,
    })
}
