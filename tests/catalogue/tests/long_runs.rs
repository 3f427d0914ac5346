//! Long runs, scaled to what a test can do (the catalogue's C-V01 to C-V03). The long amounts are commands:
//! `docs/invariants.md` names them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use daruma_catalogue::{
    Counts, REPLACED_ROUNDS_MAX, REQUEST_ROUNDS_MAX, RHYTHMS, automaton, begin, consistent,
    cut_off, executed_by_all, plan, rotated, six,
};
use daruma_simulator::{Behaviour, Plan, Rhythm, Rig};
use daruma_types::ReplicaId;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// View changes of one run.
const CHANGES: usize = 120;

/// The most that any replica keeps of what others decide about.
fn held(rig: &Rig<'_>) -> usize {
    rig.correct().iter().map(|id| rig.held(*id).total()).max().unwrap()
}

/// What the primary of the moment does wrong.
const FAILURES: [Behaviour; 5] = [
    Behaviour::Silent,
    Behaviour::HalfSilent,
    Behaviour::StopAssigning,
    Behaviour::OutOfBound,
    Behaviour::ModifyRequest,
];

#[test]
fn c_v01_through_many_view_changes_memory_stays_flat_and_every_view_serves() {
    for plan in [plan(4, 1), automaton(six(1))] {
        plan.drive(Rhythm::LockStep, |rig| {
            let mut random = ChaCha8Rng::seed_from_u64(1);
            begin(rig);
            // A quarter to warm up, then two halves to compare.
            let mut most = [0; 2];
            let mut nonce = 0;
            let mut change = 0;
            while change < CHANGES {
                let context = format!("{plan} change {change}");
                let primary = rig.status(ReplicaId(0)).primary;
                rig.behave(primary, FAILURES.choose(&mut random).copied());
                let all = rig.correct();
                let view = rig.status(all[0]).view;
                let served = |rig: &Rig<'_>, nonce| {
                    rig.correct().iter().all(|id| rig.last_nonce(*id, 0) == Some(nonce))
                };
                let mut rounds = 0;
                // Requests come until somebody has to be replaced for one of them.
                while rig.status(all[0]).view == view {
                    nonce += 1;
                    rig.submit(&all, 0, nonce, "served");
                    rig.run(1);
                    rounds += 1;
                    // Some that are not wholly silent serve well enough.
                    if rounds > REPLACED_ROUNDS_MAX {
                        assert!(rig.last_nonce(all[0], 0) >= Some(nonce - 8), "{context}: {view}");
                        break;
                    }
                }
                change += usize::from(rig.status(all[0]).view != view);
                let done = rig.until(REPLACED_ROUNDS_MAX, |rig| served(rig, nonce));
                assert!(done.is_some(), "{context}: not served");
                rig.behave(primary, None);
                // In the new view everyone serves, the old primary too.
                nonce += 1;
                let all = rig.correct();
                rig.submit(&all, 0, nonce, "served");
                let done = rig.until(REPLACED_ROUNDS_MAX, |rig| served(rig, nonce));
                assert!(done.is_some(), "{context}: not served by all");
                if change >= CHANGES / 4 {
                    let half = usize::from(change >= CHANGES * 5 / 8);
                    most[half] = held(rig).max(most[half]);
                }
            }
            println!("{plan}: {CHANGES} changes in {} rounds, kept {most:?}", rig.rounds());
            assert!(most[1] <= most[0] + most[0] / 20, "{plan}: {most:?}");
            assert_eq!(consistent(rig), None, "{plan}");
        });
    }
}

#[test]
fn c_v02_after_many_requests_memory_is_flat_and_a_replay_comes_to_the_same_state() {
    const REQUESTS: u64 = 20_000;
    const EACH_ROUND: u64 = 200;
    plan(4, 2).drive(Rhythm::LockStep, |rig| {
        begin(rig);
        let all = rig.correct();
        let mut most = [0; 2];
        for first in (1..=REQUESTS / 8).step_by(EACH_ROUND as usize / 8) {
            for nonce in first..first + EACH_ROUND / 8 {
                for client in 0..8 {
                    rig.submit(&[ReplicaId(client % 4)], client, nonce, "one of many");
                }
            }
            rig.run(1);
            let half = usize::from(first > REQUESTS / 16);
            most[half] = held(rig).max(most[half]);
        }
        let all_done =
            |rig: &Rig<'_>| all.iter().all(|id| rig.operations(*id).len() as u64 == REQUESTS);
        assert!(rig.until(REQUEST_ROUNDS_MAX, all_done).is_some());
        assert!(most[1] <= most[0] + most[0] / 20, "{most:?}");
        // One that has lost everything executes all of it again, block by block.
        let state = rig.status(all[0]).executed;
        rig.wipe(all[3]);
        let replayed = rig.until(400, |rig| rig.status(all[3]).executed == state);
        assert!(replayed.is_some(), "{:?} instead of {state:?}", rig.status(all[3]).executed);
        assert_eq!(consistent(rig), None);
    });
}

/// Days of one run, and the rounds that stand for one: enough for a fault, its end, and calm.
const DAYS: u32 = 40;
const DAY_ROUNDS: u32 = 120;

/// Of a hundred requests, one every tenth round, those that are executed within [`REQUEST_ROUNDS_MAX`] at
/// least: a fault costs a detection and a change of the view, some two or three of twelve.
const AVAILABLE_MIN: usize = 80;

/// A fault of any kind in the budget: what it does to `f` replicas, and how it ends.
fn fault_of_the_day(rig: &mut Rig<'_>, n: usize, f: usize, random: &mut ChaCha8Rng) -> Vec<Mend> {
    let ids = rotated(random.random_range(0..n), f, n);
    let kind = random.random_range(0..5);
    if kind == 0 {
        cut_off(rig, n, &ids, true);
        return vec![Mend::Join(ids)];
    }
    let strike = |id| match kind {
        1 => {
            rig.stop(id);
            Mend::Start(id)
        }
        2 => {
            rig.restart(id);
            Mend::Start(id)
        }
        3 => {
            rig.wipe(id);
            Mend::Start(id)
        }
        _ => {
            // Twins need a second engine from the beginning.
            let behaviours = &Behaviour::ALL[..Behaviour::ALL.len() - 1];
            rig.behave(id, behaviours.choose(random).copied());
            Mend::Honest(id)
        }
    };
    ids.into_iter().map(strike).collect()
}

/// How a fault ends.
enum Mend {
    Join(Vec<ReplicaId>),
    Start(ReplicaId),
    Honest(ReplicaId),
}

/// Lives through the days; of a hundred requests, how many were executed in time.
fn available(plan: &Plan, rhythm: Rhythm) -> usize {
    let Counts { n, f } = Counts { n: plan.thresholds.replicas(), f: plan.thresholds.faulty_max() };
    plan.drive(rhythm, |rig| {
        let mut random = ChaCha8Rng::seed_from_u64(plan.seed);
        begin(rig);
        let (mut in_time, mut asked) = (0, Vec::new());
        for day in 0..DAYS {
            let mends = fault_of_the_day(rig, n, f, &mut random);
            for tenth in 0..DAY_ROUNDS / 10 {
                if tenth == DAY_ROUNDS / 20 {
                    for mend in &mends {
                        match mend {
                            Mend::Join(ids) => cut_off(rig, n, ids, false),
                            Mend::Start(id) => rig.start(*id),
                            Mend::Honest(id) => rig.behave(*id, None),
                        }
                    }
                }
                let nonce = u64::from(day * DAY_ROUNDS / 10 + tenth) + 1;
                let operation = format!("day {day}: {tenth}");
                let all = rig.correct();
                rig.submit(&all, 0, nonce, &operation);
                asked.push(operation);
                // A quorum of ledgers has it: those cut off are not asked.
                let executed = |rig: &Rig<'_>| {
                    let done = |id: &ReplicaId| rig.last_nonce(*id, 0) >= Some(nonce);
                    rig.correct().iter().filter(|id| done(id)).count() >= n - 2 * f
                };
                let done = rig.until(REQUEST_ROUNDS_MAX.min(10), executed);
                in_time += usize::from(done.is_some());
                rig.run(10 - done.unwrap_or(10));
            }
            assert_eq!(consistent(rig), None, "{plan} {rhythm:?} day {day}");
        }
        // And in the end everyone has everything.
        let done = rig.until(2 * REPLACED_ROUNDS_MAX, |rig| executed_by_all(rig, &asked));
        assert!(done.is_some(), "{plan} {rhythm:?}");
        in_time * 100 / asked.len()
    })
}

#[test]
fn c_v03_through_days_with_a_fault_of_any_kind_each_agreement_holds_and_service_is_there() {
    for (plan, rhythm) in [plan(4, 3), plan(7, 3), automaton(six(3))]
        .into_iter()
        .zip([RHYTHMS[0], RHYTHMS[1], RHYTHMS[0]])
    {
        let available = available(&plan, rhythm);
        println!("{plan}: {available} of a hundred requests in time");
        assert!(available >= AVAILABLE_MIN, "{plan}: {available} of a hundred");
    }
}
