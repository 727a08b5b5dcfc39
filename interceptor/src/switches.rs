//! What is switched in the store, as this process knows it.
//!
//! Invariant: asking never waits. What was last known holds while the store is away, and the configuration
//! as long as nothing is known; only content is not kept readable before. What holds for a run is what held
//! when it began, so workers and replays decide alike whenever they decide.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use omnitrace_store::row::{Micros, RunRow};
use omnitrace_store::{DatabaseUrl, OpenError, OpenOptions, Store, SwitchName, Switched, Switches};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::clock;
use crate::config::{DatabaseTarget, Settings};
use crate::policy::{Policy, PolicySettings};
use crate::propagation::BaggageKeys;

/// How often the store is asked.
const EVERY: Duration = Duration::from_secs(1);

/// And before it has answered for the first time, so many times.
const FIRST_EVERY: Duration = Duration::from_millis(100);
const FIRST_TIMES: u32 = 20;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// Policies that are kept, beside the configured one.
const POLICIES: usize = 64;

/// What is switched. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Switchboard(Arc<Inner>);

struct Inner {
    environment: &'static str,
    sample_rate: f64,
    policy: Arc<Policy>,
    settings: PolicySettings,
    trace_per_chain: bool,
    baggage: BaggageKeys,
    known: ArcSwap<Switches>,
    /// Whether the store answered yet, or there is none.
    answered: watch::Sender<bool>,
    policies: Mutex<HashMap<Rules, Arc<Policy>>>,
}

/// What differs between policies of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Rules {
    capture_content: bool,
    allow_fields: Vec<String>,
    drop_fields: Vec<String>,
}

/// Of what begins, that which switches go by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beginning {
    pub(crate) workflow_type: String,
    /// Hashed.
    pub(crate) tenant: Option<String>,
    pub(crate) at: Micros,
}

impl Beginning {
    /// Of something that is no run of a workflow.
    pub(crate) fn now() -> Self {
        Self {
            at: clock::now(),
            ..Self::default()
        }
    }
}

impl From<&RunRow> for Beginning {
    fn from(run: &RunRow) -> Self {
        Self {
            workflow_type: run.workflow_type.clone(),
            tenant: run.tenant.as_ref().map(|tenant| tenant.hash.clone()),
            at: run.started_at.unwrap_or_default(),
        }
    }
}

impl fmt::Debug for Switchboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switchboard")
            .field("known", &self.0.known.load())
            .finish_non_exhaustive()
    }
}

impl Switchboard {
    pub(crate) fn new(settings: &Settings) -> Self {
        let policy_settings = settings.policy_settings();
        Self(Arc::new(Inner {
            environment: settings.env.as_str(),
            sample_rate: settings.sample_rate,
            policy: Arc::new(Policy::new(policy_settings.clone())),
            settings: policy_settings,
            trace_per_chain: settings.trace_per_chain,
            baggage: BaggageKeys::new(&settings.baggage),
            known: ArcSwap::default(),
            answered: watch::Sender::new(settings.database == DatabaseTarget::None),
            policies: Mutex::default(),
        }))
    }

    /// Takes what the store says.
    pub(crate) fn tell(&self, switches: Switches) {
        if **self.0.known.load() != switches {
            tracing::info!(
                revision = switches.history().first().map(|row| row.revision),
                "OmniTrace follows changed switches"
            );
            self.0.known.store(Arc::new(switches));
        }
        self.0.answered.send_replace(true);
    }

    /// The store has nothing to say, and what it said before holds.
    fn tell_nothing(&self) {
        self.0.answered.send_replace(true);
    }

    /// Waits until the store has answered, but not for long.
    pub(crate) async fn answered(&self, limit: Duration) {
        let mut answered = self.0.answered.subscribe();
        // `Err`: it has not, and the configuration holds.
        let _ = timeout(limit, answered.wait_for(|answered| *answered)).await;
    }

    /// Whether nothing was ever switched, so that nothing need be known of what begins.
    pub(crate) fn is_untouched(&self) -> bool {
        self.0.known.load().is_empty()
    }

    /// Whether it need be known whose a run is.
    pub(crate) fn names_tenants(&self) -> bool {
        self.0.known.load().names_tenants()
    }

    /// The configured policy.
    pub(crate) fn configured_policy(&self) -> &Arc<Policy> {
        &self.0.policy
    }

    /// Whether runs that continue as new go on in their trace.
    pub(crate) fn trace_per_chain(&self) -> bool {
        self.0.trace_per_chain
    }

    /// Which baggage is passed on.
    pub(crate) fn baggage(&self) -> &BaggageKeys {
        &self.0.baggage
    }

    /// Of a run that is told by hand, of this tenant.
    pub(crate) fn explicit(&self, tenant: Option<&str>) -> Beginning {
        let tenant = tenant.filter(|_| self.names_tenants());
        Beginning {
            // Of the present: it has no history that its rows are compared with.
            at: clock::now(),
            tenant: tenant.map(|id| self.0.policy.identity(id)),
            ..Beginning::default()
        }
    }

    fn of<'a>(&'a self, of: &'a Beginning) -> Switched<'a> {
        Switched {
            environment: self.0.environment,
            workflow_type: &of.workflow_type,
            tenant: of.tenant.as_deref(),
        }
    }

    /// Part of the runs like this that is recorded.
    pub(crate) fn sample_rate(&self, of: &Beginning) -> f64 {
        let known = self.0.known.load();
        let value = known.value(SwitchName::SampleRate, &self.of(of), of.at);
        let rate = value.and_then(|value| value.parse().ok());
        let rate = rate.filter(|rate| (0.0..=1.0).contains(rate));
        rate.unwrap_or(self.0.sample_rate)
    }

    /// Whether anything of a run like this is recorded.
    pub(crate) fn records(&self, of: &Beginning) -> bool {
        let known = self.0.known.load();
        known.value(SwitchName::Recording, &self.of(of), of.at) != Some("false")
    }

    /// The level of log lines about something like this, if it is switched; for the present, whenever
    /// it began.
    pub(crate) fn log_level(&self, of: &Beginning) -> Option<tracing::level_filters::LevelFilter> {
        let known = self.0.known.load();
        let value = known.value(SwitchName::LogLevel, &self.of(of), Micros::MAX);
        value.and_then(|value| value.parse().ok())
    }

    /// How payloads of a run like this are made safe.
    pub(crate) fn policy(&self, of: &Beginning) -> Arc<Policy> {
        let inner = &*self.0;
        let known = inner.known.load();
        if known.is_empty() && (!inner.settings.capture_content || *inner.answered.borrow()) {
            return inner.policy.clone();
        }
        let switched = self.of(of);
        let content = known.value(SwitchName::CaptureContent, &switched, of.at);
        let rules = Rules {
            capture_content: match content {
                Some(value) => value == "true",
                // What is not known yet may say no.
                None => inner.settings.capture_content && *inner.answered.borrow(),
            },
            allow_fields: known.values(SwitchName::AllowFields, &switched, of.at),
            drop_fields: known.values(SwitchName::DropFields, &switched, of.at),
        };
        let configured = Rules {
            capture_content: inner.settings.capture_content,
            ..Rules::default()
        };
        if rules == configured {
            return inner.policy.clone();
        }
        let policies = inner.policies.lock();
        let mut policies = policies.unwrap_or_else(PoisonError::into_inner);
        if let Some(policy) = policies.get(&rules) {
            return policy.clone();
        }
        let mut settings = inner.settings.clone();
        settings.capture_content = rules.capture_content;
        settings
            .allow_fields
            .extend(rules.allow_fields.iter().cloned());
        settings
            .drop_fields
            .extend(rules.drop_fields.iter().cloned());
        let policy = Arc::new(Policy::new(settings));
        if policies.len() >= POLICIES {
            policies.clear();
        }
        policies.insert(rules, policy.clone());
        policy
    }
}

/// Asks the store again and again, over a connection of its own, as long as the process records.
pub(crate) async fn follow(board: Switchboard, url: DatabaseUrl) {
    let mut options = OpenOptions::default();
    options.read_only = true;
    options.migrate = false;
    let mut store: Option<Store> = None;
    for time in 0_u32.. {
        if store.is_none() {
            store = match timeout(PATIENCE, Store::open(&url, options.clone())).await {
                Ok(Ok(store)) => Some(store),
                // Nobody switched anything where there is no table yet.
                Ok(Err(OpenError::Missing { .. } | OpenError::Older { .. })) => {
                    board.tell_nothing();
                    None
                }
                _ => None,
            };
        }
        if let Some(open) = &store {
            match timeout(PATIENCE, open.switches()).await {
                Ok(Ok(switches)) => board.tell(switches),
                // Opened anew: nobody knows what became of the connection.
                _ => store = None,
            }
        }
        let first = time < FIRST_TIMES && !*board.0.answered.borrow();
        tokio::time::sleep(if first { FIRST_EVERY } else { EVERY }).await;
    }
}

#[cfg(test)]
mod tests {
    use omnitrace_store::{SWITCH_DELAY, SwitchRow, SwitchScope};

    use super::*;

    fn row(revision: i64, name: SwitchName, tenant: Option<&str>, value: &str) -> SwitchRow {
        SwitchRow {
            revision,
            name,
            scope: SwitchScope {
                tenant: tenant.map(str::to_owned),
                ..SwitchScope::default()
            },
            value: Some(value.to_owned()),
            set_by: "ann".to_owned(),
            reason: String::new(),
            set_at: 0,
        }
    }

    fn of(tenant: Option<&str>, at: Micros) -> Beginning {
        Beginning {
            workflow_type: "Order".to_owned(),
            tenant: tenant.map(str::to_owned),
            at,
        }
    }

    #[test]
    fn a_tenant_s_rules_make_another_policy_for_what_begins_after() {
        let board = Switchboard::new(&Settings::default());
        let plain = board.configured_policy().id().to_owned();
        let id = |tenant, at| board.policy(&of(tenant, at)).id().to_owned();
        assert_eq!(id(Some("t1"), SWITCH_DELAY), plain);
        board.tell(Switches::new(vec![
            row(1, SwitchName::DropFields, Some("t1"), "iban"),
            row(2, SwitchName::SampleRate, None, "0.5"),
        ]));
        assert_ne!(id(Some("t1"), SWITCH_DELAY), plain);
        assert_eq!(id(Some("t1"), SWITCH_DELAY), id(Some("t1"), i64::MAX));
        assert_eq!(id(Some("t1"), SWITCH_DELAY - 1), plain, "it began before");
        assert_eq!(id(Some("t2"), SWITCH_DELAY), plain);
        assert_eq!(board.sample_rate(&of(None, SWITCH_DELAY)), 0.5);
        assert_eq!(board.sample_rate(&of(None, 0)), 1.0);
        let policy = board.policy(&of(Some("t1"), SWITCH_DELAY));
        let json = serde_json::json!({ "iban": "x", "id": 1 });
        let kept = policy.json(json, crate::policy::Content::Plain);
        let kept = policy.compose(&[("input", &kept)]).expect("a part");
        assert!(!kept.contains("iban"), "{kept}");
    }

    #[test]
    fn content_is_kept_only_when_it_is_known_that_it_may_be() {
        let settings = Settings::default().with_capture_content(true);
        let board = Switchboard::new(&settings);
        let id = |tenant| board.policy(&of(tenant, SWITCH_DELAY)).id().to_owned();
        let configured = board.configured_policy().id().to_owned();
        assert_ne!(id(None), configured, "the store has not answered");
        board.tell(Switches::default());
        assert_eq!(id(None), configured);
        let off = row(1, SwitchName::CaptureContent, Some("t1"), "false");
        board.tell(Switches::new(vec![off]));
        assert_ne!(id(Some("t1")), configured);
        assert_eq!(id(None), configured);
        // A value of a later version.
        let what = row(2, SwitchName::CaptureContent, None, "perhaps");
        board.tell(Switches::new(vec![what]));
        assert_ne!(id(None), configured);
    }
}
