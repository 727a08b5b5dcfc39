//! A connection whose client must take what it is sent.
//!
//! Invariant: a client that takes nothing for too long is cut and counted, and holds nothing afterwards:
//! neither memory of this process nor of the system.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use omnitrace::metrics::Metrics;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;

/// Why a client is cut here, as the metric calls it.
pub(super) const STUCK: &str = "stuck";

/// Bytes of an answer that the system keeps for a client that does not take them.
const SEND_BUFFER: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Patient {
    stream: Pin<Box<TimeoutStream<TcpStream>>>,
    metrics: Metrics,
}

impl Patient {
    pub(super) fn new(stream: TcpStream, patience: Duration, metrics: Metrics) -> Self {
        // Both are wishes: an answer goes out without them too.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(patience));
        Self {
            stream: Box::pin(stream),
            metrics,
        }
    }

    fn written<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &result
            && error.kind() == io::ErrorKind::TimedOut
        {
            // Closed at once: the system would go on offering what it still keeps.
            let _ = SockRef::from(self.stream.get_ref()).set_linger(Some(Duration::ZERO));
            self.metrics.client_cut(STUCK);
        }
        result
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_read(context, into)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = self.stream.as_mut().poll_write(context, bytes);
        self.written(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = self.stream.as_mut().poll_write_vectored(context, parts);
        self.written(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(context)
    }
}
