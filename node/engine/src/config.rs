//! What an engine is set up with.

use alloc::sync::Arc;

use daruma_types::{
    Committee, Establishment, ReplicaId, Signer, Thresholds, Transaction, Verifier,
};

/// Bounds that all replicas of a chain share; from the chainspec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainLimits {
    /// Bytes of one operation, at most.
    pub operation_bytes_max: usize,
    /// Bytes of a block's transactions, at most.
    pub block_bytes_max: usize,
    /// Transactions of a block, at most.
    pub block_transactions_max: usize,
    /// Heights that may be in flight above the executed one (the paper's sigma).
    pub window: usize,
}

/// Bounds and patience of one replica; may differ between replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalLimits {
    /// Pending transactions in all, divided equally among the replicas: this one takes three quarters of
    /// its share from its clients, and refuses the newest past it. A replica with a smaller pool than the
    /// others refuses what they took in, and is taken for a censor when it is primary.
    pub pending_max: usize,
    /// Pending transactions of one client, so that one cannot fill the pool.
    pub pending_per_client_max: usize,
    /// Bytes of all pending operations.
    pub pending_bytes_max: usize,
    /// Blocks in flight beyond which the primary proposes only full ones.
    pub eager_proposals: usize,
    /// Rounds of others' tokens without one of the primary's, after which it is suspected.
    pub beat_rounds: u32,
    /// Tokens of the primary without progress, after which it is suspected.
    pub progress_tokens: u32,
    /// Executed blocks through which the first transaction of a client may wait.
    pub censorship_blocks: u64,
    /// Upper end of the factor by which patience grows: it doubles for each view in a row that
    /// brought no progress.
    pub patience_factor_max: u32,
    /// Ticks from one summary to the next.
    pub summary_ticks: u32,
    /// Ticks from one full check of own certificates' signatures to the next.
    pub full_check_ticks: u32,
}

impl Default for LocalLimits {
    fn default() -> Self {
        Self {
            // 16 full default blocks; with 512-byte operations about 10 MiB.
            pending_max: 16_384,
            pending_per_client_max: 4_096,
            pending_bytes_max: 32 * 1024 * 1024,
            // One block on its way through each of the two voting steps.
            eager_proposals: 2,
            // At 25 ms a tick: 0.4 s of silence, 1 s without progress.
            beat_rounds: 16,
            progress_tokens: 40,
            censorship_blocks: 32,
            // 8 s without progress at most, at 25 ms a tick.
            patience_factor_max: 8,
            summary_ticks: 4,
            full_check_ticks: 200,
        }
    }
}

/// What every module of the engine may read.
#[derive(Clone)]
pub struct Context {
    /// The replicas.
    pub committee: Arc<Committee>,
    /// This replica.
    pub own: ReplicaId,
    /// This replica's consensus key.
    pub signer: Arc<dyn Signer>,
    /// Checks signatures.
    pub verifier: Arc<dyn Verifier>,
    /// The chain's bounds.
    pub chain: ChainLimits,
    /// This replica's bounds.
    pub local: LocalLimits,
}

impl Context {
    /// How the replicas agree on who is primary (DESIGN 4.1).
    #[must_use]
    pub fn establishment(&self) -> Establishment {
        self.committee.establishment()
    }

    /// Bytes of the largest transaction, encoded.
    pub(crate) const fn largest_transaction(&self) -> usize {
        self.chain.operation_bytes_max.saturating_add(Transaction::BYTES_BESIDE_OPERATION)
    }

    /// The vote counts.
    #[must_use]
    pub fn thresholds(&self) -> Thresholds {
        self.committee.thresholds()
    }
}

impl core::fmt::Debug for Context {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Context").field("own", &self.own).finish_non_exhaustive()
    }
}
