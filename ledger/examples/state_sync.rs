//! Compares what it costs to have a state from a snapshot and by executing every block, on disk: time, and
//! the most memory that was resident.
//!
//! `cargo run --release -p daruma-ledger --example state_sync -- BLOCKS ENTRIES_PER_BLOCK VALUE_BYTES`;
//! without numbers 5,000 blocks of 20 entries of 1,000 bytes. A state of 1 GiB after 100,000 blocks is
//! `100000 10 1000`. Each phase is a process of its own; what peers would send is read from their files.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use daruma_automaton_api::serde_json::Value;
use daruma_automaton_api::{Abort, At, DynAutomaton, Malformed, QueryError, State, StateView};
use daruma_ledger::{
    Depth, FolderShelf, HeldState, Ledger, LedgerReader, Restored, SnapshotShelf, Trust,
};
use daruma_store::{RocksStore, Store};
use daruma_types::{
    Block, Certificate, CertifiedBlock, ChainId, Committee, Ed25519, Hash, Height, PublicKey,
    Replica, ReplicaId, SecretKey, Signature, Signer, StateCertificate, Transaction, Vote,
    VoteKind,
    limits::{CHUNK_BYTES, FETCH_BLOCKS_MAX, FETCH_BYTES_MAX},
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const CHAIN: ChainId = ChainId(Hash([1; 32]));
const PHASES: [&str; 4] = ["make the chain", "execute all blocks", "make a snapshot", "restore it"];

/// The only replica's key.
fn key() -> SecretKey {
    SecretKey::from_bytes(&[1; 32])
}

fn signers() -> daruma_types::SignerSet {
    [ReplicaId(0)].into_iter().collect()
}

/// Puts the operation under its first eight bytes.
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
        let key = operation.get(..8).ok_or_else(|| Abort::malformed(Malformed::new("short")))?;
        state.put(key, operation.to_vec());
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

fn open(folder: &Path) -> Outcome<(Arc<dyn Store>, Ledger)> {
    let store: Arc<dyn Store> = Arc::new(RocksStore::open(folder)?);
    let replica = Replica { name: "one".into(), key: key().public_key() };
    let committee = Arc::new(Committee::new(CHAIN, 0, vec![replica])?);
    let trust = Trust { committee, verifier: Arc::new(Ed25519) };
    let (ledger, _) = Ledger::open(store.clone(), Arc::new(Put), trust, Depth::Recent)?;
    Ok((store, ledger))
}

fn make(folder: &Path, blocks: u64, entries: u64, bytes: usize) -> Outcome<()> {
    let (store, mut ledger) = open(&folder.join("source"))?;
    let mut number = 0_u64;
    for _ in 0..blocks {
        let transactions = (0..entries).map(|_| {
            number += 1;
            // No two values are the same, and none is compressed away.
            let mut value = blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof();
            let mut operation = number.to_be_bytes().to_vec();
            operation.resize(8 + bytes, 0);
            value.fill(operation.get_mut(8..).unwrap_or_default());
            let (client, signature) = (PublicKey([1; 32]), Signature([0; 64]));
            Transaction { client, nonce: number, operation, signature }
        });
        let claim = &ledger.head().claim;
        let (height, parent) = (claim.height.next(), claim.hash);
        let transactions = transactions.collect();
        let block = Block::build(CHAIN, height, parent, ReplicaId(0), number, transactions);
        let (kind, ballot, hash) = (VoteKind::Commit, Default::default(), block.hash());
        let vote = Vote::sign(kind, CHAIN, ballot, height, hash, &key());
        let signatures = vec![vote.signature];
        let certificate =
            Certificate { kind, ballot, height, hash, signers: signers(), signatures };
        ledger.execute(&CertifiedBlock { block: Arc::new(block), certificate })?;
    }
    let statement = ledger.head().statement;
    let signatures = vec![key().sign(&statement.signed_bytes(CHAIN))];
    let attested = StateCertificate { statement, signers: signers(), signatures };
    Ok(store.put_state_certificate(&attested)?)
}

fn execute_all(folder: &Path) -> Outcome<()> {
    let source: Arc<dyn Store> = Arc::new(RocksStore::open(folder.join("source"))?);
    let reader = LedgerReader::new(source, CHAIN);
    let (_, mut ledger) = open(&folder.join("executed"))?;
    loop {
        let next = ledger.head().claim.height.next();
        let blocks = reader.certified_blocks(next, FETCH_BLOCKS_MAX, FETCH_BYTES_MAX)?;
        if blocks.is_empty() {
            return same(&ledger, &reader);
        }
        for block in &blocks {
            ledger.execute(block)?;
        }
    }
}

fn same(ledger: &Ledger, reader: &LedgerReader) -> Outcome<()> {
    let (found, expected) = (ledger.head().statement, reader.head()?.statement);
    if found == expected { Ok(()) } else { Err(format!("{found:?}, not {expected:?}").into()) }
}

fn snapshot(folder: &Path) -> Outcome<()> {
    let (store, ledger) = open(&folder.join("source"))?;
    let (shelf, reader) = (FolderShelf::open(folder.join("snapshots"))?, ledger.reader());
    let held = HeldState::hold(store.as_ref(), &reader)?;
    let checkpoint = reader.checkpoint(held.height())?.ok_or("the head is not attested")?;
    Ok(held.write(&shelf, CHUNK_BYTES, &mut |_| true)?.finish(&checkpoint)?)
}

fn restore(folder: &Path) -> Outcome<()> {
    let shelf = FolderShelf::existing(folder.join("snapshots"));
    let height: Height = *shelf.heights()?.last().ok_or("no snapshot")?;
    let checkpoint = shelf.checkpoint(height)?.ok_or("no checkpoint")?;
    let statement = *checkpoint.statement();
    let (_, mut ledger) = open(&folder.join("restored"))?;
    ledger.restore(checkpoint)?;
    while let Some(restoring) = ledger.restoring() {
        let from = restoring.next();
        let chunk = shelf.chunk(height, &from)?.ok_or("a chunk is missing")?;
        if let Restored::Refused(fault) = ledger.restore_chunk(from, &chunk)? {
            return Err(fault.into());
        }
    }
    let found = ledger.head().statement;
    if found == statement { Ok(()) } else { Err(format!("{found:?}, not {statement:?}").into()) }
}

/// The most memory of this process that was ever resident, in MiB.
fn most_resident() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024)
}

fn bytes_in(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { bytes_in(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [phase, folder, numbers @ ..] = arguments.as_slice()
        && let Some(phase) = PHASES.iter().position(|name| name == phase)
    {
        let numbers: Vec<u64> = numbers.iter().map(|n| n.parse()).collect::<Result<_, _>>()?;
        let folder = Path::new(folder);
        let since = Instant::now();
        match (phase, numbers.as_slice()) {
            (0, [blocks, entries, bytes]) => make(folder, *blocks, *entries, *bytes as usize)?,
            (1, _) => execute_all(folder)?,
            (2, _) => snapshot(folder)?,
            _ => restore(folder)?,
        }
        let (name, memory) = (PHASES.get(phase).unwrap_or(&""), most_resident()?);
        println!("{name:20} {:>9.1} s {memory:>6} MiB", since.elapsed().as_secs_f64());
        return Ok(());
    }
    let numbers = match arguments.len() {
        0 => ["5000", "20", "1000"].map(str::to_owned).to_vec(),
        _ => arguments,
    };
    let folder = tempfile::tempdir()?;
    println!("blocks, entries per block, bytes of a value: {}", numbers.join(", "));
    for phase in PHASES {
        let program = std::env::current_exe()?;
        let mut command = Command::new(program);
        if !command.arg(phase).arg(folder.path()).args(&numbers).status()?.success() {
            return Err(format!("{phase} failed").into());
        }
    }
    let mib = bytes_in(&folder.path().join("snapshots"))? / (1024 * 1024);
    println!("the snapshot has {mib} MiB");
    Ok(())
}
