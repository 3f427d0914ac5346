//! The event-driven failure detector (thesis 2.6.4; DESIGN 4.4).
//!
//! It counts exchanges of the links' tokens ([`crate::link`]): a round ends when `n-2f` others have
//! returned this replica's token [`EXCHANGES`] times since it began. If no correct replica is slower
//! than the fast ones by more than that, every correct one was heard from in the round. A token is
//! exchanged at most once a tick and by its receiver only, so that a lying peer cannot hurry a round.
//!
//! A round is also this module's clock: it is as long as the links are slow, where a number of ticks
//! would be too short on slow links and too long on fast ones.

use alloc::vec;
use alloc::vec::Vec;

use daruma_types::{ReplicaId, SignerSet, Thresholds};

/// Exchanges with each of `n-2f` others in a round: the thesis's ratio `k` between the fastest and the
/// slowest circulation of tokens among correct replicas. The thesis has 5, for tokens that circulate as
/// fast as they can; ours leave at ticks, which evens out all differences below a tick. With 4 a round
/// takes as long as a place takes to be witnessed, so that the detector costs next to no time.
pub(crate) const EXCHANGES: u32 = 4;

/// Round numbers wrap here. Nothing compares them but people.
const ROUNDS: u64 = 1 << 32;

/// The variables of the detector. A transient fault may set any of them to anything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DetectorState {
    /// Number of the round.
    pub round: u64,
    /// For each replica, exchanges of this round.
    pub exchanges: Vec<u32>,
    /// With whom a token was exchanged since the last tick.
    pub counted: SignerSet,
    /// Whose places were heard in this round.
    pub heard: SignerSet,
    /// Whose places were heard before it: in the last whole round, and since then.
    pub heard_before: SignerSet,
    /// Who had all exchanges when the last round ended.
    pub last_correct: SignerSet,
    /// Whole rounds since this replica's place last changed.
    pub since_step: u32,
    /// Whole rounds through which this replica was out of service and took no step.
    pub wanting: u32,
    /// Whole rounds through which it served a view and more than `f` that it heard were elsewhere.
    pub apart: u32,
}

impl DetectorState {
    /// Everyone counts as heard until the first round is over.
    pub(crate) fn new(thresholds: Thresholds) -> Self {
        Self {
            round: 0,
            exchanges: vec![0; thresholds.replicas()],
            counted: SignerSet::EMPTY,
            heard: SignerSet::EMPTY,
            heard_before: thresholds.ids().collect(),
            last_correct: SignerSet::EMPTY,
            since_step: 0,
            wanting: 0,
            apart: 0,
        }
    }

    /// `from` returned this replica's token.
    pub(crate) fn exchanged(&mut self, from: ReplicaId) {
        if self.counted.insert(from)
            && let Some(exchanges) = self.exchanges.get_mut(from.index())
        {
            *exchanges = exchanges.saturating_add(1);
        }
    }

    /// The place of `from` was heard.
    pub(crate) fn hear(&mut self, from: ReplicaId) {
        self.heard.insert(from);
    }

    /// Who was heard in this round or the one before.
    pub(crate) const fn lately(&self) -> SignerSet {
        SignerSet(self.heard.0 | self.heard_before.0)
    }

    /// Forgets whom it heard.
    pub(crate) const fn forget(&mut self) {
        self.heard = SignerSet::EMPTY;
        self.heard_before = SignerSet::EMPTY;
    }

    /// This replica's place changed: begins a round now. Those heard in the last one still count as heard before.
    pub(crate) fn restart(&mut self) {
        self.heard_before = self.lately();
        (self.since_step, self.wanting, self.apart) = (0, 0, 0);
        self.begin();
    }

    fn begin(&mut self) {
        self.heard = SignerSet::EMPTY;
        self.exchanges.fill(0);
        self.round = (self.round % ROUNDS).wrapping_add(1) % ROUNDS;
    }

    /// Once a tick: whether a round ended (B81).
    pub(crate) fn tick(&mut self, thresholds: Thresholds) -> bool {
        self.counted = SignerSet::EMPTY;
        let full = self.exchanges.iter().enumerate().filter(|(_, count)| **count >= EXCHANGES);
        let answered: SignerSet = full.map(|(index, _)| ReplicaId(index as u16)).collect();
        if answered.len() < thresholds.answering() {
            return false;
        }
        self.last_correct = answered;
        self.since_step = self.since_step.saturating_add(1);
        self.wanting = self.wanting.saturating_add(1);
        self.apart = self.apart.saturating_add(1);
        self.heard_before = self.heard;
        self.begin();
        true
    }

    /// Brings every variable into its domain; true if one was out of it.
    pub(crate) fn repair(&mut self, thresholds: Thresholds) -> bool {
        let all: SignerSet = thresholds.ids().collect();
        let sets = [self.counted, self.heard, self.heard_before, self.last_correct];
        let illegal = self.exchanges.len() != thresholds.replicas()
            || self.round >= ROUNDS
            || sets.iter().any(|set| set.0 & !all.0 != 0)
            // A round ends at the tick after its last exchange.
            || self.exchanges.iter().filter(|count| **count > EXCHANGES).count()
                >= thresholds.answering().max(1);
        if illegal {
            *self = Self::new(thresholds);
        }
        illegal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Links;
    use crate::outbox::Outbox;
    use crate::{Destination, Effect};
    use daruma_types::Message;

    const OWN: ReplicaId = ReplicaId(0);
    const PEER: ReplicaId = ReplicaId(1);

    fn six() -> Thresholds {
        Thresholds::new(6, 1).unwrap()
    }

    fn sent_to(peer: ReplicaId, out: Outbox) -> Vec<Message> {
        let mut sent = Vec::new();
        for effect in out.into_effects() {
            if let Effect::Send { to: Destination::One(to), message } = effect
                && to == peer
            {
                sent.push(message);
            }
        }
        sent
    }

    /// What a link's return does to the detector.
    fn returned(links: &mut Links, detector: &mut DetectorState, counter: u64) {
        if links.on_return(PEER, counter) {
            detector.exchanged(PEER);
        }
    }

    #[test]
    fn b80_the_own_token_returned_counts_and_goes_out_again_at_the_next_tick() {
        let (mut links, mut detector) = (Links::new(6), DetectorState::new(six()));
        returned(&mut links, &mut detector, 0);
        assert_eq!(detector.exchanges[1], 1);
        let mut out = Outbox::default();
        links.tick(OWN, &mut out);
        assert_eq!(sent_to(PEER, out), [Message::Token { counter: 1 }]);
    }

    #[test]
    fn b80_an_old_token_returned_counts_nothing_and_is_not_sent_back() {
        let (mut links, mut detector) = (Links::new(6), DetectorState::new(six()));
        returned(&mut links, &mut detector, 7);
        assert_eq!(detector.exchanges, [0; 6]);
        let mut out = Outbox::default();
        links.tick(OWN, &mut out);
        assert_eq!(sent_to(PEER, out), [Message::Token { counter: 0 }]);
    }

    #[test]
    fn b80_a_foreign_token_counts_nothing_and_is_sent_back() {
        let (mut links, detector) = (Links::new(6), DetectorState::new(six()));
        let mut out = Outbox::default();
        links.on_token(PEER, 3, &mut out);
        assert_eq!(sent_to(PEER, out), [Message::TokenReturn { counter: 3 }]);
        assert_eq!(detector.exchanges, [0; 6]);
    }

    #[test]
    fn a_peer_that_guesses_counters_hurries_nothing() {
        let (mut links, mut detector) = (Links::new(6), DetectorState::new(six()));
        for counter in 0..100 {
            returned(&mut links, &mut detector, counter);
        }
        assert_eq!(detector.exchanges[1], 1);
    }

    #[test]
    fn b81_a_round_ends_with_n_minus_2f_that_returned_the_token_k_times_and_no_sooner() {
        let mut detector = DetectorState::new(six());
        detector.exchanges = vec![0, EXCHANGES, EXCHANGES + 1, EXCHANGES - 1, EXCHANGES, 0];
        let round = detector.round;
        assert!(!detector.tick(six()));
        assert_eq!(detector.round, round);
        detector.exchanged(ReplicaId(3));
        assert!(detector.tick(six()));
        assert_eq!(detector.last_correct, (1..=4).map(ReplicaId).collect());
        assert_eq!((detector.round, detector.exchanges), (round + 1, vec![0; 6]));
    }

    #[test]
    fn who_was_not_heard_in_this_round_nor_the_last_no_longer_counts_as_heard() {
        let mut detector = DetectorState::new(six());
        detector.hear(ReplicaId(5));
        for round in 0..2 {
            assert!(detector.lately().contains(ReplicaId(5)), "round {round}");
            (0..5).for_each(|id| detector.hear(ReplicaId(id)));
            detector.exchanges = vec![EXCHANGES; 6];
            assert!(detector.tick(six()));
        }
        assert_eq!(detector.lately(), (0..5).map(ReplicaId).collect());
    }

    #[test]
    fn whatever_its_variables_hold_one_repair_makes_them_legal() {
        let mut detector = DetectorState {
            round: u64::MAX,
            exchanges: vec![u32::MAX; 9],
            counted: SignerSet(u64::MAX),
            heard: SignerSet(u64::MAX),
            heard_before: SignerSet(u64::MAX),
            last_correct: SignerSet(u64::MAX),
            since_step: u32::MAX,
            wanting: u32::MAX,
            apart: u32::MAX,
        };
        assert!(detector.repair(six()));
        assert!(!detector.repair(six()));
    }
}
