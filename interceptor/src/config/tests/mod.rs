//! The configuration as a whole.

mod any;
mod code;
mod documentation;
mod secrets;
mod values;
mod wrong;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use omnitrace_store::DatabaseUrl;

use super::*;

const CWD: &str = "/srv/app";

fn read(vars: &[(&str, &str)]) -> (Settings, Vec<Finding>) {
    let vars: BTreeMap<&str, OsString> = vars
        .iter()
        .map(|(name, value)| (*name, OsString::from(value)))
        .collect();
    Settings::from_vars_in(&|name| vars.get(name).cloned(), Path::new(CWD))
}

fn settings(vars: &[(&str, &str)]) -> Settings {
    let (settings, findings) = read(vars);
    assert_eq!(findings, [], "{vars:?}");
    settings
}

fn sqlite(path: &str) -> DatabaseTarget {
    DatabaseTarget::Url(DatabaseUrl::Sqlite(PathBuf::from(path)))
}

fn sends_spans(settings: &Settings) -> bool {
    settings.telemetry.backends.contains(&Backend::Otel)
}
