//! Writes what was repaired into the heal log, on a thread of its own: neither the engine's thread nor the
//! executor waits for it, and no storm of repairs fills the log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use daruma_engine::Illegal;
use daruma_ledger::{LedgerRepair, Remedy};
use daruma_store::{Heal, HealComponent, JournalFault, Store};
use tracing::warn;

use crate::limits;
use crate::supervision::Supervisor;

/// Repairs made together, of a kind of which many may come.
pub(crate) struct Note {
    kind: &'static str,
    heals: Vec<Heal>,
}

/// Where repairs are noted from. Cheap to clone.
#[derive(Clone)]
pub(crate) struct HealNotes {
    sender: SyncSender<Note>,
    /// Those for which the queue had no room.
    lost: Arc<AtomicU64>,
}

impl HealNotes {
    pub(crate) fn new(sender: SyncSender<Note>, lost: Arc<AtomicU64>) -> Self {
        Self { sender, lost }
    }

    /// Notes repairs of one kind.
    pub(crate) fn note(&self, kind: &'static str, heals: Vec<Heal>) {
        let count = heals.len() as u64;
        if count > 0 && self.sender.try_send(Note { kind, heals }).is_err() {
            self.lost.fetch_add(count, Ordering::Relaxed);
        }
    }
}

/// What the records of one kind may still cost.
#[derive(Debug)]
struct Allowance {
    left: u32,
    since: Instant,
    /// Those above it, in one.
    sum: Option<Heal>,
}

/// Bounds how many records of each kind come in a time.
#[derive(Debug, Default)]
struct Rates(BTreeMap<&'static str, Allowance>);

impl Rates {
    /// What is to be written of `heals` now.
    fn admit(&mut self, kind: &'static str, heals: Vec<Heal>, now: Instant) -> Vec<Heal> {
        let fresh = || Allowance { left: limits::HEAL_BURST, since: now, sum: None };
        let allowance = self.0.entry(kind).or_insert_with(fresh);
        if let Some(left) = allowance.left.checked_sub(1) {
            allowance.left = left;
            return heals;
        }
        allowance.sum = add_up(allowance.sum.take().into_iter().chain(heals));
        Vec::new()
    }

    /// What was added up and may be written now: all of it if the thread ends.
    fn due(&mut self, now: Instant, ends: bool) -> Vec<Heal> {
        let over = |a: &Allowance| now.duration_since(a.since) >= limits::HEAL_PERIOD;
        let mut due = Vec::new();
        for allowance in self.0.values_mut().filter(|allowance| ends || over(allowance)) {
            due.extend(allowance.sum.take());
            (allowance.left, allowance.since) = (limits::HEAL_BURST, now);
        }
        due
    }
}

/// One record for several alike: it reads as the last of them.
fn add_up(heals: impl Iterator<Item = Heal>) -> Option<Heal> {
    heals.reduce(|sum, heal| Heal {
        count: sum.count.saturating_add(heal.count),
        took_ms: sum.took_ms.saturating_add(heal.took_ms),
        before: sum.before,
        ..heal
    })
}

/// Writes notes until nobody is left who makes any.
pub(crate) fn keep(
    notes: &Receiver<Note>,
    lost: &AtomicU64,
    store: &dyn Store,
    supervisor: &Supervisor,
) {
    let mut rates = Rates::default();
    // Those that the disk refused.
    let mut waiting: VecDeque<Heal> = VecDeque::new();
    let mut ends = false;
    while !ends {
        match notes.recv_timeout(limits::HEAL_TICK) {
            Ok(Note { kind, heals }) => waiting.extend(rates.admit(kind, heals, Instant::now())),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => ends = true,
        }
        waiting.extend(rates.due(Instant::now(), ends));
        // Each thread's are few by themselves.
        waiting.extend(supervisor.news());
        let count = lost.swap(0, Ordering::Relaxed);
        if count > 0 {
            let cause = "more was repaired at once than could be noted";
            let heal = Heal::new(now_ms(), HealComponent::HealLog, cause, "it was only counted");
            waiting.push_back(Heal { count, ..heal });
        }
        while waiting.len() > limits::HEAL_NOTES_MAX {
            waiting.pop_front();
            lost.fetch_add(1, Ordering::Relaxed);
        }
        if waiting.is_empty() {
            continue;
        }
        match store.note_heals(waiting.make_contiguous()) {
            Ok(()) => waiting.clear(),
            Err(failed) => warn!(%failed, "the heal log could not be written"),
        }
    }
}

/// What checking a ledger repaired, for the heal log.
#[must_use]
pub fn heals_of_ledger(repairs: &[LedgerRepair], at_ms: u64, took: Duration) -> Vec<Heal> {
    let heal = |repair: &LedgerRepair| {
        let LedgerRepair { height, column, found, remedy, row, before, after } = repair;
        let done = match remedy {
            Remedy::Quarantined => "moved to quarantine; it is had again from the other replicas",
            Remedy::Rebuilt => "made again from what certifies it",
            Remedy::Removed => "removed",
            Remedy::Missed => "asked of the other replicas, and left as it is until then",
            Remedy::Lowered => "the head was lowered, and everything derived was made again",
        };
        let key = row.iter().flatten().map(|byte| format!("{byte:02x}")).collect::<String>();
        let key = if row.is_some() { format!(" row 0x{key}") } else { String::new() };
        let heal =
            Heal::new(at_ms, HealComponent::Ledger, format!("{}: {found}", column.name()), done);
        heal.that_took(took)
            .with_change(*before, *after)
            .with_evidence(format!("height {height}, table {}{key}", column.name()))
    };
    let (single, others) =
        repairs.split_at(repairs.len().min(limits::HEALS_PER_CHECK_MAX.saturating_sub(1)));
    let mut heals: Vec<Heal> = single.iter().map(heal).collect();
    let mut tables: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for LedgerRepair { column, height, .. } in others {
        let table = tables.entry(column.name()).or_insert((0, u64::MAX, 0));
        *table = (table.0.saturating_add(1), table.1.min(height.0), table.2.max(height.0));
    }
    if !others.is_empty() {
        let cause = "more rows, in the same check of the ledger";
        let done = "repaired like those before";
        let tables = tables
            .iter()
            .map(|(name, (count, low, high))| format!("{name}: {count}, heights {low} to {high}"));
        let heal = Heal::new(at_ms, HealComponent::Ledger, cause, done)
            .with_evidence(tables.collect::<Vec<_>>().join("; "));
        heals.push(Heal { count: others.len() as u64, ..heal.that_took(took) });
    }
    heals
}

/// What was dropped from a journal, for the heal log.
pub(crate) fn heals_of_journal(dropped: &BTreeMap<JournalFault, u64>, at_ms: u64) -> Vec<Heal> {
    let heal = |(fault, rows): (&JournalFault, &u64)| {
        let (cause, done) = (format!("the journal held {}", fault.name()), "dropped");
        Heal { count: *rows, ..Heal::new(at_ms, HealComponent::Journal, cause, done) }
    };
    dropped.iter().map(heal).collect()
}

/// The kind of a repair of the engine's memory: one that comes all the time must not hide another.
pub(crate) const fn kind_of(illegal: &Illegal) -> &'static str {
    match illegal {
        Illegal::UnprovenView { .. } => "unproven view",
        Illegal::Ballot { .. } => "ballot",
        Illegal::Floor { .. } => "floor",
        Illegal::Forgotten { .. } => "forgotten floor",
        Illegal::Automaton => "coordination automaton",
        Illegal::Slot(_) => "slot",
        Illegal::Prepared(_) => "prepared certificate",
        Illegal::NewView(_) => "new-view",
        Illegal::Head(_) => "head",
        Illegal::Executed(_) => "executed height",
        Illegal::OutOfBounds(what) => what,
    }
}

/// The wall clock in ms since 1970; 0 before.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use daruma_store::{Column, MemoryStore};
    use daruma_types::Height;

    use super::*;

    fn heal(at_ms: u64) -> Heal {
        Heal::new(at_ms, HealComponent::Engine, "found", "mended")
    }

    #[test]
    fn a_storm_of_one_kind_is_added_up_and_hides_no_other_kind() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        let mut written = 0;
        for at_ms in 0..1000 {
            written += rates.admit("storm", vec![heal(at_ms)], now).len();
        }
        assert_eq!(written, limits::HEAL_BURST as usize);
        assert_eq!(rates.admit("other", vec![heal(1)], now).len(), 1);
        assert_eq!(rates.due(now, false), []);
        let due = rates.due(now + limits::HEAL_PERIOD, false);
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].count, 1000 - u64::from(limits::HEAL_BURST));
        assert_eq!(rates.admit("storm", vec![heal(2)], now + limits::HEAL_PERIOD).len(), 1);
    }

    #[test]
    fn a_check_that_repairs_all_rows_writes_few_records_which_name_them_all() {
        let repair = |height| LedgerRepair {
            height: Height(height),
            column: Column::Blocks,
            found: "not a valid encoding".into(),
            remedy: Remedy::Quarantined,
            row: Some(height.to_be_bytes().to_vec()),
            before: None,
            after: None,
        };
        let repairs: Vec<LedgerRepair> = (1..=100).map(repair).collect();
        let heals = heals_of_ledger(&repairs, 5, Duration::from_millis(70));
        assert_eq!(heals.len(), limits::HEALS_PER_CHECK_MAX);
        assert_eq!(heals.iter().map(|heal| heal.count).sum::<u64>(), 100);
        assert!(heals[0].evidence.contains("0x0000000000000001"), "{}", heals[0].evidence);
        assert!(heals[15].evidence.contains("heights 16 to 100"), "{}", heals[15].evidence);
        assert_eq!((heals[0].took_ms, heals[0].at_ms), (70, 5));
    }

    #[test]
    fn what_was_noted_or_had_no_room_is_in_the_log_when_the_thread_ends() {
        let (sender, notes) = sync_channel(limits::HEAL_NOTES_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let healing = HealNotes::new(sender, lost.clone());
        let all = 10 + limits::HEAL_NOTES_MAX as u64;
        (0..all).for_each(|at_ms| healing.note("storm", vec![heal(at_ms)]));
        drop(healing);
        let store = MemoryStore::new();
        keep(&notes, &lost, &store, &Supervisor::default());
        let records = store.heals_before(None, usize::MAX).unwrap();
        let of = |component| records.iter().filter(move |r| r.heal.component == component);
        assert_eq!(of(HealComponent::HealLog).map(|r| r.heal.count).sum::<u64>(), 10);
        assert_eq!(of(HealComponent::Engine).map(|r| r.heal.count).sum::<u64>(), all - 10);
        assert_eq!(records.len(), limits::HEAL_BURST as usize + 2);
    }
}
