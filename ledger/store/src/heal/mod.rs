//! The heal log: what this replica repaired or reset, when, why, and from what to what.
//!
//! Nothing is decided by it; it is for people, and for whoever audits a replica. Each record names the hash
//! of the one before it, so that a log can be checked away from the machine that wrote it: a record that is
//! changed, taken out or put in shows. The oldest records are pruned. Taking away the *newest* shows only to
//! whoever saw them.
//!
//! A record that is lost or damaged on the disk is replaced at the next start by one that says so
//! ([`HealRecord::stands_for`]); the chain goes on over it.

mod log;

pub(crate) use log::HealTail;

use std::time::Duration;

use daruma_types::codec::{self, Decode, Encode};
use daruma_types::{Hash, HashContext};

use crate::limits::{HEAL_EVIDENCE_BYTES_MAX, HEAL_TEXT_BYTES_MAX};

/// The part of a replica that something was wrong with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum HealComponent {
    /// The store's files.
    Files,
    /// Rows of the ledger.
    Ledger,
    /// This replica's promises on disk.
    Journal,
    /// The engine's memory.
    Engine,
    /// A disk that refuses writes.
    Disk,
    /// The chain itself: blocks given up for another certified chain.
    Chain,
    /// This log.
    HealLog,
    /// A node that could not go on as it was.
    Node,
}

impl HealComponent {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Files,
        Self::Ledger,
        Self::Journal,
        Self::Engine,
        Self::Disk,
        Self::Chain,
        Self::HealLog,
        Self::Node,
    ];

    /// The name for people and programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Ledger => "ledger",
            Self::Journal => "journal",
            Self::Engine => "engine",
            Self::Disk => "disk",
            Self::Chain => "chain",
            Self::HealLog => "healLog",
            Self::Node => "node",
        }
    }
}

/// One thing that was repaired or reset, or several alike.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Heal {
    /// When it was done, in ms since 1970, by this replica's clock; of several alike, the last.
    pub at_ms: u64,
    /// What was wrong.
    pub component: HealComponent,
    /// What was found.
    pub cause: String,
    /// What was done about it.
    pub done: String,
    /// Digest of what was there before, as far as there is such a thing and it could be read: of a row,
    /// [`row_digest`] of its bytes; of a state, its root; of a chain, its head.
    pub before: Option<Hash>,
    /// The same of what is there now.
    pub after: Option<Hash>,
    /// What shows it, in short: table and key, heights, a message of the system.
    pub evidence: String,
    /// How long it took, in ms; what was repaired together took that long together.
    pub took_ms: u64,
    /// How many alike this stands for, itself included: 1 or more.
    pub count: u64,
}

impl Heal {
    /// One that took no time and changed nothing that has a digest.
    #[must_use]
    pub fn new(
        at_ms: u64,
        component: HealComponent,
        cause: impl Into<String>,
        done: impl Into<String>,
    ) -> Self {
        Self {
            at_ms,
            component,
            cause: cause.into(),
            done: done.into(),
            before: None,
            after: None,
            evidence: String::new(),
            took_ms: 0,
            count: 1,
        }
    }

    /// The same with this evidence.
    #[must_use]
    pub fn with_evidence(self, evidence: impl Into<String>) -> Self {
        Self { evidence: evidence.into(), ..self }
    }

    /// The same, which took so long.
    #[must_use]
    pub fn that_took(self, time: Duration) -> Self {
        Self { took_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX), ..self }
    }

    /// The same from one digest to another.
    #[must_use]
    pub fn with_change(self, before: Option<Hash>, after: Option<Hash>) -> Self {
        Self { before, after, ..self }
    }

    /// The same, with texts that are not longer than a record may have.
    pub(crate) fn clipped(&self) -> Self {
        Self {
            cause: clip(&self.cause, HEAL_TEXT_BYTES_MAX),
            done: clip(&self.done, HEAL_TEXT_BYTES_MAX),
            evidence: clip(&self.evidence, HEAL_EVIDENCE_BYTES_MAX),
            ..self.clone()
        }
    }
}

/// `text`, or its beginning.
fn clip(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    const MORE: &str = "…";
    let mut end = max.saturating_sub(MORE.len());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default().to_owned() + MORE
}

/// A record of the heal log.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct HealRecord {
    /// Its number. They ascend by one, from 0.
    pub sequence: u64,
    /// The hash of the record before it; zeros in the first.
    pub previous: Hash,
    /// What it says.
    pub heal: Heal,
}

impl HealRecord {
    /// What the next record names.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(HashContext::HealRecord, &[b"record", &codec::encode(self)])
    }

    /// Whether this record replaces one that was lost, and which, as far as its successor told: the hash
    /// that the next record names instead of this one's own.
    #[must_use]
    pub fn stands_for(&self) -> Option<Hash> {
        match self.heal.component {
            HealComponent::HealLog => self.heal.after,
            HealComponent::Files
            | HealComponent::Ledger
            | HealComponent::Journal
            | HealComponent::Engine
            | HealComponent::Disk
            | HealComponent::Chain
            | HealComponent::Node => None,
        }
    }

    /// Whether `next` lies on this record.
    #[must_use]
    pub fn is_below(&self, next: &Self) -> bool {
        self.sequence.checked_add(1) == Some(next.sequence)
            && (next.previous == self.hash() || self.stands_for() == Some(next.previous))
    }

    /// The row: the record, and its hash, without which the newest record would be guarded by nothing.
    pub(crate) fn to_row(&self) -> Vec<u8> {
        codec::encode(&(self, self.hash()))
    }

    /// Reads a row.
    pub(crate) fn of_row(sequence: u64, row: &[u8]) -> Option<Self> {
        let (record, guard) = codec::decode_stored::<(Self, Hash)>(row).ok()?;
        (record.sequence == sequence && record.hash() == guard).then_some(record)
    }
}

/// Digest of a row's bytes, for [`Heal::before`] and [`Heal::after`].
#[must_use]
pub fn row_digest(row: &[u8]) -> Hash {
    Hash::of(HashContext::HealRecord, &[b"row", row])
}

/// What is wrong with a stretch of a heal log, in order of its sequence numbers: each place with what was
/// found there. A record that says that another was lost is no fault.
#[must_use]
pub fn check_heals(records: &[HealRecord]) -> Vec<(u64, &'static str)> {
    let pairs = records.iter().zip(records.iter().skip(1));
    pairs
        .filter(|(below, next)| !below.is_below(next))
        .map(|(below, next)| match below.sequence.checked_add(1) == Some(next.sequence) {
            true => (next.sequence, "does not name the hash of the record before it"),
            false => (next.sequence, "does not follow the number of the record before it"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_is_cut_at_a_character() {
        assert_eq!(clip("äöü", 6), "äöü");
        assert_eq!(clip("äöüß", 7), "äö…");
        assert_eq!(clip("abc", 3), "abc");
    }

    #[test]
    fn a_changed_record_does_not_fit_those_around_it() {
        let heal = |cause: &str| Heal::new(1, HealComponent::Engine, cause, "mended");
        let mut records: Vec<HealRecord> = Vec::new();
        for sequence in 5..9 {
            let previous = records.last().map(HealRecord::hash).unwrap_or_default();
            records.push(HealRecord { sequence, previous, heal: heal("a") });
        }
        assert_eq!(check_heals(&records), []);
        records[1].heal.cause = "b".into();
        assert_eq!(check_heals(&records).len(), 1);
        assert_eq!(check_heals(&records)[0].0, 7);
        records.remove(1);
        assert_eq!(
            check_heals(&records),
            [(7, "does not follow the number of the record before it")]
        );
    }

    #[test]
    fn a_row_with_one_bit_changed_is_no_record() {
        let heal =
            Heal::new(7, HealComponent::Ledger, "found", "done").with_evidence("blocks/0x07");
        let record = HealRecord { sequence: 3, previous: Hash([1; 32]), heal };
        let row = record.to_row();
        assert_eq!(HealRecord::of_row(3, &row), Some(record));
        assert_eq!(HealRecord::of_row(4, &row), None);
        for at in 0..row.len() {
            let mut changed = row.clone();
            changed[at] ^= 4;
            assert_eq!(HealRecord::of_row(3, &changed), None, "byte {at}");
        }
    }
}
