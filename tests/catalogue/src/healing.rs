//! An incident of another system as start state and event, and the time to heal.

use std::collections::BTreeMap;

use daruma_simulator::{Column, Plan, Rhythm, Rig, convergence_rounds_max};
use daruma_types::{Establishment, ReplicaId};

use crate::{Counts, REQUEST_ROUNDS_MAX, RHYTHMS, acknowledged, begin, consistent, healthy, plan};

/// Rounds after which a client repeats a request that was not executed: a pool is memory too.
const REPEAT_ROUNDS: u32 = 10;

/// The client that asks whether there is service.
const ASKING: u16 = 90;

/// The client whose requests were executed before the incident.
const BEFORE: u16 = 91;

/// Blocks before the incident.
const BLOCKS: u64 = 8;

/// Seeds of each incident, in each kind of plan and rhythm.
const SEEDS: u64 = 4;

/// What an incident is given: the run in its hands, and what its seed decides.
#[derive(Debug)]
pub struct Struck<'a> {
    /// The plan of the run.
    pub plan: &'a Plan,
    /// Its rhythm.
    pub rhythm: Rhythm,
    /// Decides what the incident leaves to chance.
    pub seed: u64,
}

impl Struck<'_> {
    /// Replicas.
    #[must_use]
    pub const fn n(&self) -> usize {
        self.plan.thresholds.replicas()
    }

    /// Replicas that may fail.
    #[must_use]
    pub const fn f(&self) -> usize {
        self.plan.thresholds.faulty_max()
    }

    /// So many replicas that the others are no quorum, and no more.
    #[must_use]
    pub fn blocking(&self) -> usize {
        self.n() - self.plan.thresholds.quorum() + 1
    }

    /// `count` replicas, the first of which the seed chooses.
    #[must_use]
    pub fn some(&self, count: usize) -> Vec<ReplicaId> {
        crate::rotated(self.seed as usize % self.n(), count, self.n())
    }

    /// All replicas.
    #[must_use]
    pub fn all(&self) -> Vec<ReplicaId> {
        crate::rotated(0, self.n(), self.n())
    }

    /// Whether its views are certified, not those of the paper's automaton.
    #[must_use]
    pub fn certified(&self) -> bool {
        self.plan.establishment == Establishment::Certified
    }
}

/// Rounds within which service is back from any state: what the protocol promises.
#[must_use]
pub fn from_any_state(plan: &Plan) -> u32 {
    convergence_rounds_max(&plan.local, plan.thresholds, plan.establishment)
}

/// The longest of some runs.
#[derive(Debug, Clone, Default)]
struct Longest {
    runs: u32,
    rounds: u32,
    us: u64,
    bound: u32,
    /// The run that took most rounds.
    plan: String,
}

/// Lets an incident happen in four kinds of plans, both rhythms and some seeds: a chain with some executed
/// blocks, then `strike`, which returns when the incident is over. From then on there must be service within
/// `bound` rounds without anybody's help, everything that was confirmed before must be in every ledger, and
/// the state on all disks must be one. Prints the longest that it took under each view establishment.
///
/// # Panics
/// If any of this does not hold.
pub fn heals(id: &str, bound: impl Fn(&Plan) -> u32, strike: impl Fn(&mut Rig<'_>, &Struck<'_>)) {
    heals_for(id, bound, strike, None);
}

/// The same, and nobody asks for anything: service is that what everybody was given in the incident, as
/// `wanted`, is executed.
///
/// # Panics
/// If any of this does not hold.
pub fn heals_unasked(
    id: &str,
    bound: impl Fn(&Plan) -> u32,
    strike: impl Fn(&mut Rig<'_>, &Struck<'_>),
    wanted: &str,
) {
    heals_for(id, bound, strike, Some(wanted));
}

fn heals_for(
    id: &str,
    bound: impl Fn(&Plan) -> u32,
    strike: impl Fn(&mut Rig<'_>, &Struck<'_>),
    wanted: Option<&str>,
) {
    let mut longest: BTreeMap<&str, Longest> = BTreeMap::new();
    for (name, plan) in kinds() {
        for rhythm in RHYTHMS {
            for seed in 0..SEEDS {
                let plan = Plan { seed, ..plan.clone() };
                let struck = Struck { plan: &plan, rhythm, seed };
                let (rounds, us) = heals_once(id, bound(&plan), &struck, &strike, wanted);
                let longest = longest.entry(name).or_default();
                if rounds >= longest.rounds {
                    longest.plan = format!("n={} {rhythm:?} seed {seed}", struck.n());
                }
                longest.runs += 1;
                longest.rounds = longest.rounds.max(rounds);
                longest.us = longest.us.max(us);
                longest.bound = longest.bound.max(bound(&plan));
            }
        }
    }
    for (name, Longest { runs, rounds, us, bound, plan }) in longest {
        let ms = us.div_ceil(1000);
        println!(
            "{id} | {name} | {rounds} rounds of {bound} | {ms} virtual ms | {runs} runs | {plan}"
        );
    }
}

/// Four and seven replicas with the certified views, six with the paper's, with and without its detector.
fn kinds() -> [(&'static str, Plan); 4] {
    let papers =
        |event_driven_fd| plan(6, 0).establishment(Establishment::Automaton { event_driven_fd });
    [
        ("certified", plan(4, 0)),
        ("certified", plan(7, 0)),
        ("automaton", papers(false)),
        ("automaton-fd", papers(true)),
    ]
}

fn heals_once(
    id: &str,
    bound: u32,
    struck: &Struck<'_>,
    strike: impl Fn(&mut Rig<'_>, &Struck<'_>),
    wanted: Option<&str>,
) -> (u32, u64) {
    let Struck { plan, rhythm, seed } = struck;
    let what = format!("{id}: {plan} {rhythm:?} seed {seed}");
    plan.drive(*rhythm, |rig| {
        begin(rig);
        rig.remember();
        load(rig, BEFORE, 1, BLOCKS);
        rig.run(REQUEST_ROUNDS_MAX);
        let counts = Counts { n: struck.n(), f: struck.f() };
        let confirmed = acknowledged(rig, counts);
        assert_eq!(confirmed.len() as u64, BLOCKS, "{what}");
        rig.note_what_stands();
        strike(rig, struck);
        let (began, began_us) = (rig.rounds(), rig.now_us());
        let served = match wanted {
            Some(wanted) => rig.until(bound, |rig| well(rig, wanted)).is_some(),
            None => serves(rig, 1, bound),
        };
        let standings = standings(rig);
        assert!(served, "{what}: no service within {bound} rounds: {standings}");
        let (rounds, us) = (rig.rounds() - began, rig.now_us() - began_us);
        for id in rig.correct() {
            let executed = rig.operations(id);
            let lost = confirmed.iter().find(|operation| !executed.contains(operation));
            assert_eq!(lost, None, "{what}: {id} lost what was confirmed");
        }
        assert_eq!(rig.what_was_lost(), None, "{what}");
        assert!(serves(rig, 2, 3 * REQUEST_ROUNDS_MAX), "{what}: {}", self::standings(rig));
        // Once more, since a wrong state shows in what is executed on it.
        rig.note_what_stands();
        assert_eq!(rig.what_was_lost(), None, "{what}");
        let states = rig.correct().into_iter().map(|id| rig.rows(id, Column::State));
        assert!(states.collect::<Vec<_>>().windows(2).all(|two| two[0] == two[1]), "{what}");
        assert_eq!(consistent(rig), None, "{what}");
        (rounds, us)
    })
}

/// A client gives everyone a request in each of some rounds.
pub fn load(rig: &mut Rig<'_>, client: u16, first: u64, count: u64) {
    for nonce in first..first + count {
        let all = rig.correct();
        rig.submit(&all, client, nonce, &format!("{client}:{nonce}"));
        rig.run(1);
    }
}

/// A request is on its way to being executed: so many replicas that the others are no quorum have a vote for it
/// in their journals.
///
/// # Panics
/// If no vote is cast within a few rounds.
pub fn deciding(rig: &mut Rig<'_>, struck: &Struck<'_>, nonce: u64) {
    const DECIDING: u16 = 92;
    let voted = |rig: &Rig<'_>, id: &ReplicaId| {
        let head = rig.standing(*id).executed.height.0;
        let above = |key: &[u8]| key.starts_with(b"t") && key[1..] > head.to_be_bytes()[..];
        rig.rows(*id, Column::Journal).iter().any(|(key, _)| above(key))
    };
    let all = rig.correct();
    rig.submit(&all, DECIDING, nonce, &format!("on its way {nonce}"));
    let cast = rig.until_event(REPEAT_ROUNDS, |rig| {
        all.iter().filter(|id| voted(rig, id)).count() >= struck.blocking()
    });
    assert!(cast, "no votes: {}", standings(rig));
}

/// Whether everyone serves one view, stands at one height and executed this.
fn well(rig: &Rig<'_>, wanted: &str) -> bool {
    let executed = |id: &ReplicaId| rig.operations(*id).iter().any(|operation| operation == wanted);
    healthy(rig) && rig.correct().iter().all(executed)
}

/// Whether a client that repeats a fresh request gets it executed, and all is well, within so many rounds.
fn serves(rig: &mut Rig<'_>, nonce: u64, rounds_max: u32) -> bool {
    let wanted = format!("fresh {nonce}");
    let mut left = rounds_max;
    loop {
        let all = rig.correct();
        rig.submit(&all, ASKING, nonce, &wanted);
        let rounds = REPEAT_ROUNDS.min(left);
        if rig.until(rounds, |rig| well(rig, &wanted)).is_some() {
            return true;
        }
        left -= rounds;
        if left == 0 {
            return false;
        }
    }
}

fn standings(rig: &Rig<'_>) -> String {
    rig.correct().iter().map(|id| format!("\n{:?}", rig.standing(*id))).collect()
}
