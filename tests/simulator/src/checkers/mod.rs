//! What must hold after every event (DESIGN 9). The checkers know what only an onlooker can know:
//! all replicas' ledgers and all that they ever said.

mod chain;
mod confirmations;
mod statements;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use daruma_types::{
    Committee, Hash, Height, PublicKey, ReplicaId, Statement, Transaction, Verifier,
};

use crate::Invariant;
pub(crate) use chain::{Canonical, Fate};
use confirmations::Confirmations;
use statements::Statements;

/// A rule that does not hold, and what shows it.
pub(crate) type Broken = (Invariant, String);

/// The state of all checks of a run.
pub(crate) struct Checkers {
    committee: Arc<Committee>,
    verifier: Arc<dyn Verifier>,
    /// The chain, as the first correct replica to execute each height has it.
    chain: BTreeMap<Height, Canonical>,
    /// What each replica executed last and made durable.
    executed: Vec<Option<Statement>>,
    /// Names of the transactions that each client signed, by nonce.
    signed: BTreeMap<(PublicKey, u64), Vec<Hash>>,
    /// The nonce that each client executed last on the chain.
    last_nonce: BTreeMap<PublicKey, u64>,
    statements: Vec<Statements>,
    confirmations: Confirmations,
    /// Whether the chain below the first height known here is not looked at.
    begun_anew: bool,
    /// Transactions that took effect or aborted.
    pub(crate) transactions: u64,
}

impl Checkers {
    pub(crate) fn new(committee: Arc<Committee>, verifier: Arc<dyn Verifier>) -> Self {
        let replicas = committee.thresholds().replicas();
        Self {
            committee,
            verifier,
            chain: BTreeMap::new(),
            executed: vec![None; replicas],
            signed: BTreeMap::new(),
            last_nonce: BTreeMap::new(),
            statements: (0..replicas).map(|_| Statements::default()).collect(),
            confirmations: Confirmations::default(),
            begun_anew: false,
            transactions: 0,
        }
    }

    /// A client signed a transaction.
    pub(crate) fn signed(&mut self, transaction: &Transaction) {
        let name = transaction.hash(self.committee.chain());
        self.signed.entry((transaction.client, transaction.nonce)).or_default().push(name);
    }

    /// Begins anew, with all correct replicas at one head: what they executed and said before it was
    /// the doing of a faulty memory. `last` tells a client's last nonce at that head.
    pub(crate) fn begin_anew(
        &mut self,
        heads: &[(ReplicaId, Statement)],
        last: impl Fn(&PublicKey) -> Option<u64>,
    ) -> Result<(), Broken> {
        let Some((first, statement)) = heads.first().copied() else { return Ok(()) };
        if let Some((other, found)) = heads.iter().find(|(_, found)| *found != statement) {
            let what = format!("{first} has {statement:?}; {other} has {found:?}");
            return Err((Invariant::Agreement, what));
        }
        for (replica, head) in heads {
            self.executed[replica.index()] = Some(*head);
        }
        self.begun_anew = true;
        self.chain.clear();
        self.chain.insert(statement.height, Canonical::known(statement, first));
        self.statements = self.statements.iter().map(|_| Statements::default()).collect();
        self.confirmations = Confirmations::default();
        let clients: BTreeSet<PublicKey> = self.signed.keys().map(|(client, _)| *client).collect();
        self.last_nonce = clients.iter().filter_map(|c| Some((*c, last(c)?))).collect();
        Ok(())
    }

    /// The highest height that a correct replica executed.
    pub(crate) fn height(&self) -> Height {
        self.chain.keys().next_back().copied().unwrap_or_default()
    }

    /// The height that `replica` executed last.
    pub(crate) fn executed_at(&self, replica: ReplicaId) -> Height {
        self.executed[replica.index()].map_or(Height(0), |statement| statement.height)
    }
}

#[cfg(test)]
mod tests;
