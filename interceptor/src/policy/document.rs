//! A caller's document on its way to redaction.
//!
//! Invariant: nothing here recurses, so a document of any depth is measured and dropped on any stack:
//! `Value` itself drops what it holds by recursion.

use std::fmt;

use serde_json::Value;

/// A document that may be nested as deep as memory allows.
pub(crate) struct Document(pub(super) Value);

impl Document {
    pub(crate) fn new(value: Value) -> Self {
        Self(value)
    }

    /// About how many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        let mut size = 0;
        let mut rest = vec![&self.0];
        while let Some(value) = rest.pop() {
            size += 16;
            match value {
                Value::String(text) => size += text.len(),
                Value::Array(values) => rest.extend(values),
                Value::Object(fields) => {
                    for (name, value) in fields {
                        size += name.len();
                        rest.push(value);
                    }
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        size
    }

    /// The string under a field, if it is one.
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field).and_then(Value::as_str)
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Document(…)")
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        let mut rest = vec![self.0.take()];
        while let Some(value) = rest.pop() {
            match value {
                Value::Array(items) => rest.extend(items),
                Value::Object(fields) => rest.extend(fields.into_iter().map(|(_, value)| value)),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_of_any_depth_is_measured_and_dropped_on_a_small_stack() {
        let mut deep = json!(1);
        for _ in 0..1_000_000 {
            deep = Value::Array(vec![deep]);
        }
        let deep = Document::new(deep);
        let thread = std::thread::Builder::new().stack_size(64 * 1024);
        let measured = thread.spawn(move || deep.size()).unwrap().join();
        assert_eq!(measured.unwrap(), 16 * 1_000_001);
    }

    #[test]
    fn a_debug_text_shows_nothing_of_it() {
        let shown = format!("{:?}", Document::new(json!({"password": "hunter2"})));
        assert_eq!(shown, "Document(…)");
    }
}
