//! Taking connections: how many, and how long one may do nothing.
//!
//! Invariant: a client that sends its request slowly, or takes its answer slowly, holds a connection for
//! a bounded time and memory of a bounded size.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use omnitrace::metrics::Metrics;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::patience::Patient;

/// Connections at once; further ones wait to be taken.
const CONNECTIONS: usize = 2000;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(15);
/// Bytes of an answer that wait here for a client that does not take them.
const BUFFER: usize = 64 << 10;
/// Between two tries to take a connection when the process has none left.
const REST: Duration = Duration::from_millis(100);

/// Whom a connection is from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Serves until `stop`; answers that are under way then have `grace`. A client that takes nothing for
/// `patience` is cut.
pub(super) async fn serve(
    listener: TcpListener,
    app: Router,
    patience: Duration,
    metrics: Metrics,
    stop: impl Future<Output = ()>,
    grace: Duration,
) {
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    tokio::pin!(stop);
    loop {
        let accept = async {
            // It is never closed.
            let permit = Arc::clone(&connections).acquire_owned().await.ok();
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            accepted = accept => accepted,
            () = &mut stop => break,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(REST).await;
            continue;
        };
        let app = app.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            app.clone().oneshot(request.map(Body::new))
        });
        let stream = Patient::new(stream, patience, metrics.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // What a client did wrong is its own affair.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    // Those that are left end with the process.
    let _ = tokio::time::timeout(grace, graceful.shutdown()).await;
}
