//! Where the heal log stands: appended to, pruned, and mended where rows of it are lost.

use std::collections::BTreeMap;

use daruma_types::Hash;

use super::{Heal, HealComponent, HealRecord, row_digest};
use crate::limits::{HEAL_GAP_MAX, HEAL_PAGE_MAX, HEAL_RECORDS_MAX, HEAL_SEQUENCE_MAX};
use crate::{Batch, Column, Rows, StoreError};

/// A place of the log whose record is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lost {
    sequence: u64,
    /// Digest of what lies there instead.
    found: Option<Hash>,
    /// The hash that the next record names.
    named: Option<Hash>,
}

/// Where the log begins and ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HealTail {
    first: u64,
    next: u64,
    last: Hash,
    /// Lost since they were written, in ascending order.
    lost: Vec<Lost>,
    /// Keys of rows that are no records of the log, and are not replaced.
    strays: Vec<Vec<u8>>,
}

/// What a sound row says of its place.
struct Link {
    previous: Hash,
    hash: Hash,
    stands_for: Option<Hash>,
    digest: Hash,
}

const fn key(sequence: u64) -> [u8; 8] {
    sequence.to_be_bytes()
}

fn sequence_of(key: &[u8]) -> Option<u64> {
    let sequence = u64::from_be_bytes(key.try_into().ok()?);
    (sequence <= HEAL_SEQUENCE_MAX).then_some(sequence)
}

impl HealTail {
    /// Reads where the log stands. Rows that cannot be read are lost; the newest sound record counts.
    pub(crate) fn of(rows: &dyn Rows) -> Self {
        let (mut sound, mut bad, mut strays) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let mut from = Vec::new();
        // A stretch that cannot be read ends it: the salvage that follows copies what is beyond.
        while let Ok(page) = rows.scan(Column::HealLog, b"", &from, HEAL_PAGE_MAX) {
            for (key, row) in &page {
                let record =
                    sequence_of(key).map(|sequence| (sequence, HealRecord::of_row(sequence, row)));
                match record {
                    Some((sequence, Some(record))) => {
                        let link = Link {
                            previous: record.previous,
                            hash: record.hash(),
                            stands_for: record.stands_for(),
                            digest: row_digest(row),
                        };
                        sound.insert(sequence, link);
                    }
                    Some((sequence, None)) => {
                        bad.insert(sequence, row_digest(row));
                    }
                    None => strays.push(key.clone()),
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == HEAL_PAGE_MAX => {
                    from = [last.as_slice(), &[0]].concat()
                }
                Some(_) | None => break,
            }
        }
        Self::from_links(&sound, &bad, strays)
    }

    fn from_links(
        sound: &BTreeMap<u64, Link>,
        bad: &BTreeMap<u64, Hash>,
        mut strays: Vec<Vec<u8>>,
    ) -> Self {
        // Damaged rows right above the last sound one were the newest.
        let newest = sound.keys().next_back().copied();
        let above = newest.map_or(0, |sequence| sequence.saturating_add(1));
        let damaged = (above..).take(HEAL_GAP_MAX as usize).take_while(|s| bad.contains_key(s));
        let next = above.saturating_add(damaged.count() as u64);
        let (mut lost, mut gap) = (Vec::new(), 0_u64);
        let mut first = next;
        let mut named = None;
        while let Some(sequence) = first.checked_sub(1) {
            if next.saturating_sub(sequence) > HEAL_RECORDS_MAX {
                break;
            }
            let link = sound.get(&sequence);
            let fits = |link: &&Link| {
                named.is_none_or(|named| link.hash == named || link.stands_for == Some(named))
            };
            if let Some(link) = link.filter(fits) {
                (named, gap) = (Some(link.previous), 0);
            } else {
                let found = link.map(|link| link.digest).or_else(|| bad.get(&sequence).copied());
                gap = gap.saturating_add(1);
                // Below the lowest row nothing is lost but what was pruned.
                let below = sound.range(..sequence).next().is_some()
                    || bad.range(..sequence).next().is_some();
                if gap > HEAL_GAP_MAX || (found.is_none() && !below) {
                    break;
                }
                lost.push(Lost { sequence, found, named });
                named = None;
            }
            first = sequence;
        }
        // A gap that was too long to be filled is not part of the log.
        if gap > HEAL_GAP_MAX {
            let end = first.saturating_add(gap).saturating_sub(1);
            lost.retain(|lost| lost.sequence >= end);
            first = end;
        }
        let outside = |sequence: &u64| !(first..next).contains(sequence);
        strays.extend(
            sound.keys().chain(bad.keys()).filter(|s| outside(s)).map(|s| key(*s).to_vec()),
        );
        lost.reverse();
        let last =
            newest.and_then(|newest| sound.get(&newest)).map(|link| link.hash).unwrap_or_default();
        Self { first, next, last, lost, strays }
    }

    /// Numbers of the oldest record and of the next one to be written.
    pub(crate) const fn bounds(&self) -> (u64, u64) {
        (self.first, self.next)
    }

    /// What was found wrong when the log was read: each place, with what is wrong there.
    pub(crate) fn faults(&self) -> Vec<(Vec<u8>, &'static str)> {
        let lost = self.lost.iter().map(|lost| {
            let why = if lost.found.is_some() {
                "is not the record that was written"
            } else {
                "is missing"
            };
            (key(lost.sequence).to_vec(), why)
        });
        lost.chain(self.strays.iter().map(|key| (key.clone(), "is no record of the log"))).collect()
    }

    /// Adds to `batch` a record of this.
    pub(crate) fn append(&mut self, heal: &Heal, batch: &mut Batch) {
        let record = HealRecord { sequence: self.next, previous: self.last, heal: heal.clipped() };
        self.last = record.hash();
        self.next = self.next.saturating_add(1);
        batch.put(Column::HealLog, key(record.sequence), record.to_row());
        while self.next.saturating_sub(self.first) > HEAL_RECORDS_MAX {
            batch.delete(Column::HealLog, key(self.first));
            self.first = self.first.saturating_add(1);
        }
    }

    /// Adds to `batch` what replaces the lost records and removes what is none. Gives how many rows were
    /// wrong.
    pub(crate) fn mend(
        &mut self,
        rows: &dyn Rows,
        at_ms: u64,
        batch: &mut Batch,
    ) -> Result<u64, StoreError> {
        let wrong = self.lost.len().saturating_add(self.strays.len()) as u64;
        let mut replaced: BTreeMap<u64, Hash> = BTreeMap::new();
        for Lost { sequence, found, named } in std::mem::take(&mut self.lost) {
            let previous = match sequence.checked_sub(1) {
                Some(below) if below >= self.first => match replaced.get(&below) {
                    Some(hash) => *hash,
                    None => {
                        let row = rows.get(Column::HealLog, &key(below))?;
                        let record = row.and_then(|row| HealRecord::of_row(below, &row));
                        record.map(|record| record.hash()).unwrap_or_default()
                    }
                },
                Some(_) | None => Hash::default(),
            };
            let cause = match found {
                Some(_) => "the record of this number was damaged",
                None => "the record of this number was missing",
            };
            let heal = Heal::new(at_ms, HealComponent::HealLog, cause, "this record replaces it")
                .with_change(found, named);
            let record = HealRecord { sequence, previous, heal };
            replaced.insert(sequence, record.hash());
            batch.put(Column::HealLog, key(sequence), record.to_row());
            if sequence.saturating_add(1) == self.next {
                self.last = record.hash();
            }
        }
        let strays = std::mem::take(&mut self.strays);
        if !strays.is_empty() {
            let count = strays.len() as u64;
            strays.into_iter().for_each(|key| batch.delete(Column::HealLog, key));
            let cause = "rows that are no records of this log, or that nothing joins to it";
            let heal = Heal::new(at_ms, HealComponent::HealLog, cause, "they were removed");
            self.append(&Heal { count, ..heal }, batch);
        }
        Ok(wrong)
    }

    /// At most `limit` records, the newest first, all older than `before`. Rows that cannot be read are
    /// left out: the next start replaces them.
    pub(crate) fn page(
        &self,
        rows: &dyn Rows,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HealRecord>, StoreError> {
        let end = before.unwrap_or(u64::MAX).min(self.next);
        let limit = limit.min(HEAL_PAGE_MAX);
        let mut records = Vec::new();
        for sequence in (self.first..end).rev() {
            if records.len() == limit {
                break;
            }
            match rows.get(Column::HealLog, &key(sequence)) {
                Ok(row) => records.extend(row.and_then(|row| HealRecord::of_row(sequence, &row))),
                Err(StoreError::Damaged { .. }) => {}
                Err(failed) => return Err(failed),
            }
        }
        Ok(records)
    }
}
