//! A span as it is read back from a backend, whichever that is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// One span, as it is read back.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) parent: Option<String>,
    /// Trace and span of each link.
    pub(crate) links: Vec<(String, String)>,
    pub(crate) tags: BTreeMap<String, Value>,
    /// Events, by name.
    pub(crate) events: Vec<String>,
    pub(crate) service: String,
}

impl Span {
    pub(crate) fn is_error(&self) -> bool {
        self.tags.get("error") == Some(&Value::Bool(true))
    }

    pub(crate) fn tag(&self, name: &str) -> &str {
        self.tags.get(name).and_then(Value::as_str).unwrap_or("")
    }
}

/// Checks that no span is there twice, that each one's parent is there, and that there is one root.
pub(crate) fn assert_whole(spans: &[Span]) {
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(ids.len(), spans.len(), "no span twice: {spans:#?}");
    for span in spans {
        assert_eq!(span.trace, spans[0].trace);
        let parent = span.parent.as_deref();
        assert!(
            parent.is_none_or(|parent| ids.contains(parent)),
            "{span:#?}"
        );
    }
    let roots = spans.iter().filter(|span| span.parent.is_none());
    assert_eq!(roots.count(), 1, "one root: {spans:#?}");
}
