//! Four replicas with real keys, and an honest message of every kind.

use std::sync::{Arc, LazyLock};

use daruma_types::{
    Attestation, Ballot, Block, Certificate, CertifiedBlock, ChainId, Committee, Coordination,
    Demand, EnterCertificate, Hash, HeadClaim, Height, Lacks, LeaveCertificate, Message,
    MonitorReport, NewView, Place, PrePrepare, Replica, ReplicaId, Report, SecretKey, Signature,
    Signer, SignerSet, SlotLine, StateCertificate, Statement, Summary, Transaction, View, Vote,
    VoteKind, Want,
};

use crate::{Adversary, Surroundings};

pub(super) const CHAIN: ChainId = ChainId(Hash([7; 32]));
pub(super) const OWN: ReplicaId = ReplicaId(0);

pub(super) fn key(i: u16) -> SecretKey {
    SecretKey::from_bytes(&[i as u8 + 1; 32])
}

pub(super) fn committee() -> Committee {
    let replicas =
        (0..4).map(|i| Replica { name: format!("r{i}"), key: key(i).public_key() }).collect();
    Committee::new(CHAIN, 1, replicas).unwrap()
}

pub(super) fn summary() -> Summary {
    Summary {
        view: View(4),
        phase: 1,
        reports: SignerSet::EMPTY,
        ballot: Ballot(4),
        active: false,
        head: Height(9),
        head_hash: Hash([9; 32]),
        executed: Height(9),
        state_root: Hash([8; 32]),
        attested: Height(8),
        prepared: None,
        slots: vec![SlotLine {
            height: Height(10),
            short: 5,
            accepted: true,
            prepares: SignerSet::EMPTY,
            commits: SignerSet::EMPTY,
        }],
        monitor: MonitorReport::default(),
    }
}

/// What the adversary at replica 0, primary of ballots 0, 4, 8, knows around it.
pub(super) fn with_surroundings<T>(body: impl FnOnce(&Surroundings<'_>) -> T) -> T {
    let (committee, signer, summary) = (committee(), key(OWN.0), summary());
    body(&Surroundings {
        own: OWN,
        committee: &committee,
        signer: &signer,
        now_ms: 5,
        elapsed_ms: 0,
        link_per_tick: 64,
        summary: Some(&summary),
    })
}

pub(super) fn transactions() -> Vec<Transaction> {
    let client = SecretKey::from_bytes(&[99; 32]);
    (1..=3).map(|n| Transaction::sign(CHAIN, &client, n, vec![1])).collect()
}

pub(super) fn block(height: u64, parent: Hash) -> Arc<Block> {
    Arc::new(Block::build(CHAIN, Height(height), parent, OWN, 5, transactions()))
}

pub(super) fn proposal(ballot: u64, block: Arc<Block>) -> Message {
    let (ballot, height) = (Ballot(ballot), block.header.height);
    let primary = key((ballot.0 % 4) as u16);
    let bytes = VoteKind::Prepare.signed_bytes(CHAIN, ballot, height, &block.hash());
    let signature = primary.sign(&bytes);
    Message::PrePrepare(PrePrepare { ballot, block, signature })
}

pub(super) fn vote(from: u16, kind: VoteKind, height: u64, hash: Hash) -> Vote {
    Vote::sign(kind, CHAIN, Ballot(4), Height(height), hash, &key(from))
}

fn by_three<T>(sign: impl Fn(u16) -> T) -> (SignerSet, Vec<T>) {
    ((0..3).map(ReplicaId).collect(), (0..3).map(sign).collect())
}

pub(super) fn certified(block: Arc<Block>) -> CertifiedBlock {
    let (kind, height, hash) = (VoteKind::Commit, block.header.height, block.hash());
    let sign = |i| vote(i, kind, height.0, hash).signature;
    let (signers, signatures) = by_three(sign);
    let ballot = Ballot(4);
    CertifiedBlock {
        block,
        certificate: Certificate { kind, ballot, height, hash, signers, signatures },
    }
}

fn statement() -> Statement {
    Statement {
        height: Height(1),
        block: Hash([1; 32]),
        state_root: Hash([2; 32]),
        receipts_root: Hash([3; 32]),
    }
}

fn report(from: u16) -> Report {
    let first = certified(block(1, CHAIN.0));
    let claim = HeadClaim {
        height: Height(1),
        hash: first.block.hash(),
        certificate: Some(first.certificate),
    };
    Report::sign(CHAIN, ReplicaId(from), Ballot(4), claim, None, &key(from))
}

/// A true message of `from`, of every kind; of proposals and some others there are two.
pub(super) fn every_kind(from: u16) -> Vec<Arc<Message>> {
    static MESSAGES: LazyLock<Vec<Vec<Arc<Message>>>> =
        LazyLock::new(|| (0..4).map(make_every_kind).collect());
    MESSAGES[usize::from(from)].clone()
}

fn make_every_kind(from: u16) -> Vec<Arc<Message>> {
    let first = block(1, CHAIN.0);
    let second = block(2, first.hash());
    let (signers, leaves) = by_three(|i| Demand::sign(CHAIN, View(3), &key(i)).signature);
    let (_, entries) = by_three(|i| report(i).entry());
    let attest = |i: u16| Attestation::sign(statement(), ReplicaId(i), CHAIN, &key(i));
    let (_, attested): (_, Vec<Signature>) = by_three(|i| attest(i).signature);
    let reports = (0..3).map(report).collect();
    let headers = vec![second.header.clone()];
    let messages = vec![
        Message::Token { counter: 5 },
        Message::TokenReturn { counter: 6 },
        Message::Summary(summary()),
        Message::Coordination(Coordination { own: Place::RESET, echo: Place::RESET }),
        Message::Demand(Demand::sign(CHAIN, View(4), &key(from))),
        Message::Leave(LeaveCertificate { view: View(3), signers, signatures: leaves }),
        Message::Report(report(from)),
        Message::Enter(EnterCertificate { view: View(4), signers, entries }),
        Message::NewView(NewView::sign(CHAIN, Ballot(4), reports, headers, &key(0))),
        proposal(4, Arc::clone(&first)),
        proposal(4, Arc::clone(&second)),
        Message::Vote(vote(from, VoteKind::Prepare, 2, second.hash())),
        Message::Vote(vote(from, VoteKind::Commit, 2, second.hash())),
        Message::Certificate(certified(Arc::clone(&first)).certificate),
        Message::Certificate(certified(Arc::clone(&second)).certificate),
        Message::Want(Want { blocks: vec![(Height(2), second.hash())] }),
        Message::Lacks(Lacks { blocks: vec![(Height(2), second.hash())], voted: Some(Ballot(3)) }),
        Message::Body(Arc::clone(&second)),
        Message::Fetch { from: Height(1), count: 4 },
        Message::Blocks(vec![certified(first), certified(second)]),
        Message::Attestation(attest(from)),
        Message::StateCertificates(vec![StateCertificate {
            statement: statement(),
            signers,
            signatures: attested,
        }]),
        Message::Transactions(transactions()),
    ];
    messages.into_iter().map(Arc::new).collect()
}

/// What an adversary did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Transcript {
    pub(super) said: Vec<(ReplicaId, Arc<Message>)>,
    /// What it let its engine hear.
    heard: Vec<Option<Arc<Message>>>,
}

/// Everything that the adversary says while its engine and the others say one message of every kind,
/// twice over, with some ticks.
pub(super) fn transcript(adversary: &mut dyn Adversary, around: &Surroundings<'_>) -> Transcript {
    let (mut said, mut heard) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        for from in (1..4).map(ReplicaId) {
            for message in every_kind(from.0) {
                heard.push(adversary.incoming(from, message, around));
            }
        }
        for message in every_kind(OWN.0) {
            for to in (1..4).map(ReplicaId) {
                let sent = adversary.outgoing(to, Arc::clone(&message), around);
                said.extend(sent.into_iter().map(|message| (to, message)));
            }
        }
        for _ in 0..4 {
            said.extend(adversary.on_tick(around));
        }
    }
    Transcript { said, heard }
}
