//! Giving up blocks for another certified chain.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::sync::Arc;

use daruma_ledger::{Depth, Ledger, LedgerReader};
#[cfg(feature = "rocks")]
use daruma_store::RocksStore;
use daruma_store::{Column, MemoryStore, Store};
use daruma_types::{Adoption, Ballot, CertifiedBlock, Height, Promise, VoteKind};
use support::{Script, block_on, ledger_on, run, transaction, trust};

const FORK: u64 = 3;
const LENGTH: u64 = 9;

/// Blocks up to the fork are the same for all branches.
fn grow(ledger: &mut Ledger, branch: u64) {
    for height in 1..=LENGTH {
        let salt = if height > FORK { branch } else { 0 };
        let operation = format!("+k{height}={salt};+last={height}");
        run(ledger, vec![transaction(1, 100 * height + salt, &operation)]);
    }
}

fn blocks(reader: &LedgerReader, from: u64, to: u64) -> Vec<CertifiedBlock> {
    (from..=to).map(|height| reader.certified_block(Height(height)).unwrap().unwrap()).collect()
}

/// Ledgers on two branches: the first in `store`.
fn two(store: Arc<dyn Store>) -> (Ledger, Ledger) {
    let (mut own, mut other) = (ledger_on(store), ledger_on(Arc::new(MemoryStore::new())));
    grow(&mut own, 1);
    grow(&mut other, 2);
    (own, other)
}

#[test]
fn blocks_below_above_and_of_the_fork_are_told_apart() {
    let (mut own, other) = two(Arc::new(MemoryStore::new()));
    let (head, other) = (own.head().clone(), other.reader());
    let mine = blocks(&own.reader(), 1, LENGTH);
    let cases = [
        (blocks(&other, 1, FORK), Adoption::Same { to: Height(FORK) }),
        (blocks(&other, FORK + 2, LENGTH), Adoption::Below { from: Height(FORK + 2) }),
        (blocks(&other, LENGTH, LENGTH), Adoption::Below { from: Height(LENGTH) }),
        (mine, Adoption::Same { to: Height(LENGTH) }),
        (Vec::new(), Adoption::Same { to: Height(0) }),
    ];
    for (given, expected) in cases {
        assert_eq!(own.adopt(&given, false).unwrap(), expected);
        assert_eq!(*own.head(), head);
    }
    let next = block_on(&head, vec![transaction(1, 99_999, "+a=1")]);
    assert_eq!(own.adopt(&[next], false).unwrap(), Adoption::Same { to: Height(LENGTH) });
}

#[test]
fn blocks_that_nobody_certified_change_nothing() {
    let (mut own, other) = two(Arc::new(MemoryStore::new()));
    let head = own.head().clone();
    let mut forged = blocks(&other.reader(), FORK + 1, LENGTH);
    forged[0].certificate.signatures.swap(0, 1);
    assert_eq!(own.adopt(&forged, false).unwrap(), Adoption::Same { to: Height(0) });
    assert_eq!(*own.head(), head);
}

#[test]
fn with_equal_support_exactly_one_of_the_two_gives_way() {
    let (mut own, mut other) = two(Arc::new(MemoryStore::new()));
    let (mine, theirs) = (blocks(&own.reader(), 1, LENGTH), blocks(&other.reader(), 1, LENGTH));
    let adopted = Adoption::Adopted { to: Height(FORK) };
    let results = [own.adopt(&theirs, true).unwrap(), other.adopt(&mine, true).unwrap()];
    assert!(results.contains(&adopted) && results.contains(&Adoption::Kept), "{results:?}");
}

fn leaves_and_follows(store: Arc<dyn Store>) {
    let (mut own, other) = two(Arc::clone(&store));
    let before = blocks(&own.reader(), 1, LENGTH);
    // What it promised for its branch would lead back there.
    let (block, certificate) = (before[5].block.clone(), before[5].certificate.clone());
    let vote = Promise::Prepare {
        ballot: Ballot(0),
        height: Height(LENGTH + 1),
        hash: block.hash(),
        block,
    };
    let prepared = Promise::Prepared {
        certificate: daruma_types::Certificate { kind: VoteKind::Prepare, ..certificate },
    };
    store.journal(&[vote, prepared]).unwrap();
    let theirs = blocks(&other.reader(), FORK, LENGTH);
    let adoption = own.adopt(&theirs, false).unwrap();
    assert_eq!(adoption, Adoption::Adopted { to: Height(FORK) });
    assert_eq!(own.head(), other.head(), "it has the blocks that it was given at once");
    let journal = store.recover_journal().unwrap().journal;
    assert_eq!((journal.votes.len(), journal.blocks.len(), journal.prepared), (0, 0, None));
    let kept = store.rows(Column::Quarantine, b"", usize::MAX).unwrap();
    assert_eq!(kept.len() as u64, 2 * (LENGTH - FORK), "blocks and certificates, as evidence");
    drop(own);
    let (again, repairs) =
        Ledger::open(Arc::clone(&store), Arc::new(Script), trust(), Depth::Whole).unwrap();
    assert_eq!((again.head(), repairs), (other.head(), vec![]));
}

#[test]
fn a_ledger_that_leaves_its_branch_keeps_the_evidence_and_is_then_what_the_others_are() {
    leaves_and_follows(Arc::new(MemoryStore::new()));
    #[cfg(feature = "rocks")]
    {
        let folder = tempfile::tempdir().unwrap();
        leaves_and_follows(Arc::new(RocksStore::open(folder.path()).unwrap()));
    }
}
