//! What a pool takes, keeps, picks and passes on.

use daruma_types::Signature;

use super::*;
use crate::config::{ChainLimits, LocalLimits};

const CHAIN: ChainLimits = ChainLimits {
    operation_bytes_max: 100,
    block_bytes_max: 100_000,
    block_transactions_max: 4,
    window: 8,
};

fn transaction(client: u8, nonce: u64) -> Transaction {
    Transaction {
        client: PublicKey([client; 32]),
        nonce,
        operation: vec![client],
        signature: Signature([0; 64]),
    }
}

/// The replica that these tests are about.
const OWN: ReplicaId = ReplicaId(1);

/// A message's worth.
const MOST: Load = Load { count: 1_000, bytes: 1_000_000 };

fn pool(of: &[(u8, u64)]) -> Pool {
    let mut pool = Pool::new(4);
    for (client, nonce) in of {
        pool.insert(transaction(*client, *nonce), OWN, Height(0), &context()).unwrap();
    }
    pool
}

fn context() -> Context {
    crate::fixtures::context(4)
}

fn context_with(set: impl FnOnce(&mut LocalLimits)) -> Context {
    let mut context = context();
    set(&mut context.local);
    context
}

fn names(picked: &[Transaction]) -> Vec<(u8, u64)> {
    picked.iter().map(|t| (t.client.0[0], t.nonce)).collect()
}

#[test]
fn clients_take_turns_and_each_clients_nonces_ascend() {
    let mut pool = pool(&[(1, 3), (1, 1), (1, 2), (2, 9), (3, 5)]);
    let picked = pool.pick(|_| None, &CHAIN);
    assert_eq!(names(&picked), [(1, 1), (2, 9), (3, 5), (1, 2)]);
}

#[test]
fn what_is_executed_or_in_flight_is_not_picked_again() {
    let mut pool = pool(&[(1, 1), (1, 2), (2, 9)]);
    let used = |client: &PublicKey| (client.0[0] == 1).then_some(1);
    assert_eq!(names(&pool.pick(used, &CHAIN)), [(1, 2), (2, 9)]);
}

#[test]
fn new_clients_do_not_come_before_those_that_wait_whatever_their_keys() {
    let mut pool = pool(&[(9, 1)]);
    for newest in 1..9 {
        pool.insert(transaction(newest, 1), OWN, Height(0), &context()).unwrap();
    }
    assert_eq!(names(&pool.pick(|_| None, &CHAIN)), [(9, 1), (1, 1), (2, 1), (3, 1)]);
    assert_eq!(names(&pool.pick(|_| None, &CHAIN))[0], (4, 1));
}

#[test]
fn the_client_cut_off_by_a_full_block_comes_first_in_the_next() {
    let mut pool = pool(&[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]);
    assert_eq!(pool.pick(|_| None, &CHAIN).len(), 4);
    assert_eq!(names(&pool.pick(|_| None, &CHAIN))[0], (5, 1));
}

#[test]
fn a_full_pool_refuses_the_newest_and_keeps_the_rest() {
    // Of 16 places, each replica's share is 4, and it takes 3 of them from its clients.
    let context = context_with(|limits| limits.pending_max = 16);
    let mut pool = pool(&[(1, 1), (2, 1), (3, 1)]);
    let refused = pool.insert(transaction(4, 1), OWN, Height(0), &context);
    assert_eq!(refused, Err(PoolRefusal::Full { pending: 3 }));
    assert_eq!(pool.insert(transaction(1, 1), OWN, Height(0), &context), Ok(()));
    assert_eq!(pool.len(), 3);
}

#[test]
fn a_pool_smaller_than_the_committee_is_bounded_all_the_same() {
    let context = context_with(|limits| limits.pending_max = 2);
    let mut pool = pool(&[(1, 1)]);
    assert_eq!(pool.insert(transaction(2, 1), ReplicaId(0), Height(0), &context), Ok(()));
    let refused = pool.insert(transaction(3, 1), ReplicaId(2), Height(0), &context);
    assert_eq!(refused, Err(PoolRefusal::Full { pending: 2 }));
}

#[test]
fn what_a_replica_may_take_from_its_clients_finds_room_at_every_other_one() {
    let context = context_with(|limits| limits.pending_max = 64);
    let taken = |of: ReplicaId, at: ReplicaId, pool: &mut Pool| {
        let context = Context { own: at, ..context.clone() };
        let ask = |nonce| transaction(10 + of.0 as u8, nonce);
        (1..100).find(|n| pool.insert(ask(*n), of, Height(0), &context).is_err()).unwrap() - 1
    };
    for at in (0..4).map(ReplicaId) {
        let mut pool = Pool::new(4);
        // The others hand on all they can before, and this one's clients ask for all they can.
        let others: Vec<_> = (1..4).map(|of| ReplicaId((at.0 + of) % 4)).collect();
        let from_clients = taken(at, at, &mut pool);
        for of in others {
            assert!(taken(of, at, &mut pool) > from_clients, "{of} at {at}");
        }
        assert!(pool.len() <= 64);
        assert!(!pool.repair(Height(0), false, &context));
    }
}

#[test]
fn a_share_has_room_for_the_largest_transaction() {
    let context = context_with(|limits| limits.pending_bytes_max = 600);
    let mut large = transaction(1, 1);
    large.operation = vec![0; 100];
    assert_eq!(Pool::new(4).insert(large, OWN, Height(0), &context), Ok(()));
}

#[test]
fn one_client_cannot_take_more_than_its_share() {
    let context = context_with(|limits| limits.pending_per_client_max = 1);
    let mut pool = pool(&[(1, 1)]);
    let refused = pool.insert(transaction(1, 2), OWN, Height(0), &context);
    assert_eq!(refused, Err(PoolRefusal::ClientFull { pending: 1 }));
}

#[test]
fn execution_settles_a_nonce_and_all_below_it_and_nothing_else() {
    let mut pool = pool(&[(1, 1), (1, 2), (1, 3), (2, 1)]);
    pool.settle(&PublicKey([1; 32]), 2, Height(1));
    assert_eq!((pool.len(), pool.settled()), (2, 2));
    assert!(!pool.repair(Height(1), false, &context()));
}

#[test]
fn waiting_is_counted_from_when_a_transaction_became_its_clients_first() {
    let mut pool = pool(&[(1, 1), (1, 2)]);
    assert_eq!(pool.longest_wait_blocks(Height(10)), 10);
    pool.settle(&PublicKey([1; 32]), 1, Height(10));
    assert_eq!(pool.longest_wait_blocks(Height(12)), 2);
}

#[test]
fn wrong_totals_are_found_and_repaired() {
    let mut pool = pool(&[(1, 1)]);
    pool.loads[1].count = 77;
    assert!(pool.repair(Height(0), false, &context()));
    assert_eq!(pool.len(), 1);
}

#[test]
fn what_stands_under_another_name_or_that_nobody_signed_is_dropped() {
    let key = crate::fixtures::key(50);
    let chain = crate::fixtures::CHAIN;
    let signed = |nonce| Transaction::sign(chain, &key, nonce, vec![1]);
    let mut pool = Pool::new(4);
    for transaction in [signed(1), signed(2), transaction(3, 1)] {
        pool.insert(transaction, OWN, Height(0), &context()).unwrap();
    }
    let client = signed(1).client;
    let line = &mut pool.clients.get_mut(&client).unwrap().line;
    line.get_mut(&2).unwrap().transaction = signed(7);
    assert!(pool.repair(Height(0), false, &context()));
    assert_eq!((pool.len(), pool.clients.len()), (2, 2), "nonce 7 stood in the place of 2");
    assert!(pool.repair(Height(0), true, &context()));
    assert_eq!((pool.len(), pool.clients().collect::<Vec<_>>()), (1, vec![client]));
    assert!(!pool.repair(Height(0), true, &context()));
}

#[test]
fn a_wait_that_begins_above_what_is_executed_begins_now() {
    let mut pool = pool(&[(1, 1)]);
    pool.clients.get_mut(&PublicKey([1; 32])).unwrap().first_since = Height(u64::MAX);
    assert!(pool.repair(Height(4), false, &context()));
    assert_eq!(pool.longest_wait_blocks(Height(6)), 2);
}

/// A pool with one transaction that peer 2 passed on, as one tick after another makes it due.
fn handed_on(pool: &mut Pool, executed: Height, context: &Context) -> Vec<(u8, u64)> {
    names(&pool.tick(executed, MOST, context).to_primary)
}

#[test]
fn others_transactions_are_handed_on_oldest_first_and_no_more_than_the_primary_has_room_for() {
    // A share of 8: 6 of this replica's clients, and 2 to hand on.
    let context = context_with(|limits| limits.pending_max = 32);
    let mut pool = Pool::new(4);
    for client in [9, 8, 7] {
        pool.insert(transaction(client, 1), ReplicaId(2), Height(0), &context).unwrap();
        assert_eq!(handed_on(&mut pool, Height(0), &context), []);
    }
    let handed: Vec<_> = (0..20).flat_map(|_| handed_on(&mut pool, Height(0), &context)).collect();
    assert_eq!(handed, [(9, 1), (8, 1)]);
    // What the primary was not given it is not blamed for. Three that wait may take two blocks.
    for (client, wait) in [(9, 51), (8, 51), (7, 0)] {
        let since = pool.clients[&PublicKey([client; 32])].passed_over(Height(53));
        assert_eq!(since, wait, "{client}");
    }
    // One is executed, and the next follows.
    pool.executed(&[(PublicKey([9; 32]), 1)], Height(53));
    let handed = handed_on(&mut pool, Height(53), &context);
    assert!(handed.contains(&(7, 1)), "{handed:?}");
}

#[test]
fn a_client_of_which_anything_is_executed_is_not_passed_over() {
    let mut pool = pool(&[(1, 50)]);
    pool.executed(&[(PublicKey([1; 32]), 7)], Height(40));
    assert_eq!(pool.longest_wait_blocks(Height(45)), 5);
    // To be told again of what was executed long ago is no service.
    pool.settle(&PublicKey([1; 32]), 7, Height(45));
    assert_eq!(pool.longest_wait_blocks(Height(45)), 5);
}

#[test]
fn whoever_waits_lets_all_others_have_a_turn_before_it_holds_it_against_the_primary() {
    // 12 clients, 4 in a block.
    let of: Vec<_> = (1..=12).map(|client| (client, 1)).collect();
    let mut pool = pool(&of);
    pool.tick(Height(0), MOST, &context());
    let wait = pool.longest_wait_blocks(Height(10));
    // The largest have room for 470 in a block: a part of one more.
    assert_eq!(wait, 10 - 4);
}

#[test]
fn what_waits_through_half_of_the_patience_is_given_to_the_primary_again() {
    let context = context_with(|limits| limits.censorship_blocks = 10);
    let mut pool = pool(&[(1, 1), (1, 2)]);
    pool.tick(Height(0), MOST, &context);
    assert_eq!(handed_on(&mut pool, Height(5), &context), []);
    assert_eq!(handed_on(&mut pool, Height(6), &context), [(1, 1)]);
}

#[test]
fn places_that_no_client_can_reach_are_given_anew_in_their_order() {
    let mut pool = pool(&[(1, 1), (2, 1)]);
    pool.clients.get_mut(&PublicKey([1; 32])).unwrap().place = u64::MAX;
    assert!(pool.repair(Height(0), false, &context()));
    assert_eq!(names(&pool.pick(|_| None, &CHAIN)), [(2, 1), (1, 1)]);
    // Places that run out are given anew before, and nothing was wrong.
    pool.places = u64::MAX / 2;
    pool.insert(transaction(3, 1), OWN, Height(0), &context()).unwrap();
    assert!(!pool.repair(Height(0), false, &context()));
    assert_eq!(pool.places, 3);
    assert_eq!(names(&pool.pick(|_| None, &CHAIN)), [(2, 1), (1, 1), (3, 1)]);
}

#[test]
fn more_turns_ahead_than_there_can_be_are_none() {
    let mut pool = pool(&[(1, 1)]);
    pool.clients.get_mut(&PublicKey([1; 32])).unwrap().ahead = u64::MAX;
    assert!(pool.repair(Height(0), false, &context()));
    assert_eq!(pool.longest_wait_blocks(Height(6)), 6);
}

#[test]
fn what_nobody_of_the_committee_gave_is_dropped() {
    let mut pool = pool(&[(1, 1)]);
    let line = &mut pool.clients.get_mut(&PublicKey([1; 32])).unwrap().line;
    line.get_mut(&1).unwrap().from = ReplicaId(4);
    assert!(pool.repair(Height(0), false, &context()));
    assert_eq!(pool.len(), 0);
}
