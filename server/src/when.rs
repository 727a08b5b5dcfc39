//! Moments and durations: read from arguments, and written for people. All times are UTC.

use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};
use omnitrace_store::row::Micros;

/// A moment as a person writes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Moment {
    /// So long ago.
    Ago(jiff::SignedDuration),
    /// At this time.
    At(Timestamp),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(at));
        }
        if let Ok(at) = text.parse::<DateTime>() {
            let utc = TimeZone::UTC.to_timestamp(at);
            return utc.map(Self::At).map_err(|e| e.to_string());
        }
        text.parse::<Span>()
            .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
            .ok()
            .filter(|ago| !ago.is_negative())
            .map(Self::Ago)
            .ok_or_else(|| "write 30m, 2h, 3d, 2026-01-01 or 2026-01-01T10:00:00Z".to_owned())
    }
}

impl Moment {
    /// In microseconds since 1970.
    pub(crate) fn micros(self, now: Timestamp) -> Micros {
        match self {
            Self::At(at) => at.as_microsecond(),
            Self::Ago(ago) => now
                .checked_sub(ago)
                .unwrap_or(Timestamp::MIN)
                .as_microsecond(),
        }
    }
}

/// To the second, as `2026-01-01T10:00:00Z`.
pub(crate) fn short(at: Micros) -> String {
    format(at, "%Y-%m-%dT%H:%M:%SZ")
}

/// To the microsecond, as `2026-01-01T10:00:00.000000Z`.
pub(crate) fn exact(at: Micros) -> String {
    format(at, "%Y-%m-%dT%H:%M:%S.%6fZ")
}

fn format(at: Micros, format: &str) -> String {
    match Timestamp::from_microsecond(at) {
        Ok(at) => at.strftime(format).to_string(),
        // Beyond the calendar: a damaged row, shown as it is.
        Err(_) => format!("{at}us"),
    }
}

/// Milliseconds for people: `12ms`, `1.23s`, `3m05s`, `2h07m`, `4d03h`. Never rounded up.
pub(crate) fn human(ms: i64) -> String {
    let s = ms / 1000;
    match ms {
        ..1000 => format!("{}ms", ms.max(0)),
        1000..10_000 => format!("{s}.{:02}s", ms % 1000 / 10),
        10_000..60_000 => format!("{s}.{}s", ms % 1000 / 100),
        60_000..3_600_000 => format!("{}m{:02}s", s / 60, s % 60),
        3_600_000..86_400_000 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        86_400_000.. => format!("{}d{:02}h", s / 86_400, s % 86_400 / 3600),
    }
}

/// How long ago, for people.
pub(crate) fn ago(at: Micros, now: Timestamp) -> String {
    let ms = now.as_microsecond().saturating_sub(at) / 1000;
    if ms < 1000 {
        "just now".to_owned()
    } else {
        format!("{} ago", human(ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        for (text, at) in [
            ("2h", "2026-01-01T22:00:00Z"),
            ("1d", "2026-01-01T00:00:00Z"),
            ("1w", "2025-12-26T00:00:00Z"),
            ("2026-01-01", "2026-01-01T00:00:00Z"),
            ("2026-01-01T10:30", "2026-01-01T10:30:00Z"),
            ("2026-01-01T10:30:00+02:00", "2026-01-01T08:30:00Z"),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(short(moment.micros(now)), at, "{text}");
        }
        for text in ["", "yesterday", "-2h", "2026-13-01", "1mo"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }

    #[test]
    fn durations_keep_two_units_and_are_never_rounded_up() {
        for (ms, text) in [
            (-5, "0ms"),
            (999, "999ms"),
            (1999, "1.99s"),
            (59_999, "59.9s"),
            (3_599_999, "59m59s"),
            (86_399_999, "23h59m"),
            (97 * 3_600_000, "4d01h"),
        ] {
            assert_eq!(human(ms), text);
        }
    }
}
