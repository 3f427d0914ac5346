//! Opens the ledger of a data folder, whatever its files and rows are like, and keeps record of what was
//! repaired for it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use daruma_automaton_api::DynAutomaton;
use daruma_driver::{heals_of_ledger, now_ms, tell_repairs};
use daruma_ledger::{Depth, Ledger, LedgerRepair, SnapshotShelf};
use daruma_store::{
    Column, Heal, HealComponent, Opened, RESTORED, RocksStore, Salvaged, Store, Trust,
};
use tracing::warn;

use crate::StartError;

/// Opens store and ledger in `folder`. What must be made again is made from the highest snapshot on `shelf`
/// that serves, where one does.
pub(crate) fn open_ledger(
    folder: &Path,
    automaton: &Arc<dyn DynAutomaton>,
    trust: &Trust,
    depth: Depth,
    shelf: &Arc<dyn SnapshotShelf>,
) -> Result<(Arc<RocksStore>, Ledger), StartError> {
    let open = |store, depth| {
        Ledger::open_with(store, automaton.clone(), trust.clone(), depth, Arc::clone(shelf))
    };
    let started = Instant::now();
    let (store, opened) = RocksStore::open_any(folder)?;
    let mut heals = heals_of_files(&opened, now_ms(), started.elapsed());
    let (depth, store) = (depth_after(&opened, depth), Arc::new(store));
    let started = Instant::now();
    let ledger = open(store.clone(), depth);
    let damage = store.file_damage().map(str::to_owned);
    let (store, (ledger, repairs)) = match damage {
        None => (store, ledger?),
        Some(why) => {
            // What this opening repaired is copied with the rows.
            if let Ok((_, repairs)) = &ledger {
                tell_repairs(repairs);
                heals.extend(heals_of_ledger(repairs, now_ms(), started.elapsed()));
            }
            // The store must be closed for that.
            drop((ledger, store));
            let started = Instant::now();
            let (store, opened) = RocksStore::salvage(folder, why)?;
            heals.extend(heals_of_files(&opened, now_ms(), started.elapsed()));
            let (depth, store) = (depth_after(&opened, depth), Arc::new(store));
            (store.clone(), open(store, depth)?)
        }
    };
    if store.row(Column::Meta, RESTORED).ok().flatten().is_some() {
        warn!(
            "this store was restored from a backup: votes cast since the backup may be forgotten"
        );
    }
    tell_repairs(&repairs);
    note(store.as_ref(), heals, &repairs, started.elapsed());
    Ok((store, ledger))
}

/// Keeps record of it. A log that cannot be written stops no start.
fn note(store: &dyn Store, mut heals: Vec<Heal>, repairs: &[LedgerRepair], took: Duration) {
    match store.mend_heal_log(now_ms()) {
        Ok(0) => {}
        Ok(rows) => {
            warn!(rows, "the heal log was damaged: it says so now in the place of these rows")
        }
        Err(failed) => warn!(%failed, "the heal log could not be mended"),
    }
    heals.extend(heals_of_ledger(repairs, now_ms(), took));
    if let Err(failed) = store.note_heals(&heals) {
        warn!(%failed, "the heal log could not be written");
    }
}

/// Keeps record of a node that stopped by itself and was started again.
pub(crate) fn note_beginning(store: &dyn Store, why: &str) {
    let done = "the node was started again from its files";
    let heal = Heal::new(now_ms(), HealComponent::Node, "the node could not go on", done);
    if let Err(failed) = store.note_heals(&[heal.with_evidence(why)]) {
        warn!(%failed, "the heal log could not be written");
    }
}

/// What was done about a store's files, for the heal log.
fn heals_of_files(opened: &Opened, at_ms: u64, took: Duration) -> Vec<Heal> {
    let heal = match opened {
        Opened::Whole => return Vec::new(),
        Opened::LogCut { why } => {
            let cause = "the log of the last writes was damaged before its end";
            let done = "what came after the damage was dropped; the whole ledger is checked";
            Heal::new(at_ms, HealComponent::Files, cause, done).with_evidence(why.clone())
        }
        Opened::Salvaged(Salvaged { why, aside, rows, incomplete }) => {
            let cause = "the store's files did not fit together";
            let done = "they were put aside, and the rows that could be read were copied";
            let rows: u64 = rows.values().sum();
            let (aside, incomplete) = (aside.display(), incomplete.join(", "));
            let evidence =
                format!("{rows} rows copied; incomplete: {incomplete}; aside: {aside}; {why}");
            Heal::new(at_ms, HealComponent::Files, cause, done).with_evidence(evidence)
        }
    };
    vec![heal.that_took(took)]
}

/// How much of the ledger to check after its store was found so; and says what was found.
fn depth_after(opened: &Opened, wanted: Depth) -> Depth {
    match opened {
        Opened::Whole => return wanted,
        Opened::LogCut { why } => {
            warn!(%why, "the log of the last writes was damaged: what came after the damage is lost");
        }
        Opened::Salvaged(Salvaged { why, aside, rows, incomplete }) => warn!(
            %why,
            aside = %aside.display(),
            ?rows,
            ?incomplete,
            "the store's files were damaged: they were put aside, and what could be read was kept"
        ),
    }
    Depth::Whole
}
