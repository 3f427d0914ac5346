//! What only the inside of a run can do to it.

use std::sync::Arc;

use daruma_engine::{Destination, Effect};
use daruma_ledger::{Depth, Ledger};
use daruma_store::{Column, Store, Trust};
use daruma_types::{
    Ballot, Block, Certificate, CertifiedBlock, Hash, Height, Message, Promise, ReplicaId,
    SignerSet, Statement, Vote, VoteKind,
};

use super::World;
use crate::Plan;

/// A block that no quorum ever certified.
fn forged(world: &World<'_>, height: Height, parent: Hash) -> CertifiedBlock {
    let chain = world.committee.chain();
    let block = Block::build(chain, height, parent, ReplicaId(0), 1, Vec::new());
    let hash = block.hash();
    let certificate = Certificate {
        kind: VoteKind::Commit,
        ballot: Default::default(),
        height,
        hash,
        signers: SignerSet::EMPTY,
        signatures: Vec::new(),
    };
    CertifiedBlock { block: Arc::new(block), certificate }
}

/// Runs until `until_us`.
fn run(world: &mut World<'_>, until_us: u64) {
    while world.now_us < until_us && world.violations.is_empty() {
        let (at_us, event) = world.queue.pop().unwrap();
        world.now_us = at_us;
        world.happen(event);
    }
}

#[test]
fn a_ledger_given_wrong_blocks_by_its_engine_executes_none_and_service_goes_on() {
    let plan = Plan::calm(5, 4);
    let mut world = World::new(&plan, None);
    run(&mut world, 2_000_000);
    world.replicas[1].transient = true;
    let head = world.replicas[1].running.as_ref().unwrap().ledger.head().claim.clone();
    let wrong = [
        forged(&world, head.height, Hash([7; 32])),
        forged(&world, head.height.plus(9), Hash([7; 32])),
        forged(&world, head.height.next(), Hash([7; 32])),
        forged(&world, head.height.next(), head.hash),
    ];
    for block in wrong {
        world.decided(1, block);
    }
    while !world.ended && world.violations.is_empty() {
        let Some((at_us, event)) = world.queue.pop() else { break };
        world.now_us = at_us;
        world.happen(event);
    }
    assert_eq!(world.violations, []);
    assert_eq!(world.stats.counts.get("ledger: block refused"), Some(&4));
    assert!(world.checkers.executed_at(ReplicaId(1)) > head.height);
}

#[test]
fn a_correct_replica_without_a_transient_fault_must_never_be_refused_by_its_ledger() {
    let plan = Plan::calm(5, 4);
    let mut world = World::new(&plan, None);
    run(&mut world, 1_000_000);
    let gap = forged(&world, Height(1_000), Hash([7; 32]));
    world.decided(1, gap);
    run(&mut world, 1_100_000);
    assert_eq!(world.violations.len(), 1);
    assert_eq!(world.violations[0].invariant, crate::Invariant::Refused);
}

#[test]
fn an_engine_is_told_where_its_ledger_stands_and_finds_nothing_to_repair() {
    let plan = Plan::calm(6, 4);
    let mut world = World::new(&plan, None);
    run(&mut world, 3_000_000);
    world.now_us = 3_000_000;
    world.tell_head_again(2, world.replicas[2].incarnation);
    run(&mut world, 3_001_000);
    assert_eq!(world.stats.counts.get("observed: repaired"), None);
    assert_eq!(world.violations, []);
}

#[test]
fn an_engine_about_to_contradict_its_journal_says_nothing_is_made_anew_and_goes_on() {
    let plan = Plan::calm(5, 4);
    let mut world = World::new(&plan, None);
    run(&mut world, 2_000_000);
    world.replicas[1].transient = true;
    let height = world.replicas[1].running.as_ref().unwrap().ledger.head().claim.height;
    let wrong = forged(&world, height, Hash([7; 32]));
    let messages = world.stats.messages;
    let contradiction = Effect::Promise {
        promise: Promise::Prepare {
            ballot: Ballot(0),
            height,
            hash: wrong.certificate.hash,
            block: wrong.block,
        },
        then: vec![(Destination::All, Message::TokenReturn { counter: 77 })],
    };
    for _ in 0..2 {
        world.now_us += 1;
        world.perform(1, &mut vec![contradiction.clone()]);
        let incarnation = world.replicas[1].incarnation;
        world.synced(1, incarnation);
        assert_eq!(world.replicas[1].incarnation, incarnation + 2, "ended and started");
    }
    assert!(world.stats.messages < messages + 20, "a summary and what a start says");
    while !world.ended && world.violations.is_empty() {
        let Some((at_us, event)) = world.queue.pop() else { break };
        world.now_us = at_us;
        world.happen(event);
    }
    assert_eq!(world.violations, []);
    assert_eq!(world.stats.counts.get("repaired: contradiction of the journal"), Some(&2));
    assert!(world.checkers.executed_at(ReplicaId(1)) > height);
}

/// Rows of all tables of a crashed replica's disk are lost, cut or changed.
fn damage_disk(world: &World<'_>, replica: usize) {
    let store = &world.replicas[replica].store;
    for column in Column::ALL {
        for (index, key) in store.keys(column).into_iter().enumerate() {
            let row = store.row(column, &key).unwrap().expect("the store has just named this key");
            match index % 7 {
                2 => store.damage(column, &key, None),
                4 => store.damage(column, &key, Some(row[..row.len() / 2].to_vec())),
                5 => store.damage(column, &key, Some(row.iter().map(|b| b ^ 1).collect())),
                _ => {}
            }
        }
    }
}

#[test]
fn a_replica_whose_disk_was_damaged_all_over_starts_and_comes_back_to_the_others() {
    let plan = Plan::calm(7, 4);
    let mut world = World::new(&plan, None);
    run(&mut world, 2_000_000);
    let height = world.checkers.executed_at(ReplicaId(2));
    world.replicas[2].transient = true;
    world.crash(2);
    damage_disk(&world, 2);
    world.start(2);
    assert!(world.checkers.executed_at(ReplicaId(2)) < height);
    while !world.ended && world.violations.is_empty() {
        let Some((at_us, event)) = world.queue.pop() else { break };
        world.now_us = at_us;
        world.happen(event);
    }
    assert_eq!(world.violations, []);
    assert!(world.checkers.executed_at(ReplicaId(2)) > height);
    assert!(world.stats.counts.contains_key("repaired: row of the disk"));
}

/// Certified blocks without transactions, the same for all branches up to `fork`.
fn branch(world: &World<'_>, length: u64, fork: u64, branch: u64) -> Vec<CertifiedBlock> {
    let chain = world.committee.chain();
    let quorum = world.committee.thresholds().quorum();
    let mut parent = chain.0;
    (1..=length)
        .map(|at| {
            let (height, salt) = (Height(at), if at > fork { branch } else { 0 });
            let block = Block::build(chain, height, parent, ReplicaId(0), at + salt, Vec::new());
            parent = block.hash();
            let (kind, ballot, hash) = (VoteKind::Commit, Ballot(0), parent);
            let signed = world.replicas.iter().take(quorum).map(|replica| {
                let signer = replica.context.signer.as_ref();
                Vote::sign(kind, chain, ballot, height, hash, signer).signature
            });
            let signatures = signed.collect();
            let signers = world.committee.ids().take(quorum).collect();
            let certificate = Certificate { kind, ballot, height, hash, signers, signatures };
            CertifiedBlock { block: Arc::new(block), certificate }
        })
        .collect()
}

/// Lays a chain into the ledger of a replica that has not started.
fn lay(world: &mut World<'_>, replica: usize, blocks: &[CertifiedBlock]) -> Vec<Statement> {
    let placed = &mut world.replicas[replica];
    (placed.transient, placed.tainted) = (true, true);
    let trust =
        Trust { committee: Arc::clone(&world.committee), verifier: Arc::clone(&world.verifier) };
    let store = Arc::clone(&placed.store) as Arc<dyn Store>;
    let automaton = Arc::clone(&world.automaton);
    let (mut ledger, _) = Ledger::open(store, automaton, trust, Depth::Recent).unwrap();
    blocks.iter().map(|block| ledger.execute(block).unwrap().statement).collect()
}

/// Lays these branches and runs to the end: everything that clients asked for is executed by all, on one
/// chain, which is `winner`'s up to its length.
fn forked_run_converges(seed: u64, branches: &[(u64, u64)], winner: usize) {
    const FORK: u64 = 5;
    let plan = Plan::calm(seed, branches.len());
    let mut world = World::new(&plan, None);
    let chains: Vec<Vec<CertifiedBlock>> =
        branches.iter().map(|(length, of)| branch(&world, *length, FORK, *of)).collect();
    let statements: Vec<Vec<Statement>> = chains
        .iter()
        .enumerate()
        .map(|(replica, blocks)| lay(&mut world, replica, blocks))
        .collect();
    // The longest of the winner's branch is what the others will have executed.
    let canonical = (0..branches.len())
        .filter(|replica| branches[*replica].1 == branches[winner].1)
        .max_by_key(|replica| branches[*replica].0)
        .unwrap();
    world.checkers.begin_with(ReplicaId(canonical as u16), &statements[canonical]);
    world.forked = true;
    while !world.ended && world.violations.is_empty() {
        let Some((at_us, event)) = world.queue.pop() else { break };
        world.now_us = at_us;
        world.happen(event);
    }
    assert_eq!(world.violations, [], "{:?}", world.stats.counts);
    let given_up = world.stats.counts.get("conflict: blocks given up").copied().unwrap_or(0);
    let losers = branches.iter().filter(|(_, of)| *of != branches[winner].1).count();
    // A replica that left may take blocks of its old branch from one that has not, and leave again.
    assert!(given_up as usize >= losers, "{:?}", world.stats.counts);
    for (replica, (_, of)) in world.replicas.iter().zip(branches) {
        assert!(*of != branches[winner].1 || replica.incarnation == 1, "the winners stay");
    }
    // The checkers cannot judge agreement of a run that begins without it: the ledgers are compared.
    let ledgers = world.replicas.iter().map(|replica| &replica.running.as_ref().unwrap().ledger);
    let heads: Vec<_> = ledgers.clone().map(|ledger| ledger.head().statement).collect();
    assert!(heads.iter().all(|head| *head == heads[0]), "{heads:?}");
    assert!(heads[0].height.0 > branches[canonical].0, "service went on");
    for ledger in ledgers {
        for block in &chains[canonical] {
            let height = block.certificate.height;
            let stored = ledger.reader().certified_block(height).unwrap();
            assert_eq!(stored.as_ref(), Some(block));
        }
    }
}

#[test]
fn one_replica_of_four_on_another_certified_branch_comes_to_the_others() {
    forked_run_converges(1, &[(12, 1), (12, 1), (9, 2), (12, 1)], 0);
    forked_run_converges(2, &[(12, 1), (12, 1), (12, 1), (30, 2)], 0);
    forked_run_converges(3, &[(200, 1), (200, 1), (180, 2), (200, 1)], 0);
}

#[test]
fn of_two_certified_branches_with_two_replicas_each_one_is_left() {
    for seed in 0..4 {
        let plan = Plan::calm(seed, 4);
        let world = World::new(&plan, None);
        let first = |of| branch(&world, 6, 5, of)[5].certificate.hash;
        let winner = if first(1) > first(2) { 0 } else { 1 };
        forked_run_converges(seed, &[(12, 1), (14, 2), (12, 1), (13, 2)], winner);
    }
}
