//! What is switched without a deploy, as a list of changes.
//!
//! Invariant: a change is never altered, so what held at a moment is a function of the list and the moment:
//! whoever knows the list decides alike, also in a replay long after. Those for an erased tenant go with its runs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::row::Micros;
use crate::sql::switches::{Add, read};
use crate::store::{ReadError, Store, WriteError};

/// A change holds for what begins so long after it, in microseconds: by then every worker knows it.
pub const SWITCH_DELAY: Micros = 4_000_000;

/// What can be switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SwitchName {
    /// Part of the runs that is recorded, from 0 to 1.
    SampleRate,
    /// `false` records nothing of a run, not even if it fails.
    Recording,
    /// Whether prompts and responses stay readable.
    CaptureContent,
    /// `error`, `warn`, `info`, `debug`, `trace` or `off`.
    LogLevel,
    /// Fields whose values are kept, beside the configured ones, separated by commas.
    AllowFields,
    /// Fields that are dropped, beside the configured ones.
    DropFields,
}

impl SwitchName {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::SampleRate,
        Self::Recording,
        Self::CaptureContent,
        Self::LogLevel,
        Self::AllowFields,
        Self::DropFields,
    ];

    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SampleRate => "sample_rate",
            Self::Recording => "recording",
            Self::CaptureContent => "capture_content",
            Self::LogLevel => "log_level",
            Self::AllowFields => "allow_fields",
            Self::DropFields => "drop_fields",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == text)
    }

    /// Checks a value, and gives it as it is to be stored.
    ///
    /// # Errors
    /// What is allowed.
    pub fn check(self, value: &str) -> Result<String, &'static str> {
        let value = value.trim();
        let good = match self {
            Self::SampleRate => {
                let rate = value.parse::<f64>().ok();
                return match rate.filter(|rate| (0.0..=1.0).contains(rate)) {
                    Some(rate) => Ok(rate.to_string()),
                    None => Err("a number from 0 to 1, as 0.05"),
                };
            }
            Self::Recording | Self::CaptureContent => matches!(value, "true" | "false"),
            Self::LogLevel => ["off", "error", "warn", "info", "debug", "trace"].contains(&value),
            Self::AllowFields | Self::DropFields => {
                let is_name = |field: &str| {
                    (1..=64).contains(&field.chars().count())
                        && field.chars().any(char::is_alphanumeric)
                        && (field.chars()).all(|c| c.is_alphanumeric() || "_-. ".contains(c))
                };
                !value.is_empty() && value.split(',').all(|field| is_name(field.trim()))
            }
        };
        match self {
            _ if good => Ok(value.to_owned()),
            Self::Recording | Self::CaptureContent => Err("true or false"),
            Self::LogLevel => Err("off, error, warn, info, debug or trace"),
            _ => Err("names of fields, separated by commas"),
        }
    }
}

/// What a switch is for; `None` is any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct SwitchScope {
    /// `dev`, `staging` or `prod`.
    pub environment: Option<String>,
    /// Workflow type.
    pub workflow_type: Option<String>,
    /// Hashed tenant.
    pub tenant: Option<String>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SwitchRow {
    /// Counts changes up, from 1.
    pub revision: i64,
    /// What is switched.
    pub name: SwitchName,
    /// For what.
    #[serde(flatten)]
    pub scope: SwitchScope,
    /// To what; `None` takes the switch back.
    pub value: Option<String>,
    /// Who did it.
    pub set_by: String,
    /// Why.
    pub reason: String,
    /// When, by the database's clock.
    pub set_at: Micros,
}

/// A change that is to be made.
#[derive(Clone, Debug)]
pub struct NewSwitch {
    /// What is switched.
    pub name: SwitchName,
    /// For what.
    pub scope: SwitchScope,
    /// To what; `None` takes the switch back.
    pub value: Option<String>,
    /// Who does it.
    pub set_by: String,
    /// Why.
    pub reason: String,
}

/// What something is that asks what holds for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Switched<'a> {
    /// Environment of the process.
    pub environment: &'a str,
    /// Workflow type, if it is known.
    pub workflow_type: &'a str,
    /// Hashed tenant, if it has one.
    pub tenant: Option<&'a str>,
}

impl SwitchScope {
    fn has(&self, of: &Switched<'_>) -> bool {
        (self.environment.as_deref()).is_none_or(|name| name == of.environment)
            && (self.workflow_type.as_deref()).is_none_or(|name| name == of.workflow_type)
            && (self.tenant.as_deref()).is_none_or(|hash| Some(hash) == of.tenant)
    }

    /// A tenant narrows more than a type, and that more than an environment.
    fn narrowness(&self) -> u8 {
        u8::from(self.tenant.is_some()) * 4
            + u8::from(self.workflow_type.is_some()) * 2
            + u8::from(self.environment.is_some())
    }
}

/// All changes that are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// Newest first.
    rows: Vec<SwitchRow>,
    /// Places of those of a name and scope, newest first.
    of_scope: BTreeMap<(SwitchName, SwitchScope), Vec<usize>>,
}

impl Switches {
    /// Of changes in any order.
    pub fn new(mut rows: Vec<SwitchRow>) -> Self {
        rows.sort_by_key(|row| std::cmp::Reverse(row.revision));
        let mut of_scope: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            let of = of_scope.entry((row.name, row.scope.clone())).or_default();
            of.push(at);
        }
        Self { rows, of_scope }
    }

    /// The changes, newest first.
    pub fn history(&self) -> &[SwitchRow] {
        &self.rows
    }

    /// What is set: of each name and scope the newest change, if it was not taken back; by name, then scope.
    pub fn set(&self) -> Vec<&SwitchRow> {
        let newest = self.of_scope.values().map(|places| &self.rows[places[0]]);
        newest.filter(|row| row.value.is_some()).collect()
    }

    /// Those of a name that hold for something at a moment.
    fn holding(
        &self,
        name: SwitchName,
        of: &Switched<'_>,
        at: Micros,
    ) -> impl Iterator<Item = (&SwitchScope, &str)> {
        let scopes = self.of_scope.iter();
        scopes
            .filter(move |((other, scope), _)| *other == name && scope.has(of))
            .filter_map(move |((_, scope), places)| {
                let mut rows = places.iter().map(|place| &self.rows[*place]);
                let row = rows.find(|row| row.set_at.saturating_add(SWITCH_DELAY) <= at)?;
                Some((scope, row.value.as_deref()?))
            })
    }

    /// What holds for something at a moment: the value of the switch that narrows most.
    pub fn value(&self, name: SwitchName, of: &Switched<'_>, at: Micros) -> Option<&str> {
        let holding = self.holding(name, of, at);
        let narrowest = holding.max_by_key(|(scope, _)| scope.narrowness());
        narrowest.map(|(_, value)| value)
    }

    /// The parts of the values of all switches of a name that hold for something, each once, in order.
    pub fn values(&self, name: SwitchName, of: &Switched<'_>, at: Micros) -> Vec<String> {
        let parts = (self.holding(name, of, at)).flat_map(|(_, value)| value.split(','));
        let parts: BTreeSet<&str> = parts.map(str::trim).collect();
        parts.into_iter().map(str::to_owned).collect()
    }

    /// Whether nothing was ever switched.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether anything was ever switched for one tenant alone.
    pub fn names_tenants(&self) -> bool {
        self.rows.iter().any(|row| row.scope.tenant.is_some())
    }
}

impl Store {
    /// Adds a change; gives its revision.
    ///
    /// # Errors
    /// When the database did not take it, as when another change was made at the same time.
    pub async fn switch(&self, new: &NewSwitch) -> Result<i64, WriteError> {
        self.transact(&Add(new)).await
    }

    /// The last changes, at most as many as anybody needs to know.
    ///
    /// # Errors
    /// What the database said.
    pub async fn switches(&self) -> Result<Switches, ReadError> {
        let rows = match self {
            Store::Sqlite(store) => read(store).await,
            Store::Postgres(store) => read(store).await,
        };
        rows.map(Switches::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(revision: i64, scope: [&str; 3], value: Option<&str>) -> SwitchRow {
        let [environment, workflow_type, tenant] =
            scope.map(|name| (!name.is_empty()).then(|| name.to_owned()));
        SwitchRow {
            revision,
            name: SwitchName::SampleRate,
            scope: SwitchScope {
                environment,
                workflow_type,
                tenant,
            },
            value: value.map(str::to_owned),
            set_by: "ann".to_owned(),
            reason: "rollout".to_owned(),
            set_at: revision * 10_000_000,
        }
    }

    fn rate<'a>(switches: &'a Switches, of: [&str; 3], at: Micros) -> Option<&'a str> {
        let of = Switched {
            environment: of[0],
            workflow_type: of[1],
            tenant: Some(of[2]).filter(|tenant| !tenant.is_empty()),
        };
        switches.value(SwitchName::SampleRate, &of, at)
    }

    #[test]
    fn the_newest_of_what_narrows_most_holds_from_a_while_after_it_was_set() {
        let switches = Switches::new(vec![
            row(1, ["", "", ""], Some("0.05")),
            row(2, ["prod", "", ""], Some("0.1")),
            row(3, ["", "Order", ""], Some("1")),
            row(4, ["", "", "t1"], Some("0")),
            row(5, ["", "Order", ""], None),
            row(6, ["", "", ""], Some("0.5")),
        ]);
        let late = Micros::MAX;
        for (of, at, value) in [
            (["dev", "Mail", ""], late, Some("0.5")),
            (["prod", "Mail", ""], late, Some("0.1")),
            (["prod", "Order", ""], late, Some("0.1")),
            (["prod", "Order", "t1"], late, Some("0")),
            (["dev", "Order", "t2"], late, Some("0.5")),
            // As it was then.
            (["dev", "Order", ""], 30_000_000 + SWITCH_DELAY, Some("1")),
            (
                ["dev", "Order", ""],
                30_000_000 + SWITCH_DELAY - 1,
                Some("0.05"),
            ),
            (
                ["dev", "Order", ""],
                50_000_000 + SWITCH_DELAY,
                Some("0.05"),
            ),
            (["dev", "Order", ""], 10_000_000, None),
        ] {
            assert_eq!(rate(&switches, of, at), value, "{of:?} at {at}");
        }
        let set = switches.set();
        let revisions: Vec<i64> = set.iter().map(|row| row.revision).collect();
        assert_eq!(revisions, [6, 4, 2]);
    }

    #[test]
    fn a_value_is_checked() {
        use SwitchName as N;
        for (name, good, bad) in [
            (N::SampleRate, "0.05", "5%"),
            (N::SampleRate, "1.0", "1.1"),
            (N::Recording, "false", "no"),
            (N::LogLevel, "debug", "loud"),
            (N::DropFields, "iban, note", "*"),
            (N::AllowFields, "order_id", ""),
        ] {
            assert!(name.check(good).is_ok(), "{good}");
            assert!(name.check(bad).is_err(), "{bad}");
        }
        assert!(
            N::ALL
                .iter()
                .all(|name| N::parse(name.as_str()) == Some(*name))
        );
    }
}
