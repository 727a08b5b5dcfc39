//! The OpenTelemetry Collector, with the components that `deploy/collector` and the tests use. Found on
//! `PATH` as `otelcol-contrib` or in the tool cache, else built from source by the Collector's own builder.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Host, cache, go, working};
use crate::error::Error;
use crate::{process, say};

/// Version of the builder and of each component.
const VERSION: &str = "v0.159.0";
/// And of the parts that are numbered otherwise.
const STABLE: &str = "v1.65.0";

const CORE: &str = "go.opentelemetry.io/collector";
const CONTRIB: &str = "github.com/open-telemetry/opentelemetry-collector-contrib";

/// Kinds of components, where their modules are, and which.
const COMPONENTS: [(&str, &str, &str, &[&str]); 7] = [
    ("receivers", CORE, VERSION, &["receiver/otlpreceiver"]),
    (
        "processors",
        CORE,
        VERSION,
        &[
            "processor/batchprocessor",
            "processor/memorylimiterprocessor",
        ],
    ),
    (
        "processors",
        CONTRIB,
        VERSION,
        &[
            "processor/tailsamplingprocessor",
            "processor/transformprocessor",
        ],
    ),
    ("exporters", CORE, VERSION, &["exporter/otlpexporter"]),
    (
        "exporters",
        CONTRIB,
        VERSION,
        &["exporter/fileexporter", "exporter/prometheusexporter"],
    ),
    (
        "extensions",
        CONTRIB,
        VERSION,
        &["extension/healthcheckextension"],
    ),
    (
        "providers",
        CORE,
        STABLE,
        &[
            "confmap/provider/envprovider",
            "confmap/provider/fileprovider",
        ],
    ),
];

/// Finds or builds the program.
pub(crate) fn resolve(host: &Host) -> Result<PathBuf, Error> {
    let found = match host.find("otelcol-contrib") {
        Some(found) => found,
        None => cache::get_or_make(host, &format!("otelcol-{VERSION}"), |folder| {
            build(host, folder)?.ok_or_else(|| {
                Error::Advice(
                    "the OpenTelemetry Collector is missing: install otelcol-contrib \
                     (https://opentelemetry.io/docs/collector), or install Go 1.24 or newer and run \
                     this again to have it built"
                        .to_owned(),
                )
            })
        })?,
    };
    let found = working(found, &["--version"])?;
    say::line("collector", format_args!("found {}", found.display()));
    Ok(found)
}

fn build(host: &Host, folder: &Path) -> Result<Option<PathBuf>, Error> {
    let what = "the OpenTelemetry Collector";
    let package = format!("{CORE}/cmd/builder@{VERSION}");
    let Some(builder) = go::install(host, what, &package, folder)? else {
        return Ok(None);
    };
    let place = folder.join("otelcol");
    let file = folder.join("manifest.yaml");
    std::fs::write(&file, manifest(&place)).map_err(Error::file("write", &file))?;
    let mut build = Command::new(builder);
    build
        .arg("--config")
        .arg(&file)
        .env("GOWORK", "off")
        .env_remove("GOOS")
        .env_remove("GOARCH");
    let status = process::run_silent(&mut build, &format!("building {what}"))?;
    process::expect(status, &format!("building {what} (see above)"))?;
    Ok(Some(place.join("otelcol")))
}

/// YAML, in the builder's words.
fn manifest(place: &Path) -> String {
    let mut text = format!(
        "dist: {{name: otelcol, version: '{}', output_path: '{}'}}\n",
        VERSION.trim_start_matches('v'),
        place.display()
    );
    let mut before = "";
    for (kind, module, version, paths) in COMPONENTS {
        if kind != before {
            text += &format!("{kind}:\n");
        }
        before = kind;
        for path in paths {
            text += &format!("  - gomod: {module}/{path} {version}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::testing::FakeHost;
    use super::*;

    #[test]
    fn what_was_built_is_used_again() {
        let fake = FakeHost::new();
        let builder = r#"/bin/mkdir -p "$(/bin/sed -n "s/.*output_path: '\(.*\)'.*/\1/p" "$2")"
            printf '#!/bin/sh\n' > "${2%/*}/otelcol/otelcol"; /bin/chmod +x "${2%/*}/otelcol/otelcol""#;
        fake.script("builder", builder);
        let go = format!(
            r#"case "$1" in
            version) echo go version go1.24.1 linux/amd64;;
            install) /bin/cp "{}" "$GOBIN/builder";;
            esac"#,
            fake.path("builder").display()
        );
        fake.script("bin/go", &go);
        let built = resolve(&fake.host).unwrap();
        assert_eq!(built, fake.path(&format!("tools/otelcol-{VERSION}")));
        fake.script("bin/go", "exit 1");
        assert_eq!(resolve(&fake.host).unwrap(), built);
    }

    #[test]
    fn the_manifest_names_each_kind_once() {
        let manifest = manifest(Path::new("/place"));
        for kind in [
            "receivers",
            "processors",
            "exporters",
            "extensions",
            "providers",
        ] {
            assert_eq!(
                manifest.matches(&format!("{kind}:\n")).count(),
                1,
                "{manifest}"
            );
        }
    }

    #[test]
    fn with_nothing_to_obtain_it_one_line_says_what_to_install() {
        let fake = FakeHost::new();
        let message = resolve(&fake.host).unwrap_err().to_string();
        assert!(message.contains("otelcol-contrib"), "{message}");
        assert_eq!(message.lines().count(), 1);
    }
}
