//! Programs that are crates: found on `PATH` or in the tool cache, else built there by cargo; the version is
//! the caller's.

use std::path::PathBuf;
use std::process::Command;

use super::{Host, cache, working};
use crate::error::Error;
use crate::{cargo, process, say};

/// Finds or builds a program of the crate of the same name, with these options of `cargo install`.
pub(super) fn resolve(
    host: &Host,
    program: &str,
    version: &str,
    options: &[&str],
) -> Result<PathBuf, Error> {
    let found = match host.find(program) {
        Some(found) => found,
        None => cache::get_or_make(host, &format!("{program}-{version}"), |folder| {
            say::line(program, "building it: some minutes, this once");
            let builder = host.variable("CARGO").map_or("cargo".into(), PathBuf::from);
            let mut install = Command::new(builder);
            install
                .args(["install", program, "--version", version, "--locked"])
                // It has little to do: what an optimised build would save, building it costs more.
                .arg("--debug")
                .args(options)
                .arg("--root")
                .arg(folder)
                .env("CARGO_TARGET_DIR", folder.join("target"))
                .current_dir(folder);
            cargo::as_from_a_shell(&mut install);
            let status = process::run_silent(&mut install, &format!("building {program}"))?;
            process::expect(
                status,
                &format!("building {program} with cargo (see above)"),
            )?;
            Ok(folder.join("bin").join(program))
        })?,
    };
    let found = working(found, &["--version"])?;
    say::line(program, format_args!("found {}", found.display()));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::testing::FakeHost;
    use super::*;

    #[test]
    fn a_program_on_the_path_goes_before_a_build() {
        let fake = FakeHost::new();
        let found = fake.script("bin/mdbook", "");
        assert_eq!(resolve(&fake.host, "mdbook", "0.1.0", &[]).unwrap(), found);
    }

    #[test]
    fn what_is_not_there_is_built_once_and_kept() {
        let mut fake = FakeHost::new();
        let script = r#"[ "$2 $4" = "tool 1.2.3" ] && mkdir bin && printf '#!/bin/sh\n' > bin/tool && chmod +x bin/tool"#;
        let cargo = fake.script("cargo", script);
        fake.set("CARGO", cargo);
        let built = resolve(&fake.host, "tool", "1.2.3", &[]).unwrap();
        assert_eq!(built, fake.path("tools/tool-1.2.3"));
        fake.set("CARGO", "/nowhere/cargo");
        assert_eq!(resolve(&fake.host, "tool", "1.2.3", &[]).unwrap(), built);
    }
}
