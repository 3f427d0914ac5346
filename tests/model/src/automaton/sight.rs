//! One round of the Coordination Automaton: predicates and actions of DESIGN 10, in its order.

use daruma_types::Thresholds;

/// A replica's place as it tells it: DESIGN 10's `phase`, `pair`, `change` and `witness`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// 0 or 1.
    pub phase: u8,
    /// The current view, if any.
    pub current: Option<u8>,
    /// The next view.
    pub next: u8,
    /// Whether the replica wants the next view.
    pub change: bool,
    /// Whether it was noticed by `n-f`.
    pub witness: bool,
}

impl Place {
    /// Where everyone begins.
    pub const RESET: Self = Self::at(0, None, 0);

    /// A place without flags.
    #[must_use]
    pub const fn at(phase: u8, current: Option<u8>, next: u8) -> Self {
        Self { phase, current, next, change: false, witness: false }
    }

    /// Phase 0 in `view`.
    #[must_use]
    pub const fn settled(view: u8) -> Self {
        Self::at(0, Some(view), view)
    }

    fn is_reset_pair(self) -> bool {
        self.current.is_none() && self.next == 0
    }

    /// `stale(k)`.
    #[must_use]
    pub fn is_stale(self) -> bool {
        let settled = self.current == Some(self.next);
        if self.phase == 0 { !settled && !self.is_reset_pair() } else { settled }
    }

    fn same_pair(self, other: Self) -> bool {
        self.current == other.current && self.next == other.next
    }

    fn agrees(self, other: Self) -> bool {
        self.phase == other.phase && self.same_pair(other) && self.change == other.change
    }
}

/// Which rules hold beside the paper's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The watchdog of DESIGN 10: a replica that is out of service, or wants a change as `n-2f` do,
    /// resets all after this many rounds without a step; and what is believed of one that says
    /// nothing counts no longer than this many rounds. None: the paper alone.
    pub watchdog: Option<u8>,
    /// Support beyond the text, without which halves of the replicas change places for ever: who is
    /// at the reset supports who has gone on from there; in phase 1, those who are where it goes
    /// support a replica as well; and the watchdog lets be who is at the reset or on the way from it with
    /// `n-f`. And support less than the text's: who comes from the reset to view 0 supports nobody in the
    /// last view, after which it comes too.
    pub support: bool,
    /// Ours, beyond DESIGN 10: a replica that serves a view for this many rounds, while more than `f`
    /// that it hears are neither there nor on their way there, resets all.
    pub apart: Option<u8>,
}

/// The one replica that is not correct.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Faulty {
    /// There is none.
    Nobody,
    /// It says nothing; what is believed of it is part of the start.
    Silent,
    /// It tells each other replica the same place in every round, to each its own, and echoes nothing.
    Liar,
}

/// One correct replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// Its place.
    pub place: Place,
    /// What it said a round earlier: what others echo.
    pub before: Place,
    /// What it believes of the faulty replica; none if there is none, or it counts no longer.
    pub believed: Option<Place>,
    /// Whether its last action was a reset of all: then it echoes resets.
    pub reset: bool,
    /// Whose witness it has heard since its place changed, as a mask.
    pub witnesses: u8,
    /// Rounds without a step while it wants one.
    pub waiting: u8,
    /// Rounds for which it served a view while too many were elsewhere.
    pub apart: u8,
    /// Rounds since the faulty replica was believed to speak.
    pub silence: u8,
}

impl Node {
    /// A replica at `place`, whose last message said the same.
    #[must_use]
    pub const fn at(place: Place, believed: Option<Place>) -> Self {
        Self {
            place,
            before: place,
            believed,
            reset: false,
            witnesses: 0,
            waiting: 0,
            apart: 0,
            silence: 0,
        }
    }
}

/// Bounds and rules of a run.
#[derive(Debug, Clone, Copy)]
pub struct World {
    /// `n` and `f`.
    pub thresholds: Thresholds,
    /// Views, counted round.
    pub views: u8,
    /// The rules.
    pub rules: Rules,
    /// Who is not correct.
    pub faulty: Faulty,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Remain,
    Follow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Adopt(u8),
    Start,
    Establish,
    Remain,
    Reset,
}

/// What one replica knows: first the correct ones in order, then the faulty one.
struct Sight<'a> {
    world: &'a World,
    known: Vec<Place>,
    own: Place,
}

impl Sight<'_> {
    fn after(&self, current: Option<u8>) -> u8 {
        current.map_or(0, |view| (view + 1) % self.world.views)
    }

    /// `same(j)`, as a mask.
    fn same(&self, place: Place) -> u16 {
        self.mask(|other| {
            let none = place.current.is_none() || other.current.is_none();
            let equal =
                other.same_pair(place) || (place.phase == 1 && none && other.next == place.next);
            other.phase == place.phase && equal
        })
    }

    fn mask(&self, holds: impl Fn(Place) -> bool) -> u16 {
        let sound = self.known.iter().enumerate().filter(|(_, p)| !p.is_stale());
        sound.filter(|(_, place)| holds(**place)).fold(0, |mask, (at, _)| mask | 1 << at)
    }

    /// `transit(j, p, mode)`, as a mask.
    fn transit(&self, place: Place, mode: Mode) -> u16 {
        let reset_too = self.world.rules.support && place.is_reset_pair();
        self.mask(|other| {
            let supports = match (mode, place.phase) {
                (Mode::Remain, _) => {
                    Some(other.next) == place.current || (reset_too && other.is_reset_pair())
                }
                (Mode::Follow, 0) => {
                    let rises = other.current.is_none() && other.next == 0;
                    let foreign = self.world.rules.support && rises && place.current.is_some();
                    other.next == self.after(place.current) && !foreign
                }
                (Mode::Follow, _) => other.current == Some(place.next),
            };
            other.phase != place.phase && supports
        })
    }

    fn adoptable(&self, place: Place, mode: Mode) -> bool {
        let union = self.same(place) | self.transit(place, mode);
        union.count_ones() as usize >= self.world.thresholds.joining()
    }

    fn establishable(&self) -> bool {
        let same = self.same(self.own).count_ones();
        let transit = self.transit(self.own, Mode::Follow).count_ones();
        (same + transit) as usize >= self.world.thresholds.strong()
    }

    fn changeable(&self) -> bool {
        let next = self.after(self.own.current);
        let wanting = self.mask(|place| place.change || place.next == next);
        wanting.count_ones() as usize >= self.world.thresholds.strong()
    }

    fn adopted(&self) -> Option<u8> {
        let own = self.own;
        let from_reset = own.phase == 0 && own.is_reset_pair();
        let others = self.known.iter().filter(|place| !place.is_stale());
        others
            .filter(|p| p.phase != own.phase || !p.same_pair(own))
            .filter(|p| Some(p.next) != own.current && (from_reset || p.next != own.next))
            .find(|place| self.adoptable(**place, Mode::Follow))
            .map(|place| place.next)
    }

    fn action(&self) -> Action {
        let own = self.own;
        let is_reset = own.phase == 0 && own.is_reset_pair();
        if let Some(next) = self.adopted() {
            return Action::Adopt(next);
        }
        if own.phase == 0 && self.establishable() && (is_reset || self.changeable()) {
            return Action::Start;
        }
        if own.phase == 1 && self.establishable() {
            return Action::Establish;
        }
        let followed =
            self.world.rules.support && own.phase == 1 && self.adoptable(own, Mode::Follow);
        if is_reset || followed || self.adoptable(own, Mode::Remain) {
            Action::Remain
        } else {
            Action::Reset
        }
    }

    fn serves(&self) -> bool {
        self.own.phase == 0
            && self.own.current == Some(self.own.next)
            && self.same(self.own).count_ones() as usize >= self.world.thresholds.joining()
    }

    /// Whether more than `f` are neither where this replica is nor on their way there.
    fn is_apart(&self) -> bool {
        let there = self.same(self.own) | self.transit(self.own, Mode::Remain);
        let elsewhere = self.mask(|_| true) & !there;
        elsewhere.count_ones() as usize > self.world.thresholds.faulty_max()
    }

    /// Whether the replica waits for a step that the watchdog must see.
    fn wants_a_step(&self) -> bool {
        let wanting = self.mask(|p| p.change && p.phase == 0 && p.same_pair(self.own));
        let joined = wanting.count_ones() as usize >= self.world.thresholds.joining();
        let waits = !self.serves() || (self.own.change && joined);
        let on_the_way = |p: Place| p.is_reset_pair();
        let rising = on_the_way(self.own)
            && self.mask(on_the_way).count_ones() as usize >= self.world.thresholds.strong();
        waits && !(self.world.rules.support && rising)
    }
}

impl World {
    /// All correct replicas after one round.
    #[must_use]
    pub fn round(&self, nodes: &[Node]) -> Vec<Node> {
        (0..nodes.len()).map(|index| self.iterate(nodes, index)).collect()
    }

    /// Whether all are in one view, in phase 0.
    #[must_use]
    pub fn is_healthy(nodes: &[Node]) -> bool {
        let first = nodes.first().map(|node| (node.place.current, node.place.next));
        nodes.iter().all(|node| {
            let place = node.place;
            let settled = place.phase == 0 && place.current == Some(place.next);
            settled && Some((place.current, place.next)) == first
        })
    }

    fn iterate(&self, nodes: &[Node], index: usize) -> Node {
        let mut node = nodes[index];
        let strong = self.thresholds.strong();
        let echo = |other: &Node| if other.reset { Place::RESET } else { nodes[index].before };
        let echoing = |right: &dyn Fn(Place) -> bool| {
            let mask = |(at, other): (usize, &Node)| {
                if at == index || right(echo(other)) { 1_u8 << at } else { 0 }
            };
            nodes.iter().enumerate().map(mask).fold(0_u8, |all, bit| all | bit)
        };
        if self.rules.watchdog.is_some_and(|rounds| node.silence >= rounds) {
            node.believed = None;
        }
        let own = node.place;
        node.place.witness = echoing(&|e| e.agrees(own)).count_ones() as usize >= strong;
        let witnessed = nodes.iter().enumerate().filter(|(_, other)| other.place.witness);
        node.witnesses |= witnessed.fold(0, |mask, (at, _)| mask | 1 << at);
        let own = node.place;
        let both = echoing(&|e| e == own) & (node.witnesses | 1 << index);
        let acts = own.witness && both.count_ones() as usize >= strong;

        let mut known: Vec<Place> = nodes.iter().map(|other| other.place).collect();
        known[index] = own;
        known.extend(node.believed);
        let sight = Sight { world: self, known, own };
        let mut action = if acts { sight.action() } else { Action::Remain };
        node.waiting = if sight.wants_a_step() { node.waiting.saturating_add(1) } else { 0 };
        let apart = sight.serves() && sight.is_apart();
        node.apart = if apart { node.apart.saturating_add(1) } else { 0 };
        let is_still = action == Action::Remain;
        let overdue = self.rules.watchdog.is_some_and(|rounds| node.waiting >= rounds)
            || self.rules.apart.is_some_and(|rounds| node.apart >= rounds);
        let barks = overdue && is_still;
        if barks {
            action = Action::Reset;
        }
        self.perform(&sight, node, action, nodes[index].place, acts && !barks)
    }

    fn perform(
        &self,
        sight: &Sight<'_>,
        mut node: Node,
        action: Action,
        said: Place,
        acts: bool,
    ) -> Node {
        node.before = said;
        node.reset = action == Action::Reset;
        let phase = node.place.phase;
        match action {
            Action::Adopt(next) => (node.place.phase, node.place.next) = (1, next),
            Action::Start => {
                (node.place.phase, node.place.next) = (1, sight.after(node.place.current));
            }
            Action::Establish => {
                (node.place.phase, node.place.current) = (0, Some(node.place.next));
            }
            Action::Remain => {}
            Action::Reset => {
                node.place = Place::RESET;
                // A liar is heard again before the next iteration.
                if self.faulty != Faulty::Liar {
                    node.believed = node.believed.map(|_| Place::RESET);
                }
            }
        }
        if acts && phase == 1 {
            node.place.change = false;
        }
        if action != Action::Remain {
            node.place.witness = false;
            node.witnesses = 0;
            (node.waiting, node.apart) = (0, 0);
        }
        let end = self.rules.watchdog.unwrap_or(0);
        node.waiting = node.waiting.min(end);
        node.apart = node.apart.min(self.rules.apart.unwrap_or(0));
        if self.faulty == Faulty::Liar {
            return node;
        }
        node.silence = if node.believed.is_some() { (node.silence + 1).min(end) } else { end };
        node
    }
}
