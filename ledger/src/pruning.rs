//! Pruning: bodies and receipts of old blocks are removed. Headers, certificates, statements and
//! attestations stay, and so does where each transaction stood (DESIGN 5, retention).

use daruma_store::Batch;
use daruma_types::{Checkpoint, Height};

use crate::base::put_base;
use crate::{Ledger, LedgerError, limits};

impl Ledger {
    /// Gives up the bodies of the blocks below `keep_from`, down from the highest of them whose state `f+1`
    /// replicas attest, to be removed by [`Self::remove_pruned`]. Gives the lowest height that is kept.
    /// Nothing is given up that no snapshot on this ledger's shelf lies above: the state could not be made
    /// again.
    ///
    /// # Errors
    /// That the store or the shelf failed.
    pub fn prune(&mut self, keep_from: Height) -> Result<Height, LedgerError> {
        let Some(covered) = self.lowest_snapshot()? else { return Ok(self.base().next()) };
        let keep_from = keep_from.min(covered.next());
        let lowest = keep_from.0.saturating_sub(limits::PRUNE_SEARCH).max(self.base().0 + 1);
        for height in (lowest..keep_from.0).rev().map(Height) {
            let Some(checkpoint) = self.reader().checkpoint(height)? else { continue };
            if self.restoring.is_some() || self.head().claim.height < height {
                break;
            }
            let mut batch = Batch::default();
            put_base(&checkpoint, &mut batch);
            self.store.mend(batch)?;
            self.base = Some(checkpoint);
            break;
        }
        Ok(self.base().next())
    }

    /// The lowest height of which this ledger has a snapshot of its own chain.
    fn lowest_snapshot(&self) -> Result<Option<Height>, LedgerError> {
        let Some(shelf) = &self.shelf else { return Ok(None) };
        for height in shelf.heights()? {
            // One that cannot be read is no snapshot.
            if let Ok(Some(checkpoint)) = shelf.checkpoint(height)
                && self.is_own(&checkpoint)?
            {
                return Ok(Some(height));
            }
        }
        Ok(None)
    }

    /// Whether a checkpoint is true and lies on this ledger's chain.
    pub(crate) fn is_own(&self, checkpoint: &Checkpoint) -> Result<bool, LedgerError> {
        let (committee, verifier) = (&self.trust.committee, self.trust.verifier.as_ref());
        if checkpoint.verify(committee, verifier).is_err() {
            return Ok(false);
        }
        let own = self.reader().certificate(checkpoint.height())?;
        Ok(own.is_some_and(|own| own.hash == checkpoint.certificate.hash))
    }
}
