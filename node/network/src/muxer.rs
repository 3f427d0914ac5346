//! The yamux multiplexer under our own bounds.
//!
//! libp2p's wrapper of the same library leaves two things open that matter here. It does not let the
//! receive windows be bounded below 1 GiB per connection; and its close waits for the peer to take what
//! is buffered, so that a connection to a vanished host would be counted for as long as the kernel
//! retries. Here a close drops the connection at once: all our messages are repeatable.

use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use yamux::{Connection, ConnectionError, Mode, Stream};

use crate::limits::{
    CONNECTION_WINDOW_BYTES_MAX, MULTIPLEXER_FRAME_BYTES, STREAMS_PER_CONNECTION_MAX,
};

/// Negotiates yamux, with our bounds, on an encrypted connection.
#[derive(Debug, Clone)]
pub(crate) struct BoundedYamux(yamux::Config);

impl BoundedYamux {
    pub(crate) fn new() -> Self {
        let mut config = yamux::Config::default();
        // The streams first: the window is checked against them.
        config
            .set_max_num_streams(STREAMS_PER_CONNECTION_MAX)
            .set_max_connection_receive_window(Some(CONNECTION_WINDOW_BYTES_MAX))
            .set_split_send_size(MULTIPLEXER_FRAME_BYTES);
        Self(config)
    }
}

impl UpgradeInfo for BoundedYamux {
    type Info = &'static str;
    type InfoIter = std::iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C>
    for BoundedYamux
{
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, socket: C, _: Self::Info) -> Self::Future {
        ready(Ok(Muxer::new(Connection::new(socket, self.0, Mode::Server))))
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C>
    for BoundedYamux
{
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, socket: C, _: Self::Info) -> Self::Future {
        ready(Ok(Muxer::new(Connection::new(socket, self.0, Mode::Client))))
    }
}

/// One multiplexed connection.
pub(crate) struct Muxer<C> {
    connection: Connection<C>,
    /// Streams that arrived while the connection was driven for other reasons; no more than
    /// [`STREAMS_PER_CONNECTION_MAX`], which yamux holds the peer to.
    arrived: VecDeque<Stream>,
    accepter: Option<Waker>,
}

impl<C> Muxer<C> {
    fn new(connection: Connection<C>) -> Self {
        Self { connection, arrived: VecDeque::new(), accepter: None }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + 'static> Muxer<C> {
    fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        self.connection
            .poll_next_inbound(cx)
            .map(|arrival| arrival.unwrap_or(Err(ConnectionError::Closed)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + 'static> StreamMuxer for Muxer<C> {
    type Substream = Stream;
    type Error = ConnectionError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stream, ConnectionError>> {
        if let Some(stream) = self.arrived.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        let arrival = self.poll_arrival(cx);
        if arrival.is_pending() {
            self.accepter = Some(cx.waker().clone());
        }
        arrival
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stream, ConnectionError>> {
        self.connection.poll_new_outbound(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        // The caller drops the muxer next, and that closes the socket.
        Poll::Ready(Ok(()))
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, ConnectionError>> {
        let stream = std::task::ready!(self.poll_arrival(cx))?;
        self.arrived.push_back(stream);
        if let Some(accepter) = self.accepter.take() {
            accepter.wake();
        }
        // There may be more to do, but others get their turn first.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_ones_that_yamux_accepts() {
        // Its setters panic on a window that is too small for the streams.
        let _ = BoundedYamux::new();
    }
}
