//! What the door remembers, when it is right and when memory was corrupted.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use daruma_automaton_api::serde_json::Value;
use daruma_automaton_api::{Abort, At, Malformed, QueryError, State, StateView};
use daruma_ledger::{Depth, Ledger, Trust};
use daruma_store::MemoryStore;
use daruma_types::{ChainId, Replica, SecretKey, Signer};

use super::*;

const CHAIN: ChainId = ChainId(Hash([1; 32]));

/// Takes every operation.
struct Anything;

impl DynAutomaton for Anything {
    fn name(&self) -> &str {
        "anything"
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

    fn apply(&self, _: At, _: &mut dyn State, _: &[u8]) -> Result<Vec<u8>, Abort> {
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

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32])
}

/// The door of a replica whose ledger is empty.
fn door() -> Door {
    let member = |i: u8| Replica { name: format!("r{i}"), key: key(i + 1).public_key() };
    let committee = Arc::new(Committee::new(CHAIN, 1, (0..4).map(member).collect()).unwrap());
    let trust = Trust { committee: Arc::clone(&committee), verifier: Arc::new(Ed25519) };
    let (automaton, store) = (Arc::new(Anything), Arc::new(MemoryStore::default()));
    let (ledger, _) = Ledger::open(store, automaton.clone(), trust, Depth::Recent).unwrap();
    let limits = ChainLimits {
        operation_bytes_max: 100,
        block_bytes_max: 1_000,
        block_transactions_max: 4,
        window: 8,
    };
    Door::new(committee, limits, automaton, ledger.reader())
}

fn signed(nonce: u64) -> Transaction {
    Transaction::sign(CHAIN, &key(50), nonce, b"anything".to_vec())
}

#[test]
fn c_m06_a_nonce_that_was_never_executed_keeps_a_client_out_until_the_door_forgets() {
    let door = door();
    assert_eq!(door.check_submission(&signed(7)), Ok(()));
    door.executed(&[(signed(7).client, u64::MAX)]);
    assert_eq!(door.check_submission(&signed(7)), Err(Refused::Superseded { last: u64::MAX }));
    door.forget_all();
    assert_eq!(door.check_submission(&signed(7)), Ok(()));
}

#[test]
fn c_m06_a_signature_that_was_never_checked_is_checked_once_the_door_forgets() {
    let door = door();
    let mut forged = signed(7);
    forged.operation = b"something else".to_vec();
    assert!(door.check(&forged).is_err());
    lock(&door.verified).put(forged.signed_hash(CHAIN), ());
    assert_eq!(door.check(&forged), Ok(()));
    door.forget_all();
    assert!(door.check(&forged).is_err());
    // What is true passes before and after.
    assert_eq!(door.check(&signed(7)), Ok(()));
    door.forget_all();
    assert_eq!(door.check(&signed(7)), Ok(()));
}
