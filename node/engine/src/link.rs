//! The self-stabilizing token channel (thesis appendix B, algorithms 5 and 6; DESIGN 4.5).
//!
//! For each peer there is a sender and a receiver. The sender repeats its counter at every tick
//! until the peer returns it, then goes on to the next; the receiver takes a counter that differs
//! from its last for a new token, and returns whatever it gets. From any two counters, over a
//! channel that loses, repeats and reorders, at most as many false tokens are taken as the channel
//! held stale messages; from then on one exchange is one token.
//!
//! Two things differ from algorithm 5. It steps on any returned counter that is not smaller, so a
//! lying peer could push it to its end at once; here only the very counter that was sent counts, and
//! it wraps. And it sends the next token the moment the last is returned, which on a fast link is a
//! busy loop; here the next token leaves at the next tick, so that tokens measure time.

use alloc::vec;
use alloc::vec::Vec;

use daruma_types::{Message, ReplicaId};

use crate::outbox::Outbox;

/// Counters wrap here. Far more values than a link can hold stale messages.
const COUNTERS: u64 = 1 << 32;

/// One peer's two counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Link {
    /// What this side sends until it is returned.
    sending: u64,
    /// What was received last from the peer's sender.
    received: u64,
    /// Whether a token was taken since the last tick. A peer that sends more does not make time pass
    /// faster: otherwise one could have every primary suspected.
    taken: bool,
}

/// The token channels to all peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Links {
    links: Vec<Link>,
}

impl Links {
    pub(crate) fn new(replicas: usize) -> Self {
        Self { links: vec![Link::default(); replicas] }
    }

    /// For each replica the counters being sent and last received, for people.
    pub(crate) fn counters(&self) -> Vec<(u64, u64)> {
        self.links.iter().map(|link| (link.sending, link.received)).collect()
    }

    /// Repeats every sender's counter.
    pub(crate) fn tick(&mut self, own: ReplicaId, out: &mut Outbox) {
        for (index, link) in self.links.iter_mut().enumerate() {
            link.sending %= COUNTERS;
            link.received %= COUNTERS;
            link.taken = false;
            if index != own.index() {
                let counter = link.sending;
                out.send(ReplicaId(index as u16), Message::Token { counter });
            }
        }
    }

    /// Returns the counter to its sender; true if it is a new token (algorithm 6).
    pub(crate) fn on_token(&mut self, from: ReplicaId, counter: u64, out: &mut Outbox) -> bool {
        let Some(link) = self.links.get_mut(from.index()) else { return false };
        let counter = counter % COUNTERS;
        out.send(from, Message::TokenReturn { counter });
        let new = link.received != counter && !link.taken;
        link.received = counter;
        link.taken |= new;
        new
    }

    /// Steps the sender if its own counter came back (algorithm 5).
    pub(crate) fn on_return(&mut self, from: ReplicaId, counter: u64) {
        if let Some(link) = self.links.get_mut(from.index())
            && link.sending == counter
        {
            link.sending = (link.sending + 1) % COUNTERS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Destination, Effect};

    const A: ReplicaId = ReplicaId(0);
    const B: ReplicaId = ReplicaId(1);

    fn sent(out: Outbox) -> Option<u64> {
        out.into_effects().into_iter().find_map(|effect| match effect {
            Effect::Send {
                to: Destination::One(_),
                message: Message::Token { counter } | Message::TokenReturn { counter },
            } => Some(counter),
            Effect::Promise { .. }
            | Effect::Send { .. }
            | Effect::Execute(_)
            | Effect::ServeBlocks { .. }
            | Effect::Pooled(_)
            | Effect::Attested(_)
            | Effect::Observed(_) => None,
        })
    }

    /// Lets `a` and `b` exchange once over a clean channel; whether `b` took a new token.
    fn exchange(a: &mut Links, b: &mut Links) -> bool {
        let mut out = Outbox::default();
        b.tick(B, &mut out);
        let mut out = Outbox::default();
        a.tick(A, &mut out);
        let counter = sent(out).unwrap();
        let mut out = Outbox::default();
        let new = b.on_token(A, counter, &mut out);
        a.on_return(B, sent(out).unwrap());
        new
    }

    #[test]
    fn from_any_counters_every_exchange_but_the_first_is_one_token() {
        for sending in [0, 1, 7, COUNTERS - 1, u64::MAX] {
            for received in [0, 1, 7, COUNTERS - 1, u64::MAX] {
                let (mut a, mut b) = (Links::new(2), Links::new(2));
                a.links[1].sending = sending;
                b.links[0].received = received;
                exchange(&mut a, &mut b);
                assert!((0..10).all(|_| exchange(&mut a, &mut b)), "{sending} {received}");
            }
        }
    }

    #[test]
    fn a_repeated_token_counts_once_and_is_returned_each_time() {
        let mut b = Links::new(2);
        let mut out = Outbox::default();
        assert!(b.on_token(A, 5, &mut out));
        assert!(!b.on_token(A, 5, &mut out));
        assert_eq!(out.into_effects().len(), 2);
    }

    #[test]
    fn a_flood_of_tokens_counts_as_one_a_tick() {
        let mut b = Links::new(2);
        let mut out = Outbox::default();
        let taken = (1..100).filter(|counter| b.on_token(A, *counter, &mut out)).count();
        assert_eq!(taken, 1);
        b.tick(B, &mut out);
        assert!(b.on_token(A, 200, &mut out));
    }

    #[test]
    fn a_counter_that_was_not_sent_does_not_move_the_sender() {
        let mut a = Links::new(2);
        a.on_return(B, 3);
        a.on_return(B, u64::MAX);
        assert_eq!(a.links[1].sending, 0);
        a.on_return(B, 0);
        assert_eq!(a.links[1].sending, 1);
        a.on_return(B, 0);
        assert_eq!(a.links[1].sending, 1);
    }
}
