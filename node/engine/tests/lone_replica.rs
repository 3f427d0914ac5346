//! One engine of six (f = 1), fed by hand with what the other five would sign: each rule of voting on
//! both sides of its threshold (thesis 2.6.2; the thesis's single-processor invariants of
//! replication). Quorum 4, strong 5, weak 2.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::sync::Arc;

use daruma_engine::{
    AdmissionContext, ChainLimits, Context, Effect, Engine, EngineHead, Input, LocalLimits,
    Observation, admit,
};
use daruma_types::{
    Ballot, Block, Certificate, ChainId, Committee, Demand, Ed25519, Hash, HeadClaim, Height,
    Message, NewView, PrePrepare, Promise, PublicKey, RecoveredJournal, Replica, ReplicaId, Report,
    SecretKey, Signer, Statement, Transaction, TransactionError, Verifier, View, Vote, VoteKind,
};

const CHAIN: ChainId = ChainId(Hash([9; 32]));
const LIMITS: ChainLimits = ChainLimits {
    operation_bytes_max: 64,
    block_bytes_max: 4096,
    block_transactions_max: 4,
    window: 4,
};

fn key(replica: u16) -> SecretKey {
    SecretKey::from_bytes(&[replica as u8 + 1; 32])
}

/// A transaction of client `client` that the ledger has not executed.
fn transaction(client: u8, nonce: u64) -> Transaction {
    Transaction::sign(CHAIN, &SecretKey::from_bytes(&[100 + client; 32]), nonce, vec![client])
}

struct Door(Arc<Committee>);

impl AdmissionContext for Door {
    fn committee(&self) -> &Committee {
        &self.0
    }
    fn verifier(&self) -> &dyn Verifier {
        &Ed25519
    }
    fn limits(&self) -> ChainLimits {
        LIMITS
    }
    fn check(&self, transaction: &Transaction) -> Result<(), TransactionError> {
        transaction.verify(CHAIN, LIMITS.operation_bytes_max, &Ed25519)
    }
    fn last_nonce(&self, _: &PublicKey) -> Option<u64> {
        None
    }
}

/// The engine under test, and what it said, in short words: `prepare 0/1` is a prepare of ballot 0
/// at height 1.
struct Lone {
    door: Door,
    engine: Engine,
}

impl Lone {
    fn new(own: u16) -> Self {
        let replicas =
            (0..6).map(|i| Replica { name: format!("r{i}"), key: key(i).public_key() }).collect();
        let committee = Arc::new(Committee::new(CHAIN, 1, replicas).unwrap());
        let context = Context {
            committee: Arc::clone(&committee),
            own: ReplicaId(own),
            signer: Arc::new(key(own)),
            verifier: Arc::new(Ed25519),
            chain: LIMITS,
            local: LocalLimits::default(),
        };
        let statement = Statement {
            height: Height(0),
            block: CHAIN.0,
            state_root: Hash::default(),
            receipts_root: Hash::default(),
        };
        let head = EngineHead {
            claim: HeadClaim::genesis(CHAIN),
            timestamp_ms: 0,
            statement,
            recent: Vec::new(),
        };
        let (engine, _) = Engine::new(context, head, RecoveredJournal::default());
        Self { door: Door(committee), engine }
    }

    fn hears(&mut self, from: u16, message: Message) -> Vec<String> {
        let from = ReplicaId(from);
        let message = admit(from, message, &self.door).unwrap();
        words(self.engine.step(Input::Received { from, message }))
    }

    /// Hears all of these; what it said to the last.
    fn hears_all(&mut self, from: &[u16], message: impl Fn(u16) -> Message) -> Vec<String> {
        let said: Vec<_> = from.iter().map(|id| self.hears(*id, message(*id))).collect();
        let (last, before) = said.split_last().unwrap();
        assert!(before.iter().all(Vec::is_empty), "too early: {before:?}");
        last.clone()
    }

    fn executed(&mut self, block: &Block) -> Vec<String> {
        let statement = Statement {
            height: block.header.height,
            block: block.hash(),
            state_root: Hash([1; 32]),
            receipts_root: Hash::default(),
        };
        let nonces = block.transactions.iter().map(|t| (t.client, t.nonce)).collect();
        words(self.engine.step(Input::Executed { statement, nonces }))
    }
}

/// What matters of the effects; tokens, summaries, attestations and facts are others' subject.
fn words(effects: Vec<Effect>) -> Vec<String> {
    let mut said = Vec::new();
    for effect in effects {
        match effect {
            Effect::Promise { promise, then } => {
                if let Promise::Prepared { certificate } = promise {
                    said.push(format!("prepared {}/{}", certificate.ballot, certificate.height));
                }
                said.extend(then.iter().filter_map(|(_, message)| word(message)));
            }
            Effect::Send { message, .. } => said.extend(word(&message)),
            Effect::Execute(block) => said.push(format!("execute {}", block.certificate.height)),
            Effect::Observed(Observation::Disbelieved { reason, .. }) => {
                said.push(format!("{reason:?}"));
            }
            Effect::Observed(Observation::Equivocation { replica, .. }) => {
                said.push(format!("{replica} equivocates"));
            }
            Effect::Observed(_)
            | Effect::ServeBlocks { .. }
            | Effect::Pooled(_)
            | Effect::Attested(_)
            | Effect::Adopt { .. }
            | Effect::LookUpNonces(_) => {}
        }
    }
    said
}

fn word(message: &Message) -> Option<String> {
    match message {
        Message::Vote(vote) => {
            Some(format!("{} {}/{}", vote.kind.name(), vote.ballot, vote.height))
        }
        Message::PrePrepare(p) => Some(format!("propose {}/{}", p.ballot, p.block.header.height)),
        Message::NewView(new_view) => {
            Some(format!("new-view {} takes over {}", new_view.ballot, new_view.headers.len()))
        }
        Message::Demand(demand) => Some(format!("demand {}", demand.view)),
        Message::Report(report) => Some(format!("report {}", report.ballot)),
        Message::Token { .. }
        | Message::Coordination(_)
        | Message::TokenReturn { .. }
        | Message::Summary(_)
        | Message::Leave(_)
        | Message::Enter(_)
        | Message::Certificate(_)
        | Message::Want(_)
        | Message::Body(_)
        | Message::Fetch { .. }
        | Message::Blocks(_)
        | Message::StateCertificates(_)
        | Message::Attestation(_)
        | Message::Transactions(_) => None,
    }
}

fn block(height: u64, parent: Hash, transactions: Vec<Transaction>) -> Block {
    Block::build(CHAIN, Height(height), parent, ReplicaId(0), 5, transactions)
}

fn first() -> Block {
    block(1, CHAIN.0, vec![transaction(1, 1)])
}

fn proposal(ballot: u64, block: &Block, primary: u16) -> Message {
    let (height, hash) = (block.header.height, block.hash());
    let vote = Vote::sign(VoteKind::Prepare, CHAIN, Ballot(ballot), height, hash, &key(primary));
    let (block, signature) = (Arc::new(block.clone()), vote.signature);
    Message::PrePrepare(PrePrepare { ballot: Ballot(ballot), block, signature })
}

fn vote(kind: VoteKind, ballot: u64, block: &Block, voter: u16) -> Message {
    let (height, hash) = (block.header.height, block.hash());
    Message::Vote(Vote::sign(kind, CHAIN, Ballot(ballot), height, hash, &key(voter)))
}

fn prepare(block: &Block) -> impl Fn(u16) -> Message + '_ {
    |voter| vote(VoteKind::Prepare, 0, block, voter)
}

fn commit(block: &Block) -> impl Fn(u16) -> Message + '_ {
    |voter| vote(VoteKind::Commit, 0, block, voter)
}

fn certificate(kind: VoteKind, ballot: u64, block: &Block, signers: &[u16]) -> Certificate {
    let (ballot, height, hash) = (Ballot(ballot), block.header.height, block.hash());
    let sign = |id: &u16| Vote::sign(kind, CHAIN, ballot, height, hash, &key(*id)).signature;
    let signatures = signers.iter().map(sign).collect();
    let signers = signers.iter().copied().map(ReplicaId).collect();
    Certificate { kind, ballot, height, hash, signers, signatures }
}

fn report(view: u64, from: u16, prepared: Option<Certificate>) -> Message {
    let head = HeadClaim::genesis(CHAIN);
    Message::Report(Report::sign(CHAIN, ReplicaId(from), Ballot(view), head, prepared, &key(from)))
}

#[test]
fn b48_a_proposal_of_the_primary_in_the_window_on_the_tip_is_prepared() {
    let mut backup = Lone::new(1);
    assert_eq!(backup.hears(0, proposal(0, &first(), 0)), ["prepare 0/1"]);
    let second = block(2, first().hash(), vec![transaction(1, 2)]);
    assert_eq!(backup.hears(0, proposal(0, &second, 0)), ["prepare 0/2"]);
}

#[test]
fn b48_a_proposal_outside_the_window_of_another_ballot_or_on_another_parent_is_not_prepared() {
    let mut backup = Lone::new(1);
    for height in [5, 10_000, u64::MAX] {
        let far = block(height, CHAIN.0, vec![transaction(1, 1)]);
        let said = backup.hears(0, proposal(0, &far, 0));
        assert!(!said.iter().any(|word| word.starts_with("prepare")), "{height}: {said:?}");
    }
    assert!(backup.hears(0, proposal(6, &first(), 0)).is_empty(), "the next ballot of r0");
    let orphan = block(1, Hash([3; 32]), vec![transaction(1, 1)]);
    assert_eq!(backup.hears(0, proposal(0, &orphan, 0)), ["WrongParent"]);
}

#[test]
fn b40_a_block_with_one_nonce_twice_or_one_that_is_in_flight_is_not_prepared() {
    let mut backup = Lone::new(1);
    let twice = block(1, CHAIN.0, vec![transaction(1, 1), transaction(1, 1)]);
    assert_eq!(backup.hears(0, proposal(0, &twice, 0)), ["StaleNonce"]);
    let mut backup = Lone::new(1);
    backup.hears(0, proposal(0, &first(), 0));
    let again = block(2, first().hash(), vec![transaction(1, 1)]);
    assert_eq!(backup.hears(0, proposal(0, &again, 0)), ["StaleNonce"]);
}

#[test]
fn b41_heights_at_the_end_of_their_range_do_no_harm() {
    let mut backup = Lone::new(1);
    for height in [u64::MAX - 5, u64::MAX - 1, u64::MAX] {
        let last = block(height, CHAIN.0, vec![transaction(1, 1)]);
        assert!(backup.hears_all(&[2, 3, 4, 5], commit(&last)).is_empty());
        assert!(backup.hears_all(&[2, 3, 4, 5], prepare(&last)).is_empty());
    }
    assert_eq!(backup.hears(0, proposal(0, &first(), 0)), ["prepare 0/1"]);
}

#[test]
fn b48_a_second_proposal_for_one_height_is_evidence_and_not_prepared() {
    let mut backup = Lone::new(1);
    backup.hears(0, proposal(0, &first(), 0));
    let other = block(1, CHAIN.0, vec![transaction(2, 1)]);
    assert_eq!(backup.hears(0, proposal(0, &other, 0)), ["r0 equivocates", "SecondProposal"]);
    assert!(backup.hears(0, proposal(0, &other, 0)).is_empty(), "told once");
}

#[test]
fn b57_four_prepares_of_six_make_a_commit_and_three_do_not() {
    let mut backup = Lone::new(1);
    backup.hears(0, proposal(0, &first(), 0));
    // Its own and the primary's are two.
    assert!(backup.hears(2, prepare(&first())(2)).is_empty());
    assert_eq!(backup.hears(3, prepare(&first())(3)), ["prepared 0/1", "commit 0/1"]);
}

#[test]
fn b57_four_commits_of_six_execute_and_three_do_not_and_only_the_next_height() {
    let mut backup = Lone::new(1);
    let second = block(2, first().hash(), vec![transaction(1, 2)]);
    backup.hears(0, proposal(0, &first(), 0));
    backup.hears(0, proposal(0, &second, 0));
    assert!(backup.hears_all(&[2, 3, 4, 5], commit(&second)).is_empty(), "height 1 comes first");
    assert!(backup.hears_all(&[2, 3, 4], commit(&first())).is_empty());
    assert_eq!(backup.hears(5, commit(&first())(5)), ["execute 1", "execute 2"]);
}

#[test]
fn b42_b49_votes_for_different_blocks_are_not_added_up() {
    let mut backup = Lone::new(1);
    backup.hears(0, proposal(0, &first(), 0));
    let other = block(1, CHAIN.0, vec![transaction(2, 1)]);
    assert!(backup.hears_all(&[2, 3], commit(&other)).is_empty());
    assert!(backup.hears_all(&[4, 5], commit(&first())).is_empty());
    assert!(backup.hears(2, prepare(&other)(2)).is_empty());
    // Who changes its mind is counted once, for what it said first.
    assert_eq!(backup.hears(2, commit(&first())(2)), ["r2 equivocates"]);
    assert_eq!(backup.hears(3, commit(&first())(3)), ["r3 equivocates"]);
}

#[test]
fn b58_a_backup_that_missed_the_proposal_executes_when_a_quorum_committed_it() {
    let mut backup = Lone::new(1);
    assert!(backup.hears_all(&[2, 3, 4, 5], commit(&first())).is_empty(), "its body is missing");
    let certificate = certificate(VoteKind::Commit, 0, &first(), &[2, 3, 4, 5]);
    let block = Arc::new(first());
    let blocks = vec![daruma_types::CertifiedBlock { block, certificate }];
    assert_eq!(backup.hears(2, Message::Blocks(blocks)), ["execute 1"]);
}

#[test]
fn b56_a_primary_gives_waiting_transactions_consecutive_heights_up_to_the_window() {
    let mut primary = Lone::new(0);
    let submitted = (1..=40).map(|nonce| transaction(1, nonce)).collect();
    let said = words(primary.engine.step(Input::Submitted { transactions: submitted }));
    assert_eq!(said, ["propose 0/1", "propose 0/2", "propose 0/3", "propose 0/4"]);
}

#[test]
fn b54_what_was_executed_is_neither_pending_nor_proposed_again() {
    let mut primary = Lone::new(0);
    let transactions = vec![transaction(1, 1)];
    assert_eq!(words(primary.engine.step(Input::Submitted { transactions })), ["propose 0/1"]);
    let proposed =
        Block::build(CHAIN, Height(1), CHAIN.0, ReplicaId(0), 0, vec![transaction(1, 1)]);
    assert_eq!(primary.hears_all(&[1, 2, 3, 4], commit(&proposed)), ["execute 1"]);
    assert!(primary.executed(&proposed).is_empty());
    assert_eq!(primary.engine.status().pending, 0);
    let transactions = vec![transaction(1, 1)];
    assert!(words(primary.engine.step(Input::Submitted { transactions })).is_empty());
}

#[test]
fn b51_five_reports_of_six_make_a_new_view_and_four_do_not() {
    let mut primary = Lone::new(1);
    let demand = |id: u16| Message::Demand(Demand::sign(CHAIN, View(0), &key(id)));
    for id in [0, 2, 3, 4] {
        primary.hears(id, demand(id));
    }
    assert_eq!(primary.engine.status().view, View(1), "its own demand is the fifth");
    // Its own report and three others'.
    assert!(primary.hears_all(&[2, 3, 4], |id| report(1, id, None)).is_empty());
    assert_eq!(primary.hears(5, report(1, 5, None)), ["new-view 1 takes over 0"]);
}

#[test]
fn b51_the_highest_prepared_block_of_the_reports_is_taken_over_and_prepared_first() {
    let mut primary = Lone::new(1);
    primary.hears(0, proposal(0, &first(), 0));
    let demand = |id: u16| Message::Demand(Demand::sign(CHAIN, View(0), &key(id)));
    for id in [0, 2, 3, 4] {
        primary.hears(id, demand(id));
    }
    let prepared = certificate(VoteKind::Prepare, 0, &first(), &[0, 2, 3, 4]);
    primary.hears_all(&[2, 3, 4], |id| report(1, id, None));
    let said = primary.hears(5, report(1, 5, Some(prepared)));
    assert_eq!(said, ["new-view 1 takes over 1", "prepare 1/1"]);
}

#[test]
fn b52_b53_a_backup_follows_a_new_view_that_its_reports_support_and_no_other() {
    let prepared = certificate(VoteKind::Prepare, 0, &first(), &[0, 2, 3, 4]);
    let reports: Vec<Report> = [1, 2, 3, 4, 5]
        .iter()
        .map(|id| {
            let prepared = (*id == 5).then(|| prepared.clone());
            let (head, id) = (HeadClaim::genesis(CHAIN), *id);
            Report::sign(CHAIN, ReplicaId(id), Ballot(1), head, prepared, &key(id))
        })
        .collect();
    let new_view = |headers| {
        Message::NewView(NewView::sign(CHAIN, Ballot(1), reports.clone(), headers, &key(1)))
    };
    let mut backup = Lone::new(2);
    backup.hears(0, proposal(0, &first(), 0));
    assert_eq!(backup.hears(1, new_view(vec![])), ["NewViewNotSupported"], "it drops a block");
    let other = block(1, CHAIN.0, vec![transaction(2, 1)]).header;
    assert_eq!(backup.hears(1, new_view(vec![other])), ["NewViewNotSupported"]);
    assert_eq!(backup.hears(1, new_view(vec![first().header])), ["prepare 1/1"]);
}

#[test]
fn b61_while_a_view_change_goes_on_nothing_new_is_prepared() {
    let mut backup = Lone::new(2);
    let demand = |id: u16| Message::Demand(Demand::sign(CHAIN, View(0), &key(id)));
    // Four demands of six: it stops serving and joins (thesis algorithm 4, n-2f).
    assert!(backup.hears_all(&[0, 3, 4], demand).is_empty());
    assert_eq!(backup.hears(5, demand(5)), ["demand 0", "report 1"]);
    assert!(backup.hears(0, proposal(0, &first(), 0)).is_empty());
}

#[test]
fn c_t05_a_block_older_than_its_parent_is_not_prepared_and_what_others_decide_instead_is_executed()
{
    let at = |time_ms, nonce| {
        let (parent, proposer) = (first().hash(), ReplicaId(0));
        let transactions = vec![transaction(1, nonce)];
        Block::build(CHAIN, Height(2), parent, proposer, time_ms, transactions)
    };
    let time_ms = first().header.timestamp_ms;
    for good in [time_ms, time_ms + 1, u64::MAX] {
        let mut backup = Lone::new(1);
        backup.hears(0, proposal(0, &first(), 0));
        assert_eq!(backup.hears(0, proposal(0, &at(good, 2), 0)), ["prepare 0/2"]);
    }
    for old in [time_ms - 1, 0] {
        let mut backup = Lone::new(1);
        backup.hears(0, proposal(0, &first(), 0));
        assert_eq!(backup.hears(0, proposal(0, &at(old, 2), 0)), ["TimeRunsBackwards"]);
        for ballot in [1, 2] {
            let said = backup.hears(0, proposal(0, &at(old, 2), 0));
            assert!(said.is_empty(), "said once, not {ballot} times: {said:?}");
        }
        // The first block is decided, and everything goes on.
        let said = backup.hears_all(&[0, 2, 3, 4], commit(&first()));
        assert!(said.contains(&"execute 1".to_owned()), "{said:?}");
        backup.executed(&first());
    }
}
