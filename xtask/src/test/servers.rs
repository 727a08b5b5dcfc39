//! The servers and programs that tests run against: started for all of them, unless the caller names its own in the
//! environment, which the tests inherit. They end with the tests.

use std::path::PathBuf;
use std::process::Command;

use crate::error::Error;
use crate::say;
use crate::tools::dev_server::{DevServer, Ui};
use crate::tools::jaeger::Jaeger;
use crate::tools::postgres::PostgresServer;
use crate::tools::server::Server;
use crate::tools::{Host, collector, prometheus, python, temporal, toxiproxy};

/// Where the tests find it, as a URL whose role may create databases and roles.
const POSTGRES_VARIABLE: &str = "OMNITRACE_TEST_POSTGRES";
/// And the certificate of the authority that vouches for it.
const AUTHORITY_VARIABLE: &str = "OMNITRACE_TEST_POSTGRES_CA";
/// Where the tests find the server: `host:port`.
const SERVER_VARIABLE: &str = "OMNITRACE_TEST_TEMPORAL";
/// And the program, to start more of them.
const PROGRAM_VARIABLE: &str = "OMNITRACE_TEST_TEMPORAL_BIN";
/// Where they find one that serves standalone activities.
const STANDALONE_VARIABLE: &str = "OMNITRACE_TEST_TEMPORAL_STANDALONE";
/// Where they find a Jaeger's query API: `host:port`.
const JAEGER_VARIABLE: &str = "OMNITRACE_TEST_JAEGER";
/// And where it takes spans, by gRPC and by HTTP.
const JAEGER_OTLP_VARIABLES: [&str; 2] = ["OMNITRACE_TEST_OTLP_GRPC", "OMNITRACE_TEST_OTLP_HTTP"];
/// Programs that tests start by themselves: a Collector, those of Prometheus, Toxiproxy, a Python with
/// Temporal's SDK.
const COLLECTOR_VARIABLE: &str = "OMNITRACE_TEST_COLLECTOR_BIN";
const PROMETHEUS_VARIABLES: [&str; 3] = [
    "OMNITRACE_TEST_PROMETHEUS_BIN",
    "OMNITRACE_TEST_PROMTOOL_BIN",
    "OMNITRACE_TEST_ALERTMANAGER_BIN",
];
const TOXIPROXY_VARIABLE: &str = "OMNITRACE_TEST_TOXIPROXY_BIN";
const PYTHON_VARIABLE: &str = "OMNITRACE_TEST_PYTHON_BIN";

/// Which servers tests talk to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) temporal: bool,
    pub(super) jaeger: bool,
    pub(super) postgres: bool,
}

/// The servers that were started.
#[derive(Default)]
pub(super) struct Servers {
    temporal: Option<TestServers>,
    /// `None` too where the caller's own is used, which the tests inherit.
    jaeger: Option<Jaeger>,
    postgres: Option<PostgresServer>,
}

impl Servers {
    /// Starts them, one beside the other, and waits until all are ready.
    pub(super) fn start(host: &Host, wanted: Wanted) -> Result<Self, Error> {
        let mut servers = Self::default();
        if wanted.temporal {
            servers.temporal = Some(TestServers::start(host)?);
        }
        if wanted.jaeger {
            servers.jaeger = start_jaeger(host)?;
        }
        if wanted.postgres {
            servers.postgres = start_postgres(host)?;
        }
        if let Some(temporal) = &mut servers.temporal {
            temporal.wait()?;
        }
        if let Some(jaeger) = &mut servers.jaeger {
            jaeger.wait_ready()?;
        }
        Ok(servers)
    }

    /// Where they are, for the tests.
    pub(super) fn tell(&self, command: &mut Command) {
        if let Some(temporal) = &self.temporal {
            if let Some((server, program)) = &temporal.ours {
                command
                    .env(SERVER_VARIABLE, server.address())
                    .env(PROGRAM_VARIABLE, program);
            }
            if let Some(standalone) = &temporal.standalone {
                command.env(STANDALONE_VARIABLE, standalone.address());
            }
            command.envs(
                temporal
                    .programs
                    .iter()
                    .map(|(name, program)| (name, program)),
            );
        }
        if let Some(jaeger) = &self.jaeger {
            let [grpc, http] = JAEGER_OTLP_VARIABLES;
            command
                .env(JAEGER_VARIABLE, jaeger.query())
                .env(grpc, jaeger.grpc())
                .env(http, jaeger.http());
        }
        if let Some(server) = &self.postgres {
            command.env(POSTGRES_VARIABLE, server.url());
            if let Some(authority) = server.authority() {
                command.env(AUTHORITY_VARIABLE, authority);
            }
        }
    }
}

/// The servers that the tests use; they end with the tests. What is not here is the caller's own,
/// named in the environment, which the tests inherit.
struct TestServers {
    ours: Option<(DevServer, PathBuf)>,
    standalone: Option<Server>,
    /// Programs that tests start by themselves, by variable.
    programs: Vec<(&'static str, PathBuf)>,
}

impl TestServers {
    /// Starts them and does not wait.
    fn start(host: &Host) -> Result<Self, Error> {
        let programs = programs(host)?;
        let given = |name| host.text(name).map(|address| (name, address));
        for (name, address) in [SERVER_VARIABLE, STANDALONE_VARIABLE]
            .into_iter()
            .filter_map(given)
        {
            say::line("temporal", format_args!("server at {address} ({name})"));
        }
        // TEMPORAL_ADDRESS is not used: tests do not belong on somebody's server.
        let program = match host.text(PROGRAM_VARIABLE) {
            Some(program) => PathBuf::from(program),
            None => temporal::resolve(host)?,
        };
        let standalone = match given(STANDALONE_VARIABLE) {
            Some(_) => None,
            None => Some(Server::start(host, program.clone())?),
        };
        let ours = match (given(SERVER_VARIABLE), host.text(PROGRAM_VARIABLE)) {
            (Some(_), Some(_)) => None,
            _ => Some((
                DevServer::start(host, program.clone(), Ui::Headless)?,
                program,
            )),
        };
        Ok(Self {
            ours,
            standalone,
            programs,
        })
    }

    fn wait(&mut self) -> Result<(), Error> {
        if let Some((server, _)) = &mut self.ours {
            server.wait_ready()?;
        }
        self.standalone.as_mut().map_or(Ok(()), Server::wait_ready)
    }
}

/// The programs that tests start by themselves, but for those that the caller names.
fn programs(host: &Host) -> Result<Vec<(&'static str, PathBuf)>, Error> {
    let lacks = |name: &str| host.text(name).is_none();
    let mut programs = Vec::new();
    if lacks(COLLECTOR_VARIABLE) {
        programs.push((COLLECTOR_VARIABLE, collector::resolve(host)?));
    }
    if PROMETHEUS_VARIABLES.into_iter().any(lacks) {
        let found = prometheus::resolve(host)?;
        let found = [found.prometheus, found.promtool, found.alertmanager];
        programs.extend(PROMETHEUS_VARIABLES.into_iter().zip(found));
    }
    if lacks(TOXIPROXY_VARIABLE) {
        programs.push((TOXIPROXY_VARIABLE, toxiproxy::resolve(host)?));
    }
    if lacks(PYTHON_VARIABLE) {
        programs.push((PYTHON_VARIABLE, python::resolve(host)?));
    }
    Ok(programs)
}

fn start_jaeger(host: &Host) -> Result<Option<Jaeger>, Error> {
    if let Some(address) = host.text(JAEGER_VARIABLE) {
        say::line("jaeger", format_args!("at {address} ({JAEGER_VARIABLE})"));
        return Ok(None);
    }
    Jaeger::start(host).map(Some)
}

fn start_postgres(host: &Host) -> Result<Option<PostgresServer>, Error> {
    if host.text(POSTGRES_VARIABLE).is_some() {
        // The URL is not shown: it may hold a password.
        say::line(
            "postgresql",
            format_args!("the server in {POSTGRES_VARIABLE}"),
        );
        return Ok(None);
    }
    PostgresServer::start(host).map(Some)
}
