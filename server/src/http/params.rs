//! Values of queries: each says what is allowed when it is not.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use omnitrace_store::hourly::Dimension;
use omnitrace_store::row::Status;
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};

use super::problem::Problem;
use crate::api::{DIMENSIONS, dimension};
use crate::when::Moment;

/// The query of a request. What stands several times is a list, as what stands between commas.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        read(query).map(Self)
    }
}

fn read<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let mut values: BTreeMap<Cow<'_, str>, String> = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match values.get_mut(&name) {
            None => drop(values.insert(name, value.into_owned())),
            Some(list) if LISTS.contains(&&*name) => {
                list.push(',');
                list.push_str(&value);
            }
            Some(_) => {
                return Err(Problem::BadRequest(format!(
                    "{name}: it must stand there once"
                )));
            }
        }
    }
    let values = values
        .into_iter()
        .map(|(name, value)| (name.into_owned(), value));
    let values = MapDeserializer::<_, serde::de::value::Error>::new(values);
    serde_path_to_error::deserialize(values).map_err(|error| {
        // What is wrong with the query as a whole is at no place in it.
        let at = error.path().to_string();
        let said = error.into_inner();
        Problem::BadRequest(match at.as_str() {
            "." => said.to_string(),
            at => format!("{at}: {said}"),
        })
    })
}

/// Parameters that may stand several times.
const LISTS: [&str; 3] = ["by", "include", "status"];

/// A flag: `true` or `false`.
pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    parse(from, "true or false", |text| text.parse().ok())
}

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

/// By what aggregates are added up, separated by commas.
pub(super) fn dimensions<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<BTreeSet<Dimension>>, D::Error> {
    let allowed = format!("one or more of {}", DIMENSIONS.join(","));
    parse(from, allowed, |text| {
        text.split(',').map(dimension).collect()
    })
}

/// One of these names.
pub(super) fn name<'de, D: Deserializer<'de>>(
    from: D,
    known: &[&'static str],
) -> Result<Option<&'static str>, D::Error> {
    let allowed = format!("one of {}", known.join(", "));
    parse(from, allowed, |text| {
        known.iter().find(|known| **known == text).copied()
    })
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
