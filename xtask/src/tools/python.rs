//! A Python with Temporal's own SDK and its OpenTelemetry integration, for the tests that put a worker of
//! another language into a trace: a virtual environment in the tool cache.

use std::path::PathBuf;
use std::process::Command;

use super::{Host, cache, working};
use crate::error::Error;
use crate::{process, say};

/// Version of Temporal's SDK.
const VERSION: &str = "1.35.0";
/// And of OpenTelemetry's exporter; its SDK follows from it.
const EXPORTER: &str = "opentelemetry-exporter-otlp-proto-http==1.45.2";

/// Finds or makes it; the interpreter in it.
pub(crate) fn resolve(host: &Host) -> Result<PathBuf, Error> {
    let place = cache::get_or_make(host, &format!("python-temporalio-{VERSION}"), |folder| {
        let python = host.find("python3").ok_or_else(missing)?;
        let environment = folder.join("environment");
        say::line("python", format_args!("fetching temporalio {VERSION}"));
        let mut make = Command::new(python);
        make.args(["-m", "venv"]).arg(&environment);
        if !process::capture(&mut make, true)?.status.success() {
            return Err(missing());
        }
        let mut install = Command::new(environment.join("bin/python"));
        install
            .args(["-m", "pip", "install", "--quiet", "--no-input"])
            .arg("--disable-pip-version-check")
            .args([&format!("temporalio[opentelemetry]=={VERSION}"), EXPORTER]);
        process::expect(
            process::run_silent(&mut install, "fetching Temporal's Python SDK")?,
            "pip install temporalio (see above)",
        )?;
        Ok(environment)
    })?;
    let python = working(place.join("bin/python"), &["-c", "import temporalio"])?;
    say::line("python", format_args!("found {}", python.display()));
    Ok(python)
}

fn missing() -> Error {
    Error::Advice(
        "a worker in Python is part of the tests: install Python 3.10 or newer with its venv module \
         (apt install python3-venv)"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::FakeHost;
    use super::*;

    #[test]
    fn an_environment_is_made_once() {
        let fake = FakeHost::new();
        let python = r#"/bin/mkdir -p "$3/bin"
            printf '#!/bin/sh\n' > "$3/bin/python"; /bin/chmod +x "$3/bin/python""#;
        fake.script("bin/python3", python);
        let made = resolve(&fake.host).unwrap();
        assert!(made.starts_with(fake.path("tools")), "{}", made.display());
        fake.script("bin/python3", "exit 1");
        assert_eq!(resolve(&fake.host).unwrap(), made);
    }

    #[test]
    fn without_python_one_line_says_what_to_install() {
        let mut fake = FakeHost::new();
        let no_venv = |fake: &FakeHost| {
            let message = resolve(&fake.host).unwrap_err().to_string();
            assert!(message.contains("python3-venv"), "{message}");
            assert_eq!(message.lines().count(), 1);
        };
        no_venv(&fake);
        fake.script("bin/python3", "exit 1");
        no_venv(&fake);
        fake.set("PATH", "");
        no_venv(&fake);
    }
}
