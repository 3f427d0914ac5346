//! Measures what a block of 1,000 new keys costs on disk, with 1, 10,000 and 1,000,000 keys in the
//! state: `cargo run --release -p daruma-ledger --example state_cost`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use daruma_automaton_api::serde_json::Value;
use daruma_automaton_api::{Abort, At, DynAutomaton, Malformed, QueryError, State, StateView};
use daruma_ledger::{Depth, Ledger, Trust};
use daruma_store::{RocksStore, Store};
use daruma_types::{
    Block, Certificate, CertifiedBlock, ChainId, Committee, Ed25519, Hash, PublicKey, Replica,
    ReplicaId, SecretKey, Signature, Signer, Transaction, Vote, VoteKind,
};

const CHAIN: ChainId = ChainId(Hash([1; 32]));
const KEYS_PER_BLOCK: u64 = 1000;

/// The only replica's key.
fn key() -> SecretKey {
    SecretKey::from_bytes(&[1; 32])
}

/// Puts the operation as a key.
struct Put;

impl DynAutomaton for Put {
    fn name(&self) -> &str {
        "put"
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
    fn apply(&self, _: At, state: &mut dyn State, operation: &[u8]) -> Result<Vec<u8>, Abort> {
        state.put(operation, vec![7; 64]);
        Ok(Vec::new())
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

/// Executes one block of `count` new keys, all of one client, and returns the time it took.
fn append(
    ledger: &mut Ledger,
    next: &mut u64,
    count: u64,
) -> Result<Duration, Box<dyn std::error::Error>> {
    let transactions = (0..count)
        .map(|_| {
            *next += 1;
            Transaction {
                client: PublicKey([1; 32]),
                nonce: *next,
                operation: next.to_be_bytes().to_vec(),
                signature: Signature([0; 64]),
            }
        })
        .collect();
    let claim = &ledger.head().claim;
    let block =
        Block::build(CHAIN, claim.height.next(), claim.hash, ReplicaId(0), *next, transactions);
    let (kind, ballot) = (VoteKind::Commit, Default::default());
    let (height, hash) = (block.header.height, block.hash());
    let vote = Vote::sign(kind, CHAIN, ballot, height, hash, &key());
    let signers = [ReplicaId(0)].into_iter().collect();
    let signatures = vec![vote.signature];
    let certificate = Certificate { kind, ballot, height, hash, signers, signatures };
    let block = CertifiedBlock { block: Arc::new(block), certificate };
    let start = Instant::now();
    ledger.execute(&block)?;
    Ok(start.elapsed())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store: Arc<dyn Store> = Arc::new(RocksStore::open(folder.path())?);
    let replica = Replica { name: "one".into(), key: key().public_key() };
    let committee = Arc::new(Committee::new(CHAIN, 0, vec![replica])?);
    let trust = Trust { committee, verifier: Arc::new(Ed25519) };
    let (mut ledger, _) = Ledger::open(store, Arc::new(Put), trust, Depth::Recent)?;
    let mut next = 0;
    for size in [1, 10_000, 1_000_000] {
        while next < size {
            let count = (size - next).min(4000);
            append(&mut ledger, &mut next, count)?;
        }
        let mut total = Duration::ZERO;
        for _ in 0..10 {
            total += append(&mut ledger, &mut next, KEYS_PER_BLOCK)?;
        }
        let per_block = total / 10;
        println!("{size} keys before: {per_block:?} per block of {KEYS_PER_BLOCK} new keys");
    }
    Ok(())
}
