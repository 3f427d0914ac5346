use std::sync::Arc;

use daruma_types::{
    Attestation, Ballot, Block, Certificate, CertifiedBlock, ChainId, Committee, Hash, HeadClaim,
    Height, Message, Outcome, Receipt, Replica, ReplicaId, Report, SignerSet, Statement,
    Transaction, Vote, VoteKind,
};

use super::Checkers;
use crate::{Invariant, Keys, Role, Scheme};

const CHAIN: ChainId = ChainId(Hash([7; 32]));
const R0: ReplicaId = ReplicaId(0);
const R1: ReplicaId = ReplicaId(1);

struct Bench {
    keys: Keys,
    checkers: Checkers,
}

impl Bench {
    fn new() -> Self {
        let keys = Keys::new(Scheme::Fast, 1);
        let replicas = (0..4)
            .map(|i| Replica {
                name: format!("r{i}"),
                key: keys.signer(Role::Replica, i).public_key(),
            })
            .collect();
        let committee = Arc::new(Committee::new(CHAIN, 1, replicas).unwrap());
        let verifier = keys.verifier();
        Self { keys, checkers: Checkers::new(committee, verifier) }
    }

    /// A transaction that its client is known to have signed.
    fn transaction(&mut self, nonce: u64) -> Transaction {
        let signer = self.keys.signer(Role::Client, 0);
        let transaction = Transaction::sign(CHAIN, signer.as_ref(), nonce, vec![nonce as u8]);
        self.checkers.signed(&transaction);
        transaction
    }

    fn vote(&self, replica: u16, kind: VoteKind, ballot: u64, height: u64, hash: Hash) -> Vote {
        let signer = self.keys.signer(Role::Replica, replica);
        Vote::sign(kind, CHAIN, Ballot(ballot), Height(height), hash, signer.as_ref())
    }

    fn certified(&self, parent: &Statement, transactions: Vec<Transaction>) -> CertifiedBlock {
        let height = parent.height.next();
        let block = Block::build(CHAIN, height, parent.block, R0, 5, transactions);
        let hash = block.hash();
        let votes = (0..3).map(|i| self.vote(i, VoteKind::Commit, 0, height.0, hash).signature);
        let certificate = Certificate {
            kind: VoteKind::Commit,
            ballot: Ballot(0),
            height,
            hash,
            signers: (0..3).map(ReplicaId).collect::<SignerSet>(),
            signatures: votes.collect(),
        };
        CertifiedBlock { block: Arc::new(block), certificate }
    }

    /// Lets a replica execute a block whose transactions all took effect.
    fn execute(
        &mut self,
        replica: ReplicaId,
        certified: &CertifiedBlock,
        state: u8,
    ) -> Result<Statement, Invariant> {
        let header = &certified.block.header;
        let statement = Statement {
            height: header.height,
            block: header.hash(),
            state_root: Hash([state; 32]),
            receipts_root: Hash::default(),
        };
        let receipts: Vec<Receipt> = certified
            .block
            .transactions
            .iter()
            .enumerate()
            .map(|(index, transaction)| Receipt {
                transaction: transaction.hash(CHAIN),
                height: header.height,
                index: index as u32,
                outcome: Outcome::Executed { reply: Vec::new() },
            })
            .collect();
        self.checkers
            .executed(replica, certified, statement, &receipts)
            .map(|()| statement)
            .map_err(|(invariant, _)| invariant)
    }
}

fn genesis() -> Statement {
    Statement {
        height: Height(0),
        block: CHAIN.0,
        state_root: Hash::default(),
        receipts_root: Hash::default(),
    }
}

#[test]
fn two_blocks_at_one_height_break_agreement_and_two_states_determinism() {
    let mut bench = Bench::new();
    let one = bench.certified(&genesis(), Vec::new());
    let transaction = bench.transaction(1);
    let other = bench.certified(&genesis(), vec![transaction]);
    assert!(bench.execute(R0, &one, 1).is_ok());
    assert_eq!(bench.execute(R1, &other, 1), Err(Invariant::Agreement));
    assert_eq!(bench.execute(R1, &one, 2), Err(Invariant::Determinism));
    assert!(bench.execute(R1, &one, 1).is_ok());
}

#[test]
fn a_nonce_that_takes_effect_twice_breaks_validity_and_so_does_what_nobody_signed() {
    let mut bench = Bench::new();
    let transaction = bench.transaction(1);
    let first = bench.certified(&genesis(), vec![transaction.clone()]);
    let head = bench.execute(R0, &first, 1).unwrap();
    let again = bench.certified(&head, vec![transaction]);
    assert_eq!(bench.execute(R0, &again, 1), Err(Invariant::Validity));
    let signer = bench.keys.signer(Role::Client, 0);
    let unknown = Transaction::sign(CHAIN, signer.as_ref(), 9, vec![9]);
    let invented = bench.certified(&head, vec![unknown]);
    assert_eq!(bench.execute(R0, &invented, 1), Err(Invariant::Validity));
}

#[test]
fn a_block_with_too_few_votes_breaks_evidence() {
    let mut bench = Bench::new();
    let mut certified = bench.certified(&genesis(), Vec::new());
    certified.certificate.signers = (0..2).map(ReplicaId).collect();
    certified.certificate.signatures.pop();
    assert_eq!(bench.execute(R0, &certified, 1), Err(Invariant::Evidence));
}

#[test]
fn a_height_left_out_or_a_head_that_went_back_breaks_durability() {
    let mut bench = Bench::new();
    let first = bench.certified(&genesis(), Vec::new());
    let head = bench.execute(R0, &first, 1).unwrap();
    let second = bench.certified(&head, Vec::new());
    assert_eq!(bench.execute(R1, &second, 1), Err(Invariant::Durability));
    assert!(bench.checkers.recovered(R0, &head).is_ok());
    assert!(bench.checkers.recovered(R0, &genesis()).is_err());
    assert!(bench.checkers.recovered(R1, &genesis()).is_ok());
}

#[test]
fn a_second_vote_is_noticed_and_a_repeated_one_is_not() {
    let mut bench = Bench::new();
    let sent = |bench: &mut Bench, kind, ballot, byte| {
        let vote = bench.vote(0, kind, ballot, 1, Hash([byte; 32]));
        bench.checkers.sent(R0, &Message::Vote(vote)).map_err(|(invariant, _)| invariant)
    };
    assert_eq!(sent(&mut bench, VoteKind::Prepare, 0, 1), Ok(()));
    assert_eq!(sent(&mut bench, VoteKind::Prepare, 0, 1), Ok(()));
    assert_eq!(sent(&mut bench, VoteKind::Prepare, 1, 2), Ok(()));
    assert_eq!(sent(&mut bench, VoteKind::Prepare, 0, 2), Err(Invariant::OneVote));
}

#[test]
fn a_commit_after_a_report_that_does_not_cover_it_is_noticed() {
    let mut bench = Bench::new();
    let signer = bench.keys.signer(Role::Replica, 0);
    let head = HeadClaim::genesis(CHAIN);
    let report = Report::sign(CHAIN, R0, Ballot(2), head, None, signer.as_ref());
    assert!(bench.checkers.sent(R0, &Message::Report(report)).is_ok());
    let mut commit = |ballot| {
        let vote = bench.vote(0, VoteKind::Commit, ballot, 1, Hash([1; 32]));
        bench.checkers.sent(R0, &Message::Vote(vote)).map_err(|(invariant, _)| invariant)
    };
    assert_eq!(commit(1), Err(Invariant::OneVote));
    assert_eq!(commit(2), Ok(()));
}

#[test]
fn two_equal_attestations_of_four_replicas_confirm_and_one_does_not() {
    let mut bench = Bench::new();
    let transaction = bench.transaction(5);
    let certified = bench.certified(&genesis(), vec![transaction.clone()]);
    let statement = bench.execute(R0, &certified, 1).unwrap();
    let mut gather = |id: ReplicaId| {
        let signer = bench.keys.signer(Role::Replica, id.0);
        let attestation = Attestation::sign(statement, id, CHAIN, signer.as_ref());
        bench.checkers.gather(id, &attestation).unwrap()
    };
    assert_eq!(gather(R0), []);
    assert_eq!(gather(R0), []);
    assert_eq!(gather(R1), [(transaction.client, 5)]);
}
