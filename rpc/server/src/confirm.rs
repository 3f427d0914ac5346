//! Making the answer of `tx_submitAndWait` for a whole block at once.

use daruma_automaton_api::DynAutomaton;
use daruma_ledger::{LedgerError, LedgerReader};
use daruma_rpc_api::{
    Confirmation, HeaderJson, Hex, MerkleProofJson, Number, ProofJson, ReceiptJson,
    StateCertificateJson, TxState,
};
use daruma_types::{
    Hash, Header, MerkleProof, Outcome, Receipt, Signature, StateCertificate, merkle_root,
};

/// The confirmations of those transactions of the certified block that are `wanted`; none if the
/// ledger does not have that very block and result. A transaction that stood in an earlier place has
/// its receipt there, so it is left out here.
pub(crate) fn of_block(
    ledger: &LedgerReader,
    automaton: &dyn DynAutomaton,
    certificate: &StateCertificate,
    wanted: impl Fn(&Hash) -> bool,
) -> Result<Vec<Confirmation>, LedgerError> {
    let height = certificate.statement.height;
    let (Some(block), Some(receipts)) = (ledger.block(height)?, ledger.receipts(height)?) else {
        return Ok(Vec::new());
    };
    let leaves: Vec<Hash> =
        block.transactions.iter().map(|t| t.signed_hash(ledger.chain())).collect();
    let receipt_leaves: Vec<Hash> = receipts.iter().map(Receipt::leaf).collect();
    if block.hash() != certificate.statement.block
        || merkle_root(&receipt_leaves) != certificate.statement.receipts_root
    {
        tracing::warn!(%height, "the attested result is not this node's own; nothing confirmed");
        return Ok(Vec::new());
    }
    let proofs = proofs_of_all(&leaves).into_iter().zip(proofs_of_all(&receipt_leaves));
    let mut confirmations = Vec::new();
    for ((transaction, receipt), (inclusion, receipt_inclusion)) in
        block.transactions.iter().zip(receipts).zip(proofs)
    {
        if !wanted(&receipt.transaction) {
            continue;
        }
        if matches!(receipt.outcome, Outcome::Superseded { .. }) {
            let first = ledger.location(&receipt.transaction)?;
            if first.is_some_and(|first| (first.height, first.index) != (height, receipt.index)) {
                continue;
            }
        }
        let parts = Parts {
            header: &block.header,
            signature: transaction.signature,
            inclusion: &inclusion,
            receipt_inclusion: &receipt_inclusion,
            certificate,
        };
        confirmations.push(parts.confirmation(receipt, automaton));
    }
    Ok(confirmations)
}

/// What a proof is put together from.
pub(crate) struct Parts<'a> {
    pub(crate) header: &'a Header,
    pub(crate) signature: Signature,
    pub(crate) inclusion: &'a MerkleProof,
    pub(crate) receipt_inclusion: &'a MerkleProof,
    pub(crate) certificate: &'a StateCertificate,
}

impl Parts<'_> {
    pub(crate) fn proof(&self) -> ProofJson {
        ProofJson {
            header: HeaderJson::from(self.header),
            signature: Hex(self.signature),
            transaction: MerkleProofJson::from(self.inclusion),
            receipt: MerkleProofJson::from(self.receipt_inclusion),
            attestations: StateCertificateJson::from(self.certificate),
        }
    }

    pub(crate) fn confirmation(
        &self,
        receipt: Receipt,
        automaton: &dyn DynAutomaton,
    ) -> Confirmation {
        Confirmation {
            hash: Hex(receipt.transaction),
            state: TxState::of(&receipt.outcome),
            height: Some(Number(receipt.height.0)),
            index: Some(receipt.index),
            proof: Some(self.proof()),
            receipt: Some(receipt_json(receipt, automaton)),
        }
    }
}

/// The receipt with the automaton's JSON of its reply, if it can read it.
pub(crate) fn receipt_json(receipt: Receipt, automaton: &dyn DynAutomaton) -> ReceiptJson {
    let reply_json = match &receipt.outcome {
        Outcome::Executed { reply } => automaton.reply_to_json(reply).ok(),
        Outcome::Aborted { .. } | Outcome::Superseded { .. } => None,
    };
    ReceiptJson::new(receipt, reply_json)
}

/// The proof of every leaf. One proof by itself hashes all the leaves but one; all of them together
/// this way hash them once for each level of the tree.
fn proofs_of_all(leaves: &[Hash]) -> Vec<MerkleProof> {
    fn descend(leaves: &[Hash], proofs: &mut [MerkleProof]) {
        if leaves.len() < 2 {
            return;
        }
        // The shape of RFC 6962: the left half is the largest power of two below the length.
        let half = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(half);
        let (left_proofs, right_proofs) = proofs.split_at_mut(half);
        descend(left, left_proofs);
        descend(right, right_proofs);
        let (left_root, right_root) = (merkle_root(left), merkle_root(right));
        left_proofs.iter_mut().for_each(|proof| proof.siblings.push(right_root));
        right_proofs.iter_mut().for_each(|proof| proof.siblings.push(left_root));
    }
    // A block has at most 4096 transactions.
    let count = u32::try_from(leaves.len()).unwrap_or(u32::MAX);
    let empty = |index| MerkleProof { index, count, siblings: Vec::new() };
    let mut proofs: Vec<MerkleProof> = (0..count).map(empty).collect();
    descend(leaves, &mut proofs);
    proofs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_proofs_at_once_are_the_proofs_one_by_one() {
        for count in 0..=33_u8 {
            let leaves: Vec<Hash> = (0..count).map(|i| Hash([i; 32])).collect();
            let one_by_one: Vec<MerkleProof> =
                (0..leaves.len()).filter_map(|i| MerkleProof::build(&leaves, i)).collect();
            assert_eq!(proofs_of_all(&leaves), one_by_one, "{count}");
        }
    }
}
