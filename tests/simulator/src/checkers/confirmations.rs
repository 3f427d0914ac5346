//! What clients may hold as confirmed: `f+1` replicas attest the same.

use std::collections::BTreeMap;

use daruma_types::{
    Attestation, Height, PublicKey, ReplicaId, SignerSet, StateCertificate, Statement,
};

use super::{Broken, Checkers, Fate};
use crate::Invariant;

/// Attestations gathered by the clients together.
#[derive(Debug, Default)]
pub(super) struct Confirmations {
    gathered: BTreeMap<Height, BTreeMap<Statement, SignerSet>>,
    confirmed: BTreeMap<Height, Statement>,
    pub(super) transactions: u64,
}

impl Checkers {
    /// A replica sent an attestation over the network; clients hear of it as well. Gives the
    /// transactions that are confirmed by it.
    pub(crate) fn gather(
        &mut self,
        from: ReplicaId,
        attestation: &Attestation,
    ) -> Result<Vec<(PublicKey, u64)>, Broken> {
        let Attestation { statement, replica, .. } = attestation;
        let height = statement.height;
        if from != *replica || self.confirmations.confirmed.contains_key(&height) {
            return Ok(Vec::new());
        }
        let at_height = self.confirmations.gathered.get(&height);
        if at_height.and_then(|of| of.get(statement)).is_some_and(|s| s.contains(*replica))
            || attestation.verify(&self.committee, self.verifier.as_ref()).is_err()
        {
            return Ok(Vec::new());
        }
        let at_height = self.confirmations.gathered.entry(height).or_default();
        let signers = at_height.entry(*statement).or_default();
        signers.insert(*replica);
        if signers.len() < self.committee.thresholds().weak() {
            return Ok(Vec::new());
        }
        self.confirm(*statement)
    }

    /// A correct replica answers clients with this certificate.
    pub(crate) fn answered(
        &mut self,
        replica: ReplicaId,
        certificate: &StateCertificate,
    ) -> Result<Vec<(PublicKey, u64)>, Broken> {
        let weak = self.committee.thresholds().weak();
        if let Err(error) = certificate.verify(weak, &self.committee, self.verifier.as_ref()) {
            let what = format!("{replica} gave out a state certificate: {error}");
            return Err((Invariant::Evidence, what));
        }
        self.confirm(certificate.statement)
    }

    fn confirm(&mut self, statement: Statement) -> Result<Vec<(PublicKey, u64)>, Broken> {
        let height = statement.height;
        if self.chain.first_key_value().is_some_and(|(first, _)| *first > height && self.begun_anew)
        {
            return Ok(Vec::new());
        }
        let Some(known) = self.chain.get(&height) else {
            let what = format!("{statement:?} is confirmed and no correct replica executed it");
            return Err((Invariant::Durability, what));
        };
        if known.statement != statement {
            let what = format!("{statement:?} is confirmed against {:?}", known.statement);
            return Err((Invariant::Determinism, what));
        }
        if self.confirmations.confirmed.insert(height, statement).is_some() {
            return Ok(Vec::new());
        }
        self.confirmations.gathered.remove(&height);
        let confirmed: Vec<_> = known
            .transactions
            .iter()
            .filter(|(_, _, fate)| *fate == Fate::Executed)
            .map(|(client, nonce, _)| (*client, *nonce))
            .collect();
        self.confirmations.transactions += confirmed.len() as u64;
        Ok(confirmed)
    }

    /// Transactions confirmed so far.
    pub(crate) fn confirmed_count(&self) -> u64 {
        self.confirmations.transactions
    }

    /// What was confirmed must be in this ledger, which claims to have `height` blocks and was found to
    /// hold those up to `after`. Gives the height up to which all are confirmed and found.
    pub(crate) fn holds_confirmed(
        &self,
        replica: ReplicaId,
        after: Height,
        height: Height,
        stored: impl Fn(Height) -> Option<Statement>,
    ) -> Result<Height, Broken> {
        let mut to = after;
        for (at, statement) in self.confirmations.confirmed.range(after.next()..) {
            if *at > height {
                break;
            }
            let found = stored(*at);
            if found.is_none_or(|f| {
                (f.block, f.receipts_root) != (statement.block, statement.receipts_root)
            }) {
                let what = format!("{replica} has {found:?} where {statement:?} was confirmed");
                return Err((Invariant::Durability, what));
            }
            if *at == to.next() {
                to = *at;
            }
        }
        Ok(to)
    }
}
