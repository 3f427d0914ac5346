//! Frames on a stream: a 32-bit little-endian length, then as many bytes. Length 0 is the keep-alive:
//! it says that the sender lives and is not delivered.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use daruma_types::Lane;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use crate::limits::{FRAME_HEADER_BYTES, READ_BUFFER_BYTES, WRITE_BATCH_BYTES};

/// Why a stream, and with it its connection, is at its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamEnd {
    #[error("the peer closed the connection")]
    Closed,
    #[error("the connection failed: {0}")]
    Failed(#[source] io::Error),
    #[error("nothing was received for {0:?}")]
    Silent(Duration),
    #[error("nothing could be written for {0:?}: the peer does not read")]
    Stuck(Duration),
    #[error("a frame was not complete within {0:?}")]
    SlowFrame(Duration),
    #[error("a frame of {found} bytes on the {lane:?} lane, where {allowed} are allowed")]
    Oversized { lane: Lane, found: usize, allowed: usize },
    #[error("the peer opened the {0:?} stream twice")]
    SecondStream(Lane),
    #[error("the peer does not know our stream protocols: another chain or version")]
    OtherChain,
    #[error("the streams were not open within {0:?}")]
    NoStreams(Duration),
    #[error("its frames were garbage")]
    Garbage,
    #[error("a newer connection took its place")]
    Replaced,
    #[error("nobody receives frames any more")]
    Stopped,
}

impl StreamEnd {
    /// Whether only a peer that breaks the protocol can cause this.
    pub(crate) const fn is_violation(&self) -> bool {
        match self {
            Self::Oversized { .. } | Self::SecondStream(_) | Self::Garbage => true,
            Self::Closed
            | Self::Failed(_)
            | Self::Silent(_)
            | Self::Stuck(_)
            | Self::SlowFrame(_)
            | Self::OtherChain
            | Self::NoStreams(_)
            | Self::Replaced
            | Self::Stopped => false,
        }
    }
}

/// Reads frames. The length is known, and checked, before anything is allocated for the frame.
pub(crate) struct FrameReader<S> {
    stream: S,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    times: ReadTimes,
}

/// How long a reader waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadTimes {
    /// For any byte.
    pub(crate) idle: Duration,
    /// For a frame's end, once its length was read.
    pub(crate) frame: Duration,
}

impl<S: AsyncRead + Unpin> FrameReader<S> {
    pub(crate) fn new(stream: S, times: ReadTimes) -> Self {
        let buffer = vec![0; READ_BUFFER_BYTES].into_boxed_slice();
        Self { stream, buffer, start: 0, end: 0, times }
    }

    /// The length of the next frame that is no keep-alive, at least 1 and at most `allowed`.
    pub(crate) async fn length(&mut self, lane: Lane, allowed: usize) -> Result<usize, StreamEnd> {
        loop {
            while self.end - self.start < FRAME_HEADER_BYTES {
                self.fill(None).await?;
            }
            let mut header = [0; FRAME_HEADER_BYTES];
            header.copy_from_slice(&self.buffer[self.start..self.start + FRAME_HEADER_BYTES]);
            self.start += FRAME_HEADER_BYTES;
            let found = usize::try_from(u32::from_le_bytes(header)).unwrap_or(usize::MAX);
            if found > allowed {
                return Err(StreamEnd::Oversized { lane, found, allowed });
            }
            if found > 0 {
                return Ok(found);
            }
        }
    }

    /// The bytes of the frame whose length was just read. A copy of its own, so that a small frame that
    /// is kept does not keep a read buffer; memory for a large one grows as its bytes arrive.
    pub(crate) async fn body(&mut self, length: usize) -> Result<Bytes, StreamEnd> {
        if self.end - self.start >= length {
            return Ok(self.take_buffered(length));
        }
        let deadline = Instant::now() + self.times.frame;
        if length <= self.buffer.len() {
            while self.end - self.start < length {
                self.fill(Some(deadline)).await?;
            }
            return Ok(self.take_buffered(length));
        }
        let mut frame = self.buffer[self.start..self.end].to_vec();
        (self.start, self.end) = (0, 0);
        while frame.len() < length {
            let mut at = frame.len();
            let until = length.min(at.saturating_mul(2).max(READ_BUFFER_BYTES));
            frame.reserve_exact(until - at);
            frame.resize(until, 0);
            while at < until {
                at += read(&mut self.stream, &mut frame[at..], self.times, Some(deadline)).await?;
            }
        }
        Ok(Bytes::from(frame))
    }

    fn take_buffered(&mut self, length: usize) -> Bytes {
        let frame = Bytes::copy_from_slice(&self.buffer[self.start..self.start + length]);
        self.start += length;
        frame
    }

    /// Reads what there is into the buffer, which the caller knows to lack something.
    async fn fill(&mut self, deadline: Option<Instant>) -> Result<(), StreamEnd> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let free = &mut self.buffer[self.end..];
        self.end += read(&mut self.stream, free, self.times, deadline).await?;
        Ok(())
    }
}

async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    into: &mut [u8],
    times: ReadTimes,
    deadline: Option<Instant>,
) -> Result<usize, StreamEnd> {
    let idle = Instant::now() + times.idle;
    let until = deadline.map_or(idle, |deadline| deadline.min(idle));
    match timeout_at(until, stream.read(into)).await {
        Ok(Ok(0)) => Err(StreamEnd::Closed),
        Ok(Ok(count)) => Ok(count),
        Ok(Err(error)) => Err(StreamEnd::Failed(error)),
        Err(_) if until < idle => Err(StreamEnd::SlowFrame(times.frame)),
        Err(_) => Err(StreamEnd::Silent(times.idle)),
    }
}

/// Writes frames, several small ones at a time.
pub(crate) struct FrameWriter<S> {
    stream: S,
    buffer: Vec<u8>,
    timeout: Duration,
}

impl<S: AsyncWrite + Unpin> FrameWriter<S> {
    /// `timeout`: how long the peer may leave everything unread.
    pub(crate) fn new(stream: S, timeout: Duration) -> Self {
        Self { stream, buffer: Vec::with_capacity(WRITE_BATCH_BYTES), timeout }
    }

    /// Writes `frames`, each at most as long as its lane allows, in order, and flushes.
    pub(crate) async fn write(&mut self, frames: &[Bytes]) -> Result<(), StreamEnd> {
        for frame in frames {
            if self.buffer.len() + FRAME_HEADER_BYTES + frame.len() > WRITE_BATCH_BYTES {
                self.write_buffer().await?;
            }
            // A frame never exceeds FRAME_BYTES_MAX; a longer one would be refused by the peer anyway.
            let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
            self.buffer.extend_from_slice(&length.to_le_bytes());
            if self.buffer.len() + frame.len() > WRITE_BATCH_BYTES {
                self.write_buffer().await?;
                write_all(&mut self.stream, frame, self.timeout).await?;
            } else {
                self.buffer.extend_from_slice(frame);
            }
        }
        self.finish().await
    }

    /// Writes an empty frame.
    pub(crate) async fn keep_alive(&mut self) -> Result<(), StreamEnd> {
        self.buffer.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
        self.finish().await
    }

    async fn finish(&mut self) -> Result<(), StreamEnd> {
        self.write_buffer().await?;
        match timeout(self.timeout, self.stream.flush()).await {
            Ok(done) => done.map_err(StreamEnd::Failed),
            Err(_) => Err(StreamEnd::Stuck(self.timeout)),
        }
    }

    async fn write_buffer(&mut self) -> Result<(), StreamEnd> {
        write_all(&mut self.stream, &self.buffer, self.timeout).await?;
        self.buffer.clear();
        Ok(())
    }
}

/// Like the library's, but the time limit is for each step: a large frame on a slow link is fine.
async fn write_all<S: AsyncWrite + Unpin>(
    stream: &mut S,
    mut bytes: &[u8],
    limit: Duration,
) -> Result<(), StreamEnd> {
    while !bytes.is_empty() {
        match timeout(limit, stream.write(bytes)).await {
            Ok(Ok(0)) => return Err(StreamEnd::Closed),
            Ok(Ok(count)) => bytes = bytes.get(count..).unwrap_or_default(),
            Ok(Err(error)) => return Err(StreamEnd::Failed(error)),
            Err(_) => return Err(StreamEnd::Stuck(limit)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;

    const TIMES: ReadTimes =
        ReadTimes { idle: Duration::from_secs(5), frame: Duration::from_secs(20) };

    async fn read_all(bytes: Vec<u8>, allowed: usize) -> (Vec<Bytes>, StreamEnd) {
        let mut reader = FrameReader::new(Cursor::new(bytes), TIMES);
        let mut frames = Vec::new();
        loop {
            let length = match reader.length(Lane::Bulk, allowed).await {
                Ok(length) => length,
                Err(end) => return (frames, end),
            };
            match reader.body(length).await {
                Ok(frame) => frames.push(frame),
                Err(end) => return (frames, end),
            }
        }
    }

    async fn written(frames: &[Bytes]) -> Vec<u8> {
        let mut writer = FrameWriter::new(Cursor::new(Vec::new()), Duration::from_secs(1));
        writer.write(frames).await.unwrap();
        writer.keep_alive().await.unwrap();
        writer.stream.into_inner()
    }

    #[tokio::test]
    async fn frames_of_every_size_around_the_buffers_come_out_as_they_went_in() {
        let lengths = [1, 3, 1000, 65_531, 65_532, 65_533, 65_536, 65_537, 131_072, 300_000, 5];
        let frames: Vec<Bytes> = lengths
            .iter()
            .zip(1u8..)
            .map(|(length, tag)| Bytes::from(vec![tag; *length]))
            .collect();
        let (read, end) = read_all(written(&frames).await, 300_000).await;
        assert_eq!(read, frames);
        assert!(matches!(end, StreamEnd::Closed), "{end}");
    }

    #[tokio::test]
    async fn a_frame_one_byte_over_the_limit_ends_the_stream_and_one_at_the_limit_does_not() {
        let frames = [Bytes::from(vec![1; 100]), Bytes::from(vec![2; 101])];
        let (read, end) = read_all(written(&frames).await, 100).await;
        assert_eq!(read, frames[..1]);
        assert!(matches!(end, StreamEnd::Oversized { found: 101, allowed: 100, .. }), "{end}");
        assert!(end.is_violation());
    }

    #[tokio::test]
    async fn a_huge_length_allocates_nothing() {
        let (read, end) = read_all(vec![0xff; 64], 1 << 20).await;
        assert_eq!(read, Vec::<Bytes>::new());
        assert!(matches!(end, StreamEnd::Oversized { found: 0xffff_ffff, .. }), "{end}");
    }

    #[tokio::test]
    async fn a_stream_that_ends_within_a_frame_delivers_nothing_of_it() {
        let mut bytes = written(&[Bytes::from(vec![1; 100_000])]).await;
        bytes.truncate(90_000);
        let (read, end) = read_all(bytes, 1 << 20).await;
        assert_eq!(read, Vec::<Bytes>::new());
        assert!(matches!(end, StreamEnd::Closed), "{end}");
    }

    #[tokio::test]
    async fn silence_and_a_trickled_frame_both_end_the_stream() {
        let (quiet, _peer) = tokio::io::duplex(64);
        let times = ReadTimes { idle: Duration::from_millis(50), ..TIMES };
        let mut reader = FrameReader::new(tokio_stream(quiet), times);
        let end = reader.length(Lane::Votes, 100).await.unwrap_err();
        assert!(matches!(end, StreamEnd::Silent(_)), "{end}");

        let (slow, mut peer) = tokio::io::duplex(64);
        let trickle = tokio::spawn(async move {
            use tokio::io::AsyncWriteExt as _;
            peer.write_all(&50u32.to_le_bytes()).await.unwrap();
            while peer.write_all(&[7]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let times = ReadTimes { frame: Duration::from_millis(100), ..TIMES };
        let mut reader = FrameReader::new(tokio_stream(slow), times);
        let length = reader.length(Lane::Votes, 100).await.unwrap();
        let end = reader.body(length).await.unwrap_err();
        assert!(matches!(end, StreamEnd::SlowFrame(_)), "{end}");
        trickle.abort();
    }

    #[tokio::test]
    async fn a_peer_that_reads_nothing_ends_the_stream() {
        let (stuck, _peer) = tokio::io::duplex(64);
        let mut writer = FrameWriter::new(tokio_stream(stuck), Duration::from_millis(50));
        let end = writer.write(&[Bytes::from(vec![1; 1000])]).await.unwrap_err();
        assert!(matches!(end, StreamEnd::Stuck(_)), "{end}");
    }

    /// The in-memory pipe as the kind of stream that the library uses.
    fn tokio_stream(pipe: tokio::io::DuplexStream) -> Pipe {
        Pipe(pipe)
    }

    struct Pipe(tokio::io::DuplexStream);

    impl AsyncRead for Pipe {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
            into: &mut [u8],
        ) -> std::task::Poll<io::Result<usize>> {
            let mut into = tokio::io::ReadBuf::new(into);
            tokio::io::AsyncRead::poll_read(std::pin::Pin::new(&mut self.0), cx, &mut into)
                .map_ok(|()| into.filled().len())
        }
    }

    impl AsyncWrite for Pipe {
        fn poll_write(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
            bytes: &[u8],
        ) -> std::task::Poll<io::Result<usize>> {
            tokio::io::AsyncWrite::poll_write(std::pin::Pin::new(&mut self.0), cx, bytes)
        }

        fn poll_flush(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            tokio::io::AsyncWrite::poll_flush(std::pin::Pin::new(&mut self.0), cx)
        }

        fn poll_close(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            tokio::io::AsyncWrite::poll_shutdown(std::pin::Pin::new(&mut self.0), cx)
        }
    }
}
