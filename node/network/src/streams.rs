//! The tasks of one connection: for each lane one that writes to the stream we opened, and one that
//! reads the stream the peer opened. They run until their stream ends, which ends the connection.

use std::convert::Infallible;
use std::sync::Arc;

use daruma_types::Lane;
use futures::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::config::{NetworkSettings, frame_bytes_max};
use crate::events::EventSender;
use crate::frames::{FrameReader, FrameWriter, ReadTimes, StreamEnd};
use crate::limits::WRITE_BATCH_BYTES;
use crate::peers::Peer;

/// Sends what waits for `peer` on `lane`, and keep-alives when nothing does.
pub(crate) async fn send_frames<S: AsyncWrite + Unpin>(
    stream: S,
    peer: Arc<Peer>,
    connection: u64,
    lane: Lane,
    settings: NetworkSettings,
) -> Result<Infallible, StreamEnd> {
    let mut writer = FrameWriter::new(stream, settings.write_timeout);
    let queue = &peer.lane(lane).queue;
    let mut batch = Vec::new();
    loop {
        let take = queue.take(connection, &mut batch, WRITE_BATCH_BYTES);
        let Ok(taken) = timeout(settings.keep_alive, take).await else {
            writer.keep_alive().await?;
            continue;
        };
        taken?;
        writer.write(&batch).await?;
        for frame in batch.drain(..) {
            peer.sent_frames.add(1);
            peer.sent_bytes.add(frame.len() as u64);
        }
    }
}

/// Delivers what `peer` sends on `lane`, no faster than the consumer takes it.
pub(crate) async fn receive_frames<S: AsyncRead + Unpin>(
    stream: S,
    peer: Arc<Peer>,
    lane: Lane,
    settings: NetworkSettings,
    events: EventSender,
) -> Result<Infallible, StreamEnd> {
    let times = ReadTimes { idle: settings.idle_timeout, frame: settings.frame_timeout };
    let mut reader = FrameReader::new(stream, times);
    loop {
        let length = reader.length(lane, frame_bytes_max(lane)).await?;
        let share = peer.lane(lane).budget.share(length).await?;
        let frame = reader.body(length).await?;
        peer.received_frames.add(1);
        peer.received_bytes.add(length as u64);
        events.frame(peer.id, lane, frame, share).await?;
    }
}
