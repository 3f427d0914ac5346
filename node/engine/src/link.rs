//! The self-stabilizing token channel (thesis appendix B, algorithms 5 and 6; DESIGN 4.5).
//!
//! For each peer there is a sender and a receiver. The sender repeats its counter at every tick
//! until the peer returns it, then goes on to the next; the receiver takes a counter ahead of its last
//! for a new token, and returns whatever it gets. A counter *behind* its last is a late copy, unless
//! more of them come in a row than a channel can hold copies: then the receiver's own counter was
//! wrong, or the sender began anew, and it follows. So from any two counters, over a channel that loses, repeats and reorders,
//! false tokens are no more than the stale messages that the channel held at the start, and from
//! then on one step of the sender is one token, in order.
//!
//! Three things differ from algorithms 5 and 6. The receiver of algorithm 6 takes any counter that
//! differs from its last, so that each late copy is two false tokens. Algorithm 5 steps on any returned counter that is not smaller, so a
//! lying peer could push it to its end at once; here only the very counter that was sent counts, and
//! it wraps. And it sends the next token the moment the last is returned, which on a fast link is a
//! busy loop; here the next token leaves at the next tick, so that tokens measure time.

#[cfg(feature = "laboratory")]
#[path = "laboratory/link.rs"]
mod laboratory;

use alloc::vec;
use alloc::vec::Vec;

use daruma_types::{Message, ReplicaId};

use crate::outbox::Outbox;

/// Counters wrap here. Far more values than a link can hold stale messages.
const COUNTERS: u64 = 1 << 32;

/// Late copies that a channel may hold: a sender makes one a tick, and a message that is older than this
/// many ticks is as good as lost.
const COPIES_MAX: u32 = 8;

/// One peer's two counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Link {
    /// What this side sends until it is returned.
    sending: u64,
    /// What was received last from the peer's sender.
    received: u64,
    /// How many counters behind that one came in a row.
    behind: u32,
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

    /// One channel for each replica; true if there were more or fewer.
    pub(crate) fn repair(&mut self, replicas: usize) -> bool {
        let illegal = self.links.len() != replicas;
        if illegal {
            *self = Self::new(replicas);
        }
        illegal
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
        let ahead = (counter + COUNTERS - link.received % COUNTERS) % COUNTERS;
        let late = ahead >= COUNTERS / 2;
        link.behind = if late { link.behind.saturating_add(1) } else { 0 };
        let follow = (ahead != 0 && !late) || link.behind > COPIES_MAX;
        if follow {
            link.behind = 0;
            link.received = counter;
        }
        let new = follow && !link.taken;
        link.taken |= new;
        new
    }

    /// Steps the sender if its own counter came back (algorithm 5); true then: a token was exchanged.
    pub(crate) fn on_return(&mut self, from: ReplicaId, counter: u64) -> bool {
        match self.links.get_mut(from.index()) {
            Some(link) if link.sending == counter => {
                link.sending = (link.sending % COUNTERS + 1) % COUNTERS;
                true
            }
            Some(_) | None => false,
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
            | Effect::LookUpNonces(_)
            | Effect::Adopt { .. }
            | Effect::Mend(_)
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

    /// C-L02: the largest counter is followed by the smallest, which is one new token.
    #[test]
    fn c_l02_a_counter_at_its_end_wraps_and_the_exchange_goes_on() {
        let (mut a, mut b) = (Links::new(2), Links::new(2));
        a.links[1].sending = COUNTERS - 2;
        b.links[0].received = COUNTERS - 3;
        let sent: Vec<u64> = (0..5)
            .map(|_| {
                let counter = a.links[1].sending;
                assert!(exchange(&mut a, &mut b), "{counter}");
                counter
            })
            .collect();
        assert_eq!(sent, [COUNTERS - 2, COUNTERS - 1, 0, 1, 2]);
        assert_eq!(b.links[0].received, 2);
    }

    /// Counters out of their domain too.
    #[test]
    fn from_any_counters_every_exchange_but_the_first_few_is_one_token() {
        for sending in [0, 1, 7, COUNTERS - 1, u64::MAX] {
            for received in [0, 1, 7, COUNTERS / 2, COUNTERS - 1, u64::MAX] {
                let (mut a, mut b) = (Links::new(2), Links::new(2));
                a.links[1].sending = sending;
                b.links[0] = Link { received, behind: u32::MAX, ..Link::default() };
                for _ in 0..=COPIES_MAX {
                    exchange(&mut a, &mut b);
                }
                assert!((0..10).all(|_| exchange(&mut a, &mut b)), "{sending} {received}");
            }
        }
    }

    /// A channel that loses, repeats and reorders what it holds, up to its capacity; a small
    /// generator in place of chance.
    struct Channel {
        held: Vec<u64>,
        state: u64,
    }

    impl Channel {
        fn draw(&mut self, below: u64) -> u64 {
            self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.state >> 33) % below
        }

        fn put(&mut self, counter: u64) {
            let copies = self.draw(3);
            (0..copies).for_each(|_| self.held.push(counter));
            self.held.truncate(COPIES_MAX as usize);
        }

        fn take(&mut self) -> Option<u64> {
            if self.held.is_empty() || self.draw(4) == 0 {
                return None;
            }
            let index = self.draw(self.held.len() as u64) as usize;
            Some(self.held.swap_remove(index))
        }
    }

    /// A channel in which a message is overtaken by no more than it can hold: its counters, and by how
    /// many each was overtaken.
    struct Disorderly {
        held: Vec<(u64, u32)>,
        chance: Channel,
        loss: u64,
        duplication: u64,
    }

    impl Disorderly {
        /// Chances are per cent. What finds the channel full is lost.
        fn put(&mut self, counter: u64) {
            if self.chance.draw(100) >= self.loss {
                let copies = 1 + usize::from(self.chance.draw(100) < self.duplication);
                (0..copies).for_each(|_| self.held.push((counter, 0)));
                self.held.truncate(COPIES_MAX as usize);
            }
        }

        fn take(&mut self) -> Option<u64> {
            let any = self.chance.draw(self.held.len().max(1) as u64) as usize;
            let due = self.held.iter().position(|(_, overtaken)| *overtaken >= COPIES_MAX);
            let index = due.unwrap_or(any);
            self.held.iter_mut().take(index).for_each(|(_, overtaken)| *overtaken += 1);
            (index < self.held.len()).then(|| self.held.remove(index).0)
        }
    }

    /// C-L01: any counters, a channel full of stale tokens, and losses, copies and disorder of every degree.
    /// After `3(c+1)` tokens that arrived, each step of the sender is taken as one token, in order.
    #[test]
    fn c_l01_from_any_counters_and_a_full_channel_each_step_is_one_token_in_order() {
        let settled = 3 * (COPIES_MAX as usize + 1);
        for seed in 0..600 {
            let mut chance = Channel { held: Vec::new(), state: seed };
            let (loss, duplication) = (chance.draw(51), chance.draw(51));
            let held = (0..chance.draw(9)).map(|_| (chance.draw(COUNTERS), 0)).collect();
            let (mut a, mut b) = (Links::new(2), Links::new(2));
            a.links[1].sending = chance.draw(COUNTERS);
            b.links[0].received = chance.draw(COUNTERS);
            b.links[0].behind = chance.draw(1 << 31) as u32;
            let mut there = Disorderly { held, chance, loss, duplication };
            let (mut arrived, mut taken, mut from) = (0, Vec::new(), None);
            for _ in 0..1_000 {
                b.tick(B, &mut Outbox::default());
                let mut out = Outbox::default();
                a.tick(A, &mut out);
                there.put(sent(out).unwrap());
                let Some(counter) = there.take() else { continue };
                arrived += 1;
                if arrived > settled {
                    from = from.or(Some(a.links[1].sending));
                }
                let mut out = Outbox::default();
                if b.on_token(A, counter, &mut out) && from.is_some() {
                    taken.push(counter);
                }
                if there.chance.draw(100) >= loss {
                    a.on_return(B, sent(out).unwrap());
                }
            }
            // One step may have been under way when the counting began, and one is at its end.
            let steps = (a.links[1].sending + COUNTERS - from.unwrap()) % COUNTERS;
            assert!(steps > 20, "seed {seed}: {steps} steps with {loss} % lost");
            assert!((taken.len() as u64).abs_diff(steps) <= 1, "seed {seed}: {taken:?}");
            let next = |pair: &[u64]| (pair[0] + 1) % COUNTERS == pair[1];
            assert!(taken.windows(2).all(next), "seed {seed}: in order, none twice: {taken:?}");
        }
    }

    /// C-L03: that changed bytes are noticed is the transport's part; to the link they are a loss, and the
    /// token goes out again at the next tick.
    #[test]
    fn c_l03_a_token_or_a_return_that_is_lost_comes_again_at_the_next_tick_and_counts_once() {
        for lost_return in [false, true] {
            let (mut a, mut b) = (Links::new(2), Links::new(2));
            exchange(&mut a, &mut b);
            let before = a.links[1].sending;
            let mut out = Outbox::default();
            a.tick(A, &mut out);
            let counter = sent(out).unwrap();
            b.tick(B, &mut Outbox::default());
            let taken = lost_return && b.on_token(A, counter, &mut Outbox::default());
            assert_eq!((taken, a.links[1].sending), (lost_return, before));
            let again = exchange(&mut a, &mut b);
            assert_eq!(again, !lost_return, "once in all");
            assert_eq!(a.links[1].sending, before + 1);
            assert!(exchange(&mut a, &mut b));
        }
    }

    /// C-L04: whatever the sender's counter is, the token under way counts twice at most, and the sender goes
    /// on at once. A counter past the middle of its range looks like a late copy to a receiver that begins
    /// anew, so that it takes tokens again after as many ticks as there may be late copies.
    #[test]
    fn c_l04_a_receiver_that_begins_anew_repeats_at_most_the_token_under_way() {
        for sending in [1, 2, 1_000, COUNTERS / 2, COUNTERS / 2 + 9, COUNTERS - 1] {
            for returned in [false, true] {
                let (mut a, mut b) = (Links::new(2), Links::new(2));
                a.links[1].sending = sending;
                b.links[0].received = (sending + COUNTERS - 1) % COUNTERS;
                b.tick(B, &mut Outbox::default());
                let mut out = Outbox::default();
                let mut taken = vec![(sending, b.on_token(A, sending, &mut out))];
                if returned {
                    a.on_return(B, sending);
                }
                b = Links::new(2);
                for tick in 1..=2 * u64::from(COPIES_MAX) {
                    let counter = a.links[1].sending;
                    taken.push((counter, exchange(&mut a, &mut b)));
                    let steps = (a.links[1].sending + COUNTERS - sending) % COUNTERS;
                    assert_eq!(steps, tick + u64::from(returned), "{sending}: it goes on");
                }
                let twice = taken.iter().filter(|(counter, new)| *new && *counter == sending);
                assert!(twice.count() <= 2);
                let of = |wanted: u64| taken.iter().filter(|(c, new)| *new && *c == wanted).count();
                assert!((1..8).all(|step| of((sending + step) % COUNTERS) <= 1));
                let again = taken.iter().skip(1).position(|(_, new)| *new).unwrap();
                let late = (COUNTERS / 2..COUNTERS - 1).contains(&sending);
                let bound = if late { COPIES_MAX as usize } else { 2 };
                assert!(again <= bound, "{sending}: taken again after {again} ticks");
                assert!(taken[2 + again..].iter().all(|(_, new)| *new), "{sending}: {taken:?}");
            }
        }
    }

    /// Any counters, channels full of garbage, a receiver that begins anew.
    #[test]
    fn over_a_bad_channel_false_tokens_are_bounded_and_then_each_step_of_the_sender_is_one_token() {
        for seed in 0..500 {
            let mut there = Channel { held: Vec::new(), state: seed };
            let mut back = Channel { held: Vec::new(), state: seed ^ 0xff };
            let (mut a, mut b) = (Links::new(2), Links::new(2));
            a.links[1].sending = there.draw(COUNTERS);
            b.links[0].received = there.draw(COUNTERS);
            for _ in 0..COPIES_MAX {
                let (one, other) = (there.draw(COUNTERS), back.draw(COUNTERS));
                there.held.push(one);
                back.held.push(other);
            }
            let (mut tokens, mut steps) = (0_i64, 0_i64);
            for tick in 0..2_000 {
                if tick == 200 {
                    // By now what was there at the start is gone: from here on they must agree.
                    (tokens, steps) = (0, 0);
                }
                if tick == 1_000 {
                    // The receiver begins anew; the sender's counter is ahead or behind.
                    b = Links::new(2);
                }
                if tick == 1_100 {
                    assert!((tokens - steps).abs() <= 3 + i64::from(COPIES_MAX), "seed {seed}");
                    (tokens, steps) = (0, 0);
                }
                let mut out = Outbox::default();
                b.tick(B, &mut out);
                let mut out = Outbox::default();
                a.tick(A, &mut out);
                there.put(sent(out).unwrap());
                if let Some(counter) = there.take() {
                    let mut out = Outbox::default();
                    tokens += i64::from(b.on_token(A, counter, &mut out));
                    back.put(sent(out).unwrap());
                }
                if let Some(counter) = back.take() {
                    let before = a.links[1].sending;
                    a.on_return(B, counter);
                    steps += i64::from(a.links[1].sending != before);
                }
                if tick == 999 {
                    assert!((tokens - steps).abs() <= 1, "seed {seed}: {tokens} and {steps}");
                    assert!(steps > 50, "seed {seed}: the circulation goes on");
                }
            }
            assert!((tokens - steps).abs() <= 1 && steps > 50, "seed {seed}: {tokens} and {steps}");
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
    fn a_counter_beyond_its_domain_is_stepped_back_into_it() {
        let mut a = Links::new(2);
        a.links[1].sending = u64::MAX;
        a.on_return(B, u64::MAX);
        assert!(a.links[1].sending < COUNTERS);
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
