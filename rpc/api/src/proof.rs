//! Proofs in JSON: why to believe one node's word about a transaction.

use daruma_types::{Hash, Height, MerkleProof, Signature, StateCertificate, Statement};
use serde::{Deserialize, Serialize};

use crate::block::{signer_ids, signer_set};
use crate::{HeaderJson, Hex, NotTyped, Number};

/// What shows, with the chainspec alone, that a transaction is in a block and what its receipt is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProofJson {
    /// The block's header; its hash is the statement's block.
    pub header: HeaderJson,
    /// The transaction's signature as it stands in the block.
    pub signature: Hex<Signature>,
    /// That the signed transaction is under the header's transactions root.
    pub transaction: MerkleProofJson,
    /// That the receipt is under the statement's receipts root.
    pub receipt: MerkleProofJson,
    /// At least `f+1` replicas' signatures on the statement.
    pub attestations: StateCertificateJson,
}

/// That a leaf stands at a position of a Merkle tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MerkleProofJson {
    /// The leaf's position.
    pub index: u32,
    /// Leaves in the tree.
    pub count: u32,
    /// The hashes beside the path, from the leaf up.
    pub siblings: Vec<Hex<Hash>>,
}

/// The result of executing a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatementJson {
    /// The height executed.
    pub height: Number,
    /// The block executed there.
    pub block: Hex<Hash>,
    /// Root of the whole state after it.
    pub state_root: Hex<Hash>,
    /// Merkle root of the block's receipts.
    pub receipts_root: Hex<Hash>,
}

/// Equal attestations of several replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateCertificateJson {
    /// What all of them say.
    pub statement: StatementJson,
    /// The ids of those who say it, ascending.
    pub signers: Vec<u16>,
    /// Their signatures, in the same order.
    pub signatures: Vec<Hex<Signature>>,
}

impl From<&MerkleProof> for MerkleProofJson {
    fn from(proof: &MerkleProof) -> Self {
        Self {
            index: proof.index,
            count: proof.count,
            siblings: proof.siblings.iter().copied().map(Hex).collect(),
        }
    }
}

impl From<&MerkleProofJson> for MerkleProof {
    fn from(json: &MerkleProofJson) -> Self {
        Self {
            index: json.index,
            count: json.count,
            siblings: json.siblings.iter().map(|sibling| sibling.0).collect(),
        }
    }
}

impl From<&StateCertificate> for StateCertificateJson {
    fn from(certificate: &StateCertificate) -> Self {
        let Statement { height, block, state_root, receipts_root } = certificate.statement;
        Self {
            statement: StatementJson {
                height: Number(height.0),
                block: Hex(block),
                state_root: Hex(state_root),
                receipts_root: Hex(receipts_root),
            },
            signers: signer_ids(certificate.signers),
            signatures: certificate.signatures.iter().copied().map(Hex).collect(),
        }
    }
}

impl TryFrom<&StateCertificateJson> for StateCertificate {
    type Error = NotTyped;

    fn try_from(json: &StateCertificateJson) -> Result<Self, NotTyped> {
        Ok(Self {
            statement: Statement {
                height: Height(json.statement.height.0),
                block: json.statement.block.0,
                state_root: json.statement.state_root.0,
                receipts_root: json.statement.receipts_root.0,
            },
            signers: signer_set(&json.signers)?,
            signatures: json.signatures.iter().map(|signature| signature.0).collect(),
        })
    }
}
