//! From the streams to the consumer.
//!
//! Each frame holds a share of its peer's budget for its lane until the consumer takes it. A reader that
//! finds the budget spent waits, and its stream is not read: the peer's own queue fills, and drops. So
//! memory is bounded per peer, no peer can take another's share, and votes overtake waiting bulk.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use daruma_types::{Lane, ReplicaId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::config::{LaneSettings, NetworkSettings};
use crate::frames::StreamEnd;
use crate::limits::VOTES_IN_A_ROW_MAX;

/// What the network tells its consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A frame arrived. `from` is the owner of the key that the connection was authenticated with.
    Frame {
        /// The sender.
        from: ReplicaId,
        /// The stream it came on.
        lane: Lane,
        /// Its bytes: at least one, at most what the lane allows.
        frame: Bytes,
    },
    /// Frames to this peer now reach it. Frames from it may have arrived earlier.
    Connected(ReplicaId),
    /// The connection to this peer is gone, and frames on their way may be lost. A connection that is
    /// replaced by a newer one is reported as this followed by [`Event::Connected`].
    Disconnected(ReplicaId),
}

struct Held {
    event: Event,
    /// Given back when the event is taken.
    _share: Option<OwnedSemaphorePermit>,
}

/// The consumer's end. Bounded: a peer whose frames are not taken is not read (DESIGN 7).
///
/// Frames of one peer and lane come in the order sent for as long as one connection lasts. Dropping this
/// stops the network.
pub struct Events {
    votes: mpsc::Receiver<Held>,
    bulk: mpsc::Receiver<Held>,
    votes_in_a_row: u32,
}

impl Events {
    /// The next event; `None` when the network has stopped and nothing is left. Nothing is lost when
    /// the future is dropped.
    pub async fn recv(&mut self) -> Option<Event> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Waits for an event, then adds it and those that wait, up to `limit` in all, to `events`. Returns
    /// how many; 0 when the network has stopped or `limit` is 0.
    pub async fn recv_many(&mut self, events: &mut Vec<Event>, limit: usize) -> usize {
        if limit == 0 {
            return 0;
        }
        let Some(first) = self.recv().await else { return 0 };
        events.push(first);
        let mut count = 1;
        while count < limit {
            let Some(next) = self.try_recv() else { break };
            events.push(next);
            count += 1;
        }
        count
    }

    /// An event that waits already, if there is one.
    pub fn try_recv(&mut self) -> Option<Event> {
        let (first, second) = self.order();
        let taken = self.try_lane(first).or_else(|| self.try_lane(second))?;
        Some(taken.event)
    }

    /// [`Self::recv`] for a thread that is not async. Must not be called from an async task.
    pub fn blocking_recv(&mut self) -> Option<Event> {
        futures::executor::block_on(self.recv())
    }

    /// [`Self::recv`] as a poll function.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let (first, second) = self.order();
        let mut open = false;
        for lane in [first, second] {
            match self.receiver(lane).poll_recv(cx) {
                Poll::Ready(Some(held)) => {
                    self.took(lane);
                    return Poll::Ready(Some(held.event));
                }
                Poll::Ready(None) => {}
                Poll::Pending => open = true,
            }
        }
        if open { Poll::Pending } else { Poll::Ready(None) }
    }

    const fn order(&self) -> (Lane, Lane) {
        if self.votes_in_a_row < VOTES_IN_A_ROW_MAX {
            (Lane::Votes, Lane::Bulk)
        } else {
            (Lane::Bulk, Lane::Votes)
        }
    }

    const fn receiver(&mut self, lane: Lane) -> &mut mpsc::Receiver<Held> {
        match lane {
            Lane::Votes => &mut self.votes,
            Lane::Bulk => &mut self.bulk,
        }
    }

    fn try_lane(&mut self, lane: Lane) -> Option<Held> {
        let held = self.receiver(lane).try_recv().ok()?;
        self.took(lane);
        Some(held)
    }

    const fn took(&mut self, lane: Lane) {
        self.votes_in_a_row = match lane {
            // Bulk had its turn, and had nothing.
            Lane::Votes if self.votes_in_a_row >= VOTES_IN_A_ROW_MAX => 1,
            Lane::Votes => self.votes_in_a_row + 1,
            Lane::Bulk => 0,
        };
    }
}

/// The streams' end.
#[derive(Clone)]
pub(crate) struct EventSender {
    votes: mpsc::Sender<Held>,
    bulk: mpsc::Sender<Held>,
}

/// Both ends. The channels hold what all peers' budgets allow together, plus each peer's two status
/// events, so it is the budgets that bound.
pub(crate) fn channel(peers: usize, settings: &NetworkSettings) -> (EventSender, Events) {
    let capacity = |lane| {
        let frames = settings.lane(lane).receive_frames_max.saturating_add(2);
        frames.saturating_mul(peers.max(1)).min(Semaphore::MAX_PERMITS)
    };
    let (votes, votes_receiver) = mpsc::channel(capacity(Lane::Votes));
    let (bulk, bulk_receiver) = mpsc::channel(capacity(Lane::Bulk));
    let events = Events { votes: votes_receiver, bulk: bulk_receiver, votes_in_a_row: 0 };
    (EventSender { votes, bulk }, events)
}

impl EventSender {
    const fn sender(&self, lane: Lane) -> &mpsc::Sender<Held> {
        match lane {
            Lane::Votes => &self.votes,
            Lane::Bulk => &self.bulk,
        }
    }

    /// Delivers a frame and the share of the budget that it holds.
    pub(crate) async fn frame(
        &self,
        from: ReplicaId,
        lane: Lane,
        frame: Bytes,
        share: OwnedSemaphorePermit,
    ) -> Result<(), StreamEnd> {
        let event = Event::Frame { from, lane, frame };
        let held = Held { event, _share: Some(share) };
        self.sender(lane).send(held).await.map_err(|_| StreamEnd::Stopped)
    }

    /// Room for a status event, to be used in `select!`; `None` when the consumer is gone.
    pub(crate) async fn room(&self) -> Option<StatusRoom<'_>> {
        self.votes.reserve().await.ok().map(StatusRoom)
    }

    /// Resolves when the consumer is gone.
    pub(crate) async fn closed(&self) {
        self.votes.closed().await;
    }
}

pub(crate) struct StatusRoom<'a>(mpsc::Permit<'a, Held>);

impl StatusRoom<'_> {
    pub(crate) fn send(self, event: Event) {
        self.0.send(Held { event, _share: None });
    }
}

/// What one peer may have waiting for the consumer on one lane.
pub(crate) struct ReceiveBudget {
    bytes: Arc<Semaphore>,
    /// What the smallest frame costs, so that the bound on bytes is one on frames as well.
    charge_min: usize,
}

impl ReceiveBudget {
    pub(crate) fn new(settings: &LaneSettings) -> Self {
        Self {
            bytes: Arc::new(Semaphore::new(settings.receive_bytes_max)),
            charge_min: settings.receive_bytes_max.div_ceil(settings.receive_frames_max),
        }
    }

    /// Waits until a frame of `length` bytes may be read.
    pub(crate) async fn share(&self, length: usize) -> Result<OwnedSemaphorePermit, StreamEnd> {
        let charge = u32::try_from(length.max(self.charge_min)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        self.bytes.clone().acquire_many_owned(charge).await.map_err(|_| StreamEnd::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: ReplicaId = ReplicaId(3);

    fn lane_of(event: Option<Event>) -> Option<Lane> {
        match event? {
            Event::Frame { lane, .. } => Some(lane),
            Event::Connected(_) | Event::Disconnected(_) => None,
        }
    }

    async fn offer(sender: &EventSender, budget: &ReceiveBudget, lane: Lane) {
        let share = budget.share(1).await.unwrap();
        sender.frame(FROM, lane, Bytes::from_static(b"x"), share).await.unwrap();
    }

    #[tokio::test]
    async fn votes_overtake_bulk_and_bulk_still_gets_one_turn_in_33() {
        let settings = NetworkSettings::default();
        let (sender, mut events) = channel(1, &settings);
        let votes = ReceiveBudget::new(&settings.votes);
        let bulk = ReceiveBudget::new(&settings.bulk);
        for _ in 0..2 {
            offer(&sender, &bulk, Lane::Bulk).await;
        }
        for _ in 0..100 {
            offer(&sender, &votes, Lane::Votes).await;
        }
        let mut turns = Vec::new();
        while let Some(event) = events.try_recv() {
            turns.push(lane_of(Some(event)).unwrap());
        }
        let bulk_turns: Vec<usize> = turns
            .iter()
            .enumerate()
            .filter_map(|(turn, lane)| (*lane == Lane::Bulk).then_some(turn))
            .collect();
        assert_eq!((turns.len(), bulk_turns), (102, vec![32, 65]));
    }

    #[tokio::test]
    async fn the_budget_is_spent_by_count_or_bytes_and_given_back_when_the_consumer_takes() {
        let settings = LaneSettings {
            queue_frames_max: 1,
            queue_bytes_max: 1,
            receive_frames_max: 4,
            receive_bytes_max: 400,
        };
        let budget = ReceiveBudget::new(&settings);
        let mut shares = Vec::new();
        for _ in 0..4 {
            shares.push(budget.share(1).await.unwrap());
        }
        let mut fifth = std::pin::pin!(budget.share(1));
        assert!(futures::poll!(&mut fifth).is_pending());
        shares.pop();
        assert!(futures::poll!(&mut fifth).is_ready());
        shares.clear();
        let _most = budget.share(390).await.unwrap();
        assert!(futures::poll!(std::pin::pin!(budget.share(1))).is_pending());
    }

    #[tokio::test]
    async fn the_consumer_drains_what_waits_and_then_sees_the_end() {
        let settings = NetworkSettings::default();
        let (sender, mut events) = channel(1, &settings);
        offer(&sender, &ReceiveBudget::new(&settings.bulk), Lane::Bulk).await;
        sender.room().await.unwrap().send(Event::Connected(FROM));
        drop(sender);
        let mut taken = Vec::new();
        assert_eq!(events.recv_many(&mut taken, 10).await, 2);
        assert_eq!(taken[0], Event::Connected(FROM));
        assert_eq!(events.recv_many(&mut taken, 10).await, 0);
    }

    #[test]
    fn a_thread_without_a_runtime_can_receive() {
        let (sender, mut events) = channel(1, &NetworkSettings::default());
        let thread = std::thread::spawn(move || events.blocking_recv());
        futures::executor::block_on(async {
            sender.room().await.unwrap().send(Event::Disconnected(FROM));
        });
        assert_eq!(thread.join().unwrap(), Some(Event::Disconnected(FROM)));
    }
}
