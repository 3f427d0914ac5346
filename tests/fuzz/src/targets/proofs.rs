//! Proofs: one that was tampered with proves nothing that is not so.

use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use daruma_ledger::{LedgerReader, StateKey, StateProof, TransactionProof, verify_state_proof};
use daruma_types::{Hash, MerkleProof, codec, merkle_root};

use super::patches::{Patch, patched};
use crate::chain::{chain, history};

/// The first byte says which kind of proof; the others change a true one.
pub(super) fn run(bytes: &[u8]) {
    let mut u = Unstructured::new(bytes);
    let Ok(kind) = u8::arbitrary(&mut u) else { return };
    let _ = match kind % 4 {
        0 => merkle(&mut u),
        1 => state(&mut u),
        2 => transaction(&mut u),
        _ => any_merkle(&mut u),
    };
}

fn leaves(count: u8) -> Vec<Hash> {
    (0..count % 33 + 1).map(|i| Hash([i; 32])).collect()
}

fn merkle(u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let leaves = leaves(u8::arbitrary(u)?);
    let index = usize::from(u8::arbitrary(u)?) % leaves.len();
    let claimed = Hash([u8::arbitrary(u)? % 34; 32]);
    let patches = Vec::<Patch>::arbitrary(u)?;
    let Some(proof) = MerkleProof::build(&leaves, index) else {
        panic!("no proof for leaf {index} of {}", leaves.len());
    };
    assert!(proof.verify(&leaves[index], &merkle_root(&leaves)), "a true proof is refused");
    if let Ok(proof) = codec::decode::<MerkleProof>(&patched(codec::encode(&proof), &patches)) {
        check_merkle(&proof, &claimed, &leaves);
        check_merkle(&proof, &leaves[index], &leaves);
    }
    Ok(())
}

fn any_merkle(u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let leaves = leaves(u8::arbitrary(u)?);
    let proof = MerkleProof::arbitrary(u)?;
    check_merkle(&proof, &Hash::arbitrary(u)?, &leaves);
    Ok(())
}

/// A proof counts only together with the true number of leaves, which the header has.
fn check_merkle(proof: &MerkleProof, claimed: &Hash, leaves: &[Hash]) {
    if proof.verify(claimed, &merkle_root(leaves)) && proof.count as usize == leaves.len() {
        assert_eq!(leaves.get(proof.index as usize), Some(claimed), "a false leaf: {proof:?}");
    }
}

fn state(u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let reader = LedgerReader::new(Arc::clone(&history().store) as Arc<_>, chain().id());
    let mut keys: Vec<StateKey> =
        chain().clients.iter().map(|client| StateKey::nonce(&client.public_key())).collect();
    keys.push(StateKey::automaton(b"value"));
    keys.extend((0..4_u8).map(|i| StateKey::automaton(&[i])));
    let key = &keys[usize::from(u8::arbitrary(u)?) % keys.len()];
    let asked = &keys[usize::from(u8::arbitrary(u)?) % keys.len()];
    let value = Option::<Vec<u8>>::arbitrary(u)?;
    let patches = Vec::<Patch>::arbitrary(u)?;
    let (Ok(answer), Ok(truth)) = (reader.state_proof(key), reader.state_proof(asked)) else {
        panic!("the history is damaged");
    };
    let root = answer.head.statement.state_root;
    assert!(
        verify_state_proof(&root, key, answer.value.as_deref(), &answer.proof),
        "a true proof is refused"
    );
    if let Ok(proof) = codec::decode::<StateProof>(&patched(codec::encode(&answer.proof), &patches))
    {
        for claimed in [&value, &answer.value, &None] {
            if verify_state_proof(&root, asked, claimed.as_deref(), &proof) {
                assert_eq!(claimed, &truth.value, "a false value is proved: {proof:?}");
            }
        }
    }
    Ok(())
}

fn transaction(u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let reader = LedgerReader::new(Arc::clone(&history().store) as Arc<_>, chain().id());
    let blocks = &history().blocks;
    let block = &blocks[usize::from(u8::arbitrary(u)?) % blocks.len()].block;
    let which = usize::from(u8::arbitrary(u)?) % block.transactions.len();
    let patches = Vec::<Patch>::arbitrary(u)?;
    let name = block.transactions[which].hash(chain().id());
    let Ok(Some(proof)) = reader.transaction_proof(&name) else {
        panic!("an executed transaction has no proof");
    };
    let (committee, verifier) = (&chain().committee, chain().verifier.as_ref());
    assert_eq!(proof.verify_receipt(committee, verifier), Ok(()), "a true proof is refused");
    let bytes = patched(codec::encode(&proof), &patches);
    if let Ok(proof) = codec::decode::<TransactionProof>(&bytes) {
        check_transaction(&proof);
    }
    Ok(())
}

/// What a proof shows is what the history has.
pub(super) fn check_transaction(proof: &TransactionProof) {
    let (committee, verifier) = (&chain().committee, chain().verifier.as_ref());
    if proof.verify_inclusion(committee, verifier).is_err() {
        return;
    }
    let at = proof.header.height.0.checked_sub(1).and_then(|index| usize::try_from(index).ok());
    let Some(block) = at.and_then(|index| history().blocks.get(index)) else {
        panic!("a block is proved that there is not: {proof:?}");
    };
    let index = proof.inclusion.index as usize;
    assert_eq!(proof.header, block.block.header, "another header is proved");
    assert_eq!(
        Some(&proof.transaction),
        block.block.transactions.get(index),
        "another transaction is proved"
    );
    if proof.verify_receipt(committee, verifier).is_ok() {
        let reader = LedgerReader::new(Arc::clone(&history().store) as Arc<_>, chain().id());
        let receipts = reader.receipts(proof.header.height).ok().flatten().unwrap_or_default();
        assert_eq!(Some(&proof.receipt), receipts.get(index), "another receipt is proved");
    }
}
