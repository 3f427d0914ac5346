//! Whether the certified records are what they claim to be.

use std::sync::Arc;

use daruma_store::{Batch, Column};
use daruma_types::{Block, Certificate, CertifiedBlock, Hash, Height, VoteKind, limits as hard};

use super::{Found, Opening, Remedy, found, key};
use crate::LedgerError;

impl Opening {
    /// The block of this height with its certificate, if both prove themselves.
    pub(super) fn certified(&self, height: Height) -> Result<Found<CertifiedBlock>, LedgerError> {
        let (block, certificate) = (self.block(height)?, self.certificate(height)?);
        Ok(match (block, certificate) {
            (Ok(block), Ok(certificate)) if block.hash() == certificate.hash => {
                Ok(CertifiedBlock { block: Arc::new(block), certificate })
            }
            (Ok(_), Ok(_)) => Err("is not the certified block".into()),
            (Err(why), _) | (_, Err(why)) => Err(why),
        })
    }

    /// The block of this height, if its header describes it and is of this chain and height.
    pub(super) fn block(&self, height: Height) -> Result<Found<Block>, LedgerError> {
        let block = found(self.store().block(height))?;
        Ok(block.and_then(|block| {
            let (count_max, bytes_max) = (hard::BLOCK_TRANSACTIONS_MAX, hard::BLOCK_BYTES_MAX);
            match block.verify_shape(self.ledger.chain(), count_max, bytes_max) {
                Err(invalid) => Err(invalid.to_string()),
                Ok(()) if block.header.height != height => {
                    Err(format!("is the block of height {}", block.header.height))
                }
                Ok(()) => Ok(block),
            }
        }))
    }

    /// The certificate of this height, if a quorum signed it.
    pub(super) fn certificate(&self, height: Height) -> Result<Found<Certificate>, LedgerError> {
        let certificate = found(self.store().certificate(height))?;
        Ok(certificate.and_then(|certificate| {
            if certificate.height != height {
                Err(format!("is the certificate of height {}", certificate.height))
            } else if !self.ledger.trust.holds(VoteKind::Commit, &certificate) {
                Err("does not verify".into())
            } else {
                Ok(certificate)
            }
        }))
    }

    /// Checks the records of these heights and moves what is damaged to quarantine. Gives the highest
    /// height below which none was damaged or missing.
    pub(super) fn check_records(
        &mut self,
        lowest: Height,
        highest: Height,
    ) -> Result<Height, LedgerError> {
        let mut sound = highest;
        let mut below = self.hash_below(lowest)?;
        for height in (lowest.0..=highest.0).map(Height) {
            let hash = self.check_record(height, below)?;
            if hash.is_none() {
                sound = sound.min(height.previous());
            }
            below = hash;
        }
        Ok(sound)
    }

    /// The hash of the block below `height`, if a certificate tells it.
    fn hash_below(&self, height: Height) -> Result<Option<Hash>, LedgerError> {
        match height.previous() {
            Height(0) => Ok(Some(self.ledger.chain().0)),
            below if let Some(base) = self.ledger.base_at(below) => Ok(Some(base.certificate.hash)),
            below => Ok(self.certificate(below)?.ok().map(|certificate| certificate.hash)),
        }
    }

    /// The hash of the block at `height`, if it is sound and lies on `below`.
    fn check_record(
        &mut self,
        height: Height,
        below: Option<Hash>,
    ) -> Result<Option<Hash>, LedgerError> {
        let (block, certificate) = (self.block(height)?, self.certificate(height)?);
        let fits = match (&block, &certificate) {
            (Ok(block), Ok(certificate)) => certificate.hash == block.hash(),
            (Ok(_) | Err(_), _) => true,
        };
        let mut batch = Batch::default();
        let mut bad = |opening: &mut Self, column: Column, why: &str| {
            if why != "is missing" {
                opening.quarantine(column, &key(height), &mut batch)?;
                opening.repaired(height, column, why, Remedy::Quarantined);
            }
            Ok::<(), LedgerError>(())
        };
        if let Err(why) = &block {
            bad(self, Column::Blocks, why)?;
        } else if !fits {
            bad(self, Column::Blocks, "is not the certified block")?;
        }
        if let Err(why) = &certificate {
            bad(self, Column::Certificates, why)?;
        }
        self.store().mend(batch)?;
        let (Ok(block), Ok(certificate), true) = (block, certificate, fits) else {
            return Ok(None);
        };
        // Two certified blocks that do not lie upon each other: only after more than f faults.
        let lies = below.is_none_or(|below| below == block.header.parent);
        Ok(lies.then_some(certificate.hash))
    }
}
