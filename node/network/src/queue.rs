//! What waits to be sent to one peer on one lane: bounded by count and by bytes, the oldest goes first
//! when it is full (DESIGN 7). Every message of the protocol is repeated until it is known to be
//! received (DESIGN 1), so dropping is safe, and the newest is worth the most: a state that is sent again and
//! again pushes its older forms out. It does not take their place in the queue, since which messages say the
//! same is for the engine to know, and here they are bytes. The simulator's links do the same.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::frames::StreamEnd;

pub(crate) struct SendQueue {
    waiting: Mutex<Waiting>,
    filled: Notify,
    frames_max: usize,
    bytes_max: usize,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// The connection that may take frames.
    owner: u64,
}

impl SendQueue {
    pub(crate) fn new(frames_max: usize, bytes_max: usize) -> Self {
        Self { waiting: Mutex::default(), filled: Notify::new(), frames_max, bytes_max }
    }

    /// Adds `frame`, which must not be larger than the whole queue, and returns how many older ones
    /// were dropped for it.
    pub(crate) fn push(&self, frame: Bytes) -> u64 {
        let mut waiting = self.lock();
        let mut dropped = 0;
        while waiting.frames.len() >= self.frames_max
            || waiting.bytes.saturating_add(frame.len()) > self.bytes_max
        {
            let Some(oldest) = waiting.frames.pop_front() else { break };
            waiting.bytes = waiting.bytes.saturating_sub(oldest.len());
            dropped += 1;
        }
        waiting.bytes = waiting.bytes.saturating_add(frame.len());
        waiting.frames.push_back(frame);
        drop(waiting);
        self.filled.notify_one();
        dropped
    }

    /// Leaves the queue to the connection numbered `owner`. One that it replaces, and that may not know
    /// yet that it is dead, takes no more frames.
    pub(crate) fn leave_to(&self, owner: u64) {
        self.lock().owner = owner;
        // The former owner has nothing to wait for.
        self.filled.notify_waiters();
    }

    /// Waits for a frame, then moves the oldest ones to `batch`: as many as fit `bytes_max`, and at
    /// least one. Nothing is lost when the future is dropped while it waits.
    ///
    /// # Errors
    /// When `owner` is not the owner any more.
    pub(crate) async fn take(
        &self,
        owner: u64,
        batch: &mut Vec<Bytes>,
        bytes_max: usize,
    ) -> Result<(), StreamEnd> {
        loop {
            let mut filled = std::pin::pin!(self.filled.notified());
            // From here on a change of owner wakes us.
            filled.as_mut().enable();
            if self.take_now(owner, batch, bytes_max)? {
                return Ok(());
            }
            filled.await;
        }
    }

    fn take_now(
        &self,
        owner: u64,
        batch: &mut Vec<Bytes>,
        bytes_max: usize,
    ) -> Result<bool, StreamEnd> {
        let mut waiting = self.lock();
        if waiting.owner != owner {
            // What woke us may have been meant for the owner.
            self.filled.notify_one();
            return Err(StreamEnd::Replaced);
        }
        let mut bytes: usize = 0;
        while let Some(oldest) = waiting.frames.front() {
            let length = oldest.len();
            if bytes > 0 && bytes.saturating_add(length) > bytes_max {
                break;
            }
            bytes = bytes.saturating_add(length);
            waiting.bytes = waiting.bytes.saturating_sub(length);
            batch.extend(waiting.frames.pop_front());
        }
        Ok(!batch.is_empty())
    }

    /// Frames and bytes that wait.
    pub(crate) fn depth(&self) -> (usize, usize) {
        let waiting = self.lock();
        (waiting.frames.len(), waiting.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing between lock and unlock can panic half way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn frame(tag: u8, length: usize) -> Bytes {
        Bytes::from(vec![tag; length])
    }

    fn taken(queue: &SendQueue, bytes_max: usize) -> Vec<u8> {
        let mut batch = Vec::new();
        queue.take_now(0, &mut batch, bytes_max).unwrap();
        batch.iter().map(|frame| frame[0]).collect()
    }

    #[test]
    fn the_fourth_frame_in_a_queue_of_three_drops_the_first() {
        let queue = SendQueue::new(3, 1000);
        assert_eq!([1, 2, 3].map(|tag| queue.push(frame(tag, 1))), [0, 0, 0]);
        assert_eq!(queue.push(frame(4, 1)), 1);
        assert_eq!(taken(&queue, 1000), [2, 3, 4]);
        assert_eq!(queue.depth(), (0, 0));
    }

    #[test]
    fn a_large_frame_drops_as_many_old_ones_as_its_bytes_need() {
        let queue = SendQueue::new(10, 100);
        for tag in 1..=4 {
            assert_eq!(queue.push(frame(tag, 25)), 0);
        }
        assert_eq!(queue.push(frame(5, 26)), 2);
        assert_eq!(queue.depth(), (3, 76));
        assert_eq!(taken(&queue, 1000), [3, 4, 5]);
    }

    #[test]
    fn a_batch_holds_what_fits_and_at_least_one_frame() {
        let queue = SendQueue::new(10, 1000);
        for (tag, length) in [(1, 40), (2, 60), (3, 1), (4, 500)] {
            queue.push(frame(tag, length));
        }
        assert_eq!(taken(&queue, 100), [1, 2]);
        assert_eq!(taken(&queue, 100), [3]);
        assert_eq!(taken(&queue, 100), [4]);
    }

    /// A task that takes one batch as `owner`, and has begun to wait.
    async fn taker(
        queue: &Arc<SendQueue>,
        owner: u64,
    ) -> tokio::task::JoinHandle<Result<usize, StreamEnd>> {
        let queue = queue.clone();
        let taker = tokio::spawn(async move {
            let mut batch = Vec::new();
            queue.take(owner, &mut batch, 100).await?;
            Ok(batch.len())
        });
        tokio::task::yield_now().await;
        taker
    }

    #[tokio::test]
    async fn a_waiting_taker_is_woken_by_a_push() {
        let queue = Arc::new(SendQueue::new(10, 1000));
        let taker = taker(&queue, 0).await;
        queue.push(frame(1, 1));
        assert_eq!(taker.await.unwrap().unwrap(), 1);
    }

    #[tokio::test]
    async fn a_replaced_taker_ends_and_leaves_the_frames_to_the_new_one() {
        let queue = Arc::new(SendQueue::new(10, 1000));
        let replaced = taker(&queue, 0).await;
        queue.leave_to(1);
        queue.push(frame(1, 1));
        assert!(matches!(replaced.await.unwrap(), Err(StreamEnd::Replaced)));
        let owner = taker(&queue, 1).await;
        assert_eq!(owner.await.unwrap().unwrap(), 1);
    }
}
