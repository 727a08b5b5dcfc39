//! Toxiproxy's server: a proxy that cuts, delays and resets connections when it is told to. Found on
//! `PATH` or in the tool cache, else built from source; the version is pinned.

use std::path::PathBuf;

use super::{Host, cache, go, working};
use crate::error::Error;
use crate::say;

/// Its version, where we are the ones who choose.
const VERSION: &str = "v2.12.0";

/// Finds or obtains the program.
pub(crate) fn resolve(host: &Host) -> Result<PathBuf, Error> {
    let found = match host.find("toxiproxy-server") {
        Some(found) => found,
        None => cache::get_or_make(host, &format!("toxiproxy-{VERSION}"), |folder| {
            let package = format!("github.com/Shopify/toxiproxy/v2/cmd/server@{VERSION}");
            go::install(host, "Toxiproxy", &package, folder)?.ok_or_else(|| {
                Error::Advice(
                    "Toxiproxy is missing: install it (https://github.com/Shopify/toxiproxy), or \
                     install Go 1.21 or newer and run this again to have it built"
                        .to_owned(),
                )
            })
        })?,
    };
    let found = working(found, &["-version"])?;
    say::line("toxiproxy", format_args!("found {}", found.display()));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::testing::FakeHost;
    use super::*;

    #[test]
    fn a_program_on_the_path_goes_before_a_build() {
        let fake = FakeHost::new();
        let found = fake.script("bin/toxiproxy-server", "");
        assert_eq!(resolve(&fake.host).unwrap(), found);
    }

    #[test]
    fn what_go_built_is_used_again() {
        let fake = FakeHost::new();
        let go = r#"case "$1" in
            version) echo go version go1.24.1 linux/amd64;;
            install) printf '#!/bin/sh\n' > "$GOBIN/server"; /bin/chmod +x "$GOBIN/server";;
            esac"#;
        fake.script("bin/go", go);
        let built = resolve(&fake.host).unwrap();
        assert_eq!(built, fake.path(&format!("tools/toxiproxy-{VERSION}")));
        fake.script("bin/go", "exit 1");
        assert_eq!(resolve(&fake.host).unwrap(), built);
    }

    #[test]
    fn with_nothing_to_obtain_it_one_line_says_what_to_install() {
        let fake = FakeHost::new();
        let message = resolve(&fake.host).unwrap_err().to_string();
        assert!(message.contains("Go 1.21"), "{message}");
        assert_eq!(message.lines().count(), 1);
    }
}
