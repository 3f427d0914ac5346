//! Leaving the own chain for another certified one (DESIGN 4.2, conflict; the engine's `conflict.rs` says
//! when). The only case in which a ledger gives up blocks.

use daruma_store::{Batch, Column};
use daruma_types::{Adoption, Certificate, CertifiedBlock, Hash, Height, VoteKind, limits as hard};

use crate::opening::{self, Depth};
use crate::{Ledger, LedgerError};

impl Ledger {
    /// Compares `blocks`, one above the other, with the own ones. Where they part, the own blocks above
    /// are given up and kept in quarantine as far as there is room, and what they came to is made again
    /// without them; with `tie` only if the other certificate ranks higher than the own one there. The
    /// given blocks above take their places at once: a ledger that stood at the fork could be given its old
    /// branch again by somebody who is still on it, and two replicas could lead each other back so for ever.
    /// Blocks that are not certified and whole are not looked at.
    ///
    /// # Errors
    /// That the store failed; then the ledger is to be opened again before it is used.
    pub fn adopt(&mut self, blocks: &[CertifiedBlock], tie: bool) -> Result<Adoption, LedgerError> {
        let head = self.head().claim.height;
        let mut same = Height(0);
        for (index, block) in blocks.iter().enumerate() {
            let height = block.certificate.height;
            if height > head.next() || height == Height(0) || !self.is_certified(block) {
                break;
            }
            let own = if height > head { None } else { self.reader().certificate(height)? };
            if own.as_ref().is_some_and(|own| own.hash == block.certificate.hash) {
                same = height;
                continue;
            }
            if self.hash_at(height.previous())? != Some(block.block.header.parent) {
                return Ok(Adoption::Below { from: height });
            }
            let Some(own) = own else {
                // The block above the head: no conflict.
                return Ok(Adoption::Same { to: head });
            };
            let rank = |c: &Certificate| (c.ballot, c.hash);
            if tie && rank(&block.certificate) <= rank(&own) {
                return Ok(Adoption::Kept);
            }
            let to = height.previous();
            self.truncate(to)?;
            self.follow(blocks.iter().skip(index))?;
            return Ok(Adoption::Adopted { to });
        }
        Ok(Adoption::Same { to: same })
    }

    /// Executes blocks of the chain that was taken, as far as they are certified and lie on the head.
    fn follow<'a>(
        &mut self,
        blocks: impl Iterator<Item = &'a CertifiedBlock>,
    ) -> Result<(), LedgerError> {
        for block in blocks {
            match self.execute(block) {
                Ok(_) => {}
                Err(refusal) if refusal.refuses_block() => break,
                Err(failed) => return Err(failed),
            }
        }
        Ok(())
    }

    pub(crate) fn is_certified(&self, block: &CertifiedBlock) -> bool {
        let CertifiedBlock { block, certificate } = block;
        let (count_max, bytes_max) = (hard::BLOCK_TRANSACTIONS_MAX, hard::BLOCK_BYTES_MAX);
        certificate.hash == block.hash()
            && certificate.height == block.header.height
            && block.verify_shape(self.chain(), count_max, bytes_max).is_ok()
            && self.trust.holds(VoteKind::Commit, certificate)
    }

    fn hash_at(&self, height: Height) -> Result<Option<Hash>, LedgerError> {
        if height == Height(0) {
            return Ok(Some(self.chain().0));
        }
        Ok(self.reader().certificate(height)?.map(|certificate| certificate.hash))
    }

    /// Gives up all blocks above `to`. The records go first, in one write: an opening after a loss of
    /// power in between finds a head that nobody certified, and does the rest.
    fn truncate(&mut self, to: Height) -> Result<(), LedgerError> {
        let mut batch = Batch::default();
        let mut room = opening::quarantine_room(self.store.as_ref())?;
        for height in (to.next().0..=self.head().claim.height.0).map(u64::to_be_bytes) {
            for column in [Column::Blocks, Column::Certificates] {
                if let Some(row) = self.store.row(column, &height)?
                    && room > 0
                {
                    batch.put(Column::Quarantine, column.quarantine_key(&height), row);
                    room -= 1;
                }
                batch.delete(column, height);
            }
            batch.delete(Column::Attestations, height);
        }
        self.store.forget_promises()?;
        self.store.mend(batch)?;
        self.check_again(Depth::Recent)?;
        Ok(())
    }
}
