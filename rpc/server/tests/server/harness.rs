//! A chain of four replicas whose blocks the tests execute, with servers on top of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use daruma_automaton_api::DynAutomaton;
use daruma_chainspec::{
    AutomatonSpec, ChainSpec, KnownAutomata, Limits, ReplicaSpec, SpecDraft, ViewEstablishment,
};
use daruma_ledger::{Depth, Ledger, LedgerReader, Trust};
use daruma_rpc_api::TransactionJson;
use daruma_rpc_server::{
    Accepted, Backend, BackupMade, BackupRefused, Config, DetectorStatus, LedgerEvent, LinkStatus,
    NodeIdentity, PeerInfo, Refused, ScrubState, Server, StatusSnapshot, Submission,
};
use daruma_store::{Heal, HealComponent, MemoryStore, Store};
use daruma_types::{
    Attestation, Ballot, Block, Certificate, CertifiedBlock, ChainId, Ed25519, Hash, Header,
    Height, MonitorReport, ReplicaId, SecretKey, Signer, SignerSet, SlotLine, StateCertificate,
    Statement, Summary, Transaction, TransactionError, VStatus, View, Vote, VoteKind, supersedes,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc, watch};

/// The chain's state and the four replicas' keys.
pub(crate) struct Chain {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) automaton: Arc<dyn DynAutomaton>,
    keys: Vec<SecretKey>,
    ledger: Ledger,
    store: Arc<MemoryStore>,
}

/// One node: a server, and the other ends of its backend.
pub(crate) struct Node {
    pub(crate) server: Server,
    pub(crate) submissions: mpsc::Receiver<Submission>,
    pub(crate) status: watch::Sender<Arc<StatusSnapshot>>,
    pub(crate) events: broadcast::Sender<LedgerEvent>,
    pub(crate) chain: Arc<Mutex<Chain>>,
}

/// Transactions that may wait for a node.
pub(crate) const QUEUE: usize = 512;
/// Events that may wait for a server.
pub(crate) const EVENTS: usize = 16;

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32])
}

fn spec() -> ChainSpec {
    let replica = |i: u8| ReplicaSpec {
        name: format!("r{i}"),
        key: key(i + 1).public_key(),
        transport_key: key(i + 101).public_key(),
        address: format!("127.0.0.1:{}", 7000 + u16::from(i)),
    };
    let draft = SpecDraft {
        name: "test".into(),
        faulty: None,
        view_establishment: ViewEstablishment::Certified,
        automaton: AutomatonSpec::named("counter"),
        limits: Limits { operation_bytes_max: 64, ..Limits::default() },
        replicas: (0..4).map(replica).collect(),
    };
    ChainSpec::generate(draft, &KnownAutomata::any()).unwrap()
}

/// A block that was executed: everything its events are made of.
#[derive(Clone)]
pub(crate) struct Done {
    pub(crate) header: Header,
    pub(crate) statement: Statement,
    pub(crate) names: Arc<[Hash]>,
}

impl Chain {
    pub(crate) fn new() -> Arc<Mutex<Self>> {
        let spec = Arc::new(spec());
        let automaton = daruma_host::Registry::built_in()
            .build(&spec.automaton().name, &spec.automaton().parameters_json())
            .unwrap();
        let store = Arc::new(MemoryStore::new());
        let opened: Arc<dyn Store> = Arc::<MemoryStore>::clone(&store);
        let committee = Arc::new(spec.committee());
        let trust = Trust { committee, verifier: Arc::new(Ed25519) };
        let (ledger, _) =
            Ledger::open(opened, Arc::clone(&automaton), trust, Depth::Recent).unwrap();
        let keys = (1..=4).map(key).collect();
        Arc::new(Mutex::new(Self { spec, automaton, keys, ledger, store }))
    }

    pub(crate) fn id(&self) -> ChainId {
        self.spec.chain_id()
    }

    pub(crate) fn add(&self, client: u8, nonce: u64, amount: u64) -> Transaction {
        let operation = self.operation(&json!({ "add": amount }));
        Transaction::sign(self.id(), &key(client), nonce, operation)
    }

    pub(crate) fn operation(&self, operation: &Value) -> Vec<u8> {
        self.automaton.operation_from_json(operation).unwrap()
    }

    pub(crate) fn reader(&self) -> LedgerReader {
        self.ledger.reader()
    }

    /// Keeps attestations where all servers find them.
    pub(crate) fn store(&self, certificate: &StateCertificate) {
        self.store.put_state_certificate(certificate).unwrap();
    }

    /// Notes so many repairs, at 1000 ms and each one ms later.
    pub(crate) fn note_heals(&self, count: u64) {
        for at_ms in 1000..1000 + count {
            let heal = Heal::new(at_ms, HealComponent::Ledger, "a row was damaged", "made again");
            self.store.note_heals(&[heal]).unwrap();
        }
    }

    /// Keeps attestations of the last block.
    pub(crate) fn attest_head(&self, signers: &[u16]) {
        self.store(&self.attest(self.ledger.head().statement, signers));
    }

    /// What a node says to a transaction.
    pub(crate) fn admit(&self, transaction: &Transaction) -> Result<Accepted, Refused> {
        let max = self.spec.limits().operation_bytes_max as usize;
        match transaction.verify(self.id(), max, &Ed25519) {
            Err(TransactionError::TooLarge { max, .. }) => return Err(Refused::TooLarge { max }),
            Err(TransactionError::Signature { .. }) => return Err(Refused::BadSignature),
            Ok(()) => {}
        }
        self.automaton
            .check(&transaction.operation)
            .map_err(|malformed| Refused::Malformed { reason: malformed.reason })?;
        let last = self.ledger.reader().last_nonce(&transaction.client).unwrap();
        if supersedes(transaction.nonce, last) {
            Ok(Accepted::Pending)
        } else {
            Err(Refused::StaleNonce { last: last.unwrap() })
        }
    }

    /// Executes the next block.
    pub(crate) fn execute(&mut self, transactions: Vec<Transaction>) -> Done {
        let head = self.ledger.head().statement;
        let height = head.height.next();
        let block = Block::build(
            self.id(),
            height,
            head.block,
            ReplicaId(1),
            1000 + height.0,
            transactions,
        );
        let (hash, ballot, kind) = (block.hash(), Ballot(1), VoteKind::Commit);
        let vote = |key| Vote::sign(kind, self.spec.chain_id(), ballot, height, hash, key);
        let signatures = self.keys.iter().take(3).map(|key| vote(key).signature).collect();
        let signers = SignerSet(0b111);
        let certificate = Certificate { kind, ballot, height, hash, signers, signatures };
        let header = block.header.clone();
        let block = CertifiedBlock { block: Arc::new(block), certificate };
        let executed = self.ledger.execute(&block).unwrap();
        Done { header, statement: executed.statement, names: executed.transactions.into() }
    }

    /// The attestations of these replicas.
    pub(crate) fn attest(&self, statement: Statement, signers: &[u16]) -> StateCertificate {
        let sign = |id: &u16| {
            let key = &self.keys[usize::from(*id)];
            Attestation::sign(statement, ReplicaId(*id), self.id(), key).signature
        };
        StateCertificate {
            statement,
            signers: signers.iter().copied().map(ReplicaId).collect(),
            signatures: signers.iter().map(sign).collect(),
        }
    }
}

pub(crate) fn status() -> StatusSnapshot {
    StatusSnapshot {
        summary: Summary {
            view: View(5),
            phase: 0,
            reports: SignerSet::EMPTY,
            ballot: Ballot(5),
            active: true,
            head: Height(8),
            head_hash: Hash([8; 32]),
            executed: Height(7),
            state_root: Hash([7; 32]),
            attested: Height(6),
            prepared: Some((Ballot(5), Height(9))),
            slots: vec![SlotLine {
                height: Height(9),
                short: 0xabcd,
                accepted: true,
                prepares: SignerSet(0b111),
                commits: SignerSet(0b1),
            }],
            monitor: MonitorReport {
                status: VStatus::NoService,
                suspects: true,
                demands: SignerSet(0b10),
            },
        },
        behind: 3,
        pending: 12,
        restarts: vec![],
        not_ready: Vec::new(),
        detector: DetectorStatus {
            beats: vec![0, 1, 2, 3],
            beats_max: 10,
            stalled: 4,
            stalled_max: 20,
            watched: 2,
        },
        links: vec![LinkStatus { peer: ReplicaId(1), sending: 6, receiving: 7 }],
        repairs: 1,
        peers: Vec::new(),
        turned_away: vec![("unknownKeys", 9)],
    }
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::of(Chain::new(), broadcast::Sender::new(EVENTS), Config::default(), 0).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        Self::of(Chain::new(), broadcast::Sender::new(EVENTS), config, 0).await
    }

    /// Node `id` of a chain that several may share.
    pub(crate) async fn of(
        chain: Arc<Mutex<Chain>>,
        events: broadcast::Sender<LedgerEvent>,
        config: Config,
        id: u16,
    ) -> Self {
        let (sender, submissions) = mpsc::channel(QUEUE);
        let status = watch::Sender::new(Arc::new(status()));
        let peer = |id: u16| PeerInfo {
            replica: ReplicaId(id),
            connected: id != 3,
            queued: 5,
            dropped: 1 << 60,
            sent_bytes: 100,
            received_bytes: 200,
        };
        let peers = move || (0..4).filter(|other| *other != id).map(peer).collect();
        let backend = {
            let chain = chain.lock().unwrap();
            Backend {
                spec: Arc::clone(&chain.spec),
                node: NodeIdentity {
                    name: format!("r{id}"),
                    replica: ReplicaId(id),
                    version: "0.1.0".into(),
                },
                ledger: chain.ledger.reader(),
                automaton: Arc::clone(&chain.automaton),
                submissions: sender,
                status: status.subscribe(),
                events: events.clone(),
                peers: Arc::new(peers),
                backup: Arc::new(backup),
                scrub: Arc::new(|pause| ScrubState {
                    paused: pause.unwrap_or(false),
                    pass: 2,
                    ..ScrubState::default()
                }),
            }
        };
        let server = Server::start(config, backend).await.unwrap();
        Self { server, submissions, status, events, chain }
    }

    pub(crate) fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap()
    }

    /// Takes the next submission and answers it as a node does.
    pub(crate) async fn admit_next(&mut self) -> Transaction {
        let Submission { transaction, answer } = self.submissions.recv().await.unwrap();
        let _ = answer.send(self.chain().admit(&transaction));
        transaction
    }

    /// Executes a block and says so.
    pub(crate) fn execute(&self, transactions: Vec<Transaction>) -> Done {
        let done = self.chain().execute(transactions);
        self.say_executed(&done);
        done
    }

    pub(crate) fn say_executed(&self, done: &Done) {
        let transactions = Arc::clone(&done.names);
        let (header, hash) = (done.header.clone(), done.statement.block);
        self.say(LedgerEvent::Executed { header, hash, transactions });
    }

    pub(crate) fn say_truncated(&self, from: u64, to: u64) {
        self.say(LedgerEvent::Truncated { from: Height(from), to: Height(to) });
    }

    pub(crate) fn say_attested(&self, done: &Done, signers: &[u16]) {
        let certificate = self.chain().attest(done.statement, signers);
        self.say(LedgerEvent::Attested { certificate, transactions: Arc::clone(&done.names) });
    }

    /// Keeps attestations in the ledger without a word to the server.
    pub(crate) fn store_certificate(&self, done: &Done, signers: &[u16]) {
        let chain = self.chain();
        chain.store(&chain.attest(done.statement, signers));
    }

    fn say(&self, event: LedgerEvent) {
        let _ = self.events.send(event);
    }

    pub(crate) async fn post(&self, body: &str) -> (u16, String) {
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        self.http(&format!("{head}Content-Length: {}\r\n", body.len()), body).await
    }

    /// One request over a connection of its own.
    pub(crate) async fn http(&self, head: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.server.address()).await.unwrap();
        let request = format!("{head}Connection: close\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// One call; the result, or the error object.
    pub(crate) async fn call(&self, method: &str, params: Value) -> Result<Value, Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (status, answer) = self.post(&body.to_string()).await;
        assert_eq!(status, 200, "{answer}");
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        match answer.get_mut("error") {
            Some(error) => Err(error.take()),
            None => Ok(answer["result"].take()),
        }
    }
}

/// Makes one backup at most.
fn backup() -> Result<BackupMade, BackupRefused> {
    static MADE: AtomicBool = AtomicBool::new(false);
    if MADE.swap(true, Ordering::Relaxed) {
        return Err(BackupRefused::NotNow { reason: "there is one already".into() });
    }
    Ok(BackupMade {
        path: "/data/backups/7-1000".into(),
        height: Height(7),
        block_hash: "0x01".into(),
        state_root: "0x02".into(),
        at_ms: 1000,
    })
}

pub(crate) fn tx(transaction: &Transaction) -> Value {
    serde_json::to_value(TransactionJson::from(transaction.clone())).unwrap()
}

pub(crate) fn hex(hash: Hash) -> Value {
    Value::String(hash.to_hex())
}
