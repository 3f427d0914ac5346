//! Whether a store is this chain's.

use daruma_store::{Batch, CHAIN, Column, StoreError};
use daruma_types::{Block, ChainId, Height, codec};

use super::{Concerned, LARGE_ROWS_AT_ONCE, MISSING, Opening, Remedy, after, found, height_of};
use crate::LedgerError;

impl Opening {
    /// The store must be this chain's, or hold nothing that another chain would miss.
    pub(super) fn check_chain(&mut self) -> Result<(), LedgerError> {
        let Some((why, new)) = self.chain_row()? else { return Ok(()) };
        // In a new store it is missing.
        if !new {
            self.repaired(Height(0), Column::Meta, Concerned::Row(CHAIN), why, Remedy::Rebuilt);
        }
        let mut batch = Batch::default();
        batch.put(Column::Meta, CHAIN, codec::encode(&self.ledger.chain()));
        Ok(self.store().mend(batch)?)
    }

    /// What is wrong with the row that names the chain, and whether that is so because the store is new.
    pub(super) fn chain_row(&self) -> Result<Option<(String, bool)>, LedgerError> {
        let own = self.ledger.chain();
        let noted = match found(self.store().row(Column::Meta, CHAIN))? {
            Ok(bytes) => codec::decode_stored::<ChainId>(&bytes).map_err(|e| e.to_string()),
            Err(why) => Err(why),
        };
        if noted == Ok(own) {
            return Ok(None);
        }
        let ours = self.any_row(Column::Certificates, |key, _| match height_of(key) {
            Some(height) => Ok(self.certified(height)?.is_ok()),
            None => Ok(false),
        })?;
        if !ours && let Some(found) = self.other_chain(noted.clone().ok())? {
            return Err(LedgerError::OtherChain { found, expected: own });
        }
        let (Ok(why) | Err(why)) = noted.map(|chain| format!("says {chain}"));
        let new = !ours && why == MISSING;
        Ok(Some((why, new)))
    }

    /// The other chain whose store this is, given which one is noted. The note alone is a row like any
    /// other, and may be damaged: there must be a block of the chain that it names, which may be one
    /// that was only voted for, or, where it names none, a block with a certificate for it.
    fn other_chain(&self, noted: Option<ChainId>) -> Result<Option<ChainId>, LedgerError> {
        let own = self.ledger.chain();
        let mut other = None;
        for column in [Column::Blocks, Column::Journal] {
            self.any_row(column, |key, row| {
                let Ok(block) = codec::decode_stored::<Block>(row) else { return Ok(false) };
                let chain = block.header.chain;
                let named = match noted {
                    Some(noted) => chain == noted,
                    None => {
                        let certificate = match height_of(key) {
                            Some(height) => found(self.store().certificate(height))?,
                            None => Err("is no height".into()),
                        };
                        certificate.is_ok_and(|c| c.hash == block.hash())
                    }
                };
                if named && chain != own {
                    other = Some(chain);
                }
                Ok(other.is_some())
            })?;
        }
        Ok(other)
    }

    /// Whether `holds` does of a row of a table; those after it are not looked at.
    pub(super) fn any_row(
        &self,
        column: Column,
        mut holds: impl FnMut(&[u8], &[u8]) -> Result<bool, LedgerError>,
    ) -> Result<bool, LedgerError> {
        let mut from = Vec::new();
        loop {
            let rows = match self.store().rows(column, &from, LARGE_ROWS_AT_ONCE) {
                Ok(rows) => rows,
                Err(StoreError::Damaged { .. }) => return Ok(false),
                Err(failed) => return Err(failed.into()),
            };
            for (key, row) in &rows {
                if holds(key, row)? {
                    return Ok(true);
                }
            }
            match rows.last() {
                Some((last, _)) if rows.len() == LARGE_ROWS_AT_ONCE => from = after(last),
                Some(_) | None => return Ok(false),
            }
        }
    }
}
