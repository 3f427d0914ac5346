//! What clients ask in a driven run, what they are answered, and what came of it.

use daruma_types::{Height, Message, Outcome, PublicKey, ReplicaId, Transaction};

use super::Rig;
use super::notes::{Accusation, Refused};
use crate::scheme::{Keys, Role};

impl Rig<'_> {
    fn keys(&self) -> Keys {
        Keys::new(self.world.plan.scheme, self.world.plan.seed)
    }

    /// A client's key.
    #[must_use]
    pub fn client(&self, client: u16) -> PublicKey {
        self.keys().signer(Role::Client, client).public_key()
    }

    /// A client's signed operation, which the checkers then know of.
    pub fn sign(&mut self, client: u16, nonce: u64, operation: &str) -> Transaction {
        let signer = self.keys().signer(Role::Client, client);
        let chain = self.world.committee.chain();
        let operation = operation.as_bytes().to_vec();
        let transaction = Transaction::sign(chain, signer.as_ref(), nonce, operation);
        self.world.checkers.signed(&transaction);
        transaction
    }

    /// A client gives its operation to each of these replicas, now.
    pub fn submit(&mut self, to: &[ReplicaId], client: u16, nonce: u64, operation: &str) {
        let transaction = self.sign(client, nonce, operation);
        self.give(to, &[transaction]);
    }

    /// Transactions reach each of these replicas together, so that one block may hold them.
    pub fn give(&mut self, to: &[ReplicaId], transactions: &[Transaction]) {
        for to in to {
            self.world.submit(*to, transactions.to_vec());
        }
    }

    /// What a replica last answered to a transaction; none if it has not answered.
    #[must_use]
    pub fn answer(&self, by: ReplicaId, client: u16, nonce: u64) -> Option<Result<(), Refused>> {
        let notes = self.world.notes.as_ref()?;
        notes.answer(&(by, self.client(client), nonce))
    }

    /// What became of the transactions that a replica executed, in order.
    #[must_use]
    pub fn outcomes(&self, id: ReplicaId) -> Vec<Outcome> {
        let Some(running) = &self.world.replicas[id.index()].running else { return Vec::new() };
        let heights = 1..=running.engine.status().executed.height.0;
        let receipts = heights.filter_map(|h| running.reader.receipts(Height(h)).ok().flatten());
        receipts.flatten().map(|receipt| receipt.outcome).collect()
    }

    /// The last nonce of a client that a replica executed.
    #[must_use]
    pub fn last_nonce(&self, id: ReplicaId, client: u16) -> Option<u64> {
        let running = self.world.replicas[id.index()].running.as_ref()?;
        running.reader.last_nonce(&self.client(client)).ok().flatten()
    }

    /// Who was found to contradict itself so far, by whom.
    #[must_use]
    pub fn accusations(&self) -> &[Accusation] {
        self.world.notes.as_ref().map_or(&[], |notes| &notes.accusations)
    }

    /// From now on what replicas say is noted.
    pub fn listen(&mut self) {
        if let Some(notes) = &mut self.world.notes {
            notes.said.get_or_insert_default();
        }
    }

    /// What was said since, by whom; the first few thousand messages.
    #[must_use]
    pub fn said(&self) -> &[(ReplicaId, Message)] {
        let notes = self.world.notes.as_ref();
        notes.and_then(|notes| notes.said.as_deref()).unwrap_or_default()
    }
}
