//! The bounds that a chain sets for itself, their ranges and defaults; and the bounds of the file.

use bincode::Encode;
use daruma_types::limits as hard;

use crate::SpecError;

/// Bytes of a chain.toml. 64 replicas take about 20 KiB; the rest is room for comments.
pub const FILE_BYTES_MAX: usize = 256 * 1024;

/// Bytes of a chain's, replica's, automaton's or parameter's name: they appear in every status line.
pub const NAME_BYTES_MAX: usize = 64;

/// Bytes of an address: a DNS name (253 at most), a colon and a port.
pub const ADDRESS_BYTES_MAX: usize = 260;

/// Parameters of an automaton. An automaton that needs more should read them from its state.
pub const PARAMETERS_MAX: usize = 64;

/// Bytes of one parameter's text.
pub const PARAMETER_BYTES_MAX: usize = 4096;

/// Bounds on which all replicas must agree, because they decide which blocks are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode)]
pub struct Limits {
    /// Bytes of one transaction's operation: 1 to [`hard::OPERATION_BYTES_MAX`]; default 16 KiB.
    pub operation_bytes_max: u32,
    /// Bytes of all transactions of a block: at least one largest transaction, at most
    /// [`hard::BLOCK_BYTES_MAX`]; default 512 KiB. A larger block takes longer to cross a link.
    pub block_bytes_max: u32,
    /// Transactions of a block: 1 to [`hard::BLOCK_TRANSACTIONS_MAX`]; default 1024.
    pub block_transactions_max: u32,
    /// Heights in flight above the executed head (the paper's sigma): 1 to [`hard::WINDOW_MAX`];
    /// default 32. More hides latency and costs memory.
    pub window: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            operation_bytes_max: 16 * 1024,
            block_bytes_max: 512 * 1024,
            block_transactions_max: 1024,
            window: 32,
        }
    }
}

impl Limits {
    pub(crate) fn check(&self) -> Result<(), SpecError> {
        let overhead = hard::TRANSACTION_OVERHEAD_BYTES;
        let block_min = (self.operation_bytes_max as usize).saturating_add(overhead);
        let ranges = [
            ("operation_bytes_max", self.operation_bytes_max, 1, hard::OPERATION_BYTES_MAX, ""),
            (
                "block_bytes_max",
                self.block_bytes_max,
                block_min,
                hard::BLOCK_BYTES_MAX,
                " (the lower end is one largest transaction)",
            ),
            (
                "block_transactions_max",
                self.block_transactions_max,
                1,
                hard::BLOCK_TRANSACTIONS_MAX,
                "",
            ),
            ("window", self.window, 1, hard::WINDOW_MAX, ""),
        ];
        for (name, found, min, max, note) in ranges {
            if !(min..=max).contains(&(found as usize)) {
                let allowed = format!("{min} to {max}{note}");
                return Err(SpecError::field(format!("limits.{name}"), found.to_string(), allowed));
            }
        }
        Ok(())
    }
}
