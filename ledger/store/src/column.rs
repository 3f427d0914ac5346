//! The tables of a store.

/// A table; a column family on disk. The key of each row is given in brackets; numbers in keys are
/// big-endian, so that rows lie in order of height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// Blocks (height).
    Blocks,
    /// Commit certificates (height).
    Certificates,
    /// Headers (block hash).
    Headers,
    /// Where a transaction stands (its hash).
    Transactions,
    /// All receipts of a block (height).
    Receipts,
    /// What executing a block came to (height); what this replica attests.
    Statements,
    /// The replicated state; the ledger says what its keys are.
    State,
    /// Nodes of the state tree; the ledger says what its keys are.
    Tree,
    /// What this replica promised: see `journal.rs`.
    Journal,
    /// State certificates (height).
    Attestations,
    /// The head, and which chain this is.
    Meta,
    /// Rows that were found damaged, or that lost a conflict: kept for study (see
    /// [`Column::quarantine_key`]).
    Quarantine,
    /// What this replica repaired (sequence number): see `heal/mod.rs`.
    HealLog,
}

/// What becomes of a table's rows when they are damaged or lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Proves itself by signatures, and cannot be made here: a damaged row is put in quarantine and
    /// had again from the other replicas.
    Certified,
    /// Follows from the certified records by execution: made again here.
    Derived,
    /// What this replica notes for itself: checked against the others, and dropped where it does not
    /// fit.
    Control,
}

impl Column {
    /// How many there are.
    pub const COUNT: usize = 13;

    /// What becomes of its rows when they are damaged or lost.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::Blocks | Self::Certificates | Self::Attestations => Class::Certified,
            Self::Headers
            | Self::Transactions
            | Self::Receipts
            | Self::Statements
            | Self::State
            | Self::Tree => Class::Derived,
            Self::Journal | Self::Meta | Self::Quarantine | Self::HealLog => Class::Control,
        }
    }

    /// The key in [`Column::Quarantine`] of a row of this table: the table's number, then the row's key.
    #[must_use]
    pub fn quarantine_key(self, key: &[u8]) -> Vec<u8> {
        [&[self as u8], key].concat()
    }

    /// All of them, in the order in which a backend numbers them.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Blocks,
        Self::Certificates,
        Self::Headers,
        Self::Transactions,
        Self::Receipts,
        Self::Statements,
        Self::State,
        Self::Tree,
        Self::Journal,
        Self::Attestations,
        Self::Meta,
        Self::Quarantine,
        Self::HealLog,
    ];

    /// The name on disk and in messages to people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Certificates => "certificates",
            Self::Headers => "headers",
            Self::Transactions => "transactions",
            Self::Receipts => "receipts",
            Self::Statements => "statements",
            Self::State => "state",
            Self::Tree => "tree",
            Self::Journal => "journal",
            Self::Attestations => "attestations",
            Self::Meta => "meta",
            Self::Quarantine => "quarantine",
            Self::HealLog => "heal_log",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_stands_at_its_own_number_and_has_its_own_name() {
        for (number, column) in Column::ALL.into_iter().enumerate() {
            assert_eq!(column as usize, number);
            let same = Column::ALL.iter().filter(|other| other.name() == column.name());
            assert_eq!(same.count(), 1);
        }
    }
}
