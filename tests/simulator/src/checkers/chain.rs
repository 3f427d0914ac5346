//! Agreement, validity, durability and determinism of what is executed.

use daruma_types::{
    CertifiedBlock, Hash, Height, Outcome, PublicKey, Receipt, ReplicaId, Statement, VoteKind,
};

use super::{Broken, Checkers};
use crate::Invariant;

/// What became of a transaction at its place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It took effect, or aborted and used up its nonce.
    Executed,
    /// Nothing was done.
    Superseded,
}

/// One height of the chain.
#[derive(Debug, Clone)]
pub(crate) struct Canonical {
    pub(crate) statement: Statement,
    pub(crate) transactions: Vec<(PublicKey, u64, Fate)>,
    /// Who executed it first.
    first: ReplicaId,
}

impl Canonical {
    /// A height of which no more is known than what it came to.
    pub(super) fn known(statement: Statement, first: ReplicaId) -> Self {
        Self { statement, transactions: Vec::new(), first }
    }
}

impl Checkers {
    /// A correct replica executed a block and made it durable.
    pub(crate) fn executed(
        &mut self,
        replica: ReplicaId,
        certified: &CertifiedBlock,
        statement: Statement,
        receipts: &[Receipt],
    ) -> Result<(), Broken> {
        let height = statement.height;
        let before = self.executed_at(replica);
        if height != before.next() {
            let what = format!("{replica} executed {height} after {before}");
            return Err((Invariant::Durability, what));
        }
        self.check_certificate(replica, certified)?;
        match self.chain.get(&height) {
            Some(known) => same(replica, &statement, known)?,
            None => {
                self.check_parent(replica, certified)?;
                let transactions = self.check_transactions(certified, receipts)?;
                let first = replica;
                self.chain.insert(height, Canonical { statement, transactions, first });
            }
        }
        self.executed[replica.index()] = Some(statement);
        Ok(())
    }

    /// The run begins with a chain of blocks without transactions, which `first` executed.
    #[cfg(test)]
    pub(crate) fn begin_with(&mut self, first: ReplicaId, statements: &[Statement]) {
        for statement in statements {
            let canonical = Canonical { statement: *statement, transactions: Vec::new(), first };
            self.chain.insert(statement.height, canonical);
        }
    }

    /// A replica whose disk met a transient fault starts with what is left of its ledger.
    pub(crate) fn restored(&mut self, replica: ReplicaId, head: &Statement) {
        self.executed[replica.index()] = (head.height > Height(0)).then_some(*head);
    }

    /// A correct replica lost its ledger with its disk.
    pub(crate) fn gave_up(&mut self, replica: ReplicaId) {
        self.executed[replica.index()] = None;
    }

    /// A correct replica restores a snapshot, or has restored it, and stands at its height or above it.
    pub(crate) fn took_over(
        &mut self,
        replica: ReplicaId,
        statement: &Statement,
    ) -> Result<(), Broken> {
        self.executed[replica.index()] = Some(*statement);
        match self.chain.get(&statement.height) {
            Some(known) => same(replica, statement, known),
            None => {
                let what = format!("{replica} restored {statement:?}, which nobody executed");
                Err((Invariant::Durability, what))
            }
        }
    }

    /// A correct replica starts again with this head in its ledger.
    pub(crate) fn recovered(&mut self, replica: ReplicaId, head: &Statement) -> Result<(), Broken> {
        match self.executed[replica.index()] {
            Some(last) if last != *head => {
                let what = format!(
                    "{replica} had executed {last:?} and starts again with the head {head:?}"
                );
                Err((Invariant::Durability, what))
            }
            None if head.height != Height(0) => {
                let what = format!("{replica} never executed anything and starts with {head:?}");
                Err((Invariant::Durability, what))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_certificate(
        &self,
        replica: ReplicaId,
        certified: &CertifiedBlock,
    ) -> Result<(), Broken> {
        let CertifiedBlock { block, certificate } = certified;
        let fits = certificate.kind == VoteKind::Commit
            && certificate.height == block.header.height
            && certificate.hash == block.hash();
        let verifies = certificate.verify(&self.committee, self.verifier.as_ref());
        if fits && verifies.is_ok() {
            return Ok(());
        }
        let what = format!(
            "{replica} executed {:?} at {} with a certificate for {:?} at {}: {verifies:?}",
            block.hash(),
            block.header.height,
            certificate.hash,
            certificate.height,
        );
        Err((Invariant::Evidence, what))
    }

    fn check_parent(&self, replica: ReplicaId, certified: &CertifiedBlock) -> Result<(), Broken> {
        let header = &certified.block.header;
        let below = match header.height.previous() {
            Height(0) => Some(self.committee.chain().0),
            height => self.chain.get(&height).map(|known| known.statement.block),
        };
        if below == Some(header.parent) {
            return Ok(());
        }
        let what = format!(
            "{replica} executed at {} a block on {:?}, and below it is {below:?}",
            header.height, header.parent
        );
        Err((Invariant::Agreement, what))
    }

    fn check_transactions(
        &mut self,
        certified: &CertifiedBlock,
        receipts: &[Receipt],
    ) -> Result<Vec<(PublicKey, u64, Fate)>, Broken> {
        let height = certified.block.header.height;
        let transactions = &certified.block.transactions;
        if transactions.len() != receipts.len() {
            let what = format!("{} receipts at {height}", receipts.len());
            return Err((Invariant::Validity, what));
        }
        let mut fates = Vec::with_capacity(transactions.len());
        for (transaction, receipt) in transactions.iter().zip(receipts) {
            let (client, nonce) = (transaction.client, transaction.nonce);
            let name: Hash = transaction.hash(self.committee.chain());
            let signed =
                self.signed.get(&(client, nonce)).is_some_and(|names| names.contains(&name));
            if !signed {
                let what = format!("{name:?} at {height} was never signed by {client:?}");
                return Err((Invariant::Validity, what));
            }
            let last = self.last_nonce.get(&client).copied();
            let fate = match &receipt.outcome {
                Outcome::Executed { .. } | Outcome::Aborted { .. } => Fate::Executed,
                Outcome::Superseded { .. } => Fate::Superseded,
            };
            // The rule is written out here, not taken from the code under test.
            let may = last.is_none_or(|last| nonce > last);
            if may != (fate == Fate::Executed) {
                let what = format!(
                    "{client:?}'s nonce {nonce} at {height} came to {:?}, and {last:?} was its \
                     last executed one",
                    receipt.outcome
                );
                return Err((Invariant::Validity, what));
            }
            if fate == Fate::Executed {
                self.last_nonce.insert(client, nonce);
                self.transactions += 1;
            }
            fates.push((client, nonce, fate));
        }
        Ok(fates)
    }
}

fn same(replica: ReplicaId, statement: &Statement, known: &Canonical) -> Result<(), Broken> {
    if *statement == known.statement {
        return Ok(());
    }
    let invariant = if statement.block == known.statement.block {
        Invariant::Determinism
    } else {
        Invariant::Agreement
    };
    let first = known.first;
    Err((invariant, format!("{replica} has {statement:?}; {first} has {:?}", known.statement)))
}
