//! A connection that takes no more than it gives.
//!
//! The WebSocket server starts a task for each message it reads, and these wait when the peer does
//! not take their answers. So nothing more is read while the peer does not take what is written, and
//! a peer that takes nothing for [`limits::WRITE_WAIT_MAX`] is dropped.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::limits;

/// A socket with back-pressure; it holds its place among the connections until it is dropped.
pub(crate) struct Paced<S> {
    socket: S,
    _place: OwnedSemaphorePermit,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Who wants to read meanwhile.
    reader: Option<Waker>,
}

impl<S> Paced<S> {
    pub(crate) const fn new(socket: S, place: OwnedSemaphorePermit) -> Self {
        Self { socket, _place: place, stalled: None, reader: None }
    }

    /// Notes whether a write waits.
    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = None;
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
            return result;
        }
        let until = || Box::pin(sleep_until(Instant::now() + limits::WRITE_WAIT_MAX));
        self.stalled.get_or_insert_with(until);
        self.poll_patience(cx)
    }

    /// Pending while a write waits, and an error once it has waited too long. Polled by both sides,
    /// since either may be the only one left.
    fn poll_patience<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match self.stalled.as_mut().map(|stalled| stalled.as_mut().poll(cx)) {
            Some(Poll::Ready(())) => {
                let why = "the peer does not take what is sent to it";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)))
            }
            Some(Poll::Pending) | None => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.stalled.is_some() {
            self.reader = Some(cx.waker().clone());
            return self.poll_patience(cx);
        }
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.written(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write_vectored(cx, bytes);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Semaphore;

    fn place() -> OwnedSemaphorePermit {
        Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap()
    }

    #[tokio::test]
    async fn nothing_is_read_while_a_write_waits_and_reading_goes_on_after_it() {
        let (ours, mut peer) = tokio::io::duplex(4);
        let (mut reading, mut writing) = tokio::io::split(Paced::new(ours, place()));
        peer.write_all(b"hi").await.unwrap();
        let mut write = Box::pin(writing.write_all(b"12345678"));
        assert!(futures::poll!(&mut write).is_pending());
        let mut byte = [0; 1];
        let mut read = Box::pin(reading.read_exact(&mut byte));
        assert!(futures::poll!(&mut read).is_pending());
        let mut taken = [0; 8];
        let (read, written, _) = tokio::join!(read, write, peer.read_exact(&mut taken));
        assert_eq!(read.unwrap(), 1);
        written.unwrap();
        assert_eq!(&taken, b"12345678");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_dropped_in_the_end() {
        let (ours, _peer) = tokio::io::duplex(4);
        let mut paced = Paced::new(ours, place());
        let start = Instant::now();
        let error = paced.write_all(b"12345678").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= limits::WRITE_WAIT_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_whose_writer_gave_up_does_not_wait_for_ever() {
        let (ours, _peer) = tokio::io::duplex(4);
        let mut paced = Paced::new(ours, place());
        assert!(futures::poll!(Box::pin(paced.write_all(b"12345678"))).is_pending());
        let error = paced.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
