//! Whether the certified records are what they claim to be.

use std::sync::Arc;

use daruma_store::{Batch, Column, Store, Trust};
use daruma_types::{Block, Certificate, CertifiedBlock, Hash, Height, VoteKind, limits as hard};

use super::{Concerned, Found, MISSING, Opening, Remedy, Wrong, found, key};
use crate::LedgerError;

/// The block of this height with its certificate, if both prove themselves.
pub(crate) fn certified(
    store: &dyn Store,
    trust: &Trust,
    height: Height,
) -> Result<Found<CertifiedBlock>, LedgerError> {
    let (block, certificate) = rows(store, trust, height)?;
    Ok(match (block, certificate) {
        (Ok(block), Ok(certificate)) if block.hash() == certificate.hash => {
            Ok(CertifiedBlock { block: Arc::new(block), certificate })
        }
        (Ok(_), Ok(_)) => Err(OTHER_BLOCK.into()),
        (Err(why), _) | (_, Err(why)) => Err(why),
    })
}

/// Block and certificate of this height, each by itself.
pub(crate) fn rows(
    store: &dyn Store,
    trust: &Trust,
    height: Height,
) -> Result<(Found<Block>, Found<Certificate>), LedgerError> {
    Ok((block(store, trust, height)?, certificate(store, trust, height)?))
}

/// What is wrong with a block that is another than the certificate's.
const OTHER_BLOCK: &str = "is not the certified block";

/// Which rows of a height are missing or do not prove themselves, and why.
pub(crate) fn wrong(block: &Found<Block>, certificate: &Found<Certificate>) -> Wrong {
    let block = match (block, certificate) {
        (Err(why), _) => Some(why.clone()),
        (Ok(block), Ok(certificate)) if certificate.hash != block.hash() => {
            Some(OTHER_BLOCK.into())
        }
        (Ok(_), _) => None,
    };
    let certificate = certificate.as_ref().err().cloned();
    let found = [(Column::Blocks, block), (Column::Certificates, certificate)].into_iter();
    found.filter_map(|(column, why)| Some((column, why?))).collect()
}

/// Those of [`wrong`] that are there.
pub(crate) fn damaged(block: &Found<Block>, certificate: &Found<Certificate>) -> Wrong {
    let mut found = wrong(block, certificate);
    found.retain(|(_, why)| why != MISSING);
    found
}

/// The block of this height, if its header describes it and is of this chain and height.
pub(crate) fn block(
    store: &dyn Store,
    trust: &Trust,
    height: Height,
) -> Result<Found<Block>, LedgerError> {
    let block = found(store.block(height))?;
    Ok(block.and_then(|block| {
        let (count_max, bytes_max) = (hard::BLOCK_TRANSACTIONS_MAX, hard::BLOCK_BYTES_MAX);
        match block.verify_shape(trust.chain(), count_max, bytes_max) {
            Err(invalid) => Err(invalid.to_string()),
            Ok(()) if block.header.height != height => {
                Err(format!("is the block of height {}", block.header.height))
            }
            Ok(()) => Ok(block),
        }
    }))
}

/// The certificate of this height, if a quorum signed it.
pub(crate) fn certificate(
    store: &dyn Store,
    trust: &Trust,
    height: Height,
) -> Result<Found<Certificate>, LedgerError> {
    let certificate = found(store.certificate(height))?;
    Ok(certificate.and_then(|certificate| {
        if certificate.height != height {
            Err(format!("is the certificate of height {}", certificate.height))
        } else if !trust.holds(VoteKind::Commit, &certificate) {
            Err("does not verify".into())
        } else {
            Ok(certificate)
        }
    }))
}

impl Opening {
    /// See [`certified`].
    pub(crate) fn certified(&self, height: Height) -> Result<Found<CertifiedBlock>, LedgerError> {
        certified(self.store(), &self.ledger.trust, height)
    }

    /// See [`block`].
    pub(crate) fn block(&self, height: Height) -> Result<Found<Block>, LedgerError> {
        block(self.store(), &self.ledger.trust, height)
    }

    /// See [`certificate`].
    pub(super) fn certificate(&self, height: Height) -> Result<Found<Certificate>, LedgerError> {
        certificate(self.store(), &self.ledger.trust, height)
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
    pub(crate) fn hash_below(&self, height: Height) -> Result<Option<Hash>, LedgerError> {
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
        let (wrong, hash) = self.look_at_record(height, below)?;
        let (key, mut batch) = (key(height), Batch::default());
        for (column, why) in wrong.into_iter().filter(|(_, why)| why != MISSING) {
            self.quarantine(column, &key, &mut batch)?;
            self.repaired(height, column, Concerned::Row(&key), why, Remedy::Quarantined);
        }
        self.store().mend(batch)?;
        Ok(hash)
    }

    /// What is wrong with the record of `height`, and the hash of its block if nothing is and it lies on
    /// `below`.
    pub(super) fn look_at_record(
        &self,
        height: Height,
        below: Option<Hash>,
    ) -> Result<(Wrong, Option<Hash>), LedgerError> {
        let (block, certificate) = rows(self.store(), &self.ledger.trust, height)?;
        let wrong = wrong(&block, &certificate);
        let (Ok(block), Ok(certificate), true) = (block, certificate, wrong.is_empty()) else {
            return Ok((wrong, None));
        };
        // Two certified blocks that do not lie upon each other: only after more than f faults.
        let lies = below.is_none_or(|below| below == block.header.parent);
        Ok((wrong, lies.then_some(certificate.hash)))
    }
}
