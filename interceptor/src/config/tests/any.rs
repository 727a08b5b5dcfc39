//! Any environment at all.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStringExt;

use proptest::prelude::*;

use super::super::variables as v;
use super::*;

/// Text near to what is allowed, or any bytes.
fn value() -> impl Strategy<Value = OsString> {
    let near = "(sqlite|postgres|http)?(://)?[a-z:@/?%=,;*.\u{e9} \\-]{0,20}[0-9.]{0,25}(MiB|%)?";
    prop_oneof![
        near.prop_map(OsString::from),
        any::<String>().prop_map(OsString::from),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(OsString::from_vec),
    ]
}

proptest! {
    #[test]
    fn any_environment_gives_settings_within_bounds_and_one_line_findings(
        values in prop::collection::vec(prop::option::of(value()), VARIABLES.len()),
    ) {
        let vars: BTreeMap<&str, OsString> = VARIABLES
            .iter()
            .zip(values)
            .filter_map(|(v, value)| Some((v.name, value?)))
            .collect();
        let (s, findings) = Settings::from_vars_in(&|n| vars.get(n).cloned(), Path::new(CWD));
        prop_assert!((0.0..=1.0).contains(&s.sample_rate));
        prop_assert!(MAX_EVENTS_PER_RUN_RANGE.contains(&s.max_events_per_run));
        prop_assert!(MAX_EVENT_BYTES_RANGE.contains(&s.max_event_bytes));
        prop_assert!(SLOW_MS_RANGE.contains(&s.slow_ms));
        prop_assert!(QUEUE_BYTES_RANGE.contains(&s.queue_bytes));
        prop_assert!(SPOOL_BYTES_RANGE.contains(&s.spool_bytes));
        prop_assert!(RECONCILE_S_RANGE.contains(&s.reconcile_s));
        prop_assert!(FLUSH_MS_RANGE.contains(&s.flush_ms));
        prop_assert!(PROMOTE_WINDOW_S_RANGE.contains(&s.promote_window_s));
        if let Some(path) = &s.prices {
 prop_assert!(path.is_absolute());
 }
        if let DatabaseTarget::Url(DatabaseUrl::Sqlite(path)) = &s.database {
            prop_assert!(path.is_absolute());
        }
        let mut named = BTreeSet::new();
        for finding in findings {
            let line = finding.to_string();
            prop_assert!(!line.contains(char::is_control), "{line:?}");
            prop_assert!(line.starts_with(&finding.variable) && line.len() < 1_500, "{line:?}");
            prop_assert!(named.insert(finding.variable), "two lines for one variable: {line}");
        }
    }

    #[test]
    fn any_name_is_one_line(name in value()) {
        let mut full = OsString::from("OMNITRACE_");
        full.push(name);
        for finding in v::unknown([full.as_os_str()]) {
            let line = finding.to_string();
            prop_assert!(!line.contains(char::is_control) && line.len() < 1_500, "{line:?}");
        }
    }

    #[test]
    fn no_key_is_ever_shown(key in "[a-z]{5}[!-~]{0,40}") {
        let vars = [("OMNITRACE_HASH_KEY", key.as_str())];
        let (settings, findings) = read(&vars);
        let empty = format!("{:?}", read(&[]).0);
        let lines: String = findings.iter().map(Finding::to_string).collect();
        prop_assert_eq!(format!("{settings:?}").replace("hash_key: Some(***)", "hash_key: None"), empty);
        prop_assert!(lines.is_empty() || lines == Finding::note(v::HASH_KEY,
            "has less than 16 bytes and may be guessed: it is used, but take a longer one").to_string());
    }
}
