//! JSON that clients and nodes send each other.

use std::fmt::Debug;

use daruma_rpc_api::{
    AppInfo, BlockJson, BlockSelector, CertificateJson, Confirmation, ConsensusState, HeadEvent,
    HeaderJson, Health, Hex, MerkleProofJson, NodeStatus, Number, Peer, ProofJson, QueryAnswer,
    ReceiptJson, StateCertificateJson, Submitted, TransactionJson, TxFound, TxStatus,
};
use daruma_types::{
    Certificate, Hash, Header, MerkleProof, Receipt, StateCertificate, Transaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What is read is written as a text that reads the same.
fn read<T: Serialize + DeserializeOwned + PartialEq + Debug>(text: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(text).ok()?;
    let Ok(written) = serde_json::to_string(&value) else {
        panic!("what was read cannot be written: {value:?}");
    };
    match serde_json::from_str::<T>(&written) {
        Ok(again) => assert_eq!(again, value, "{written}"),
        Err(error) => panic!("what was written cannot be read: {error}: {written}"),
    }
    Some(value)
}

/// The first byte says of which type the JSON is.
pub(super) fn run(bytes: &[u8]) {
    let Some((kind, text)) = bytes.split_first() else { return };
    match kind % 22 {
        0 => {
            if let Some(json) = read::<TransactionJson>(text) {
                let transaction = Transaction::from(json.clone());
                assert_eq!(TransactionJson::from(transaction), json);
            }
        }
        1 => drop(read::<BlockSelector>(text)),
        2 => drop(read::<Hex<Hash>>(text)),
        3 => drop(read::<Number>(text)),
        4 => {
            let json = read::<HeaderJson>(text);
            if let Some(header) = json.and_then(|json| Header::try_from(&json).ok()) {
                assert_eq!(Header::try_from(&HeaderJson::from(&header)), Ok(header));
            }
        }
        5 => drop(read::<BlockJson>(text)),
        6 => {
            let json = read::<CertificateJson>(text);
            if let Some(value) = json.and_then(|json| Certificate::try_from(&json).ok()) {
                assert_eq!(Certificate::try_from(&CertificateJson::from(&value)), Ok(value));
            }
        }
        7 => {
            if let Some(json) = read::<ReceiptJson>(text) {
                let receipt = Receipt::from(json);
                assert_eq!(Receipt::from(ReceiptJson::new(receipt.clone(), None)), receipt);
            }
        }
        8 => drop(read::<ProofJson>(text)),
        9 => {
            if let Some(json) = read::<MerkleProofJson>(text) {
                assert_eq!(MerkleProofJson::from(&MerkleProof::from(&json)), json);
            }
        }
        10 => {
            let json = read::<StateCertificateJson>(text);
            if let Some(value) = json.and_then(|json| StateCertificate::try_from(&json).ok()) {
                let back = StateCertificateJson::from(&value);
                assert_eq!(StateCertificate::try_from(&back), Ok(value));
            }
        }
        11 => drop(read::<Confirmation>(text)),
        12 => drop(read::<TxFound>(text)),
        13 => drop(read::<TxStatus>(text)),
        14 => drop(read::<Submitted>(text)),
        15 => drop(read::<HeadEvent>(text)),
        16 => drop(read::<QueryAnswer>(text)),
        17 => drop(read::<AppInfo>(text)),
        18 => drop(read::<NodeStatus>(text)),
        19 => drop(read::<Health>(text)),
        20 => drop(read::<ConsensusState>(text)),
        _ => drop(read::<Vec<Peer>>(text)),
    }
}
