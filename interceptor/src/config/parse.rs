//! Single values, from text.
//!
//! Invariant: every function is total and pure; `None` means "not allowed", never a guess.

/// `true` or `false` in the usual spellings, in any case.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A whole number in decimal digits.
pub(super) fn whole(text: &str) -> Option<i128> {
    text.parse().ok()
}

/// Bytes: a whole number, or one with a unit (`8MiB`, `8 MB`, `512 kb`). `KB` is 1000, `KiB` 1024.
pub(super) fn bytes(text: &str) -> Option<i128> {
    let end = text
        .find(|c: char| c.is_ascii_alphabetic() || c.is_ascii_whitespace())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "kib" => 1 << 10,
        "mb" => 1_000_000,
        "mib" => 1 << 20,
        "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        _ => return None,
    };
    whole(number)?.checked_mul(factor)
}

/// A rate from 0 to 1.
pub(super) fn rate(text: &str) -> Option<f64> {
    let rate: f64 = text.parse().ok()?;
    // `+ 0.0` turns -0 into 0.
    (0.0..=1.0).contains(&rate).then_some(rate + 0.0)
}

/// The items of a comma list, without blank ones.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

/// `key=value` pairs in a comma list, both percent-decoded, as OpenTelemetry writes them. One bad
/// pair makes the whole list bad, as its specification asks.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    items(text)
        .map(|item| {
            let (key, value) = item.split_once('=')?;
            let key = percent_decode(key.trim())?;
            (!key.is_empty()).then_some((key, percent_decode(value.trim())?))
        })
        .collect()
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// An `http://` or `https://` address with a host, and a port that exists.
pub(super) fn http_url(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next()?;
    let host_port = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let (host, port) = match host_port.strip_prefix('[') {
        // An IPv6 address holds colons of its own.
        Some(v6) => {
            let (host, after) = v6.split_once(']')?;
            let port = if after.is_empty() {
                None
            } else {
                Some(after.strip_prefix(':')?)
            };
            (host, port)
        }
        None => match host_port.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host_port, None),
        },
    };
    let port_exists = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let host_plain = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '\\');
    let clean = !text.contains(|c: char| c.is_control() || c.is_whitespace());
    (port_exists && host_plain && clean).then(|| text.to_owned())
}
