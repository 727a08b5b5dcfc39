//! A Temporal server of the newest version, for what the one inside the CLI does not serve yet:
//! standalone activities. In memory, on free ports, alive as long as its [`Server`].

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::dev_server::{
    POLL, SHOWN_LINES, START_LIMIT, clean, free_ports, last_lines, temporal_variables,
    unless_orphaned,
};
use super::{Host, cache, go, temporal, working};
use crate::error::Error;
use crate::process::Child;
use crate::{interrupt, process, say};

/// Its version.
const VERSION: &str = "v1.32.1";

/// A server that is starting or running.
#[derive(Debug)]
pub(crate) struct Server {
    /// The CLI, which makes the namespace.
    cli: PathBuf,
    variables: Vec<String>,
    child: Child,
    log: std::fs::File,
    port: u16,
    started: Instant,
    /// Its settings.
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts a server and does not wait for it.
    pub(crate) fn start(host: &Host, cli: PathBuf) -> Result<Self, Error> {
        let program = resolve(host)?;
        let temporary = std::env::temp_dir();
        let folder = tempfile::tempdir().map_err(Error::file("write to", &temporary))?;
        let ports = free_ports()?;
        let file = folder.path().join("server.yaml");
        let dynamic = folder.path().join("dynamic.yaml");
        let write = |file: &Path, text: String| {
            std::fs::write(file, text).map_err(Error::file("write", file))
        };
        write(&dynamic, DYNAMIC.to_owned())?;
        write(&file, settings(ports, &dynamic))?;
        let log = tempfile::tempfile().map_err(Error::file("create", &temporary))?;
        let output = || log.try_clone().map_err(Error::file("use", &temporary));
        let variables = temporal_variables(host);
        let mut command = unless_orphaned(host.find("setpriv").as_deref(), &program);
        for name in &variables {
            command.env_remove(name);
        }
        command
            .arg("--config-file")
            .arg(&file)
            .args(["--allow-no-auth", "start"])
            .stdout(output()?)
            .stderr(output()?);
        Ok(Self {
            cli,
            variables,
            child: Child::spawn(&mut command)?,
            log,
            port: ports[0],
            started: Instant::now(),
            _folder: folder,
        })
    }

    /// Waits until the server serves a namespace.
    pub(crate) fn wait_ready(&mut self) -> Result<(), Error> {
        let address = self.address();
        while !(temporal::answers(&address) && self.has_namespace(&address)?) {
            if self.child.ended().is_some() || self.started.elapsed() > START_LIMIT {
                say::text(last_lines(&mut self.log, SHOWN_LINES));
                return Err(Error::Advice(format!(
                    "the Temporal server {VERSION} did not become ready (its last words are \
                     above): free some memory or processor time and try again"
                )));
            }
            interrupt::pause(POLL)?;
        }
        say::line(
            "temporal",
            format_args!(
                "server {VERSION} at {address} (ready after {})",
                say::duration(self.started.elapsed())
            ),
        );
        Ok(())
    }

    /// Its gRPC address, `host:port`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Makes the namespace; true once it is there.
    fn has_namespace(&self, address: &str) -> Result<bool, Error> {
        let ask = |verb| {
            let mut command = Command::new(&self.cli);
            command.args(["operator", "namespace", verb, "-n", "default"]);
            command.args(["--address", address]);
            clean(&mut command, &self.variables);
            Ok(process::capture(&mut command, true)?.status.success())
        };
        Ok(ask("create")? || ask("describe")?)
    }
}

/// Finds or builds the program.
fn resolve(host: &Host) -> Result<PathBuf, Error> {
    let name = format!("temporal-server-{VERSION}");
    let program = cache::get_or_make(host, &name, |folder| {
        let package = format!("go.temporal.io/server/cmd/server@{VERSION}");
        go::install(host, "the Temporal server", &package, folder)?.ok_or_else(|| {
            Error::Advice(
                "the newest Temporal server has to be built: install Go 1.24 or newer and run this \
                 again"
                    .to_owned(),
            )
        })
    })?;
    working(program, &["--version"])
}

/// What is switched on, and how soon the server knows of a new namespace.
const DYNAMIC: &str = "\
activity.enableStandalone: [{value: true}]
system.namespaceCacheRefreshInterval: [{value: 1s}]
history.transferProcessorMaxPollRPS: [{value: 5000}]
";

/// The server's own format; YAML. Frontend first, then the other services, two ports each.
fn settings(ports: [u16; 9], dynamic: &Path) -> String {
    let [frontend, http, ..] = ports;
    let service = |name: &str, grpc: u16, membership: u16, more: &str| {
        format!(
            "  {name}: {{rpc: {{grpcPort: {grpc}, membershipPort: {membership}, \
             bindOnLocalHost: true{more}}}}}\n"
        )
    };
    let services = [
        service(
            "frontend",
            frontend,
            ports[2],
            &format!(", httpPort: {http}"),
        ),
        service("matching", ports[3], ports[4], ""),
        service("history", ports[5], ports[6], ""),
        service("worker", ports[7], ports[8], ""),
    ]
    .concat();
    format!(
        "\
log: {{stdout: true, level: error}}
persistence:
  defaultStore: default
  visibilityStore: visibility
  numHistoryShards: 1
  datastores:
    default: &sqlite
      sql:
        pluginName: sqlite
        databaseName: default
        connectAddr: localhost
        connectProtocol: tcp
        connectAttributes: {{mode: memory, cache: private}}
        maxConns: 1
        maxIdleConns: 1
        maxConnLifetime: 1h
    visibility: *sqlite
global:
  membership: {{maxJoinDuration: 30s, broadcastAddress: 127.0.0.1}}
services:
{services}clusterMetadata:
  enableGlobalNamespace: false
  failoverVersionIncrement: 10
  masterClusterName: active
  currentClusterName: active
  clusterInformation:
    active:
      enabled: true
      initialFailoverVersion: 1
      rpcName: frontend
      rpcAddress: 127.0.0.1:{frontend}
      httpAddress: 127.0.0.1:{http}
dcRedirectionPolicy: {{policy: noop}}
dynamicConfigClient: {{filepath: '{dynamic}', pollInterval: 10s}}
",
        dynamic = dynamic.display()
    )
}
