//! The predicates of the Coordination Automaton, on what one replica knows (DESIGN 10; names after
//! the thesis's algorithm 1).

use daruma_types::{Place, ReplicaId, SignerSet, Thresholds, ViewPair};

use super::AutomatonState;

/// How one replica's place may support another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It is on its way to where the other is.
    Remain,
    /// It has gone where the other goes, or is going there with it.
    Follow,
}

/// What a replica sees: its knowledge, and whose part of it counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight<'a> {
    pub(super) state: &'a AutomatonState,
    pub(super) thresholds: Thresholds,
    pub(super) own: ReplicaId,
    /// Who was heard lately, this replica among them. What is known of others does not count: it may
    /// be what a silent replica once was, or never was (Lemma 9 of the thesis).
    pub(super) heard: SignerSet,
}

impl Sight<'_> {
    pub(super) fn place(&self, replica: ReplicaId) -> Place {
        self.state.place(replica)
    }

    pub(super) fn own_place(&self) -> Place {
        self.place(self.own)
    }

    /// Those whose places count and are not stale (B04).
    fn sound(&self) -> impl Iterator<Item = (ReplicaId, Place)> + '_ {
        let replicas = self.thresholds.replicas();
        let counted = |replica: &ReplicaId| *replica == self.own || self.heard.contains(*replica);
        self.thresholds
            .ids()
            .filter(counted)
            .map(|replica| (replica, self.place(replica)))
            .filter(move |(_, place)| !place.is_stale(replicas))
    }

    /// Those with the phase and pair of `place` (B06). In phase 1, a current view of none is as good
    /// as any when the next views are equal.
    pub(super) fn same(&self, place: Place) -> SignerSet {
        let equal = |pair: ViewPair| {
            let either_none = pair.current.is_none() || place.pair.current.is_none();
            let on_one_way = place.phase == 1 && either_none && pair.next == place.pair.next;
            pair == place.pair || on_one_way
        };
        let same = self.sound().filter(|(_, p)| p.phase == place.phase && equal(p.pair));
        same.map(|(replica, _)| replica).collect()
    }

    /// Whether a pair of the other phase supports `place` (B08).
    ///
    /// Two cases are ours. Who is at the reset, in phase 0, supports who has gone on from it. Without it
    /// two halves, one in each phase, change places for ever: those in phase 1 see no
    /// support and reset, just when those at the reset have followed them.
    ///
    /// And who comes from the reset to view 0 does not support a place in the last view, after which view 0
    /// comes as well: it never was there. Otherwise a single liar that tells some the last view has them go
    /// there, alone, whenever the others rise from the reset.
    fn supports(&self, pair: ViewPair, place: Place, mode: Mode) -> bool {
        match (mode, place.phase) {
            (Mode::Remain, _) => {
                let both_reset = pair == ViewPair::RESET && place.pair == ViewPair::RESET;
                both_reset || Some(pair.next) == place.pair.current
            }
            (Mode::Follow, 0) => {
                let risen = pair == ViewPair::RESET && place.pair != ViewPair::RESET;
                pair.next == self.after(place.pair.current) && !risen
            }
            (Mode::Follow, _) => pair.current == Some(place.pair.next),
        }
    }

    /// Those in the other phase than `place` that support it (B07).
    pub(super) fn transit(&self, place: Place, mode: Mode) -> SignerSet {
        let other = self.sound().filter(|(_, p)| p.phase != place.phase);
        let transit = other.filter(|(_, p)| self.supports(p.pair, place, mode));
        transit.map(|(replica, _)| replica).collect()
    }

    /// The view after `current`; the default view 0 after none (B11).
    pub(super) fn after(&self, current: Option<u16>) -> u16 {
        current.map_or(0, |view| self.thresholds.view_after(view))
    }

    /// Whether `n-2f` are at `place` or support it (B09).
    pub(super) fn adoptable(&self, place: Place, mode: Mode) -> bool {
        let union = SignerSet(self.same(place).0 | self.transit(place, mode).0);
        union.len() >= self.thresholds.joining()
    }

    /// Whether `n-f` are where this replica is or go along (B10).
    ///
    /// Ours: in phase 1, all that go to the same next view go along, wherever they come from. Without
    /// it, two that join a view from two others wait for one another until the watchdog ends it.
    pub(super) fn establishable(&self) -> bool {
        let own = self.own_place();
        let along = |place: &Place| place.phase == 1 && place.pair.next == own.pair.next;
        let going = self.sound().filter(|(_, place)| own.phase == 1 && along(place));
        let going: SignerSet = going.map(|(replica, _)| replica).collect();
        let same = SignerSet(self.same(own).0 | going.0);
        let transit = self.transit(own, Mode::Follow);
        same.len().saturating_add(transit.len()) >= self.thresholds.strong()
    }

    /// Whether `n-f` want the view after this replica's, or are on their way to it (B12). Each counts
    /// once, also one that still shows its wish while it is on its way.
    pub(super) fn changeable(&self) -> bool {
        let next = self.after(self.own_place().pair.current);
        let wants = |place: &Place| place.change || place.pair.next == next;
        let wanting = self.sound().filter(|(_, place)| wants(place));
        wanting.count() >= self.thresholds.strong()
    }

    /// The first replica whose next view this one should take (B13 and B14, case 0).
    pub(super) fn adopted(&self) -> Option<ViewPair> {
        let own = self.own_place();
        let from_reset = own.phase == 0 && own.pair == ViewPair::RESET;
        let foreign = |place: &Place| {
            let next = place.pair.next;
            (place.phase, place.pair) != (own.phase, own.pair)
                && Some(next) != own.pair.current
                && (from_reset || next != own.pair.next)
        };
        let others = self.sound().filter(|(replica, _)| *replica != self.own);
        others
            .filter(|(_, place)| foreign(place))
            .find(|(_, place)| self.adoptable(*place, Mode::Follow))
            .map(|(_, place)| place.pair)
    }

    /// Whether `n-f`, this replica among them, are at the reset or on their way from it to view 0: then
    /// each of them goes on by itself. One that goes to view 0 from another view does not.
    pub(super) fn rising(&self) -> bool {
        let rising = self.sound().filter(|(_, place)| place.pair == ViewPair::RESET);
        self.own_place().pair == ViewPair::RESET && rising.count() >= self.thresholds.strong()
    }

    /// Whether more than `f` that were heard are neither where this replica is nor on their way there.
    pub(super) fn is_apart(&self) -> bool {
        let own = self.own_place();
        let there = SignerSet(self.same(own).0 | self.transit(own, Mode::Remain).0);
        let elsewhere = self.sound().filter(|(replica, _)| !there.contains(*replica));
        elsewhere.count() > self.thresholds.faulty_max()
    }

    /// Whether `n-f` echo this replica's phase, pair and change (B18).
    pub(super) fn noticed(&self) -> bool {
        self.echoing(|own, echo| own.agrees(echo)).len() >= self.thresholds.strong()
    }

    /// Whether this replica is witnessed, and `n-f` that are witnessed as well know it (B19).
    pub(super) fn witness_seen(&self) -> bool {
        let knowing = self.echoing(|own, echo| own == echo);
        let mut witnessed = self.state.witness_set;
        witnessed.insert(self.own);
        let both = SignerSet(knowing.0 & witnessed.0);
        self.own_place().witness && both.len() >= self.thresholds.strong()
    }

    /// Those whose echo of this replica's place counts as `right`, this replica among them.
    fn echoing(&self, right: impl Fn(Place, Place) -> bool) -> SignerSet {
        let own = self.own_place();
        let echoes = |replica: &ReplicaId| {
            let heard = self.heard.contains(*replica);
            heard && self.state.echo_of(*replica).is_some_and(|echo| right(own, echo))
        };
        self.thresholds.ids().filter(|id| *id == self.own || echoes(id)).collect()
    }

    /// The view to serve in: phase 0, going nowhere, with `n-2f` there (B21).
    pub(super) fn serving(&self) -> Option<u16> {
        let own = self.own_place();
        let settled = own.phase == 0 && own.pair.current == Some(own.pair.next);
        let served = settled && self.same(own).len() >= self.thresholds.joining();
        own.pair.current.filter(|_| served)
    }

    /// Those in this replica's view that want another (B73): none while it is in none.
    pub(super) fn wanting(&self) -> SignerSet {
        let own = self.own_place();
        let wants = |place: &Place| place.change && place.pair == own.pair && place.phase == 0;
        let wanting = self.sound().filter(|(_, place)| wants(place));
        wanting.filter(|_| self.serving().is_some()).map(|(replica, _)| replica).collect()
    }
}
