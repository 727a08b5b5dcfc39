//! The Grafana dashboards, which are written by a program of their own in `deploy/grafana`. They are
//! committed, so only who changes them needs Node.js.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::{cargo, say, web};

/// Checks the types, writes the dashboards, and fails if those that were there are others.
pub(crate) fn check() -> Result<(), Error> {
    if !web::has_npm()? {
        say::line("dashboards", "no npm, so the dashboards are not made anew");
        return Ok(());
    }
    let folder = cargo::root().join("deploy/grafana");
    let dashboards = folder.join("dashboards");
    let before = files(&dashboards)?;
    web::install(&folder)?;
    web::npm(&folder, &["run", "--silent", "build"])?;
    if files(&dashboards)? == before {
        return Ok(());
    }
    Err(Error::Advice(
        "the dashboards were not up to date; they are now: commit deploy/grafana/dashboards"
            .to_owned(),
    ))
}

fn files(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>, Error> {
    let read = || -> std::io::Result<_> {
        std::fs::read_dir(folder)?
            .map(|file| {
                let path = file?.path();
                let bytes = std::fs::read(&path)?;
                Ok((path, bytes))
            })
            .collect()
    };
    read().map_err(Error::file("read", folder))
}
