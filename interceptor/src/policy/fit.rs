//! Cutting a redacted value down to a number of bytes.
//!
//! Invariant: what comes out is JSON of at most the bytes asked for (never asked for less than a
//! marker takes), and which values were cut depends on the value alone. The largest go first; of
//! an object or array that is too large, its own largest values, as long as that helps.

use serde_json::{Value, json};

/// Replaces a value: `{"_truncated_bytes": n}`, n being the bytes of its redacted JSON.
pub(super) fn marker(bytes: usize) -> Value {
    json!({ "_truncated_bytes": bytes })
}

/// Bytes of the JSON of a marker.
pub(super) fn marker_len(bytes: usize) -> usize {
    r#"{"_truncated_bytes":}"#.len() + digits(bytes)
}

fn digits(n: usize) -> usize {
    n.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Bytes of the JSON of a value, as `serde_json` writes it without blanks.
pub(super) fn json_len(value: &Value) -> usize {
    match value {
        Value::Null => 4,
        Value::Bool(b) => bool_len(*b),
        Value::Number(n) => n.to_string().len(),
        Value::String(s) => str_len(s),
        Value::Array(items) => {
            let inner: usize = items.iter().map(|v| json_len(v) + 1).sum();
            inner.max(1) + 1
        }
        Value::Object(fields) => object_len(fields.iter().map(|(k, v)| (k.as_str(), v))),
    }
}

/// Bytes of the JSON of an object of these fields.
pub(super) fn object_len<'a>(fields: impl Iterator<Item = (&'a str, &'a Value)>) -> usize {
    let inner: usize = fields.map(|(k, v)| field_len(k) + json_len(v)).sum();
    inner.max(1) + 1
}

pub(super) fn bool_len(b: bool) -> usize {
    if b { 4 } else { 5 }
}

/// Bytes of a field beside its value: the name, the colon and a comma.
pub(super) fn field_len(name: &str) -> usize {
    str_len(name) + 2
}

/// Bytes of a JSON string.
pub(super) fn str_len(s: &str) -> usize {
    let escaped: usize = s
        .bytes()
        .map(|b| match b {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0C => 2,
            0..0x20 => 6,
            _ => 1,
        })
        .sum();
    escaped + 2
}

/// Cuts a value of `size` bytes to at most `max`. Returns its new size, and counts in `truncated`
/// what it replaced. `max` must be large enough for a marker, else the result is one all the same.
pub(super) fn fit(value: &mut Value, size: usize, max: usize, truncated: &mut u32) -> usize {
    if size <= max {
        return size;
    }
    let before = *truncated;
    let fitted = fit_children(value, size, max, truncated);
    if fitted <= max {
        return fitted;
    }
    *truncated = before.saturating_add(1);
    *value = marker(size);
    marker_len(size)
}

/// As [`fit`], but leaves the value itself in place, so that it may stay too large.
pub(super) fn fit_children(
    value: &mut Value,
    size: usize,
    max: usize,
    truncated: &mut u32,
) -> usize {
    let mut children: Vec<(usize, &mut Value)> = match value {
        Value::Array(items) => items.iter_mut().map(|v| (json_len(v), v)).collect(),
        Value::Object(fields) => fields.values_mut().map(|v| (json_len(v), v)).collect(),
        _ => return size,
    };
    // Stable: of equal ones the first goes first.
    children.sort_by_key(|(len, _)| std::cmp::Reverse(*len));
    let mut size = size;
    for (len, child) in children {
        if size <= max || len <= marker_len(len) {
            break;
        }
        let enough = len.saturating_sub(size - max).max(marker_len(len));
        size -= len - fit(child, len, enough, truncated);
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_values_go_first() {
        let mut value = json!({"small": "ab", "large": "x".repeat(200), "larger": "y".repeat(300)});
        let size = json_len(&value);
        let mut truncated = 0;
        let fitted = fit(&mut value, size, size - 100, &mut truncated);
        assert_eq!(truncated, 1);
        assert_eq!(value["larger"], json!({"_truncated_bytes": 302}));
        assert_eq!(value["large"], "x".repeat(200));
        assert_eq!(fitted, value.to_string().len());
    }

    #[test]
    fn of_a_large_object_its_own_largest_values_go() {
        let mut value = json!({"a": {"text": "x".repeat(200), "n": 1}, "b": "y".repeat(100)});
        let (size, mut truncated) = (json_len(&value), 0);
        fit(&mut value, size, 200, &mut truncated);
        assert_eq!(
            value["a"],
            json!({"text": {"_truncated_bytes": 202}, "n": 1})
        );
        assert_eq!(value["b"], "y".repeat(100));
    }

    #[test]
    fn what_was_cut_inside_of_a_cut_value_does_not_count() {
        let mut items = vec![json!(1); 500];
        items.push(json!("x".repeat(200)));
        let mut value = json!({ "list": items });
        let (size, mut truncated) = (json_len(&value), 0);
        fit(&mut value, size, 100, &mut truncated);
        assert_eq!(
            (value, truncated),
            (json!({"list": {"_truncated_bytes": 1204}}), 1)
        );
    }

    #[test]
    fn many_small_values_go_together() {
        let mut value = json!({"list": vec![1; 500], "b": "y"});
        let (size, mut truncated) = (json_len(&value), 0);
        fit(&mut value, size, 100, &mut truncated);
        assert_eq!(
            (value, truncated),
            (json!({"list": {"_truncated_bytes": 1001}, "b": "y"}), 1)
        );
    }
}
