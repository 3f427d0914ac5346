//! Clients that ask too much, contradict themselves, or tell too few (the catalogue's C-C01 to C-C08).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::sync::Arc;

use daruma_catalogue::{
    Counts, REPLACED_ROUNDS_MAX, REQUEST_ROUNDS_MAX, RHYTHMS, all_executed, all_in_view, automaton,
    begin, consistent, forced, plan, rotated, six, subsets,
};
use daruma_engine::{LocalLimits, PoolRefusal};
use daruma_simulator::adversary::{Adversary, Censorship, Surroundings};
use daruma_simulator::{Behaviour, Plan, Refused, Rhythm, Rig};
use daruma_types::{Message, ReplicaId, Transaction, View, codec};

fn counts(plan: &Plan) -> Counts {
    Counts { n: plan.thresholds.replicas(), f: plan.thresholds.faulty_max() }
}

fn plans(seed: u64) -> [Plan; 3] {
    [plan(4, seed), plan(7, seed), automaton(six(seed))]
}

/// Whether all correct replicas executed this request, or a later one of the client.
fn settled(rig: &Rig<'_>, client: u16, nonce: u64) -> bool {
    rig.correct().into_iter().all(|id| rig.last_nonce(id, client) >= Some(nonce))
}

/// A client asks, again in each round while the pools are full, and the rounds until all correct replicas
/// have executed it.
fn latency(rig: &mut Rig<'_>, client: u16, nonce: u64, rounds_max: u32) -> u32 {
    let all = rig.correct();
    for rounds in 0..=rounds_max {
        if settled(rig, client, nonce) {
            return rounds;
        }
        rig.submit(&all, client, nonce, "how long does it take?");
        rig.run(1);
    }
    panic!("not executed in {rounds_max} rounds");
}

/// Milliseconds from one bout of a flood to the next.
const BOUT_MS: u64 = 5;

/// For four seconds, ten times as much as can be executed, from so many clients. Each asks one replica, and
/// repeats nothing. Gives how many milliseconds what was accepted waited, at most.
fn survives_ten_times_its_capacity(clients: u16, rhythm: Rhythm, mut plan: Plan) -> u64 {
    let n = plan.thresholds.replicas();
    plan.local.pending_max = 20 * n;
    plan.local.pending_per_client_max = 40;
    plan.local.censorship_blocks = LocalLimits::default().censorship_blocks;
    // Eight transactions in 20 ms.
    (plan.chain.block_transactions_max, plan.execute_us) = (8, 20_000);
    let (bouts, each_bout) = (4_000 / BOUT_MS, 10 * 8 * BOUT_MS / 20);
    let context = format!("{plan} {rhythm:?} {clients} clients");
    let mut worst = 0;
    plan.drive(rhythm, |rig| {
        begin(rig);
        let before = latency(rig, 60_000, 1, REQUEST_ROUNDS_MAX);
        let (mut asked, mut open, mut accepted, mut refused) = (Vec::new(), Vec::new(), 0, 0);
        // A primary that does what it can is neither suspected nor replaced.
        let trusted = |rig: &Rig<'_>| {
            rig.correct().iter().all(|id| {
                let status = rig.status(*id);
                !status.monitor.suspects && status.view == View(0)
            })
        };
        for bout in 0..bouts {
            for i in bout * each_bout..(bout + 1) * each_bout {
                let (client, nonce) = ((i % u64::from(clients)) as u16, 1 + i / u64::from(clients));
                let to = ReplicaId(client % n as u16);
                rig.submit(&[to], client, nonce, "flood");
                asked.push((to, client, nonce, bout));
            }
            rig.never_during(BOUT_MS * 1_000, |_| false);
            assert!(trusted(rig), "{context}: a correct primary is suspected in bout {bout}");
            asked.retain(|(to, client, nonce, since)| {
                match rig.answer(*to, *client, *nonce) {
                    None => {}
                    Some(Ok(())) => {
                        accepted += 1;
                        open.push((*client, *nonce, *since));
                    }
                    // Those that are refused are told that there is no room.
                    Some(Err(Refused::Pool(
                        PoolRefusal::Full { pending } | PoolRefusal::ClientFull { pending },
                    ))) => {
                        assert!(pending > 0, "{context}");
                        refused += 1;
                    }
                    Some(other) => panic!("{context}: client {client} was told {other:?}"),
                }
                rig.answer(*to, *client, *nonce).is_none()
            });
            assert!(asked.len() < 100, "{context}: {} have no answer", asked.len());
            if bout % 4 == 0 {
                open.retain(|(client, nonce, since)| {
                    worst = worst.max((bout - since + 1) * BOUT_MS);
                    !settled(rig, *client, *nonce)
                });
            }
        }
        assert!(refused > 5 * accepted, "{context}: {accepted} accepted, {refused} refused");
        assert!(accepted > 500, "{context}: {accepted} accepted, {refused} refused");
        // What is in the pools then takes some blocks; a second later all is as before.
        rig.never_during(1_000_000, |_| false);
        let waits = open.iter().find(|(client, nonce, _)| !settled(rig, *client, *nonce));
        assert_eq!(waits, None, "{context}: accepted and not executed");
        assert!(latency(rig, 60_000, 2, REQUEST_ROUNDS_MAX) <= before + 1, "{context}");
        assert!(trusted(rig), "{context}");
        for id in rig.correct() {
            assert_eq!(rig.status(id).pending, 0, "{context}: {id}");
        }
        assert_eq!(consistent(rig), None, "{context}");
        println!("{context}: of {} accepted {accepted}, within {worst} ms", accepted + refused);
    });
    worst
}

#[test]
fn c_c01_ten_times_the_capacity_is_refused_in_words_and_what_was_accepted_is_executed_in_time() {
    // One, K, and a hundred times K.
    for clients in [1, 6, 600] {
        for (plan, rhythm) in plans(1).into_iter().zip([RHYTHMS[0], RHYTHMS[1], RHYTHMS[0]]) {
            let n = plan.thresholds.replicas() as u64;
            let worst = survives_ten_times_its_capacity(clients, rhythm, plan);
            // All that fits into a pool is executed in so many blocks of 20 ms; and as much again.
            let bound = 2 * (20 * n).div_ceil(8) * 20;
            assert!(worst <= bound, "{clients} clients, n={n}: {worst} ms instead of {bound}");
        }
    }
}

/// The 99th percentile of the rounds that six clients wait, with a seventh one that floods or without.
fn p99_rounds(flood: bool) -> u32 {
    let mut plan = plan(4, 2);
    plan.local.pending_per_client_max = 256;
    plan.chain.block_transactions_max = 16;
    plan.drive(Rhythm::LockStep, |rig| {
        begin(rig);
        let all = rig.correct();
        let (mut open, mut waited, mut flooding) = (Vec::new(), Vec::new(), 0);
        for round in 0..240_u32 {
            if flood {
                for _ in 0..200 {
                    flooding += 1;
                    rig.submit(&all, 6, flooding, "flood");
                }
            }
            for client in 0..6_u16 {
                if round % 8 == u32::from(client) && round < 200 {
                    let to = ReplicaId((u32::from(client) + round) as u16 % 4);
                    rig.submit(&[to], client, u64::from(round) + 1, "one in a while");
                    open.push((client, u64::from(round) + 1, round));
                }
            }
            rig.run(1);
            open.retain(|(client, nonce, since)| {
                let done = settled(rig, *client, *nonce);
                if done {
                    waited.push(round - since + 1);
                }
                !done
            });
        }
        assert!(open.is_empty(), "{open:?} wait");
        assert!(!flood || rig.last_nonce(all[0], 6) > Some(1_000), "the flood is served, too");
        assert_eq!(consistent(rig), None);
        waited.sort_unstable();
        waited[waited.len() * 99 / 100]
    })
}

#[test]
fn c_c02_who_floods_does_not_make_others_wait_more_than_three_times_as_long() {
    let (quiet, flooded) = (p99_rounds(false), p99_rounds(true));
    println!("99 of 100 wait at most {quiet} rounds; {flooded} with a flood");
    assert!(flooded <= 3 * quiet, "{flooded} rounds instead of {quiet}");
}

#[test]
fn c_c03_a_flood_that_overflows_the_pools_does_not_hide_a_dead_primary() {
    for behaviour in [Behaviour::Silent, Behaviour::StopAssigning] {
        for plan in plans(3) {
            for rhythm in RHYTHMS {
                let mut plan = plan.clone();
                plan.local.pending_max = 20;
                plan.local.pending_per_client_max = 10;
                plan.drive(rhythm, |rig| {
                    let context = format!("{plan} {rhythm:?} {behaviour:?}");
                    begin(rig);
                    rig.behave(ReplicaId(0), Some(behaviour));
                    let all = rig.correct();
                    let mut nonce = 0;
                    let replaced = |rig: &Rig<'_>| {
                        all.iter().all(|id| {
                            rig.status(*id).view > View(0) && rig.status(*id).executed.height.0 > 0
                        })
                    };
                    while !replaced(rig) {
                        nonce += 1;
                        assert!(nonce < u64::from(REPLACED_ROUNDS_MAX), "{context}");
                        for client in 0..12 {
                            rig.submit(&all, client, nonce, "overflow");
                        }
                        rig.run(1);
                    }
                    let full = all.iter().any(|id| {
                        (0..12).any(|client| {
                            (1..=nonce)
                                .any(|nonce| matches!(rig.answer(*id, client, nonce), Some(Err(_))))
                        })
                    });
                    assert!(full, "{context}: the pool was never full");
                    let empty = |rig: &Rig<'_>| all.iter().all(|id| rig.status(*id).pending == 0);
                    assert!(rig.until(REPLACED_ROUNDS_MAX, empty).is_some(), "{context}");
                    for (id, client) in all.iter().zip(0..12) {
                        for nonce in 1..=nonce {
                            let accepted = rig.answer(*id, client, nonce) == Some(Ok(()));
                            assert!(!accepted || settled(rig, client, nonce), "{context}");
                        }
                    }
                    assert_eq!(consistent(rig), None, "{context}");
                });
            }
        }
    }
}

#[test]
fn c_c04_of_two_requests_under_one_nonce_one_is_executed_whoever_is_told_which() {
    for plan in [plan(4, 4), automaton(six(4))] {
        let n = counts(&plan).n;
        let all = rotated(0, n, n);
        for told_first in subsets(&all) {
            let told_second: Vec<_> =
                all.iter().copied().filter(|id| !told_first.contains(id)).collect();
            plan.drive(RHYTHMS[told_first.len() % 2], |rig| {
                let context = format!("{plan}: the first to {told_first:?}");
                begin(rig);
                rig.submit(&told_first, 0, 1, "first");
                rig.submit(&told_second, 0, 1, "second");
                let one =
                    |rig: &Rig<'_>| all_executed(rig, &["first"]) || all_executed(rig, &["second"]);
                let done = rig.until(2 * REQUEST_ROUNDS_MAX, one);
                assert!(done.is_some(), "{context}");
                // Whoever asks again is told that the nonce was used.
                for id in rig.correct() {
                    assert_eq!(rig.status(id).pending, 0, "{context}");
                }
                for operation in ["first", "second"] {
                    rig.submit(&all, 0, 1, operation);
                    for id in &all {
                        let answer = rig.answer(*id, 0, 1);
                        assert!(
                            matches!(answer, Some(Err(Refused::Pool(_)))),
                            "{context}: {answer:?}"
                        );
                    }
                }
                assert_eq!(rig.never(20, |rig| !one(rig) || !all_in_view(rig, 0)), None);
                assert_eq!(consistent(rig), None, "{context}");
            });
        }
    }
}

/// The rule of this engine: what one correct replica was given it passes on, so it is executed. A client
/// that wants to be sure asks `f+1`.
#[test]
fn c_c05_a_request_told_to_f_plus_1_or_more_is_executed_and_no_correct_primary_is_suspected() {
    for plan in plans(5) {
        let Counts { n, f } = counts(&plan);
        // The last `f` keep everything of this client to themselves.
        for told in 1..=n {
            plan.drive(RHYTHMS[told % 2], |rig| {
                let context = format!("{plan} told {told}");
                begin(rig);
                let client = rig.client(0);
                for id in rotated(n - f, f, n) {
                    rig.play(id, Censorship::of(client, None));
                }
                // The Byzantine ones first.
                let recipients: Vec<_> = (0..told).map(|i| ReplicaId((n - 1 - i) as u16)).collect();
                rig.submit(&recipients, 0, 1, "told");
                let moved = rig.never(2 * REQUEST_ROUNDS_MAX, |rig| !all_in_view(rig, 0));
                assert_eq!(moved, None, "{context}");
                assert_eq!(all_executed(rig, &["told"]), told > f, "{context}");
                assert!(rig.correct().iter().all(|id| !rig.status(*id).monitor.suspects));
                assert_eq!(consistent(rig), None, "{context}");
            });
        }
    }
}

#[test]
fn c_c05_a_request_told_to_one_correct_replica_is_executed_beside_a_primary_that_keeps_it_back() {
    for plan in plans(6) {
        let Counts { n, f } = counts(&plan);
        for told in [f + 1, n - 2 * f - 1, n - 2 * f, n] {
            plan.drive(RHYTHMS[told % 2], |rig| {
                begin(rig);
                let client = rig.client(0);
                rotated(0, f, n).into_iter().for_each(|id| {
                    rig.play(id, Censorship::of(client, None));
                });
                let recipients: Vec<_> = rotated(0, told.max(f + 1), n);
                rig.submit(&recipients, 0, 1, "told");
                // The next primaries, with more patience, may be Byzantine, too.
                let bound = REPLACED_ROUNDS_MAX * 2 * f as u32;
                let done = rig.until(bound, |rig| all_executed(rig, &["told"]));
                assert!(done.is_some(), "{plan} told {told}");
                assert_eq!(consistent(rig), None, "{plan} told {told}");
            });
        }
    }
}

/// Tells what clients ask of it to some replicas only, and not to the primary.
struct TellsSome(Vec<ReplicaId>, Vec<Transaction>);

impl Adversary for TellsSome {
    fn submitted(&mut self, transactions: Vec<Transaction>) -> Vec<Transaction> {
        self.1.extend(transactions);
        Vec::new()
    }

    fn on_tick(&mut self, _: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        let told = std::mem::take(&mut self.1);
        let told = if told.is_empty() { Vec::new() } else { vec![Message::Transactions(told)] };
        let told = told.into_iter().map(Arc::new);
        told.flat_map(|m| self.0.iter().map(move |to| (*to, Arc::clone(&m)))).collect()
    }
}

/// The chain's patience is four times as long as a replica keeps what a peer told it (10 ticks) before it
/// tells the primary; the tests' shorter one is not.
#[test]
fn c_c05_a_request_that_a_byzantine_replica_keeps_from_the_primary_is_not_held_against_it() {
    for plan in plans(7) {
        let Counts { n, .. } = counts(&plan);
        let mut plan = plan.clone();
        plan.local.progress_tokens = 40;
        for told in 1..n - 1 {
            plan.drive(RHYTHMS[told % 2], |rig| {
                begin(rig);
                let teller = ReplicaId((n - 1) as u16);
                rig.play(teller, TellsSome(rotated(1, told, n - 1), Vec::new()));
                rig.submit(&[teller], 0, 1, "kept from the primary");
                let moved = rig.never(40, |rig| {
                    rig.correct().iter().any(|id| rig.status(*id).monitor.suspects)
                });
                assert_eq!(moved, None, "{plan} told {told}");
                assert!(all_executed(rig, &["kept from the primary"]), "{plan} told {told}");
            });
        }
    }
}

#[test]
fn c_c06_retries_and_duplicates_are_executed_once_and_answered() {
    for rhythm in RHYTHMS {
        plan(4, 8).drive(rhythm, |rig| {
            begin(rig);
            let all = rig.correct();
            for _ in 0..5 {
                rig.submit(&all, 0, 1, "again");
            }
            assert_eq!(rig.answer(all[0], 0, 1), Some(Ok(())));
            assert!(rig.until(REQUEST_ROUNDS_MAX, |rig| all_executed(rig, &["again"])).is_some());
            for _ in 0..5 {
                rig.submit(&all, 0, 1, "again");
                begin(rig);
            }
            for id in &all {
                let superseded = PoolRefusal::Superseded { last: 1 };
                assert_eq!(rig.answer(*id, 0, 1), Some(Err(Refused::Pool(superseded))));
            }
            assert!(all_executed(rig, &["again"]));
            assert_eq!(consistent(rig), None);
        });
    }
}

#[test]
fn c_c06_nonces_out_of_order_far_ahead_and_lost_are_executed_in_ascending_order_at_most_once() {
    plan(4, 9).drive(Rhythm::LockStep, |rig| {
        begin(rig);
        let all = rig.correct();
        let out_of_order: Vec<_> =
            [3, 1, 2].map(|nonce| rig.sign(0, nonce, &nonce.to_string())).to_vec();
        rig.give(&all, &out_of_order);
        assert!(rig.until(REQUEST_ROUNDS_MAX, |rig| all_executed(rig, &["1", "2", "3"])).is_some());
        // A client that lost its count begins again, is told the count, and goes on from there.
        rig.submit(&all, 0, 1, "lost count");
        let Some(Err(Refused::Pool(PoolRefusal::Superseded { last }))) = rig.answer(all[0], 0, 1)
        else {
            panic!("{:?}", rig.answer(all[0], 0, 1));
        };
        rig.submit(&all, 0, last + 1, "4");
        rig.run(REQUEST_ROUNDS_MAX);
        // Far ahead: the last nonce there is. Nothing comes after it.
        rig.submit(&all, 0, u64::MAX, "last");
        rig.run(REQUEST_ROUNDS_MAX);
        rig.submit(&all, 0, 5, "too late");
        assert!(matches!(rig.answer(all[0], 0, 5), Some(Err(_))));
        rig.run(REQUEST_ROUNDS_MAX);
        assert!(all_executed(rig, &["1", "2", "3", "4", "last"]), "{:?}", rig.operations(all[1]));
        assert_eq!(consistent(rig), None);
    });
}

#[test]
fn c_c06_what_one_client_may_have_pending_is_bounded_and_kept() {
    let mut plan = forced(plan(4, 10));
    plan.local.pending_per_client_max = 10;
    plan.drive(Rhythm::LockStep, |rig| {
        begin(rig);
        rig.behave(ReplicaId(0), Some(Behaviour::StopAssigning));
        let all = rig.correct();
        for nonce in 1..=15 {
            rig.submit(&all, 0, nonce, &nonce.to_string());
        }
        rig.run(10);
        for id in &all {
            assert_eq!(rig.status(*id).pending, 10, "{id}");
            let answers: Vec<bool> =
                (1..=15).map(|nonce| rig.answer(*id, 0, nonce) == Some(Ok(()))).collect();
            assert_eq!(answers.iter().filter(|accepted| **accepted).count(), 10);
            assert!(answers[..10].iter().all(|accepted| *accepted), "the first ones stay");
        }
    });
}

#[test]
fn c_c07_many_client_keys_leave_what_is_kept_bounded_and_equal_everywhere() {
    const EACH_ROUND: u16 = 100;
    const ROUNDS: u16 = 80;
    let mut plan = plan(4, 11);
    plan.local.pending_max = 1_000;
    plan.drive(Rhythm::LockStep, |rig| {
        begin(rig);
        let all = rig.correct();
        let mut most = [0, 0];
        for round in 0..ROUNDS {
            for client in round * EACH_ROUND..(round + 1) * EACH_ROUND {
                rig.submit(&all, client, 1, "once");
            }
            rig.run(1);
            // The bounds themselves are checked at every tick.
            let held = all.iter().map(|id| rig.held(*id).total()).max().unwrap();
            let half = usize::from(round >= ROUNDS / 2);
            most[half] = held.max(most[half]);
        }
        rig.run(REQUEST_ROUNDS_MAX);
        assert!(most[1] <= most[0] + most[0] / 20, "{most:?}");
        let state = rig.status(all[0]).executed;
        for id in &all {
            assert_eq!(rig.status(*id).executed, state, "{id}");
        }
        assert_eq!(rig.operations(all[0]).len(), usize::from(EACH_ROUND * ROUNDS));
        assert_eq!(consistent(rig), None);
    });
}

#[test]
fn c_c08_sizes_and_forms_of_requests_are_accepted_or_refused_alike_before_ordering() {
    plan(4, 12).drive(Rhythm::LockStep, |rig| {
        begin(rig);
        let (all, bytes_max) = (rig.correct(), 1024);
        let largest = "m".repeat(bytes_max);
        rig.submit(&all, 0, 1, &largest);
        rig.submit(&all, 1, 1, &"m".repeat(bytes_max + 1));
        rig.submit(&all, 2, 1, "");
        let mut changed = rig.sign(3, 1, "signed");
        changed.operation.push(b'!');
        rig.give(&all, &[changed]);
        rig.run(1);
        for id in &all {
            assert_eq!(rig.answer(*id, 0, 1), Some(Ok(())), "{id}");
            assert_eq!(rig.answer(*id, 1, 1), Some(Err(Refused::Invalid)), "{id}: too large");
            assert_eq!(rig.answer(*id, 2, 1), rig.answer(all[0], 2, 1), "{id}: empty");
            assert_eq!(rig.answer(*id, 3, 1), Some(Err(Refused::Invalid)), "{id}: not signed");
        }
        // One form for each: nothing may follow.
        let sound = rig.sign(4, 1, "sound");
        let mut bytes = codec::encode(&sound);
        assert_eq!(codec::decode::<Transaction>(&bytes), Ok(sound));
        bytes.push(0);
        assert!(codec::decode::<Transaction>(&bytes).is_err());
        rig.run(REQUEST_ROUNDS_MAX);
        let executed = rig.operations(all[0]);
        assert!(executed.contains(&largest) && executed.len() <= 2, "{}", executed.len());
        assert_eq!(consistent(rig), None);
    });
}
