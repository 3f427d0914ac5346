//! Headers, blocks and certificates in JSON.

use daruma_types::{
    Ballot, Certificate, ChainId, Hash, Header, Height, ReplicaId, Signature, SignerSet, VoteKind,
};
use serde::{Deserialize, Serialize};

use crate::{Hex, NotTyped, Number, TransactionJson};

/// A block's header, with its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderJson {
    /// The block's name: the hash of all that follows.
    pub hash: Hex<Hash>,
    /// The chain.
    pub chain: Hex<Hash>,
    /// Position, from 1.
    pub height: Number,
    /// Hash of the block below; of height 1, the chain id.
    pub parent: Hex<Hash>,
    /// Merkle root of the signed transactions.
    pub transactions_root: Hex<Hash>,
    /// The replica that first proposed it.
    pub proposer: u16,
    /// The proposer's clock, in ms since 1970.
    pub timestamp_ms: Number,
    /// Transactions in the block.
    pub count: u32,
    /// Bytes of all transactions, encoded.
    pub bytes: u32,
}

impl From<&Header> for HeaderJson {
    fn from(header: &Header) -> Self {
        Self {
            hash: Hex(header.hash()),
            chain: Hex(header.chain.0),
            height: Number(header.height.0),
            parent: Hex(header.parent),
            transactions_root: Hex(header.transactions_root),
            proposer: header.proposer.0,
            timestamp_ms: Number(header.timestamp_ms),
            count: header.count,
            bytes: header.bytes,
        }
    }
}

impl TryFrom<&HeaderJson> for Header {
    type Error = NotTyped;

    /// The header; refused if the stated hash is not its own.
    fn try_from(json: &HeaderJson) -> Result<Self, NotTyped> {
        let header = Self {
            chain: ChainId(json.chain.0),
            height: Height(json.height.0),
            parent: json.parent.0,
            transactions_root: json.transactions_root.0,
            proposer: ReplicaId(json.proposer),
            timestamp_ms: json.timestamp_ms.0,
            count: json.count,
            bytes: json.bytes,
        };
        let hash = header.hash();
        if hash == json.hash.0 {
            Ok(header)
        } else {
            Err(NotTyped { field: "hash", why: format!("the header's own hash is {hash}") })
        }
    }
}

/// A transaction in a block: its name, or all of it if asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum BlockTransaction {
    /// Its name.
    Hash(Hex<Hash>),
    /// All of it.
    Full(TransactionJson),
}

/// Answer of `chain_getBlock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockJson {
    /// The header.
    pub header: HeaderJson,
    /// The transactions, in order of execution.
    pub transactions: Vec<BlockTransaction>,
    /// The certificate that commits it.
    pub certificate: CertificateJson,
}

/// A quorum certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateJson {
    /// `prepare` or `commit`.
    pub kind: String,
    /// The ballot of all the votes.
    pub ballot: Number,
    /// The block's height.
    pub height: Number,
    /// The block.
    pub hash: Hex<Hash>,
    /// The ids of those who signed, ascending.
    pub signers: Vec<u16>,
    /// Their signatures, in the same order.
    pub signatures: Vec<Hex<Signature>>,
}

impl From<&Certificate> for CertificateJson {
    fn from(certificate: &Certificate) -> Self {
        Self {
            kind: certificate.kind.name().to_owned(),
            ballot: Number(certificate.ballot.0),
            height: Number(certificate.height.0),
            hash: Hex(certificate.hash),
            signers: signer_ids(certificate.signers),
            signatures: certificate.signatures.iter().copied().map(Hex).collect(),
        }
    }
}

impl TryFrom<&CertificateJson> for Certificate {
    type Error = NotTyped;

    fn try_from(json: &CertificateJson) -> Result<Self, NotTyped> {
        let kind = [VoteKind::Prepare, VoteKind::Commit]
            .into_iter()
            .find(|kind| kind.name() == json.kind)
            .ok_or_else(|| NotTyped { field: "kind", why: "prepare or commit".to_owned() })?;
        Ok(Self {
            kind,
            ballot: Ballot(json.ballot.0),
            height: Height(json.height.0),
            hash: json.hash.0,
            signers: signer_set(&json.signers)?,
            signatures: json.signatures.iter().map(|signature| signature.0).collect(),
        })
    }
}

pub(crate) fn signer_ids(signers: SignerSet) -> Vec<u16> {
    signers.iter().map(|id| id.0).collect()
}

/// The set of ascending ids; another order would pair signers with others' signatures.
pub(crate) fn signer_set(ids: &[u16]) -> Result<SignerSet, NotTyped> {
    let set: SignerSet = ids.iter().copied().map(ReplicaId).collect();
    if set.len() == ids.len() && ids.is_sorted() {
        Ok(set)
    } else {
        let why = "distinct replica ids below 64 in ascending order are allowed".to_owned();
        Err(NotTyped { field: "signers", why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            chain: ChainId(Hash([1; 32])),
            height: Height(2),
            parent: Hash([3; 32]),
            transactions_root: Hash([4; 32]),
            proposer: ReplicaId(5),
            timestamp_ms: 1 << 60,
            count: 7,
            bytes: 8,
        }
    }

    #[test]
    fn a_header_goes_through_json_and_back_and_a_wrong_hash_is_refused() {
        let text = serde_json::to_string(&HeaderJson::from(&header())).unwrap();
        let mut json: HeaderJson = serde_json::from_str(&text).unwrap();
        assert_eq!(Header::try_from(&json), Ok(header()));
        json.count += 1;
        assert_eq!(Header::try_from(&json).unwrap_err().field, "hash");
    }

    #[test]
    fn a_certificate_goes_through_json_and_back() {
        let certificate = Certificate {
            kind: VoteKind::Commit,
            ballot: Ballot(1),
            height: Height(2),
            hash: Hash([3; 32]),
            signers: SignerSet(0b1101),
            signatures: vec![Signature([1; 64]); 3],
        };
        let text = serde_json::to_string(&CertificateJson::from(&certificate)).unwrap();
        let json: CertificateJson = serde_json::from_str(&text).unwrap();
        assert_eq!(Certificate::try_from(&json), Ok(certificate));
    }

    #[test]
    fn signers_twice_or_out_of_order_or_beyond_63_are_refused() {
        assert_eq!(signer_set(&[0, 2, 63]), Ok(SignerSet(1 | 4 | 1 << 63)));
        for bad in [&[0, 0][..], &[2, 0], &[64]] {
            assert!(signer_set(bad).is_err(), "{bad:?}");
        }
    }
}
