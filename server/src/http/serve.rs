//! `omnitrace serve`: listens, and stops without cutting an answer off.

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use omnitrace::config::{Backend, Settings};
use omnitrace::metrics::Metrics;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::access::Access;
use super::backend::TraceBackend;
use super::database::Database;
use super::jwt::Jwt;
use super::listen;
use super::outlines::Outlines;
use super::patience;
use super::router::router;
use super::state::AppState;
use super::stream;
use super::watch::Watches;
use crate::cli::ServeArgs;
use crate::error::CliError;
use crate::prune::{self, Kept};
use crate::text::clean;
use crate::{database, tokens};

/// How long answers that are under way may take when the server is asked to stop.
const GRACE: Duration = Duration::from_secs(5);
/// After so many times as long a client that could not be told that it is cut is cut without.
const UNREACHABLE: u32 = 3;
/// Requests each second of one caller, where others than this machine reach the server.
const DEFAULT_RATE: NonZeroU32 = NonZeroU32::new(50).expect("not zero");

/// Runs the command, until Ctrl-C or SIGTERM.
pub(crate) async fn run(url: Option<&str>, args: ServeArgs) -> Result<String, CliError> {
    let listen = args.listen.0;
    let url = database::parse(url)?;
    let policy = || database::recording_settings().map(|settings| settings.policy());
    let jwt = match args.jwt.is_some() {
        true => Jwt::new(args.jwt, policy()?)?,
        false => None,
    };
    let closed = args.require_token || !listen.ip().is_loopback();
    let needs_token = closed && jwt.is_none();
    let rate = match (args.rate_limit, closed) {
        (Some(rate), _) => NonZeroU32::new(rate),
        (None, closed) => Some(DEFAULT_RATE).filter(|_| closed),
    };
    // What is wrong with it keeps the server from starting, not from deleting.
    let kept = Kept::new(&args.retention).map_err(|error| match error {
        CliError::Prune(wrong) => CliError::Settings(wrong),
        error => error,
    })?;
    let database = Database::new(url.clone());
    // Before it says where it is, so that whoever reads that can stop it.
    let stop = stop_signal().map_err(CliError::Signals)?;
    let cannot = |error| CliError::Listen { listen, error };
    let listener = TcpListener::bind(listen).await.map_err(cannot)?;
    let bound = listener.local_addr().map_err(cannot)?;
    let patience = Duration::from_secs(args.patience.into());
    let watches = Watches::new(database.clone());
    let metrics = metrics();
    let state = AppState {
        database: database.clone(),
        dashboards: args.dashboards.into(),
        access: Arc::new(Access::new(closed, jwt, rate)),
        outlines: Outlines::new(),
        watches: watches.clone(),
        streams: Arc::default(),
        patience,
        backend: (args.trace_backend).map(|url| TraceBackend::new(url, args.trace_backend_headers)),
        metrics: metrics.clone(),
    };
    // Ends with the server.
    tokio::spawn(metrics.clone().run());
    let app = router(state, args.ui, args.cors_origins);
    say(&database, bound)?;
    if needs_token {
        // Not waited for: the database may be away.
        let database = database.clone();
        tokio::spawn(async move { without_token(&database).await });
    }
    let stop = async {
        stop.await;
        watches.stop();
    };
    let pruning = async {
        prune::forever(url, kept).await;
        // It never ends before the server.
        std::future::pending().await
    };
    tokio::select! {
        () = listen::serve(listener, app, patience * UNREACHABLE, metrics, stop, GRACE) => {}
        () = pruning => {}
    }
    database.close().await;
    Ok(String::new())
}

/// Metrics of the server, which can always be read from itself, and elsewhere where that is switched on.
/// What is wrong is one line, and the server goes on.
fn metrics() -> Metrics {
    let (settings, _) = Settings::from_env();
    let metrics = Metrics::measuring(&settings);
    metrics.clients_may_be_cut(&[patience::STUCK, stream::SLOW]);
    let telemetry = &settings.telemetry;
    if telemetry.measures()
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

/// Says so where nobody can be let in yet: the database is away, or has no token.
async fn without_token(database: &Database) {
    let tokens = async {
        let store = database.store().await.map_err(CliError::from)?;
        store.tokens().await.map_err(CliError::from)
    };
    let now = jiff::Timestamp::now().as_microsecond();
    let why = match tokens.await {
        Ok(tokens) if tokens.iter().any(|token| tokens::is_good(token, now)) => return,
        Ok(_) => "there is none that is good: `omnitrace token create` makes one".to_owned(),
        Err(error) => format!("none can be looked up yet: {error}"),
    };
    crate::warn(&format!("whoever asks needs a token, and {why}"));
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
