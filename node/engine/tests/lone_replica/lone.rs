//! One engine of six, and what it says.

use std::sync::Arc;

use daruma_engine::{
    AdmissionContext, ChainLimits, Context, Effect, Engine, EngineHead, Input, LocalLimits,
    Observation, admit,
};
use daruma_types::{
    Ballot, Block, Certificate, ChainId, Committee, Ed25519, Hash, HeadClaim, Height, Message,
    PrePrepare, Promise, PublicKey, RecoveredJournal, Replica, ReplicaId, Report, SecretKey,
    Signer, Statement, Transaction, TransactionError, Verifier, Vote, VoteKind,
};

pub(crate) const CHAIN: ChainId = ChainId(Hash([9; 32]));
pub(crate) const LIMITS: ChainLimits = ChainLimits {
    operation_bytes_max: 64,
    block_bytes_max: 4096,
    block_transactions_max: 4,
    window: 4,
};

pub(crate) fn key(replica: u16) -> SecretKey {
    SecretKey::from_bytes(&[replica as u8 + 1; 32])
}

/// A transaction of client `client` that the ledger has not executed.
pub(crate) fn transaction(client: u8, nonce: u64) -> Transaction {
    Transaction::sign(CHAIN, &SecretKey::from_bytes(&[100 + client; 32]), nonce, vec![client])
}

pub(crate) struct Door(Arc<Committee>);

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
pub(crate) struct Lone {
    door: Door,
    pub(crate) engine: Engine,
}

impl Lone {
    pub(crate) fn new(own: u16) -> Self {
        Self::from_journal(own, RecoveredJournal::default())
    }

    /// One that starts with this journal, and an empty ledger.
    pub(crate) fn from_journal(own: u16, journal: RecoveredJournal) -> Self {
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
        let (engine, _) = Engine::new(context, head, journal);
        Self { door: Door(committee), engine }
    }

    pub(crate) fn hears(&mut self, from: u16, message: Message) -> Vec<String> {
        let from = ReplicaId(from);
        let message = admit(from, message, &self.door).unwrap();
        words(self.engine.step(Input::Received { from, message }))
    }

    /// Hears all of these; what it said to the last.
    pub(crate) fn hears_all(
        &mut self,
        from: &[u16],
        message: impl Fn(u16) -> Message,
    ) -> Vec<String> {
        let said: Vec<_> = from.iter().map(|id| self.hears(*id, message(*id))).collect();
        let (last, before) = said.split_last().unwrap();
        assert!(before.iter().all(Vec::is_empty), "too early: {before:?}");
        last.clone()
    }

    pub(crate) fn executed(&mut self, block: &Block) -> Vec<String> {
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
pub(crate) fn words(effects: Vec<Effect>) -> Vec<String> {
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
            | Effect::Mend(_)
            | Effect::LookUpNonces(_) => {}
        }
    }
    said
}

pub(crate) fn word(message: &Message) -> Option<String> {
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
        | Message::Lacks(_)
        | Message::Body(_)
        | Message::Fetch { .. }
        | Message::Blocks(_)
        | Message::StateCertificates(_)
        | Message::SnapshotOffer(_)
        | Message::SnapshotWant { .. }
        | Message::SnapshotChunk { .. }
        | Message::Attestation(_)
        | Message::Transactions(_) => None,
    }
}

pub(crate) fn block(height: u64, parent: Hash, transactions: Vec<Transaction>) -> Block {
    Block::build(CHAIN, Height(height), parent, ReplicaId(0), 5, transactions)
}

pub(crate) fn first() -> Block {
    block(1, CHAIN.0, vec![transaction(1, 1)])
}

pub(crate) fn proposal(ballot: u64, block: &Block, primary: u16) -> Message {
    let (height, hash) = (block.header.height, block.hash());
    let vote = Vote::sign(VoteKind::Prepare, CHAIN, Ballot(ballot), height, hash, &key(primary));
    let (block, signature) = (Arc::new(block.clone()), vote.signature);
    Message::PrePrepare(PrePrepare { ballot: Ballot(ballot), block, signature })
}

pub(crate) fn vote(kind: VoteKind, ballot: u64, block: &Block, voter: u16) -> Message {
    let (height, hash) = (block.header.height, block.hash());
    Message::Vote(Vote::sign(kind, CHAIN, Ballot(ballot), height, hash, &key(voter)))
}

pub(crate) fn prepare(block: &Block) -> impl Fn(u16) -> Message + '_ {
    |voter| vote(VoteKind::Prepare, 0, block, voter)
}

pub(crate) fn commit(block: &Block) -> impl Fn(u16) -> Message + '_ {
    |voter| vote(VoteKind::Commit, 0, block, voter)
}

pub(crate) fn certificate(
    kind: VoteKind,
    ballot: u64,
    block: &Block,
    signers: &[u16],
) -> Certificate {
    let (ballot, height, hash) = (Ballot(ballot), block.header.height, block.hash());
    let sign = |id: &u16| Vote::sign(kind, CHAIN, ballot, height, hash, &key(*id)).signature;
    let signatures = signers.iter().map(sign).collect();
    let signers = signers.iter().copied().map(ReplicaId).collect();
    Certificate { kind, ballot, height, hash, signers, signatures }
}

pub(crate) fn report(view: u64, from: u16, prepared: Option<Certificate>) -> Message {
    let head = HeadClaim::genesis(CHAIN);
    Message::Report(Report::sign(CHAIN, ReplicaId(from), Ballot(view), head, prepared, &key(from)))
}
