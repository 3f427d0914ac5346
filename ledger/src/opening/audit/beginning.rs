//! Where the kept chain begins, looked at.

use daruma_store::Column;

use super::super::MISSING;
use super::Auditor;
use crate::LedgerError;
use crate::base::BASE;
use crate::restoring::RESTORING;

impl Auditor<'_> {
    /// Where the kept chain begins, and whether a snapshot is being restored.
    pub(super) fn begins(&mut self) -> Result<(), LedgerError> {
        match self.opening.noted_restoring()? {
            Ok(restoring) => {
                self.audit.notes.push(format!(
                    "the snapshot of height {} is being restored: there is no state until that is done",
                    restoring.checkpoint.height()
                ));
                self.opening.ledger.restoring = Some(restoring);
                return Ok(());
            }
            Err(why) if why == MISSING => {}
            Err(why) => self.find(Column::Meta, Some(RESTORING), None, why),
        }
        match self.opening.noted_base()? {
            Ok(base) => {
                let height = base.height();
                for (column, row, why) in self.opening.wrong_at_base(&base)? {
                    self.find(column, Some(&row), Some(height), why);
                }
                self.audit.notes.push(format!(
                    "blocks up to {height} were pruned, or never here: a checkpoint stands for them"
                ));
                self.opening.ledger.base = Some(base);
            }
            Err(why) if why == MISSING => {}
            Err(why) => self.find(Column::Meta, Some(BASE), None, why),
        }
        Ok(())
    }
}
