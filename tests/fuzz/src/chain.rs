//! A chain of four replicas whose keys the fuzzer holds, and everything that they could sign.

use std::sync::{Arc, OnceLock};

use daruma_automaton_api::{DynAutomaton, serde_json::Value};
use daruma_engine::{AdmissionContext, ChainLimits};
use daruma_host::Registry;
use daruma_ledger::{Depth, Ledger, LedgerError, LedgerReader, LedgerRepair};
use daruma_simulator::{Keys, Role, Scheme};
use daruma_store::{MemoryStore, Store, Trust};
use daruma_types::{
    Attestation, Ballot, Block, Certificate, CertifiedBlock, ChainId, Committee, EnterCertificate,
    Hash, HeadClaim, Height, LeaveCertificate, PrePrepare, PublicKey, Replica, ReplicaId, Report,
    Signer, SignerSet, StateCertificate, Statement, Transaction, TransactionError, Verifier, View,
    Vote, VoteKind,
};

/// Replicas of the chain.
pub const REPLICAS: u16 = 4;

/// Clients of the chain.
pub const CLIENTS: u16 = 3;

/// Small bounds, so that short inputs reach them.
pub const LIMITS: ChainLimits = ChainLimits {
    operation_bytes_max: 64,
    block_bytes_max: 1024,
    block_transactions_max: 4,
    window: 4,
};

/// The chain: who is in it, and all their keys. Signatures are the simulator's keyed hashes.
pub struct Chain {
    /// The replicas.
    pub committee: Arc<Committee>,
    /// Checks all signatures.
    pub verifier: Arc<dyn Verifier>,
    /// The replicas' signers.
    pub signers: Vec<Arc<dyn Signer>>,
    /// The clients' signers.
    pub clients: Vec<Arc<dyn Signer>>,
    /// What the chain runs.
    pub automaton: Arc<dyn DynAutomaton>,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// The one chain of all targets.
pub fn chain() -> &'static Chain {
    static CHAIN: OnceLock<Chain> = OnceLock::new();
    CHAIN.get_or_init(Chain::new)
}

impl Chain {
    fn new() -> Self {
        let keys = Keys::new(Scheme::Fast, 7);
        let signers: Vec<_> = (0..REPLICAS).map(|i| keys.signer(Role::Replica, i)).collect();
        let clients = (0..CLIENTS).map(|i| keys.signer(Role::Client, i)).collect();
        let replica = |(i, signer): (usize, &Arc<dyn Signer>)| Replica {
            name: format!("r{i}"),
            key: signer.public_key(),
        };
        let replicas = signers.iter().enumerate().map(replica).collect();
        #[expect(clippy::unwrap_used, reason = "four replicas with one fault are a committee")]
        let committee = Committee::new(ChainId(Hash([7; 32])), 1, replicas).unwrap();
        #[expect(clippy::unwrap_used, reason = "the counter is built in and has no parameters")]
        let automaton = Registry::built_in().build("counter", &Value::Null).unwrap();
        let committee = Arc::new(committee);
        Self { committee, verifier: keys.verifier(), signers, clients, automaton }
    }

    /// The chain's identity.
    #[must_use]
    pub fn id(&self) -> ChainId {
        self.committee.chain()
    }

    /// Replica `id` modulo the number of replicas, with its signer.
    #[must_use]
    pub fn replica(&self, id: u16) -> (ReplicaId, &dyn Signer) {
        let id = id % REPLICAS;
        (ReplicaId(id), self.signers[usize::from(id)].as_ref())
    }

    fn signer(&self, id: ReplicaId) -> &dyn Signer {
        self.signers[id.index() % self.signers.len()].as_ref()
    }

    /// A client's transaction on the counter.
    #[must_use]
    pub fn transaction(&self, client: u16, nonce: u64, subtract: bool, amount: u64) -> Transaction {
        let signer = &self.clients[usize::from(client % CLIENTS)];
        let operation = [&[u8::from(subtract)], amount.to_le_bytes().as_slice()].concat();
        Transaction::sign(self.id(), signer.as_ref(), nonce, operation)
    }

    /// A vote of `by`.
    #[must_use]
    pub fn vote(
        &self,
        by: ReplicaId,
        kind: VoteKind,
        ballot: Ballot,
        height: Height,
        hash: Hash,
    ) -> Vote {
        Vote::sign(kind, self.id(), ballot, height, hash, self.signer(by))
    }

    /// The proposal of `block` by `by`, whoever is the ballot's primary.
    #[must_use]
    pub fn proposal(&self, by: ReplicaId, ballot: Ballot, block: Arc<Block>) -> PrePrepare {
        let (height, hash) = (block.header.height, block.hash());
        let vote = self.vote(by, VoteKind::Prepare, ballot, height, hash);
        PrePrepare { ballot, block, signature: vote.signature }
    }

    /// The votes of all of `signers`, whether they are enough or not.
    #[must_use]
    pub fn certificate(
        &self,
        kind: VoteKind,
        ballot: Ballot,
        height: Height,
        hash: Hash,
        signers: SignerSet,
    ) -> Certificate {
        let sign = |by| self.vote(by, kind, ballot, height, hash).signature;
        let signatures = signers.iter().map(sign).collect();
        Certificate { kind, ballot, height, hash, signers, signatures }
    }

    /// The demands of all of `signers`.
    #[must_use]
    pub fn leave(&self, view: View, signers: SignerSet) -> LeaveCertificate {
        let sign = |by| daruma_types::Demand::sign(self.id(), view, self.signer(by)).signature;
        LeaveCertificate { view, signers, signatures: signers.iter().map(sign).collect() }
    }

    /// The report of `by`.
    #[must_use]
    pub fn report(
        &self,
        by: ReplicaId,
        view: View,
        head: HeadClaim,
        prepared: Option<Certificate>,
    ) -> Report {
        let ballot = Ballot::of_view(view);
        Report::sign(self.id(), by, ballot, head, prepared, self.signer(by))
    }

    /// The certificate that these reports, in ascending order of replica, are.
    #[must_use]
    pub fn enter(view: View, reports: &[Report]) -> EnterCertificate {
        EnterCertificate {
            view,
            signers: reports.iter().map(|report| report.replica).collect(),
            entries: reports.iter().map(Report::entry).collect(),
        }
    }

    /// What `by` says its state is.
    #[must_use]
    pub fn attestation(&self, by: ReplicaId, statement: Statement) -> Attestation {
        Attestation::sign(statement, by, self.id(), self.signer(by))
    }

    /// What all of `signers` say their state is.
    #[must_use]
    pub fn state_certificate(&self, statement: Statement, signers: SignerSet) -> StateCertificate {
        let sign = |by| self.attestation(by, statement).signature;
        StateCertificate { statement, signers, signatures: signers.iter().map(sign).collect() }
    }

    /// What the chain's records are verified against.
    #[must_use]
    pub fn trust(&self) -> Trust {
        let (committee, verifier) = (Arc::clone(&self.committee), Arc::clone(&self.verifier));
        Trust { committee, verifier }
    }

    /// The ledger in `store`, and what was repaired there.
    ///
    /// # Errors
    /// That the store is another chain's.
    pub fn open(
        &self,
        store: &Arc<MemoryStore>,
        depth: Depth,
    ) -> Result<(Ledger, Vec<LedgerRepair>), LedgerError> {
        let store = Arc::clone(store) as Arc<dyn Store>;
        Ledger::open(store, Arc::clone(&self.automaton), self.trust(), depth)
    }
}

/// A committed history: blocks one above the other, with their certificates, in a ledger.
#[derive(Debug)]
pub struct History {
    /// The blocks, from height 1.
    pub blocks: Vec<CertifiedBlock>,
    /// What executing each came to.
    pub statements: Vec<Statement>,
    /// The rows after all of them.
    pub store: Arc<MemoryStore>,
}

/// The one history of all targets: six blocks of up to four transactions.
pub fn history() -> &'static History {
    static HISTORY: OnceLock<History> = OnceLock::new();
    HISTORY.get_or_init(|| {
        let chain = chain();
        let store = Arc::new(MemoryStore::new());
        #[expect(clippy::unwrap_used, reason = "an empty store opens")]
        let (mut ledger, _) = chain.open(&store, Depth::Whole).unwrap();
        let signers: SignerSet = (0..3).map(ReplicaId).collect();
        let (mut blocks, mut statements) = (Vec::new(), Vec::new());
        let mut parent = chain.id().0;
        for height in 1..=6_u64 {
            let transaction = |i: u64| {
                let client = (height + i) % u64::from(CLIENTS);
                chain.transaction(client as u16, height * 10 + i, i == 3, i + 1)
            };
            let transactions = (0..height.min(4)).map(transaction).collect();
            let proposer = ReplicaId((height % 4) as u16);
            let block = Block::build(
                chain.id(),
                Height(height),
                parent,
                proposer,
                1_000 * height,
                transactions,
            );
            parent = block.hash();
            let ballot = Ballot(height / 3);
            let certificate =
                chain.certificate(VoteKind::Commit, ballot, Height(height), parent, signers);
            let block = CertifiedBlock { block: Arc::new(block), certificate };
            #[expect(clippy::unwrap_used, reason = "each block extends the last")]
            let executed = ledger.execute(&block).unwrap();
            let attested = chain.state_certificate(executed.statement, signers);
            #[expect(clippy::unwrap_used, reason = "memory does not fail")]
            store.put_state_certificate(&attested).unwrap();
            blocks.push(block);
            statements.push(executed.statement);
        }
        History { blocks, statements, store }
    })
}

/// The door of a replica of the chain.
pub struct Door<'a> {
    /// The ledger that nonces are looked up in; none for a replica that executed nothing.
    pub reader: Option<&'a LedgerReader>,
}

impl AdmissionContext for Door<'_> {
    fn committee(&self) -> &Committee {
        &chain().committee
    }

    fn verifier(&self) -> &dyn Verifier {
        chain().verifier.as_ref()
    }

    fn limits(&self) -> ChainLimits {
        LIMITS
    }

    fn check(&self, transaction: &Transaction) -> Result<(), TransactionError> {
        transaction.verify(chain().id(), LIMITS.operation_bytes_max, self.verifier())
    }

    fn last_nonce(&self, client: &PublicKey) -> Option<u64> {
        self.reader.and_then(|reader| reader.last_nonce(client).ok().flatten())
    }
}
