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
    /// The head.
    Meta,
}

impl Column {
    /// How many there are.
    pub const COUNT: usize = 11;

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
