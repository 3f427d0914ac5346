//! Looking at a stopped node's data folder, or at a copy of one, without changing it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use daruma_automaton_api::DynAutomaton;
use daruma_chainspec::ChainSpec;
use daruma_ledger::{Audit, Audited, LedgerError};
use daruma_store::{ReadOnly, RocksStore, StoreError, Trust};
use daruma_types::Ed25519;

/// Name of the store's folder within a data folder.
pub(crate) const LEDGER: &str = "ledger";

/// What an audit of a data folder came to.
#[derive(Debug, Clone, Default)]
pub struct FolderAudit {
    /// What is wrong with the store's files.
    pub files: Vec<String>,
    /// What is wrong with its rows; nothing was looked at if the files do not make a store.
    pub rows: Audit,
}

impl FolderAudit {
    /// Whether nothing was found.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.files.is_empty() && self.rows.is_clean()
    }
}

/// Why a folder could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The store cannot be opened for reading: a node has it open, it is not there, or not permitted.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store is another chain's, or the disk does not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// There is no room for a scratch folder.
    #[error("cannot make a folder for scratch files: {0}")]
    Scratch(#[from] io::Error),
}

/// Looks at everything in the data folder `data` of a node of `spec`'s chain; see
/// [`daruma_ledger::audit`]. The folder stays as it is, byte by byte, and no node can start on it meanwhile.
///
/// # Errors
/// [`AuditError`] if it cannot be looked at.
pub fn audit_folder(
    data: &Path,
    spec: &ChainSpec,
    automaton: Arc<dyn DynAutomaton>,
    execute: bool,
    progress: &mut dyn FnMut(Audited),
) -> Result<FolderAudit, AuditError> {
    let folder = data.join(LEDGER);
    let scratch = tempfile::tempdir()?;
    let mut audit = FolderAudit::default();
    let store = match RocksStore::open_read_only(&folder, scratch.path())? {
        ReadOnly::Damaged { why } => {
            audit.files.push(format!(
                "the store's files do not fit together, so that no row can be looked at: {why}"
            ));
            return Ok(audit);
        }
        ReadOnly::Opened { store, log_damage } => {
            audit.files.extend(log_damage.map(|why| {
                format!("the log of the last writes is damaged, and ends there for a start: {why}")
            }));
            store
        }
    };
    let trust = Trust { committee: Arc::new(spec.committee()), verifier: Arc::new(Ed25519) };
    audit.rows = daruma_ledger::audit(store.clone(), automaton, trust, execute, progress)?;
    // Of a damaged file not every block need be hit by a row that was looked for.
    audit
        .files
        .extend(store.file_damage().map(|why| format!("a file of the store is damaged: {why}")));
    for (beside, what) in beside(&folder) {
        audit.rows.notes.push(format!("{} is there: {what}", beside.display()));
    }
    Ok(audit)
}

/// Folders that a salvage left beside the store.
pub(crate) fn beside(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let named = |end: &str| {
        let mut name = folder.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let folders = [
        (named(".damaged"), "the files of a store that were damaged, kept for study"),
        (named(".salvaged"), "a salvage was interrupted, and goes on at the next start"),
    ];
    folders.into_iter().filter(|(path, _)| path.exists()).collect()
}
