//! A chain of four replicas, its clients, and a small automaton that can do everything wrong.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::sync::Arc;

use daruma_automaton_api::serde_json::Value;
use daruma_automaton_api::{Abort, At, DynAutomaton, Malformed, QueryError, State, StateView};
use daruma_ledger::{Depth, Executed, HeadInfo, Ledger, Trust};
#[cfg(feature = "rocks")]
use daruma_store::RocksStore;
use daruma_store::{Batch, Column, MemoryStore, Row, Store};
use daruma_types::{
    Block, Certificate, CertifiedBlock, ChainId, Committee, Ed25519, Hash, Outcome, Replica,
    ReplicaId, SecretKey, Signer, SignerSet, StateCertificate, Statement, Transaction, Vote,
    VoteKind,
};

pub(crate) const CHAIN: ChainId = ChainId(Hash([1; 32]));

/// The columns that blocks and their execution fill, and what was attested of them.
pub(crate) const LEDGER_COLUMNS: [Column; 9] = [
    Column::Blocks,
    Column::Certificates,
    Column::Headers,
    Column::Transactions,
    Column::Receipts,
    Column::Statements,
    Column::State,
    Column::Tree,
    Column::Attestations,
];

/// Writes what it is told: `+key=value` sets, `-key` removes, `?key` replies with the value; `!` aborts
/// and `#` panics, each after writing; `k` and `v` write a key or a value that is too long.
pub(crate) struct Script;

impl DynAutomaton for Script {
    fn name(&self) -> &str {
        "script"
    }

    fn version(&self) -> u32 {
        1
    }

    fn query_paths(&self) -> Vec<String> {
        Vec::new()
    }

    fn check(&self, _: &[u8]) -> Result<(), Malformed> {
        Ok(())
    }

    fn apply(&self, at: At, state: &mut dyn State, operation: &[u8]) -> Result<Vec<u8>, Abort> {
        assert!(at.height > 0);
        let text = std::str::from_utf8(operation)
            .map_err(|_| Abort::malformed(Malformed::new("not UTF-8")))?;
        let mut reply = Vec::new();
        for step in text.split(';') {
            let (kind, rest) = step.split_at(1);
            match kind {
                "+" => {
                    let (key, value) = rest.split_once('=').unwrap();
                    state.put(key.as_bytes(), value.into());
                }
                "-" => state.remove(rest.as_bytes()),
                "?" => reply.extend(state.get(rest.as_bytes()).unwrap_or_default()),
                "!" => return Err(Abort::new(107, "told to")),
                "#" => panic!("told to"),
                "k" => state.put(&[0; 2000], Vec::new()),
                "v" => state.put(b"long", vec![0; 70_000]),
                "r" => reply = vec![7; 10_000],
                _ => return Err(Abort::malformed(Malformed::new("no such step"))),
            }
        }
        Ok(reply)
    }

    fn query(&self, _: &dyn StateView, path: &str, _: &Value) -> Result<Value, QueryError> {
        Err(QueryError::UnknownPath { path: path.into(), paths: Vec::new() })
    }

    fn operation_to_json(&self, _: &[u8]) -> Result<Value, Malformed> {
        Err(Malformed::new("no JSON"))
    }

    fn operation_from_json(&self, _: &Value) -> Result<Vec<u8>, Malformed> {
        Err(Malformed::new("no JSON"))
    }

    fn reply_to_json(&self, _: &[u8]) -> Result<Value, Malformed> {
        Err(Malformed::new("no JSON"))
    }
}

pub(crate) fn replica_key(replica: u8) -> SecretKey {
    SecretKey::from_bytes(&[replica + 1; 32])
}

pub(crate) fn committee() -> Committee {
    let replica = |i| Replica { name: format!("r{i}"), key: replica_key(i).public_key() };
    Committee::new(CHAIN, 1, (0..4).map(replica).collect()).unwrap()
}

pub(crate) fn trust() -> Trust {
    Trust { committee: Arc::new(committee()), verifier: Arc::new(Ed25519) }
}

pub(crate) fn client(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[100 + number; 32])
}

pub(crate) fn transaction(number: u8, nonce: u64, operation: &str) -> Transaction {
    Transaction::sign(CHAIN, &client(number), nonce, operation.into())
}

/// The block above `head` with these transactions, committed by replicas 0 to 2.
pub(crate) fn block_on(head: &HeadInfo, transactions: Vec<Transaction>) -> CertifiedBlock {
    let (height, parent) = (head.claim.height.next(), head.claim.hash);
    let block = Block::build(CHAIN, height, parent, ReplicaId(0), height.0, transactions);
    certified(block)
}

pub(crate) fn certified(block: Block) -> CertifiedBlock {
    certified_in(CHAIN, block)
}

pub(crate) fn certified_in(chain: ChainId, block: Block) -> CertifiedBlock {
    let (kind, ballot, height, hash) =
        (VoteKind::Commit, Default::default(), block.header.height, block.hash());
    let sign =
        |replica| Vote::sign(kind, chain, ballot, height, hash, &replica_key(replica)).signature;
    let signers: SignerSet = (0..3).map(ReplicaId).collect();
    let signatures = (0..3).map(sign).collect();
    let certificate = Certificate { kind, ballot, height, hash, signers, signatures };
    CertifiedBlock { block: Arc::new(block), certificate }
}

pub(crate) fn state_certificate(statement: Statement, replicas: u8) -> StateCertificate {
    let bytes = statement.signed_bytes(CHAIN);
    let signers = (0..u16::from(replicas)).map(ReplicaId).collect();
    let signatures = (0..replicas).map(|replica| replica_key(replica).sign(&bytes)).collect();
    StateCertificate { statement, signers, signatures }
}

/// Executes a block of these transactions.
pub(crate) fn run(ledger: &mut Ledger, transactions: Vec<Transaction>) -> Executed {
    let block = block_on(ledger.head(), transactions);
    ledger.execute(&block).unwrap()
}

pub(crate) fn outcomes(executed: Executed) -> Vec<Outcome> {
    executed.receipts.into_iter().map(|receipt| receipt.outcome).collect()
}

pub(crate) fn replied(reply: &str) -> Outcome {
    Outcome::Executed { reply: reply.into() }
}

pub(crate) fn ledger_on(store: Arc<dyn Store>) -> Ledger {
    let (ledger, repairs) = Ledger::open(store, Arc::new(Script), trust(), Depth::Whole).unwrap();
    assert_eq!(repairs, []);
    ledger
}

/// Writes a row past the ledger, as damage does.
pub(crate) fn set(store: &dyn Store, column: Column, key: &[u8], value: Option<Vec<u8>>) {
    let mut batch = Batch::default();
    batch.set(column, key.to_vec(), value);
    store.mend(batch).unwrap();
}

pub(crate) fn all_rows(store: &dyn Store) -> Vec<Vec<Row>> {
    Column::ALL.map(|column| store.rows(column, b"", usize::MAX).unwrap()).into()
}

/// Runs `story` on both stores. What it gets opens the ledger anew, as a restart does; the one opened
/// before must be dropped by then.
pub(crate) fn on_both(story: impl Fn(&dyn Fn() -> Ledger)) {
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new());
    story(&|| ledger_on(Arc::clone(&memory)));
    #[cfg(feature = "rocks")]
    {
        let folder = tempfile::tempdir().unwrap();
        story(&|| ledger_on(Arc::new(RocksStore::open(folder.path()).unwrap())));
    }
}
