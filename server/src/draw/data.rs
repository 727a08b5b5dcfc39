//! The recorded data below a node.

use owo_colors::OwoColorize;
use serde_json::Value;

use crate::style;
use crate::text::clean;

/// Draws JSON, hashes dimmed. Says whether there was a hash.
pub(super) fn draw(out: &mut String, before: &str, data: &Value) -> bool {
    let mut hashed = false;
    // JSON values have no way to fail. JSON escapes control characters, `clean` the rest.
    for line in serde_json::to_string_pretty(data)
        .unwrap_or_default()
        .lines()
    {
        let line = clean(line);
        let is_hash = ["\"sha256:", "\"hmac:"]
            .iter()
            .any(|mark| line.contains(mark));
        hashed |= is_hash;
        out.push_str(&before.style(style::dim()).to_string());
        if is_hash {
            out.push_str(&line.style(style::dim()).to_string());
        } else {
            out.push_str(&line);
        }
        out.push('\n');
    }
    hashed
}
