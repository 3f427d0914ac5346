//! From any state of all correct replicas' memories the paper's own view establishment, with all that
//! hangs on it, serves again within a stated number of rounds (catalogue C-M01, C-M02, C-M04; DESIGN
//! 10). The same for the certified one is in `arbitrary.rs`.
//!
//! Each of these runs is also held to `view_rounds_max` by the simulator: where no Byzantine replica
//! interferes, all correct ones serve one view within that many rounds.

use daruma_simulator::{
    ArbitraryStart, Behaviour, DiskFaults, Outcome, Plan, Rhythm, Scope, Values,
    convergence_rounds_max, view_rounds_max,
};
use daruma_types::{Establishment, ReplicaId};

const PLAIN: Establishment = Establishment::Automaton { event_driven_fd: false };
const DETECTED: Establishment = Establishment::Automaton { event_driven_fd: true };

fn holds(plan: &Plan) -> Outcome {
    let outcome = plan.run();
    assert!(outcome.holds(), "{plan}: {:?}", outcome.violations);
    outcome
}

/// A history of some blocks in two views, and then this in the memories of all.
const START: ArbitraryStart = ArbitraryStart {
    blocks: 2,
    views: 1,
    faulty: usize::MAX,
    scope: Scope::All,
    values: Values::Mixed,
    swapped: false,
    disks: DiskFaults::NONE,
    in_flight: 0,
    rhythm: Rhythm::LockStep,
};

fn six(seed: u64, establishment: Establishment) -> Plan {
    Plan::calm(seed, 6).establishment(establishment)
}

/// Every variable of the engines of these runs, by name.
fn variables(establishment: Establishment) -> Vec<&'static str> {
    let (dictionary, mut names) = (daruma_engine::laboratory::Dictionary::default(), Vec::new());
    six(0, establishment).in_rounds().drive(Rhythm::LockStep, |rig| {
        let (scope, values) = (Scope::Named("nothing"), Values::Zero);
        let mut garbage = daruma_engine::laboratory::Garbage::new(0, scope, values, &dictionary, 6);
        rig.engine(ReplicaId(0)).scramble(&mut garbage);
        names.extend(garbage.variables().keys().copied());
    });
    names
}

#[test]
fn c_m01_from_arbitrary_memories_the_papers_views_serve_again_within_the_stated_rounds() {
    for establishment in [PLAIN, DETECTED] {
        let mut rounds: Vec<u32> = Vec::new();
        for (replicas, seeds) in [(6, 40), (11, 4), (12, 2)] {
            for seed in 0..seeds {
                let plan = Plan::arbitrary_under(seed, replicas, establishment).byzantine(&[]);
                let stats = holds(&plan).stats;
                let Plan { local, thresholds, .. } = plan;
                let bound = convergence_rounds_max(&local, thresholds, establishment);
                assert!(stats.rounds_to_view <= view_rounds_max(establishment), "{plan}");
                assert!(stats.rounds_to_service <= bound, "{plan}");
                rounds.push(stats.rounds_to_view);
            }
        }
        rounds.sort_unstable();
        assert!(rounds[rounds.len() / 2] <= 12, "{rounds:?}");
    }
}

#[test]
fn c_m02_under_the_papers_views_every_behaviour_beside_arbitrary_memories_is_survived() {
    for (seed, behaviour) in (0..).zip(Behaviour::ALL) {
        let establishment = if seed % 2 == 0 { PLAIN } else { DETECTED };
        let byzantine = [(ReplicaId((seed % 6) as u16), behaviour)];
        holds(&six(seed, establishment).start(START).byzantine(&byzantine));
    }
    for seed in 0..8 {
        holds(&Plan::arbitrary_under(seed, 11, DETECTED).faulty(2, &[]));
    }
}

#[test]
fn c_m04_under_the_papers_views_each_variable_alone_at_each_extreme() {
    for (establishment, faulty) in [(PLAIN, 1), (DETECTED, usize::MAX)] {
        let variables = variables(establishment);
        let own = |name: &&str| {
            ["automaton.", "ballots.", "detector."].iter().any(|m| name.starts_with(m))
        };
        let (own, others): (Vec<_>, Vec<_>) = variables.into_iter().partition(own);
        assert!(own.len() >= 20 && others.len() >= 45, "{own:?} {others:?}");
        // The other modules hold the same with and without the detector.
        let others = if establishment == PLAIN { Vec::new() } else { others };
        for variable in own.into_iter().chain(others) {
            for values in [Values::Largest, Values::Zero, Values::Replayed] {
                let scope = Scope::Named(variable);
                let start = ArbitraryStart { scope, values, faulty, ..START };
                holds(&six(2, establishment).start(start));
            }
        }
    }
}

/// Seeds that once showed a fault, with the number of replicas and what it was.
#[test]
fn c_m09_arbitrary_starts_under_the_papers_views_that_once_failed_hold() {
    for (seed, replicas, establishment) in [
        // A ballot that a peer had told before its restart was believed for ever.
        (68, 6, PLAIN),
        // A forged attestation came from memory to the disk, and was served to others.
        (98, 6, DETECTED),
        // A wish was given up by those who stayed behind while the others were on their way.
        (43, 6, PLAIN),
        (231, 6, PLAIN),
        (269, 6, DETECTED),
        // A Byzantine primary leaves one out whose ballot is above its own.
        (478, 6, PLAIN),
        // One that shows different views led some in a ballot, and waited with others for a higher one.
        (100_419, 6, PLAIN),
        (100_419, 6, DETECTED),
        (800_201, 6, PLAIN),
        (800_768, 6, PLAIN),
        (801_179, 6, PLAIN),
        // Memories that forgot their floors: each engine was made anew as it began to serve.
        (101_846, 6, DETECTED),
        (802_786, 6, DETECTED),
        // A ballot that a replica told itself stood beside a liar's, and it was led up to that.
        (801_690, 6, PLAIN),
    ] {
        holds(&Plan::arbitrary_under(seed, replicas, establishment));
    }
    // One that waits for its primary, and one that lies the primary up in small steps meanwhile.
    for establishment in [PLAIN, DETECTED] {
        holds(&Plan::arbitrary_under(1458, 6, establishment).faulty(1, &[]));
    }
}
