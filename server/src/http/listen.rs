//! Taking connections: how many, and how long one may do nothing.
//!
//! Invariant: a client that sends its request slowly, or takes its answer slowly, holds a connection for
//! a bounded time and memory of a bounded size.

use std::net::SocketAddr;
use std::pin::Pin;
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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

/// Connections at once; further ones wait to be taken.
const CONNECTIONS: usize = 2000;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(15);
/// Bytes of an answer that the system keeps for a client that does not take them.
const SEND_BUFFER: usize = 256 << 10;
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
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .serve_connection(TokioIo::new(bounded(stream, patience)), service);
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

fn bounded(stream: TcpStream, patience: Duration) -> Pin<Box<TimeoutStream<TcpStream>>> {
    // Both are wishes: an answer goes out without them too.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(patience));
    Box::pin(stream)
}
