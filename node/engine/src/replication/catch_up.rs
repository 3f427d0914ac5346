//! Catching up: a replica that sees itself behind fetches committed blocks (DESIGN 4.2, 5).
//!
//! One request is out at a time, to one of the peers whose summaries show a higher head; answers
//! prove themselves, so a lying peer costs a wait and no more.

#[cfg(feature = "laboratory")]
#[path = "../laboratory/catch_up.rs"]
mod laboratory;

use daruma_types::{CertifiedBlock, Height, Message, ReplicaId, limits};

use super::Replication;
use crate::config::Context;
use crate::outbox::Outbox;

/// Ticks to wait for an answer before another peer is asked: at most, for many blocks.
const ANSWER_TICKS: u32 = 20;

/// Ticks to wait for an answer beyond one for each block asked for. Most who fall behind lack one block;
/// should the request or the answer be lost, or not reach a peer that does not hear this replica, they ask
/// the next one soon. An answer that comes later is taken all the same, so that on slow links this costs
/// the same few blocks twice.
const ANSWER_TICKS_MIN: u32 = 3;

/// Ticks through which the head may stand still below a peer's before blocks are fetched: normally
/// they are on their way.
const STILL_TICKS: u32 = 3;

/// The state of catching up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CatchUp {
    /// Who was asked, and the ticks left to answer.
    asked: Option<(ReplicaId, u32)>,
    /// Ticks since the head moved, while a peer was ahead.
    still: u32,
    /// The head at the last tick.
    last: Height,
    /// Whose turn it is.
    turn: usize,
    /// Whether the last answer brought blocks, so that more are asked for at once.
    flowing: bool,
}

impl CatchUp {
    /// Believes that `peer` was asked, as a transient fault does.
    #[cfg(test)]
    pub(super) const fn wait_for(&mut self, peer: ReplicaId, ticks: u32) {
        self.asked = Some((peer, ticks));
    }

    pub(super) const fn peer(&self) -> Option<ReplicaId> {
        match self.asked {
            Some((peer, _)) => Some(peer),
            None => None,
        }
    }
}

impl Replication {
    /// Asks for what is missing, once the head has stood still below `heads` for a while, or at
    /// once if a new-view waits for blocks. `heads` are the peers' heads as last heard.
    pub(crate) fn catch_up_tick(
        &mut self,
        heads: &[(ReplicaId, Height)],
        context: &Context,
        out: &mut Outbox,
    ) {
        let head = self.head.height;
        let behind = heads.iter().any(|(_, theirs)| *theirs > head);
        if !behind || head != self.catch_up.last {
            self.catch_up.still = 0;
        } else {
            self.catch_up.still = self.catch_up.still.saturating_add(1);
        }
        self.catch_up.last = head;
        self.catch_up.asked = match self.catch_up.asked {
            Some((peer, ticks)) if ticks > 0 => {
                Some((peer, ticks.min(ANSWER_TICKS).saturating_sub(1)))
            }
            Some(_) | None => None,
        };
        let hurry = self.waiting_new_view.is_some() || self.catch_up.flowing;
        if behind && (self.catch_up.still >= STILL_TICKS || hurry) {
            self.fetch(heads, context, out);
        }
    }

    /// Asks the next peer that is ahead, unless an answer is awaited or the window is full.
    pub(crate) fn fetch(
        &mut self,
        heads: &[(ReplicaId, Height)],
        context: &Context,
        out: &mut Outbox,
    ) {
        let head = self.head.height;
        let room = self.window_end(context).0.saturating_sub(head.0);
        if self.catch_up.asked.is_some() || room == 0 {
            return;
        }
        let ahead = || heads.iter().filter(|(_, theirs)| *theirs > head);
        let count = ahead().count();
        if count == 0 {
            self.catch_up.flowing = false;
            return;
        }
        self.catch_up.turn = self.catch_up.turn.wrapping_add(1);
        let Some((peer, theirs)) = ahead().nth(self.catch_up.turn % count) else { return };
        let count = room.min(theirs.0.saturating_sub(head.0)).min(limits::FETCH_BLOCKS_MAX as u64);
        let patience = ANSWER_TICKS_MIN.saturating_add(count as u32).min(ANSWER_TICKS);
        self.catch_up.asked = Some((*peer, patience));
        let message = Message::Fetch { from: head.next(), count: count as u32 };
        out.send(*peer, message);
    }

    /// Committed blocks from a peer. True if the head moved.
    pub(crate) fn on_blocks(
        &mut self,
        from: ReplicaId,
        blocks: alloc::vec::Vec<CertifiedBlock>,
        context: &Context,
        out: &mut Outbox,
    ) -> bool {
        if self.catch_up.peer() == Some(from) {
            self.catch_up.asked = None;
        }
        let before = self.head.height;
        for CertifiedBlock { block, certificate } in blocks {
            if certificate.height > self.head.height
                && !self.decide(certificate, block, context, out)
            {
                break;
            }
        }
        let moved = self.head.height > before;
        self.catch_up.flowing |= moved;
        moved
    }

    /// Whether blocks are being fetched one batch after the other, at the pace of execution.
    pub(crate) const fn is_catching_up(&self) -> bool {
        self.catch_up.flowing
    }
}
