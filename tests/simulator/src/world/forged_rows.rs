//! Rows that are well formed, and not true.

use daruma_store::{CHAIN, Column, HEAD, Head, Location, MemoryStore, Store};
use daruma_types::{
    Ballot, Block, Certificate, ChainId, Committee, Hash, HashContext, Header, Height, Receipt,
    ReplicaId, StateCertificate, Statement, View, ViewProof, VoteKind, codec,
};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// The journal's rows, as `journal/mod.rs` of the store names them.
const VIEW: &[u8] = b"v";
const FLOOR: &[u8] = b"f";
const PREPARED: &[u8] = b"p";
const VOTES: u8 = b't';
const BODIES: u8 = b'b';

/// A number near another, or far away from everything.
fn number(near: u64, random: &mut ChaCha8Rng) -> u64 {
    match random.random_range(0..8) {
        0..=4 => near.saturating_add(random.random_range(0..4)).saturating_sub(1),
        5 => random.random_range(0..20),
        6 => u64::MAX - random.random_range(0..3),
        _ => random.random(),
    }
}

fn some_hash(random: &mut ChaCha8Rng) -> Hash {
    Hash([random.random_range(0..4); 32])
}

/// Heights at which `store` has blocks.
fn height(store: &MemoryStore, random: &mut ChaCha8Rng) -> Height {
    let keys = store.keys(Column::Blocks);
    let key = keys.choose(random).and_then(|key| key.first_chunk::<8>());
    Height(key.map_or(1, |key| u64::from_be_bytes(*key)))
}

/// A true certificate of the store, or a false one.
fn certificate(store: &MemoryStore, random: &mut ChaCha8Rng) -> Option<Certificate> {
    let at = height(store, random);
    let mut certificate = store.certificate(at).ok().flatten()?;
    match random.random_range(0..6) {
        0 => {}
        1 => certificate.height = Height(number(at.0, random)),
        2 => certificate.ballot = Ballot(number(certificate.ballot.0, random)),
        3 => certificate.hash = some_hash(random),
        4 => {
            // One signer less: too few where a quorum signed.
            let last = certificate.signers.iter().last();
            certificate.signers = certificate.signers.iter().filter(|s| Some(*s) != last).collect();
            certificate.signatures.pop();
        }
        _ => {
            certificate.kind = match certificate.kind {
                VoteKind::Prepare => VoteKind::Commit,
                VoteKind::Commit => VoteKind::Prepare,
            };
        }
    }
    Some(certificate)
}

fn block(at: Height, store: &MemoryStore, random: &mut ChaCha8Rng) -> Option<Block> {
    let mut block = store.block(at).ok().flatten()?;
    match random.random_range(0..4) {
        0 => block.header.timestamp_ms = number(block.header.timestamp_ms, random),
        1 => block.header.parent = some_hash(random),
        2 => block.header.height = Height(number(at.0, random)),
        _ => block.header.proposer = ReplicaId(random.random_range(0..8)),
    }
    Some(block)
}

fn statement(at: Height, store: &MemoryStore, random: &mut ChaCha8Rng) -> Option<Statement> {
    let mut statement = store.statement(at).ok().flatten()?;
    match random.random_range(0..4) {
        0 => statement.state_root = some_hash(random),
        1 => statement.receipts_root = some_hash(random),
        2 => statement.block = some_hash(random),
        _ => statement.height = Height(number(at.0, random)),
    }
    Some(statement)
}

/// A statement's row, with the guard that makes it a whole one.
fn guarded(statement: &Statement) -> Vec<u8> {
    let context = HashContext::StateTree;
    let guard = Hash::of(context, &[b"statement row", &codec::encode(statement)]);
    codec::encode(&(*statement, guard))
}

fn height_in(key: &[u8]) -> Height {
    Height(key.first_chunk::<8>().map_or(0, |key| u64::from_be_bytes(*key)))
}

/// Another row for this key, well formed and not true; none where nothing of the kind can be made.
pub(super) fn forged(
    column: Column,
    key: &[u8],
    row: &[u8],
    store: &MemoryStore,
    random: &mut ChaCha8Rng,
) -> Option<Vec<u8>> {
    let at = height_in(key);
    match column {
        Column::Blocks => block(at, store, random).map(|block| codec::encode(&block)),
        Column::Certificates => certificate(store, random).map(|c| codec::encode(&c)),
        Column::Headers => {
            let mut header: Header = codec::decode(row).ok()?;
            header.timestamp_ms = number(header.timestamp_ms, random);
            Some(codec::encode(&header))
        }
        Column::Transactions => {
            let height = Height(number(height(store, random).0, random));
            Some(codec::encode(&Location { height, index: random.random_range(0..3) }))
        }
        Column::Receipts => {
            let other = store.receipts(height(store, random)).ok().flatten();
            let mut receipts: Vec<Receipt> = other?;
            if random.random() {
                receipts.pop();
            }
            Some(codec::encode(&receipts))
        }
        Column::Statements => statement(at, store, random).map(|s| guarded(&s)),
        Column::State => {
            let values = store.keys(column);
            let other = values.choose(random).and_then(|key| store.row(column, key).ok().flatten());
            match (random.random(), other) {
                (true, Some(other)) => Some(other),
                (true, None) | (false, _) => Some(codec::encode(&number(1, random))),
            }
        }
        Column::Tree => {
            let pages = store.keys(column);
            pages.choose(random).and_then(|page| store.row(column, page).ok().flatten())
        }
        Column::Journal => promise(key, row, store, random),
        Column::Attestations => {
            let mut attested: StateCertificate = codec::decode(row).ok()?;
            match random.random_range(0..3) {
                0 => attested.statement.state_root = some_hash(random),
                1 => attested.statement.height = Height(number(at.0, random)),
                _ => {
                    let last = attested.signers.iter().last();
                    attested.signers =
                        attested.signers.iter().filter(|s| Some(*s) != last).collect();
                    attested.signatures.pop();
                }
            }
            Some(codec::encode(&attested))
        }
        Column::Meta if key == HEAD => head(row, store, random),
        Column::Meta if key == CHAIN => Some(codec::encode(&ChainId(some_hash(random)))),
        Column::Meta | Column::Quarantine | Column::HealLog => None,
    }
}

/// A head that points elsewhere: to a true statement of another height, or to none.
fn head(row: &[u8], store: &MemoryStore, random: &mut ChaCha8Rng) -> Option<Vec<u8>> {
    let mut head: Head = codec::decode(row).ok()?;
    match random.random_range(0..4) {
        0 => head.height = Height(number(head.height.0, random)),
        1 => head.hash = some_hash(random),
        2 => head.statement.state_root = some_hash(random),
        _ => {
            let statement = store.statement(height(store, random)).ok().flatten()?;
            let header = store.header(&statement.block).ok().flatten()?;
            let (height, hash) = (statement.height, statement.block);
            head = Head { height, hash, timestamp_ms: header.timestamp_ms, statement };
        }
    }
    Some(codec::encode(&head))
}

/// A promise that this replica never made.
fn promise(
    key: &[u8],
    row: &[u8],
    store: &MemoryStore,
    random: &mut ChaCha8Rng,
) -> Option<Vec<u8>> {
    match key {
        VIEW => {
            let (view, phase, proof) = codec::decode::<(View, u8, ViewProof)>(row).ok()?;
            let view = View(number(view.0, random));
            let proof = match (random.random_range(0..3), certificate(store, random)) {
                (0, Some(certificate)) => ViewProof::Committed(certificate),
                (1, _) => ViewProof::Initial,
                (..) => proof,
            };
            Some(codec::encode(&(view, phase, proof)))
        }
        FLOOR => {
            let floor: Ballot = codec::decode(row).ok()?;
            Some(codec::encode(&Ballot(number(floor.0, random))))
        }
        PREPARED => certificate(store, random).map(|certificate| codec::encode(&certificate)),
        _ if key.first() == Some(&VOTES) => {
            let (ballot, hash): (Ballot, Hash) = codec::decode(row).ok()?;
            let vote = match random.random_range(0..3) {
                0 => (ballot, some_hash(random)),
                1 => (Ballot(number(ballot.0, random)), hash),
                _ => (Ballot(number(ballot.0, random)), some_hash(random)),
            };
            Some(codec::encode(&vote))
        }
        _ => {
            let body = block(height(store, random), store, random)?;
            Some(codec::encode(&body))
        }
    }
}

/// A row under a key that the table does not have: mostly above the head.
pub(super) fn stranger(
    column: Column,
    store: &MemoryStore,
    committee: &Committee,
    random: &mut ChaCha8Rng,
) -> Option<(Vec<u8>, Vec<u8>)> {
    let above = Height(number(store.keys(Column::Blocks).len() as u64, random));
    let key = above.0.to_be_bytes();
    match column {
        Column::Blocks => {
            let parent = some_hash(random);
            let proposer = ReplicaId(0);
            let made = Block::build(committee.chain(), above, parent, proposer, 1, Vec::new());
            Some((key.to_vec(), codec::encode(&made)))
        }
        Column::Certificates => {
            let mut made = certificate(store, random)?;
            made.height = above;
            Some((key.to_vec(), codec::encode(&made)))
        }
        Column::Statements => {
            let mut made = statement(height(store, random), store, random)?;
            made.height = above;
            Some((key.to_vec(), guarded(&made)))
        }
        Column::Receipts => {
            let receipts = store.receipts(height(store, random)).ok().flatten()?;
            Some((key.to_vec(), codec::encode(&receipts)))
        }
        Column::Journal => {
            let ballot = Ballot(number(0, random));
            match random.random_range(0..3) {
                0 => {
                    let mut row = vec![VOTES];
                    row.extend(key);
                    Some((row, codec::encode(&(ballot, some_hash(random)))))
                }
                1 => {
                    let body = block(height(store, random), store, random)?;
                    let mut row = vec![BODIES];
                    row.extend(body.header.height.0.to_be_bytes());
                    row.extend(body.hash().0);
                    Some((row, codec::encode(&body)))
                }
                _ => Some((FLOOR.to_vec(), codec::encode(&ballot))),
            }
        }
        Column::Attestations => {
            let keys = store.keys(column);
            let row = keys.choose(random).and_then(|key| store.row(column, key).ok().flatten());
            Some((key.to_vec(), row?))
        }
        Column::State | Column::Tree | Column::Quarantine | Column::Meta | Column::HealLog => {
            let length = random.random_range(0..12);
            let name = (0..length).map(|_| random.random()).collect();
            Some((name, codec::encode(&number(1, random))))
        }
        Column::Headers | Column::Transactions => {
            let keys = store.keys(column);
            let row = keys.choose(random).and_then(|key| store.row(column, key).ok().flatten());
            Some((some_hash(random).0.to_vec(), row?))
        }
    }
}
