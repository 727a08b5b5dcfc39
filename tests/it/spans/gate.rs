//! What stands between a worker and its collector, and lets through what a test says.

use std::io::{BufReader, Write};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::free_address;
use crate::http::request;

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nobody listens.
    Down,
    /// Requests are taken and never answered.
    Silent,
    /// Requests are answered with this status.
    Status(u16),
    /// Requests reach the collector; its answers are lost.
    Deaf,
    /// The collector is there.
    Through,
}

/// A place in front of a collector.
pub(crate) struct Gate {
    /// Where it listens, `host:port`.
    pub(crate) address: String,
    far: String,
    open: Option<JoinHandle<()>>,
}

impl Gate {
    /// In front of a collector's HTTP address; down at first.
    pub(crate) fn to(far: &str) -> Self {
        Self {
            address: free_address(),
            far: far.to_owned(),
            open: None,
        }
    }

    /// Goes on like this. Connections that are open break.
    pub(crate) async fn set(&mut self, way: Way) {
        if let Some(open) = self.open.take() {
            open.abort();
            // `Err` means: it was ended.
            let _ = open.await;
        }
        if way != Way::Down {
            let listener = TcpListener::bind(&self.address).await.expect("still free");
            self.open = Some(tokio::spawn(serve(listener, self.far.clone(), way)));
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(open) = &self.open {
            open.abort();
        }
    }
}

async fn serve(listener: TcpListener, far: String, way: Way) {
    // They end with this.
    let mut connections = JoinSet::new();
    loop {
        let (near, _) = listener.accept().await.expect("a connection");
        connections.spawn(connection(near, far.clone(), way));
    }
}

async fn connection(mut near: TcpStream, far: String, way: Way) {
    match way {
        Way::Down => {}
        Way::Silent => {
            // `Err` means: it has gone.
            let _ = tokio::io::copy(&mut near, &mut tokio::io::sink()).await;
        }
        Way::Status(status) => {
            // `Err` means: it has gone.
            let _ = tokio::task::spawn_blocking(move || answer(near, status)).await;
        }
        Way::Deaf => {
            let mut far = TcpStream::connect(far).await.expect("a collector");
            let (mut from_far, mut to_far) = far.split();
            let (mut from_near, _to_near) = near.split();
            let mut nowhere = tokio::io::sink();
            let _ = tokio::join!(
                tokio::io::copy(&mut from_near, &mut to_far),
                tokio::io::copy(&mut from_far, &mut nowhere),
            );
        }
        Way::Through => {
            let mut far = TcpStream::connect(far).await.expect("a collector");
            let _ = copy_bidirectional(&mut near, &mut far).await;
        }
    }
}

/// Reads one request, answers and closes.
fn answer(near: TcpStream, status: u16) -> std::io::Result<()> {
    let mut near = near.into_std()?;
    near.set_nonblocking(false)?;
    if request(&mut BufReader::new(&near)).is_some() {
        let head =
            format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        near.write_all(head.as_bytes())?;
    }
    Ok(())
}
