//! The offline verification: one proof that holds, and everything that must not.

use daruma_rpc_client::verify::{Proof, Unverified};
use daruma_types::codec::{decode, encode};
use daruma_types::{
    Attestation, Block, ChainId, Committee, Hash, Height, MerkleProof, Outcome, Receipt, Replica,
    ReplicaId, SecretKey, Signature, Signer, StateCertificate, Statement, Transaction, merkle_root,
};

const CHAIN: ChainId = ChainId(Hash([7; 32]));

fn replica_key(id: u16) -> SecretKey {
    SecretKey::from_bytes(&[id as u8 + 1; 32])
}

fn committee() -> Committee {
    let replica = |id| Replica { name: format!("r{id}"), key: replica_key(id).public_key() };
    match Committee::new(CHAIN, 1, (0..4).map(replica).collect()) {
        Ok(committee) => committee,
        Err(error) => panic!("{error}"),
    }
}

fn transactions() -> Vec<Transaction> {
    let key = SecretKey::from_bytes(&[50; 32]);
    (1..=5).map(|nonce| Transaction::sign(CHAIN, &key, nonce, vec![nonce as u8; 9])).collect()
}

fn attest(statement: Statement, signers: &[u16]) -> StateCertificate {
    let sign =
        |id: &u16| Attestation::sign(statement, ReplicaId(*id), CHAIN, &replica_key(*id)).signature;
    StateCertificate {
        statement,
        signers: signers.iter().copied().map(ReplicaId).collect(),
        signatures: signers.iter().map(sign).collect(),
    }
}

/// The proof for the transaction at `index`, attested by `signers`.
fn proof(index: usize, signers: &[u16]) -> Proof {
    let transactions = transactions();
    let receipts: Vec<Receipt> = (0..)
        .zip(&transactions)
        .map(|(index, transaction)| Receipt {
            transaction: transaction.hash(CHAIN),
            height: Height(3),
            index,
            outcome: Outcome::Executed { reply: vec![1, 2, 3] },
        })
        .collect();
    let leaves: Vec<Hash> = transactions.iter().map(|t| t.signed_hash(CHAIN)).collect();
    let receipt_leaves: Vec<Hash> = receipts.iter().map(Receipt::leaf).collect();
    let signature = transactions[index].signature;
    let block = Block::build(CHAIN, Height(3), Hash([2; 32]), ReplicaId(1), 99, transactions);
    let statement = Statement {
        height: Height(3),
        block: block.hash(),
        state_root: Hash([4; 32]),
        receipts_root: merkle_root(&receipt_leaves),
    };
    let (Some(transaction), Some(receipt_proof)) =
        (MerkleProof::build(&leaves, index), MerkleProof::build(&receipt_leaves, index))
    else {
        panic!("no such leaf");
    };
    Proof {
        header: block.header,
        signature,
        transaction,
        receipt: receipts[index].clone(),
        receipt_proof,
        attestations: attest(statement, signers),
    }
}

#[test]
fn each_transaction_of_a_block_is_confirmed_by_its_own_proof_only() {
    for (index, transaction) in transactions().iter().enumerate() {
        for (other, other_transaction) in transactions().iter().enumerate() {
            let result = proof(index, &[1, 3]).verify(&committee(), other_transaction);
            assert_eq!(result.is_ok(), index == other);
        }
        let confirmed = proof(index, &[1, 3]).verify(&committee(), transaction).unwrap();
        assert_eq!(confirmed.index as usize, index);
        assert_eq!(confirmed.outcome, Outcome::Executed { reply: vec![1, 2, 3] });
        assert_eq!(confirmed.statement.height, Height(3));
    }
}

#[test]
fn every_flipped_bit_of_a_proof_is_noticed() {
    let (committee, transaction) = (committee(), &transactions()[2]);
    let good = encode(&proof(2, &[1, 3]));
    assert!(decode::<Proof>(&good).unwrap().verify(&committee, transaction).is_ok());
    for byte in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[byte] ^= 1 << bit;
            if let Ok(proof) = decode::<Proof>(&bad) {
                assert!(proof.verify(&committee, transaction).is_err(), "byte {byte} bit {bit}");
            }
        }
    }
}

#[test]
fn two_attestations_are_enough_and_one_or_one_twice_is_not() {
    let check = |proof: Proof| proof.verify(&committee(), &transactions()[0]);
    assert!(check(proof(0, &[0, 1])).is_ok());
    assert!(check(proof(0, &[0, 1, 2, 3])).is_ok());
    assert!(matches!(check(proof(0, &[2])), Err(Unverified::Attestations(_))));
    assert!(check(proof(0, &[])).is_err());
    let mut twice = proof(0, &[2]);
    twice.attestations.signatures.push(twice.attestations.signatures[0]);
    assert!(check(twice.clone()).is_err());
    // The signature of one in the place of another.
    twice.attestations.signers.insert(ReplicaId(3));
    assert!(check(twice).is_err());
}

#[test]
fn a_stranger_and_a_replica_of_another_chain_do_not_count() {
    let transaction = &transactions()[0];
    let mut strange = proof(0, &[0]);
    strange.attestations.signers.insert(ReplicaId(9));
    strange.attestations.signatures.push(Signature([1; 64]));
    assert!(strange.verify(&committee(), transaction).is_err());
    let replicas = committee().replicas().to_vec();
    let elsewhere = Committee::new(ChainId(Hash([8; 32])), 1, replicas).unwrap();
    assert!(proof(0, &[0, 1]).verify(&elsewhere, transaction).is_err());
}

#[test]
fn parts_of_two_blocks_do_not_make_a_proof() {
    let (committee, transaction) = (committee(), &transactions()[0]);
    let good = proof(0, &[0, 1]);
    // A true statement of f+1 replicas, but of another block, or of another height.
    let mut other_block = good.clone();
    let statement = Statement { block: Hash([9; 32]), ..good.attestations.statement };
    other_block.attestations = attest(statement, &[0, 1]);
    assert!(other_block.verify(&committee, transaction).is_err());
    let mut other_height = good.clone();
    let statement = Statement { height: Height(4), ..good.attestations.statement };
    other_height.attestations = attest(statement, &[0, 1]);
    assert!(other_height.verify(&committee, transaction).is_err());
    // Another receipt than the one under the root.
    let mut reply = good;
    reply.receipt.outcome = Outcome::Executed { reply: vec![9] };
    assert!(reply.verify(&committee, transaction).is_err());
}
