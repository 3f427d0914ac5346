//! What a start believes of a journal (DESIGN 4.2, stale information).
//!
//! A journal may hold anything after a transient fault. What no execution could have written is
//! dropped, from the disk too, so that it cannot refuse the votes of this replica for ever:
//!
//! - what does not decode, or lies under another name than its own;
//! - a view whose proof does not show it, or does not verify;
//! - a prepared certificate that does not verify, or of a ballot above the *ballot floor that the
//!   journal proves*: that of its view or of the head's commit certificate. A view is journalled
//!   before the first vote of its ballot, so in no execution anything lies above the floor;
//! - a floor where ballots are views, or one above every ballot; where they are not, it proves itself:
//!   votes come after it;
//! - a vote above the floor;
//! - a body of another chain, or whose transactions are not the header's or not their clients';
//! - votes and bodies of more heights than a replica can have promised.
//!
//! Rows at or below the head are settled and dropped as well, but are no fault: a vote may slip in
//! while the block of its height is written.

use std::collections::{BTreeMap, BTreeSet};

use daruma_types::{
    Ballot, Block, Certificate, Establishment, Hash, Height, RecoveredJournal, View, ViewProof,
    VoteKind, codec, limits as hard,
};

use super::{BODIES, FLOOR, PREPARED, VIEW, VOTES, body_key, height_in, vote_key};
use crate::limits::JOURNAL_HEIGHTS_MAX;
use crate::{Batch, Column, Row, Rows, Trust};

/// Why a row of the journal was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JournalFault {
    /// It cannot be read, does not decode, or lies under another name than its own.
    Unreadable,
    /// A view whose proof does not show it or does not verify.
    UnprovenView,
    /// A floor that no replica of this chain can have promised.
    ImpossibleFloor,
    /// A prepared certificate that does not verify, or is above the ballot floor.
    InvalidPrepared,
    /// A vote above the ballot floor.
    VoteAboveFloor,
    /// A block that no replica could have voted for.
    InvalidBody,
    /// One more height than a replica can have promised something at.
    TooMany,
}

impl JournalFault {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "an unreadable row",
            Self::UnprovenView => "a view without valid proof",
            Self::ImpossibleFloor => "a floor that cannot be",
            Self::InvalidPrepared => "a prepared certificate that is not valid",
            Self::VoteAboveFloor => "a vote above every ballot that is proven",
            Self::InvalidBody => "a block that is not valid",
            Self::TooMany => "more heights than can be promised",
        }
    }
}

/// A journal after cleaning: what an engine may start from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CleanJournal {
    /// What is true, or at least possible.
    pub journal: RecoveredJournal,
    /// What was dropped: how many rows for each reason.
    pub dropped: BTreeMap<JournalFault, u64>,
}

/// The head that a journal is judged by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settled {
    pub(crate) height: Height,
    /// The ballot of the head's valid commit certificate.
    pub(crate) ballot: Ballot,
}

/// Sorts the journal's rows; the batch deletes those that were dropped.
pub(crate) fn clean(rows: &dyn Rows, settled: &Settled, trust: &Trust) -> (CleanJournal, Batch) {
    let cleaning = look_through(rows, settled, trust);
    (cleaning.clean, cleaning.batch)
}

/// The keys of the rows that [`clean`] would drop, and why.
pub(crate) fn faults(
    rows: &dyn Rows,
    settled: &Settled,
    trust: &Trust,
) -> Vec<(Vec<u8>, JournalFault)> {
    look_through(rows, settled, trust).faults
}

fn look_through<'a>(rows: &dyn Rows, settled: &'a Settled, trust: &'a Trust) -> Cleaning<'a> {
    let mut cleaning = Cleaning {
        settled,
        trust,
        floor: settled.ballot,
        clean: CleanJournal::default(),
        faults: Vec::new(),
        batch: Batch::default(),
    };
    let all = match rows.scan(Column::Journal, b"", b"", usize::MAX) {
        Ok(all) => all,
        Err(_) => {
            cleaning.count(JournalFault::Unreadable);
            cleaning.faults.push((Vec::new(), JournalFault::Unreadable));
            readable(rows)
        }
    };
    // The view and the floor first, which the others are judged by; then votes, which matter more than bodies.
    let order = |key: &[u8]| match key {
        VIEW => 0,
        FLOOR => 1,
        PREPARED => 2,
        _ if key.starts_with(VOTES) => 3,
        _ if key.starts_with(BODIES) => 4,
        _ => 5,
    };
    let mut all = all;
    all.sort_by_key(|(key, _)| order(key));
    let mut heights = BTreeSet::new();
    for (key, value) in all {
        match order(&key) {
            0 => cleaning.view(key, &value),
            1 => cleaning.ballot_floor(key, &value),
            2 => cleaning.prepared(key, &value),
            3 => cleaning.vote(key, &value, &mut heights),
            4 => cleaning.body(key, &value, &mut heights),
            _ => cleaning.drop_row(key, JournalFault::Unreadable),
        }
    }
    cleaning
}

/// What can still be read of a journal that cannot be read from one end to the other.
fn readable(rows: &dyn Rows) -> Vec<Row> {
    let single = |key: &[u8]| {
        let value = rows.get(Column::Journal, key).ok().flatten();
        value.map(|value| (key.to_vec(), value))
    };
    let range =
        |prefix: &[u8]| rows.scan(Column::Journal, prefix, prefix, usize::MAX).unwrap_or_default();
    let mut all: Vec<Row> = [VIEW, FLOOR, PREPARED].into_iter().filter_map(single).collect();
    all.extend(range(VOTES));
    all.extend(range(BODIES));
    all
}

struct Cleaning<'a> {
    settled: &'a Settled,
    trust: &'a Trust,
    /// The highest ballot that is proven.
    floor: Ballot,
    clean: CleanJournal,
    /// The rows that are dropped; one without key for a stretch that cannot be read.
    faults: Vec<(Vec<u8>, JournalFault)>,
    batch: Batch,
}

impl Cleaning<'_> {
    fn count(&mut self, fault: JournalFault) {
        *self.clean.dropped.entry(fault).or_default() += 1;
    }

    fn drop_row(&mut self, key: Vec<u8>, fault: JournalFault) {
        self.count(fault);
        self.faults.push((key.clone(), fault));
        self.batch.delete(Column::Journal, key);
    }

    fn view(&mut self, key: Vec<u8>, value: &[u8]) {
        let Ok((view, phase, proof)) = codec::decode::<(View, u8, ViewProof)>(value) else {
            return self.drop_row(key, JournalFault::Unreadable);
        };
        let verifier = self.trust.verifier.as_ref();
        if proof.shows() != (view, phase) || proof.verify(&self.trust.committee, verifier).is_err()
        {
            return self.drop_row(key, JournalFault::UnprovenView);
        }
        self.floor = self.floor.max(Ballot::of_view(view));
        self.clean.journal.view = Some((view, phase, proof));
    }

    fn ballot_floor(&mut self, key: Vec<u8>, value: &[u8]) {
        let Ok(floor) = codec::decode::<Ballot>(value) else {
            return self.drop_row(key, JournalFault::Unreadable);
        };
        let possible = match self.trust.committee.establishment() {
            Establishment::Certified => false,
            Establishment::Automaton { .. } => floor.0 <= hard::BALLOT_MAX,
        };
        if !possible {
            return self.drop_row(key, JournalFault::ImpossibleFloor);
        }
        self.floor = self.floor.max(floor);
        self.clean.journal.floor = Some(floor);
    }

    fn prepared(&mut self, key: Vec<u8>, value: &[u8]) {
        let Ok(certificate) = codec::decode::<Certificate>(value) else {
            return self.drop_row(key, JournalFault::Unreadable);
        };
        if certificate.ballot > self.floor || !self.trust.holds(VoteKind::Prepare, &certificate) {
            return self.drop_row(key, JournalFault::InvalidPrepared);
        }
        self.clean.journal.prepared = Some(certificate);
    }

    /// Whether there is room for something at `height`; rows come in ascending order of height.
    fn has_room(&mut self, height: Height, heights: &mut BTreeSet<Height>) -> bool {
        heights.contains(&height) || (heights.len() < JOURNAL_HEIGHTS_MAX && heights.insert(height))
    }

    fn vote(&mut self, key: Vec<u8>, value: &[u8], heights: &mut BTreeSet<Height>) {
        let found = height_in(&key).filter(|height| key == vote_key(*height));
        let (Some(height), Ok((ballot, hash))) = (found, codec::decode::<(Ballot, Hash)>(value))
        else {
            return self.drop_row(key, JournalFault::Unreadable);
        };
        if height <= self.settled.height {
            self.batch.delete(Column::Journal, key);
        } else if ballot > self.floor {
            self.drop_row(key, JournalFault::VoteAboveFloor);
        } else if !self.has_room(height, heights) {
            self.drop_row(key, JournalFault::TooMany);
        } else {
            self.clean.journal.votes.push((ballot, height, hash));
        }
    }

    fn body(&mut self, key: Vec<u8>, value: &[u8], heights: &mut BTreeSet<Height>) {
        let block = match codec::decode::<Block>(value) {
            Ok(block) if key == body_key(block.header.height, &block.hash()) => block,
            Ok(_) | Err(_) => return self.drop_row(key, JournalFault::Unreadable),
        };
        if block.header.height <= self.settled.height {
            self.batch.delete(Column::Journal, key);
        } else if !self.is_valid(&block) {
            self.drop_row(key, JournalFault::InvalidBody);
        } else if !self.has_room(block.header.height, heights) {
            self.drop_row(key, JournalFault::TooMany);
        } else {
            self.clean.journal.blocks.push(block.into());
        }
    }

    fn is_valid(&self, block: &Block) -> bool {
        let (chain, verifier) = (self.trust.chain(), self.trust.verifier.as_ref());
        let (count_max, bytes_max) = (hard::BLOCK_TRANSACTIONS_MAX, hard::BLOCK_BYTES_MAX);
        block.verify_shape(chain, count_max, bytes_max).is_ok()
            && block
                .transactions
                .iter()
                .all(|t| t.verify(chain, hard::OPERATION_BYTES_MAX, verifier).is_ok())
    }
}
