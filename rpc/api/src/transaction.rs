//! Transactions, their receipts and states in JSON.

use daruma_types::{Hash, Height, Outcome, PublicKey, Receipt, Signature, Transaction};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Hex, Number, ProofJson};

/// A signed transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransactionJson {
    /// The client's key.
    pub client: Hex<PublicKey>,
    /// The client's nonce.
    pub nonce: Number,
    /// The automaton's operation, in the automaton's own encoding.
    pub operation: Hex<Vec<u8>>,
    /// The client's signature; docs/transactions.md says on what.
    pub signature: Hex<Signature>,
}

impl From<Transaction> for TransactionJson {
    fn from(transaction: Transaction) -> Self {
        Self {
            client: Hex(transaction.client),
            nonce: Number(transaction.nonce),
            operation: Hex(transaction.operation),
            signature: Hex(transaction.signature),
        }
    }
}

impl From<TransactionJson> for Transaction {
    fn from(json: TransactionJson) -> Self {
        Self {
            client: json.client.0,
            nonce: json.nonce.0,
            operation: json.operation.0,
            signature: json.signature.0,
        }
    }
}

/// Where a transaction stands, as the answering node knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TxState {
    /// The node has never heard of it, or has forgotten it.
    Unknown,
    /// Accepted, and not executed yet. It may still never be executed.
    Pending,
    /// Executed, and the automaton applied it.
    Executed,
    /// Executed, and the automaton aborted it: nothing of it took effect, and its nonce is used up.
    Failed,
    /// In a block without effect: the client's last executed nonce was not smaller.
    Expired,
}

impl TxState {
    /// The state of a transaction whose receipt has `outcome`.
    #[must_use]
    pub const fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Executed { .. } => Self::Executed,
            Outcome::Aborted { .. } => Self::Failed,
            Outcome::Superseded { .. } => Self::Expired,
        }
    }
}

/// Answer of `tx_submit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Submitted {
    /// The transaction's name.
    pub hash: Hex<Hash>,
    /// Where it stands. A transaction that was known already is no error.
    pub state: TxState,
}

/// Answer of `tx_status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TxStatus {
    /// Where it stands.
    pub state: TxState,
    /// The block's height, once executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<Number>,
    /// The position in the block, once executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// The automaton's code, if it aborted the transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
}

/// Answer of `tx_submitAndWait`: with proof once `f+1` replicas attested the block, else pending.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Confirmation {
    /// The transaction's name.
    pub hash: Hex<Hash>,
    /// Pending if the time ran out; else what the receipt says.
    pub state: TxState,
    /// The block's height, unless pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<Number>,
    /// The position in the block, unless pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// What became of it, unless pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<ReceiptJson>,
    /// Why to believe the receipt, unless pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofJson>,
}

impl Confirmation {
    /// The answer for a transaction that is not confirmed yet.
    #[must_use]
    pub const fn pending(hash: Hash) -> Self {
        Self {
            hash: Hex(hash),
            state: TxState::Pending,
            height: None,
            index: None,
            receipt: None,
            proof: None,
        }
    }
}

/// Answer of `tx_get`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TxFound {
    /// The transaction.
    pub tx: TransactionJson,
    /// Its operation in the automaton's JSON form; absent if the automaton does not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation_json: Option<Value>,
    /// The block's height.
    pub height: Number,
    /// The position in the block.
    pub index: u32,
    /// What became of it.
    pub receipt: ReceiptJson,
    /// Why to believe the receipt, if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofJson>,
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptJson {
    /// The transaction's name.
    pub transaction: Hex<Hash>,
    /// The block's height.
    pub height: Number,
    /// The position in the block.
    pub index: u32,
    /// What it came to.
    pub outcome: OutcomeJson,
}

/// What executing a transaction came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum OutcomeJson {
    /// The automaton applied it.
    Executed {
        /// The reply in the automaton's own encoding: what the proof covers.
        reply: Hex<Vec<u8>>,
        /// The same reply as JSON, for people; no proof covers it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_json: Option<Value>,
    },
    /// The automaton aborted it.
    Aborted {
        /// The automaton's number for the reason.
        code: u32,
        /// The reason, for people.
        reason: String,
    },
    /// The client's last executed nonce was not smaller.
    Superseded {
        /// That nonce.
        last_nonce: Number,
    },
}

impl ReceiptJson {
    /// The JSON form; `reply_json` is the reply as the automaton writes it for people.
    #[must_use]
    pub fn new(receipt: Receipt, reply_json: Option<Value>) -> Self {
        Self {
            transaction: Hex(receipt.transaction),
            height: Number(receipt.height.0),
            index: receipt.index,
            outcome: match receipt.outcome {
                Outcome::Executed { reply } => {
                    OutcomeJson::Executed { reply: Hex(reply), reply_json }
                }
                Outcome::Aborted { code, reason } => OutcomeJson::Aborted { code, reason },
                Outcome::Superseded { last_nonce } => {
                    OutcomeJson::Superseded { last_nonce: Number(last_nonce) }
                }
            },
        }
    }
}

impl From<ReceiptJson> for Receipt {
    fn from(json: ReceiptJson) -> Self {
        Self {
            transaction: json.transaction.0,
            height: Height(json.height.0),
            index: json.index,
            outcome: match json.outcome {
                OutcomeJson::Executed { reply, reply_json: _ } => {
                    Outcome::Executed { reply: reply.0 }
                }
                OutcomeJson::Aborted { code, reason } => Outcome::Aborted { code, reason },
                OutcomeJson::Superseded { last_nonce } => {
                    Outcome::Superseded { last_nonce: last_nonce.0 }
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_with_each_outcome_goes_through_json_and_back() {
        let outcomes = [
            Outcome::Executed { reply: vec![1, 2] },
            Outcome::Aborted { code: 101, reason: "no".into() },
            Outcome::Superseded { last_nonce: u64::MAX },
        ];
        for outcome in outcomes {
            let receipt =
                Receipt { transaction: Hash([1; 32]), height: Height(3), index: 4, outcome };
            let json = ReceiptJson::new(receipt.clone(), Some(Value::from(5)));
            let text = serde_json::to_string(&json).unwrap();
            let read: ReceiptJson = serde_json::from_str(&text).unwrap();
            assert_eq!(Receipt::from(read), receipt, "{text}");
        }
    }

    #[test]
    fn a_transaction_with_an_unknown_field_is_refused() {
        let json = format!(
            "{{\"client\":\"0x{}\",\"nonce\":1,\"operation\":\"0x\",\"signature\":\"0x{}\"}}",
            "11".repeat(32),
            "22".repeat(64)
        );
        assert!(serde_json::from_str::<TransactionJson>(&json).is_ok());
        let more = json.replace("\"nonce\"", "\"fee\":1,\"nonce\"");
        assert!(serde_json::from_str::<TransactionJson>(&more).is_err());
    }
}
