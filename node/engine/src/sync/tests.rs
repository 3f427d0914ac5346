//! Who is asked for which snapshot.

use alloc::boxed::Box;
use alloc::vec::Vec;

use daruma_types::{
    Block, Certificate, Checkpoint, Hash, Height, ReplicaId, SignerSet, StateCertificate,
    Statement, Thresholds, Transaction, VoteKind,
};

use super::{ALONE_TICKS, ANSWER_TICKS, STILL_TICKS, Standing, StateSync, SyncAct};
use crate::fixtures::{CHAIN, key};
#[cfg(feature = "laboratory")]
use crate::laboratory::{Dictionary, Garbage, Scope, Values};

const LEAP: u64 = 100;
const START: Hash = Hash([0; 32]);

/// A checkpoint as far as this module looks at it: nobody signed it.
fn checkpoint(height: u64) -> Box<Checkpoint> {
    let height = Height(height);
    let transaction = Transaction::sign(CHAIN, &key(9), 1, Vec::new());
    let header = Block::build(CHAIN, height, CHAIN.0, ReplicaId(0), 1, [transaction].into()).header;
    let (hash, signers, signatures) = (header.hash(), SignerSet::EMPTY, Vec::new());
    let statement = Statement { height, block: hash, state_root: START, receipts_root: START };
    let (kind, ballot) = (VoteKind::Commit, Default::default());
    let certificate =
        Certificate { kind, ballot, height, hash, signers, signatures: signatures.clone() };
    Box::new(Checkpoint {
        header,
        certificate,
        state: StateCertificate { statement, signers, signatures },
    })
}

fn sync() -> StateSync {
    StateSync::new(ReplicaId(0), Thresholds::new(4, 1).unwrap(), LEAP)
}

fn at(head: u64) -> Standing {
    Standing { head: Height(head), restoring: None }
}

fn restoring(height: u64) -> Standing {
    Standing { head: Height(height), restoring: Some((Height(height), START)) }
}

/// The first act within so many ticks.
fn act_within(sync: &mut StateSync, standing: Standing, ticks: u32) -> Option<SyncAct> {
    (0..ticks).find_map(|_| sync.tick(standing))
}

fn restores(act: Option<SyncAct>) -> Option<u64> {
    match act {
        Some(SyncAct::Restore(checkpoint)) => Some(checkpoint.height().0),
        Some(SyncAct::Want { .. }) | None => None,
    }
}

fn asked(act: Option<SyncAct>) -> Option<u16> {
    match act {
        Some(SyncAct::Want { to, .. }) => Some(to.0),
        Some(SyncAct::Restore(_)) | None => None,
    }
}

#[test]
fn one_offer_a_little_ahead_is_not_enough_to_give_up_the_own_state() {
    let mut sync = sync();
    sync.on_offer(ReplicaId(1), checkpoint(50));
    assert_eq!(act_within(&mut sync, at(7), 10 * STILL_TICKS), None);
    sync.on_offer(ReplicaId(2), checkpoint(40));
    sync.on_offer(ReplicaId(3), checkpoint(40));
    assert_eq!(restores(sync.tick(at(7))), Some(40), "more offer it than 50");
}

#[test]
fn while_blocks_come_no_snapshot_is_restored_that_is_not_far_ahead() {
    let mut sync = sync();
    for head in 0..4 * u64::from(STILL_TICKS) {
        sync.on_offer(ReplicaId(1), checkpoint(head + LEAP - 1));
        sync.on_offer(ReplicaId(2), checkpoint(head + LEAP - 1));
        assert_eq!(sync.tick(at(head)), None);
    }
}

#[test]
fn a_snapshot_far_ahead_is_restored_though_blocks_come_and_only_one_offers_it() {
    let mut sync = sync();
    sync.on_offer(ReplicaId(3), checkpoint(500));
    let act = (1..ALONE_TICKS).find_map(|tick| sync.tick(at(u64::from(tick))));
    assert_eq!(act, None, "others may offer one that more of them have");
    assert_eq!(restores(sync.tick(at(200))), Some(500));
    let mut sync = self::sync();
    for (peer, height) in [(1, 500), (2, 400), (3, 400)] {
        sync.on_offer(ReplicaId(peer), checkpoint(height));
    }
    assert_eq!(restores(sync.tick(at(1))), Some(400), "at once, since f+1 have it");
}

#[test]
fn an_offer_that_the_ledger_refuses_is_forgotten() {
    let mut sync = sync();
    sync.on_offer(ReplicaId(3), checkpoint(500));
    assert_eq!(restores(act_within(&mut sync, at(1), ALONE_TICKS + 1)), Some(500));
    sync.on_begun(&checkpoint(500), false);
    assert_eq!(act_within(&mut sync, at(1), 2 * ALONE_TICKS), None);
}

#[test]
fn chunks_come_from_those_who_offer_the_snapshot_in_turn() {
    let mut sync = sync();
    for peer in [1, 3] {
        sync.on_offer(ReplicaId(peer), checkpoint(500));
    }
    sync.on_offer(ReplicaId(2), checkpoint(600));
    let mut peers = [asked(sync.tick(restoring(500)))].to_vec();
    assert_eq!(sync.tick(restoring(500)), None, "one question at a time");
    peers.extend((0..3).map(|_| asked(sync.on_progress(restoring(500)))));
    peers.sort_unstable();
    assert_eq!(peers, [Some(1), Some(1), Some(3), Some(3)]);
}

#[test]
fn whoever_is_silent_or_gives_a_bad_chunk_is_asked_again_only_after_all_others() {
    let mut sync = sync();
    for peer in 1..4 {
        sync.on_offer(ReplicaId(peer), checkpoint(500));
    }
    let first = asked(sync.tick(restoring(500))).unwrap();
    assert!(sync.is_asked(ReplicaId(first)));
    let second = asked(sync.on_refused(ReplicaId(first), restoring(500))).unwrap();
    let third = asked(act_within(&mut sync, restoring(500), ANSWER_TICKS + 2)).unwrap();
    let mut all = [first, second, third];
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3]);
}

#[test]
fn a_snapshot_that_nobody_has_any_more_gives_way_to_one_that_is_offered() {
    let mut sync = sync();
    for _ in 0..4 {
        for peer in 1..4 {
            if asked(sync.tick(restoring(500))).is_some() || sync.is_asked(ReplicaId(peer)) {
                // They answer with what they have; the liar is the one at 900.
                sync.on_offer(ReplicaId(peer), checkpoint(if peer == 1 { 900 } else { 600 }));
            }
        }
    }
    assert_eq!(restores(act_within(&mut sync, restoring(500), 8 * ANSWER_TICKS)), Some(600));
}

#[cfg(feature = "laboratory")]
#[test]
fn from_any_memory_a_snapshot_that_is_offered_is_restored_and_its_chunks_are_asked_for() {
    let dictionary = Dictionary::default();
    for seed in 0..2_000 {
        let mut sync = sync();
        let values = if seed % 5 == 0 { Values::Largest } else { Values::Mixed };
        let mut garbage = Garbage::new(seed, Scope::All, values, &dictionary, 4);
        sync.scramble(&mut garbage, &[*checkpoint(500), *checkpoint(70)]);
        for peer in 1..4 {
            sync.on_offer(ReplicaId(peer), checkpoint(300));
        }
        // The ledger refuses what does not verify, and takes the true one.
        let mut restored = None;
        for _ in 0..20 * STILL_TICKS {
            if let Some(SyncAct::Restore(offer)) = sync.tick(at(5)) {
                sync.on_begun(&offer, offer.height() == Height(300));
                if offer.height() == Height(300) {
                    restored = Some(());
                    break;
                }
            }
        }
        assert!(restored.is_some(), "seed {seed}: {sync:?}");
        let want = act_within(&mut sync, restoring(300), 2 * ANSWER_TICKS);
        assert!(asked(want).is_some(), "seed {seed}: {sync:?}");
    }
}

#[cfg(feature = "laboratory")]
#[test]
fn the_laboratory_reaches_every_variable() {
    let dictionary = Dictionary::default();
    let mut changed = alloc::collections::BTreeMap::<&str, u32>::new();
    for seed in 0..200 {
        let mut sync = sync();
        let mut garbage = Garbage::new(seed, Scope::All, Values::Mixed, &dictionary, 4).watching();
        sync.scramble(&mut garbage, &[*checkpoint(500)]);
        for (name, (_, times)) in garbage.variables() {
            *changed.entry(name).or_default() += times;
        }
    }
    assert_eq!(changed.len(), 8);
    assert!(changed.values().all(|times| *times > 0), "{changed:?}");
}
