//! Values of queries: each says what is allowed when it is not.

use std::fmt::Display;

use omnitrace_store::row::Status;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::problem::Problem;
use crate::when::Moment;

/// Not negative, and not more than so many.
fn whole<'de, D: Deserializer<'de>>(from: D, most: i64) -> Result<Option<i64>, D::Error> {
    parse(
        from,
        format_args!("a whole number from 0 to {most}"),
        |text| text.parse().ok().filter(|n| (0..=most).contains(n)),
    )
}

/// Milliseconds, which fit as microseconds.
pub(super) fn millis<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    whole(from, i64::MAX / 1000 - 1)
}

/// A small number.
pub(super) fn small<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    Ok(whole(from, u32::MAX.into())?.and_then(|n| n.try_into().ok()))
}

/// How much a page holds.
pub(super) fn limit(asked: Option<u32>, default: u32, most: u32) -> Result<u32, Problem> {
    let limit = asked.unwrap_or(default);
    match (1..=most).contains(&limit) {
        true => Ok(limit),
        false => Err(Problem::BadRequest(format!(
            "limit: it is {limit} and must be from 1 to {most}"
        ))),
    }
}

/// US dollars.
pub(super) fn dollars<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    parse(from, "an amount of dollars, as 0.25", |text| {
        text.parse().ok().filter(|n: &f64| n.is_finite())
    })
}

/// `2h`, `3d`, or a time.
pub(super) fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Moment>, D::Error> {
    let allowed = "a time, as 30m, 2h, 3d, 2026-01-01 or 2026-01-01T10:00:00Z";
    parse(from, allowed, |text| text.parse().ok())
}

/// Statuses, separated by commas.
pub(super) fn statuses<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Status>, D::Error> {
    let names: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
    let parsed = parse(
        from,
        format_args!("one or more of {}", names.join(",")),
        |text| {
            (text.split(',').filter(|name| !name.is_empty()))
                .map(Status::parse)
                .collect()
        },
    );
    Ok(parsed?.unwrap_or_default())
}

/// Names out of a list, separated by commas.
pub(super) fn names<'de, D: Deserializer<'de>>(
    from: D,
    known: &[&'static str],
) -> Result<Vec<&'static str>, D::Error> {
    let parsed = parse(
        from,
        format_args!("one or more of {}", known.join(",")),
        |text| {
            (text.split(',').filter(|name| !name.is_empty()))
                .map(|name| known.iter().find(|known| **known == name).copied())
                .collect()
        },
    );
    Ok(parsed?.unwrap_or_default())
}

/// Nothing where there is no text: forms send empty fields.
fn parse<'de, D: Deserializer<'de>, T>(
    from: D,
    allowed: impl Display,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(from)?;
    if text.is_empty() {
        return Ok(None);
    }
    let value = read(&text)
        .ok_or_else(|| D::Error::custom(format_args!("it is {text:?} and must be {allowed}")))?;
    Ok(Some(value))
}

/// Text, but for empty text.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Some(String::deserialize(from)?).filter(|text| !text.is_empty()))
}
