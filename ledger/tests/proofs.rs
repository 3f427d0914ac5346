//! Proofs hold, and nothing like them does.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::sync::Arc;

use daruma_ledger::{LedgerReader, StateKey, StateProof, TransactionProof, verify_state_proof};
use daruma_store::{MemoryStore, Store};
use daruma_types::{Ed25519, Hash, Height, Signer, codec};
use support::{CHAIN, client, committee, ledger_on, on_both, run, state_certificate, transaction};

/// Whether the reader's answer for `key` holds, with the value it gave and with no other.
fn holds(reader: &LedgerReader, key: &StateKey, value: Option<&[u8]>) -> StateProof {
    let answer = reader.state_proof(key).unwrap();
    let root = answer.head.statement.state_root;
    assert_eq!(answer.value.as_deref(), value);
    assert!(verify_state_proof(&root, key, value, &answer.proof));
    assert!(!verify_state_proof(&root, key, Some(b"another value"), &answer.proof));
    assert_eq!(verify_state_proof(&root, key, None, &answer.proof), value.is_none());
    answer.proof
}

#[test]
fn every_entry_is_proved_and_so_is_the_absence_of_others_at_every_size() {
    on_both(|open| {
        let mut ledger = open();
        let reader = ledger.reader();
        let key = |number: u64| StateKey::automaton(format!("k{number}").as_bytes());
        holds(&reader, &key(0), None);
        for size in 1..=40_u64 {
            run(&mut ledger, vec![transaction(0, size, &format!("+k{size}={size}"))]);
            if size.is_multiple_of(3) {
                for number in 0..=size + 3 {
                    let value = (1..=size).contains(&number).then(|| number.to_string());
                    holds(&reader, &key(number), value.as_ref().map(|value| value.as_bytes()));
                }
            }
            let nonce = StateKey::nonce(&client(0).public_key());
            holds(&reader, &nonce, Some(&size.to_le_bytes()));
        }
    });
}

#[test]
fn a_flipped_bit_anywhere_in_a_state_proof_is_noticed() {
    let mut ledger = ledger_on(Arc::new(MemoryStore::new()));
    let operations = (1..=40).map(|i| transaction(0, i, &format!("+k{i}={i}")));
    run(&mut ledger, operations.collect());
    let reader = ledger.reader();
    let root = ledger.head().statement.state_root;
    let mut neighbours = 0;
    for (name, value) in [("k7", Some(&b"7"[..])), ("x1", None), ("x2", None), ("x3", None)] {
        let key = StateKey::automaton(name.as_bytes());
        let proof = holds(&reader, &key, value);
        neighbours += usize::from(proof.neighbour.is_some());
        let bytes = codec::encode(&proof);
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let Ok(flipped) = codec::decode::<StateProof>(&flipped) else { continue };
            assert!(!verify_state_proof(&root, &key, value, &flipped), "{name}, bit {bit}");
        }
        for bit in 0..256 {
            let mut other = root;
            other.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!verify_state_proof(&other, &key, value, &proof));
        }
        let mut longer = proof.clone();
        longer.siblings.insert(0, Hash([0; 32]));
        assert!(!verify_state_proof(&root, &key, value, &longer));
        longer.siblings = vec![Hash([0; 32]); 300];
        assert!(!verify_state_proof(&root, &key, value, &longer));
    }
    assert!(neighbours > 0, "one of the absent keys has a neighbour");
}

#[test]
fn the_automaton_cannot_write_what_passes_for_a_nonce() {
    let mut ledger = ledger_on(Arc::new(MemoryStore::new()));
    run(&mut ledger, vec![transaction(0, 1, "+n=1")]);
    holds(&ledger.reader(), &StateKey::automaton(b"n"), Some(b"1"));
    assert_eq!(ledger.reader().last_nonce(&client(1).public_key()).unwrap(), None);
}

fn proof() -> TransactionProof {
    let store = Arc::new(MemoryStore::new());
    let mut ledger = ledger_on(Arc::clone(&store) as Arc<dyn Store>);
    run(&mut ledger, vec![transaction(1, 1, "+a=1")]);
    let operations = (1..=5).map(|i| transaction(0, i, &format!("+k{i}={i}")));
    let executed = run(&mut ledger, operations.collect());
    let reader = ledger.reader();
    let name = executed.transactions[2];
    let without = reader.transaction_proof(&name).unwrap().unwrap();
    assert!(without.verify_inclusion(&committee(), &Ed25519).is_ok());
    assert!(without.verify_receipt(&committee(), &Ed25519).is_err(), "nobody attests it yet");
    store.put_state_certificate(&state_certificate(executed.statement, 2)).unwrap();
    assert_eq!(reader.transaction_proof(&Hash([9; 32])).unwrap(), None);
    reader.transaction_proof(&name).unwrap().unwrap()
}

#[test]
fn a_transaction_is_proved_with_its_receipt_from_the_chainspec_alone() {
    let proof = proof();
    assert_eq!(proof.verify_receipt(&committee(), &Ed25519), Ok(()));
    assert_eq!((proof.header.height, proof.inclusion.index), (Height(2), 2));
    assert_eq!(proof.transaction.hash(CHAIN), proof.receipt.transaction);
}

#[test]
fn one_attestation_proves_no_receipt() {
    let mut proof = proof();
    let statement = proof.state_certificate.as_ref().unwrap().statement;
    proof.state_certificate = Some(state_certificate(statement, 1));
    assert!(proof.verify_receipt(&committee(), &Ed25519).is_err());
}

#[test]
fn a_flipped_bit_anywhere_in_a_transaction_proof_is_noticed() {
    let bytes = codec::encode(&proof());
    let committee = committee();
    // Every byte has one bit flipped, another one from byte to byte.
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let Ok(flipped) = codec::decode::<TransactionProof>(&flipped) else { continue };
        assert!(flipped.verify_receipt(&committee, &Ed25519).is_err(), "byte {at}");
    }
}
