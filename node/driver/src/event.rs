//! What a driver tells of itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use daruma_types::{Hash, Header, Height, StateCertificate};

/// Something that happened, for subscribers.
#[derive(Debug, Clone)]
pub enum DriverEvent {
    /// A block was executed and is durable.
    Executed {
        /// Its header.
        header: Header,
        /// Its hash.
        hash: Hash,
        /// Its transactions' names, in order.
        transactions: Arc<[Hash]>,
    },
    /// Blocks were given up for another certified chain: once more than `f` replicas were faulty.
    Truncated {
        /// The head before.
        from: Height,
        /// The head now; what follows is executed again.
        to: Height,
    },
    /// `f+1` or more replicas attest a block's state.
    Attested {
        /// The attestations.
        certificate: StateCertificate,
        /// The block's transactions' names, in order.
        transactions: Arc<[Hash]>,
    },
}

/// Counts since the start. All grow only.
#[derive(Debug, Default)]
pub struct Counters {
    /// Frames that did not decode; each closes its connection.
    pub undecodable: AtomicU64,
    /// Messages refused at the door: wrong signature, form or bounds.
    pub refused: AtomicU64,
    /// Bulk messages dropped because checking could not keep up.
    pub dropped: AtomicU64,
    /// Times the engine disbelieved a well-formed message.
    pub disbelieved: AtomicU64,
    /// Times the engine repaired its own state.
    pub repaired: AtomicU64,
    /// Votes of one replica that contradict each other.
    pub equivocations: AtomicU64,
    /// Views entered.
    pub views: AtomicU64,
    /// Heights at which `f+1` others attest another state.
    pub diverged: AtomicU64,
    /// Blocks that the engine gave to the ledger and the ledger refused: wrong memory.
    pub refused_blocks: AtomicU64,
    /// Times the engine was made anew because it was about to contradict its journal.
    pub rebuilt: AtomicU64,
    /// Times the ledger was checked and repaired while it ran.
    pub ledger_repairs: AtomicU64,
    /// Writes that the disk refused.
    pub refused_writes: AtomicU64,
    /// Whether the replica is mute because its journal cannot be written.
    pub journal_fails: AtomicBool,
    /// Whether nothing is executed because the ledger cannot be written.
    pub ledger_fails: AtomicBool,
    /// Whether a snapshot is being restored: nothing is executed, and there is no state to read.
    pub restoring: AtomicBool,
    /// Times a valid certificate was found to contradict the own chain.
    pub forks: AtomicU64,
    /// Syncs of the journal.
    pub syncs: AtomicU64,
}

impl Counters {
    /// Everything that was found wrong in this replica's own memory and ledger, and repaired.
    #[must_use]
    pub fn repairs(&self) -> u64 {
        let counters = [&self.repaired, &self.rebuilt, &self.ledger_repairs];
        counters.into_iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
