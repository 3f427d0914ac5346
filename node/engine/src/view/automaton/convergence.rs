//! Convergence of the automaton by itself, from every kind of start, on two schedules.

use std::vec::Vec;

use daruma_types::{Coordination, Place, ReplicaId, SignerSet, Thresholds, ViewPair};

use super::coordinator::Coordinator;

/// A small generator, so that each start is that of its number.
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % end
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn place(&mut self, views: u64) -> Place {
        let current = (self.below(4) != 0).then(|| self.below(views) as u16);
        let next = if self.coin() { current.unwrap_or(0) } else { self.below(views) as u16 };
        let phase = self.below(2) as u8;
        Place { phase, pair: ViewPair { current, next }, change: self.coin(), witness: self.coin() }
    }
}

/// Replicas that iterate in turn, then hear all that was said.
struct Rounds {
    replicas: Vec<Coordinator>,
    silent: SignerSet,
    liar: Option<ReplicaId>,
    numbers: Numbers,
}

impl Rounds {
    fn new(n: usize, event_driven: bool, seed: u64) -> Self {
        let thresholds = Thresholds::new(n, (n - 1) / 5).unwrap();
        let replicas = thresholds.ids();
        Self {
            replicas: replicas.map(|id| Coordinator::new(id, thresholds, event_driven)).collect(),
            silent: SignerSet::EMPTY,
            liar: None,
            numbers: Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
        }
    }

    fn scramble(&mut self) {
        let n = self.replicas.len() as u64;
        let views = 1 + self.numbers.below(n);
        let alike = self.numbers.coin();
        let truth: Vec<Place> = (0..n).map(|_| self.numbers.place(views)).collect();
        for index in 0..self.replicas.len() {
            let numbers = &mut self.numbers;
            let state = &mut self.replicas[index].state;
            for k in 0..state.known.len() {
                state.known[k] =
                    if alike && numbers.below(8) != 0 { truth[k] } else { numbers.place(views) };
                state.echo[k] =
                    numbers.coin().then(|| if alike { truth[index] } else { numbers.place(views) });
            }
            state.witness_set = SignerSet(numbers.below(1 << n));
            let replica = &mut self.replicas[index];
            let detector = &mut replica.detector;
            detector.exchanges.iter_mut().for_each(|count| *count = numbers.below(7) as u32);
            detector.heard = SignerSet(numbers.below(1 << n));
            detector.heard_before = SignerSet(numbers.below(1 << n));
            detector.since_step = numbers.below(4) as u32;
            detector.wanting = numbers.below(4) as u32;
            detector.apart = numbers.below(13) as u32;
        }
    }

    fn speaks(&self, id: ReplicaId) -> bool {
        !self.silent.contains(id)
    }

    fn round(&mut self) {
        let n = self.replicas.len();
        let mut said: Vec<(ReplicaId, ReplicaId, Coordination)> = Vec::new();
        let start = self.numbers.below(n as u64) as usize;
        for index in (0..n).map(|i| (i + start) % n) {
            let from = ReplicaId(index as u16);
            let _illegal = self.replicas[index].repair();
            let _round_ended = self.replicas[index].time_passes();
            let _reset = self.replicas[index].iterate();
            for to in (0..n as u16).map(ReplicaId).filter(|to| *to != from) {
                if self.speaks(from) && self.speaks(to) {
                    let mut message = self.replicas[index].say(to);
                    if self.liar == Some(from) {
                        message.own = self.numbers.place(n as u64);
                    }
                    said.push((from, to, message));
                }
            }
        }
        for (from, to, message) in said {
            self.replicas[to.index()].hear(from, message);
            self.replicas[to.index()].detector.exchanged(from);
        }
    }

    fn correct(&self) -> impl Iterator<Item = &Coordinator> {
        self.replicas.iter().filter(|r| self.speaks(r.own) && self.liar != Some(r.own))
    }

    fn healthy(&self) -> bool {
        let first = self.correct().next().unwrap().place();
        self.correct().all(|replica| {
            replica.sight().serving().is_some()
                && replica.place().pair == first.pair
                && self.correct().all(|other| {
                    let known = replica.state.place(other.own);
                    known.phase == 0 && known.pair == first.pair
                })
        })
    }

    fn rounds_to_health(&mut self, most: u32) -> Option<u32> {
        (0..most).find(|_| {
            let healthy = self.healthy();
            if !healthy {
                self.round();
            }
            healthy
        })
    }
}

/// The rounds that each of `seeds` starts takes; none where there is no health after 400.
fn rounds_from_anywhere(
    n: usize,
    silent: u64,
    event_driven: bool,
    seeds: core::ops::Range<u64>,
) -> Vec<Option<u32>> {
    let run = |seed: u64| {
        let mut rounds = Rounds::new(n, event_driven, seed);
        rounds.scramble();
        let silenced = (0..silent).map(|i| ReplicaId(((seed + 3 * i) % n as u64) as u16));
        rounds.silent = silenced.collect();
        rounds.rounds_to_health(400)
    };
    seeds.map(run).collect()
}

#[test]
fn from_any_values_of_all_variables_the_correct_replicas_meet_within_32_rounds() {
    for event_driven in [false, true] {
        for (n, silent) in [(1, 0), (6, 0), (6, 1), (11, 0), (11, 2), (12, 2), (16, 3)] {
            let found = rounds_from_anywhere(n, silent, event_driven, 1..400);
            let worst = found.iter().map(|rounds| rounds.unwrap_or(u32::MAX)).max();
            assert!(worst <= Some(32), "n={n} silent={silent} detector={event_driven}: {worst:?}");
        }
    }
}

#[test]
fn starts_that_once_never_ended_end() {
    // Two halves that changed places: one at the reset, one on its way from there.
    assert!(rounds_from_anywhere(6, 0, false, 194..195)[0] <= Some(32));
    assert!(rounds_from_anywhere(6, 0, false, 1392..1393)[0] <= Some(32));
    // Resets of the watchdog that kept one another from being on the way together.
    assert!(rounds_from_anywhere(6, 1, true, 388..389)[0] <= Some(32));
    assert!(rounds_from_anywhere(11, 2, true, 165..166)[0] <= Some(32));
    // Three that joined a view one by one, each resetting before the last was on its way.
    assert!(rounds_from_anywhere(16, 3, false, 440..441)[0] <= Some(32));
    // Two that joined a view from two others, and waited for one another.
    assert!(rounds_from_anywhere(6, 1, false, 1947..1948)[0] <= Some(32));
}

#[test]
fn a_liar_of_any_kind_keeps_nobody_out_once_it_falls_silent() {
    for seed in 1..200 {
        let mut rounds = Rounds::new(6, true, seed);
        rounds.scramble();
        rounds.liar = Some(ReplicaId((seed % 6) as u16));
        (0..100).for_each(|_| rounds.round());
        rounds.silent = rounds.liar.into_iter().collect();
        let taken = rounds.rounds_to_health(400);
        assert!(taken.is_some_and(|taken| taken <= 32), "seed {seed}: {taken:?}");
    }
}
