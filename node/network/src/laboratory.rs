//! The reader of frames by itself, for fuzzing (feature `laboratory`; off in a node).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use daruma_types::Lane;
use futures::AsyncRead;

use crate::frames::{FrameReader, ReadTimes, StreamEnd};

/// How the reading of a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The stream was at its end, between two frames or within one.
    Closed,
    /// A frame was longer than its lane allows.
    Oversized {
        /// Its length.
        found: usize,
    },
    /// Anything else; memory gives no reason for it.
    Otherwise(String),
}

/// A stream whose bytes arrive in pieces: each read gets at most as many as the next length says.
struct Pieces<'a> {
    bytes: &'a [u8],
    lengths: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let piece = self.lengths.next().copied().unwrap_or(usize::MAX).max(1);
        let count = piece.min(into.len()).min(self.bytes.len());
        let (now, later) = self.bytes.split_at(count);
        into[..count].copy_from_slice(now);
        self.bytes = later;
        Poll::Ready(Ok(count))
    }
}

/// Reads frames of at most `allowed` bytes from `bytes`, which arrive in pieces of these `lengths`, over
/// and over; in one piece if there are none.
///
/// # Errors
/// That no runtime for the reader's time limits could be made.
pub fn read_frames(
    bytes: &[u8],
    lengths: &[usize],
    allowed: usize,
) -> io::Result<(Vec<Bytes>, Ended)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let times = ReadTimes { idle: Duration::from_secs(5), frame: Duration::from_secs(20) };
    let stream = Pieces { bytes, lengths: lengths.iter().cycle() };
    Ok(runtime.block_on(async {
        let mut reader = FrameReader::new(stream, times);
        let mut frames = Vec::new();
        loop {
            let frame = match reader.length(Lane::Bulk, allowed).await {
                Ok(length) => reader.body(length).await,
                Err(end) => Err(end),
            };
            match frame {
                Ok(frame) => frames.push(frame),
                Err(StreamEnd::Closed) => return (frames, Ended::Closed),
                Err(StreamEnd::Oversized { found, .. }) => {
                    return (frames, Ended::Oversized { found });
                }
                Err(end) => return (frames, Ended::Otherwise(end.to_string())),
            }
        }
    }))
}
