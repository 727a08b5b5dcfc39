//! A Jaeger of our own, to read back the spans that tests send: in memory, on free ports, alive as long
//! as its [`Jaeger`]. Found on `PATH` or in the tool cache, else built from source.

use std::path::PathBuf;
use std::time::Instant;

use super::dev_server::{POLL, SHOWN_LINES, START_LIMIT, free_ports, last_lines, unless_orphaned};
use super::{Host, cache, go, temporal, working};
use crate::error::Error;
use crate::process::Child;
use crate::{interrupt, say};

/// The module's version; the program's own is 2.13.
const VERSION: &str = "v1.76.0";

/// A Jaeger that is starting or running.
#[derive(Debug)]
pub(crate) struct Jaeger {
    child: Child,
    log: std::fs::File,
    /// Query API, its gRPC, OTLP by gRPC and by HTTP.
    ports: [u16; 4],
    started: Instant,
    /// Its settings.
    _folder: tempfile::TempDir,
}

impl Jaeger {
    /// Starts one and does not wait for it.
    pub(crate) fn start(host: &Host) -> Result<Self, Error> {
        let program = resolve(host)?;
        let temporary = std::env::temp_dir();
        let folder = tempfile::tempdir().map_err(Error::file("write to", &temporary))?;
        let ports = free_ports()?;
        let file = folder.path().join("jaeger.yaml");
        std::fs::write(&file, settings(ports)).map_err(Error::file("write", &file))?;
        let log = tempfile::tempfile().map_err(Error::file("create", &temporary))?;
        let output = || log.try_clone().map_err(Error::file("use", &temporary));
        let mut command = unless_orphaned(host.find("setpriv").as_deref(), &program);
        for name in host.names().filter(|name| name.starts_with("OTEL_")) {
            command.env_remove(name);
        }
        command
            .arg("--config")
            .arg(&file)
            .stdout(output()?)
            .stderr(output()?);
        Ok(Self {
            child: Child::spawn(&mut command)?,
            log,
            ports,
            started: Instant::now(),
            _folder: folder,
        })
    }

    /// Waits until it takes spans and answers queries.
    pub(crate) fn wait_ready(&mut self) -> Result<(), Error> {
        let addresses = [self.query(), self.grpc(), self.http()];
        while !addresses.iter().all(|address| temporal::answers(address)) {
            if self.child.ended().is_some() || self.started.elapsed() > START_LIMIT {
                say::text(last_lines(&mut self.log, SHOWN_LINES));
                return Err(Error::Advice(
                    "Jaeger did not become ready (its last words are above): free some memory or \
                     processor time and try again"
                        .to_owned(),
                ));
            }
            interrupt::pause(POLL)?;
        }
        say::line("jaeger", format_args!("at {}", self.query()));
        Ok(())
    }

    /// Its query API, `host:port`.
    pub(crate) fn query(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// Where it takes spans by gRPC, `host:port`.
    pub(crate) fn grpc(&self) -> String {
        format!("127.0.0.1:{}", self.ports[2])
    }

    /// Where it takes spans by HTTP, `host:port`.
    pub(crate) fn http(&self) -> String {
        format!("127.0.0.1:{}", self.ports[3])
    }
}

/// Finds or builds the program.
fn resolve(host: &Host) -> Result<PathBuf, Error> {
    let found = match host.find("jaeger") {
        Some(found) => found,
        None => cache::get_or_make(host, &format!("jaeger-{VERSION}"), |folder| {
            let module = format!("github.com/jaegertracing/jaeger@{VERSION}");
            go::build(host, "Jaeger", &module, "./cmd/jaeger", folder)?.ok_or_else(|| {
                Error::Advice(
                    "Jaeger is missing: install version 2 of it (https://www.jaegertracing.io), or \
                     install Go 1.24 or newer and run this again to have it built"
                        .to_owned(),
                )
            })
        })?,
    };
    working(found, &["version"])
}

/// YAML.
fn settings([query, query_grpc, grpc, http]: [u16; 4]) -> String {
    format!(
        "\
extensions:
  jaeger_storage: {{backends: {{ram: {{memory: {{max_traces: 100000}}}}}}}}
  jaeger_query:
    storage: {{traces: ram}}
    http: {{endpoint: '127.0.0.1:{query}'}}
    grpc: {{endpoint: '127.0.0.1:{query_grpc}'}}
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: '127.0.0.1:{grpc}'}}
      http: {{endpoint: '127.0.0.1:{http}'}}
exporters: {{jaeger_storage_exporter: {{trace_storage: ram}}}}
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines: {{traces: {{receivers: [otlp], exporters: [jaeger_storage_exporter]}}}}
  telemetry: {{metrics: {{level: none}}}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::FakeHost;
    use super::*;

    #[test]
    fn what_go_built_from_its_module_is_used_again() {
        let fake = FakeHost::new();
        std::fs::create_dir(fake.path("module")).unwrap();
        std::fs::write(fake.path("module/main.go"), "").unwrap();
        let go = format!(
            r#"case "$1" in
            version) echo go version go1.24.1 linux/amd64;;
            mod) printf '{{"Dir": "{module}"}}';;
            build) test -f main.go && printf '#!/bin/sh\n' > "$5" && /bin/chmod +x "$5";;
            esac"#,
            module = fake.path("module").display()
        );
        fake.script("bin/go", &go);
        let built = resolve(&fake.host).unwrap();
        assert_eq!(built, fake.path(&format!("tools/jaeger-{VERSION}")));
        fake.script("bin/go", "exit 1");
        assert_eq!(resolve(&fake.host).unwrap(), built);
    }

    #[test]
    fn with_nothing_to_obtain_it_one_line_says_what_to_install() {
        let fake = FakeHost::new();
        let message = resolve(&fake.host).unwrap_err().to_string();
        assert!(message.contains("Go 1.24"), "{message}");
        assert_eq!(message.lines().count(), 1);
    }
}
