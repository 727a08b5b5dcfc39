//! `omnitrace serve`: listens, and stops without cutting an answer off.

use std::future::{Future, IntoFuture};
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use omnitrace::config::{Backend, Settings};
use omnitrace::metrics::Metrics;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::database::Database;
use super::router::router;
use super::state::AppState;
use crate::cli::ServeArgs;
use crate::database;
use crate::error::CliError;
use crate::prune::{self, Kept};
use crate::text::clean;

/// How long answers that are under way may take when the server is asked to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the command, until Ctrl-C or SIGTERM.
pub(crate) async fn run(url: Option<&str>, args: ServeArgs) -> Result<String, CliError> {
    let listen = args.listen.0;
    if !listen.ip().is_loopback() {
        return Err(CliError::Usage(format!(
            "cannot listen on {listen}: whoever reaches an address that is not a loopback address \
             could read all that is recorded; listen on 127.0.0.1, and reach it from elsewhere \
             through an SSH tunnel"
        )));
    }
    let kept = Kept::new(&args.retention)?;
    let url = database::parse(url)?;
    let database = Database::new(url.clone());
    // Before it says where it is, so that whoever reads that can stop it.
    let stop = stop_signal().map_err(CliError::Signals)?;
    let cannot = |error| CliError::Listen { listen, error };
    let listener = TcpListener::bind(listen).await.map_err(cannot)?;
    let bound = listener.local_addr().map_err(cannot)?;
    say(&database, bound)?;
    let state = AppState {
        database: database.clone(),
        dashboards: args.dashboards.into(),
    };
    let metrics = metrics();
    // Ends with the server.
    tokio::spawn(metrics.clone().run());
    let app = router(state, args.ui, metrics);
    let (stopping, stopped) = oneshot::channel();
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        stop.await;
        // The other end waits as long as this runs.
        let _ = stopping.send(());
    });
    tokio::select! {
        ended = server.into_future() => ended.map_err(cannot)?,
        () = async {
            let _ = stopped.await;
            tokio::time::sleep(GRACE).await;
        } => {}
        // Never ends before.
        () = async {
            prune::forever(url, kept).await;
            std::future::pending().await
        } => {}
    }
    database.close().await;
    Ok(String::new())
}

/// Metrics of the server, where they are switched on. What is wrong is one line, and the server goes on.
fn metrics() -> Metrics {
    let (settings, _) = Settings::from_env();
    let metrics = Metrics::start(&settings);
    let telemetry = &settings.telemetry;
    if metrics.is_on()
        && telemetry.backends.contains(&Backend::Prom)
        && let Some(port) = telemetry.prom_port
        && metrics.address().is_none()
    {
        // `Err` means: nobody reads it.
        let _ = writeln!(
            anstream::stderr(),
            "warning: metrics cannot be read: port {port} cannot be opened; choose another \
             PROM_EXPORT_PORT"
        );
    }
    metrics
}

/// One line, at once: whoever started the server reads where it is.
fn say(database: &Database, bound: SocketAddr) -> Result<(), CliError> {
    let mut out = anstream::stdout().lock();
    let place = clean(&database.place());
    writeln!(out, "serving {place} at http://{bound} (Ctrl-C stops it)")
        .and_then(|()| out.flush())
        .map_err(CliError::Output)
}

/// Ends at Ctrl-C or SIGTERM, also at one that came before it was awaited.
fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
