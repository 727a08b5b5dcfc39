//! Histories in files.
//!
//! Invariant: what Temporal's tools have written at any time is read: both spellings of enums, fields
//! and events that this version does not know. What is malformed is said with its place.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, EnumDescriptor, Kind, MessageDescriptor,
};
use serde_json::Value;
use temporalio_common::protos::temporal::api::history::v1::{History, HistoryEvent};

use super::ImportError;

/// Protobuf descriptors of a history, taken from those of the SDK by the build script.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/history.bin"));

/// Some editors put it in front.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// `None` is a build that took the wrong file; a test would see it.
static EVENT: LazyLock<Option<MessageDescriptor>> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(DESCRIPTORS).ok()?;
    pool.get_message_by_name("temporal.api.history.v1.HistoryEvent")
});

/// Reads a history as JSON or as protobuf, whichever the bytes are.
///
/// # Errors
/// When they are neither; says where.
pub fn parse(bytes: &[u8]) -> Result<Vec<HistoryEvent>, ImportError> {
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    match text.trim_ascii_start().first() {
        Some(b'{' | b'[') => parse_json(bytes).or_else(|error| {
            // The first two bytes of a binary history may look like a line break and a bracket.
            let binary = parse_binary(bytes).ok();
            binary.filter(|events| !events.is_empty()).ok_or(error)
        }),
        None => Err(ImportError::Empty),
        _ => parse_binary(bytes).map_err(|_| ImportError::Neither),
    }
}

/// Reads a history from protobuf JSON: `{"events": […]}`, as `temporal workflow show --output json` and
/// the web UI write it, or an array of events.
///
/// # Errors
/// When it is not JSON, or not a history; says where.
pub fn parse_json(bytes: &[u8]) -> Result<Vec<HistoryEvent>, ImportError> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let events = match serde_json::from_slice(bytes)? {
        Value::Array(events) => events,
        Value::Object(mut history) => match history.remove("events") {
            Some(Value::Array(events)) => events,
            Some(_) => return Err(ImportError::Shape("\"events\" that is no array")),
            None => return Err(ImportError::Shape("an object without \"events\"")),
        },
        _ => return Err(ImportError::Shape("a single value")),
    };
    let events = events.into_iter().enumerate();
    events
        .map(|(i, json)| {
            event(json).map_err(|reason| ImportError::Event {
                number: i + 1,
                reason,
            })
        })
        .collect()
}

/// Reads a history from a binary `temporal.api.history.v1.History`.
///
/// # Errors
/// When it is not one.
pub fn parse_binary(bytes: &[u8]) -> Result<Vec<HistoryEvent>, ImportError> {
    Ok(History::decode(bytes)?.events)
}

fn event(mut json: Value) -> Result<HistoryEvent, String> {
    let descriptor = EVENT.as_ref().ok_or("its descriptor is missing")?;
    if !json.is_object() {
        return Err("expected an object".to_owned());
    }
    spell_enums(&mut json, descriptor);
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let event = DynamicMessage::deserialize_with_options(descriptor.clone(), json, &options);
    let event = event.map_err(|error| error.to_string())?;
    HistoryEvent::decode(event.encode_to_vec().as_slice()).map_err(|error| error.to_string())
}

/// Gives enums the names that they have in protobuf: `WorkflowExecutionStarted` is
/// `EVENT_TYPE_WORKFLOW_EXECUTION_STARTED`.
fn spell_enums(json: &mut Value, message: &MessageDescriptor) {
    let Value::Object(fields) = json else {
        return;
    };
    for (name, value) in fields {
        let field = message
            .get_field_by_json_name(name)
            .or_else(|| message.get_field_by_name(name));
        let Some(field) = field else {
            continue;
        };
        let kind = match field.kind() {
            Kind::Message(entry) if entry.is_map_entry() => entry.map_entry_value_field().kind(),
            kind => kind,
        };
        let is_map = field.is_map();
        let each = |change: &mut dyn FnMut(&mut Value)| match value {
            Value::Array(items) if field.is_list() => items.iter_mut().for_each(change),
            Value::Object(items) if is_map => items.values_mut().for_each(change),
            single => change(single),
        };
        match kind {
            Kind::Message(inner) => each(&mut |value| spell_enums(value, &inner)),
            Kind::Enum(names) => each(&mut |value| spell(value, &names)),
            _ => {}
        }
    }
}

fn spell(value: &mut Value, names: &EnumDescriptor) {
    if let Value::String(text) = value
        && names.get_value_by_name(text).is_none()
        && let Some(name) = spelling(text, names)
    {
        *text = name;
    }
}

/// The name that ends in the words of a short one. The prefix is that of all names of the enum.
fn spelling(short: &str, names: &EnumDescriptor) -> Option<String> {
    let bare = |text: &str| text.replace('_', "").to_ascii_lowercase();
    let zero = names.default_value().name().to_owned();
    let prefix = zero.strip_suffix("UNSPECIFIED")?;
    let short = bare(short);
    let mut values = names.values();
    let long = values.find(|value| {
        let name = value.name().strip_prefix(prefix);
        name.is_some_and(|name| bare(name) == short)
    })?;
    Some(long.name().to_owned())
}
