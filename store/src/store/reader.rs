//! A store as one caller sees it.
//!
//! Invariant: what the caller may not see is left out by the database: no row of it is read.

use std::collections::BTreeMap;

use super::{
    AccessScope, EventHead, Fingerprint, ReadError, RunFilter, RunStats, StatsFilter, Store,
};
use crate::hourly::{Hours, SumsFilter};
use crate::row::{EventRow, Micros, RunKey, RunRow, Status};
use crate::sql::search::{self, CountedRuns, FoundRuns};
use crate::sql::{events, hourly, read, stats};

/// The same on whichever database it is.
macro_rules! either {
    ($self:ident, $store:ident => $do:expr) => {
        match $self.store {
            Store::Sqlite($store) => $do,
            Store::Postgres($store) => $do,
        }
    };
}

/// Reads what is within a scope.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    pub(super) store: &'a Store,
    pub(super) scope: &'a AccessScope,
}

impl<'a> Reader<'a> {
    pub(crate) fn parts(self) -> (&'a Store, &'a AccessScope) {
        (self.store, self.scope)
    }

    /// Whether a run that another one names is to be told of: whatever it is, to who may see everything,
    /// else one that is stored and may be seen.
    ///
    /// # Errors
    /// What the database said.
    pub async fn may_know(&self, run: &RunKey) -> Result<bool, ReadError> {
        Ok(*self.scope == AccessScope::ALL || self.find_run(run).await?.is_some())
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// What the database said.
    pub async fn list_runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>, ReadError> {
        either!(self, store => read::list_runs(store, filter, self.scope).await)
    }

    /// Runs, newest first, of which at most `looks` are looked at for what no index answers (text, patterns,
    /// duration and cost); without such conditions it is [`Self::list_runs`]. The filter must have a limit.
    ///
    /// # Errors
    /// What the database said.
    pub async fn search_runs(
        &self,
        filter: &RunFilter,
        looks: u32,
    ) -> Result<FoundRuns, ReadError> {
        either!(self, store => search::search(store, filter, looks, self.scope).await)
    }

    /// How many of the newest `among` runs that the filter finds have which status. The filter's page
    /// (`after`, `limit`) is left aside.
    ///
    /// # Errors
    /// What the database said.
    pub async fn count_runs(
        &self,
        filter: &RunFilter,
        among: u32,
    ) -> Result<BTreeMap<Status, u64>, ReadError> {
        either!(self, store => read::count_runs(store, filter, among, self.scope).await)
    }

    /// The same, and at most `looks` are looked at, as by [`Self::search_runs`].
    ///
    /// # Errors
    /// What the database said.
    pub async fn count_found(
        &self,
        filter: &RunFilter,
        among: u32,
        looks: u32,
    ) -> Result<CountedRuns, ReadError> {
        either!(self, store => search::count(store, filter, among, looks, self.scope).await)
    }

    /// One run.
    ///
    /// # Errors
    /// What the database said.
    pub async fn find_run(&self, run: &RunKey) -> Result<Option<RunRow>, ReadError> {
        either!(self, store => read::run(store, run, self.scope).await)
    }

    /// The run that went on where this one ended: a continue-as-new, a retry, the next of a cron.
    ///
    /// # Errors
    /// What the database said.
    pub async fn next_run(&self, run: &RunKey) -> Result<Option<RunRow>, ReadError> {
        either!(self, store => read::next_run(store, run, self.scope).await)
    }

    /// Runs that this run started as children, oldest first.
    ///
    /// # Errors
    /// What the database said.
    pub async fn children(&self, run: &RunKey) -> Result<Vec<RunRow>, ReadError> {
        either!(self, store => read::children(store, run, self.scope).await)
    }

    /// What tells whether any row of a run changed.
    ///
    /// # Errors
    /// What the database said.
    pub async fn fingerprint(&self, run: &RunKey) -> Result<Fingerprint, ReadError> {
        either!(self, store => events::fingerprint(store, run, self.scope).await)
    }

    /// Which rows a run has, without what they hold.
    ///
    /// # Errors
    /// What the database said.
    pub async fn event_heads(&self, run: &RunKey) -> Result<Vec<EventHead>, ReadError> {
        either!(self, store => events::heads(store, run, self.scope).await)
    }

    /// All rows of a run, in the order of their start.
    ///
    /// # Errors
    /// What the database said.
    pub async fn events(&self, run: &RunKey) -> Result<Vec<EventRow>, ReadError> {
        either!(self, store => events::all(store, run, self.scope).await)
    }

    /// Those rows of a run that have these keys, in any order.
    ///
    /// # Errors
    /// What the database said.
    pub async fn events_by_key(
        &self,
        run: &RunKey,
        keys: &[&str],
    ) -> Result<Vec<EventRow>, ReadError> {
        either!(self, store => events::by_key(store, run, keys, self.scope).await)
    }

    /// As [`Store::sealed_through`].
    ///
    /// # Errors
    /// What the database said.
    pub async fn sealed_through(&self) -> Result<Micros, ReadError> {
        self.store.sealed_through().await
    }

    /// Hourly aggregates, added up: of hours before [`Store::sealed_through`], whose rows may be gone.
    ///
    /// # Errors
    /// What the database said.
    pub async fn sums(&self, filter: &SumsFilter) -> Result<Hours, ReadError> {
        either!(self, store => hourly::sums(store, filter, self.scope).await)
    }

    /// Counts, durations, tokens and cost of the runs that started in a time, by type, and by hour too
    /// if that is wanted.
    ///
    /// # Errors
    /// What the database said.
    pub async fn run_stats(&self, filter: &StatsFilter) -> Result<Vec<RunStats>, ReadError> {
        either!(self, store => stats::runs(store, filter, self.scope).await)
    }
}
