//! The replicas' messages.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::codec::{Decode, Encode};
use crate::{
    Attestation, Ballot, Block, Certificate, CertifiedBlock, Checkpoint, Coordination, Demand,
    EnterCertificate, Hash, Height, LeaveCertificate, NewView, Report, Signature, StateCertificate,
    Summary, Transaction, Vote,
};

/// The primary's proposal; it counts as the primary's prepare vote (DESIGN 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct PrePrepare {
    /// The ballot.
    pub ballot: Ballot,
    /// The block.
    pub block: Arc<Block>,
    /// The primary's signature on the prepare vote for it.
    pub signature: Signature,
}

/// "Send me the bodies of these blocks."
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Want {
    /// Height and hash of each, at most [`crate::limits::WANT_MAX`].
    pub blocks: Vec<(Height, Hash)>,
}

/// "I hold none of these blocks", in answer to a [`Want`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Lacks {
    /// Height and hash of each, all above the sender's head; at most [`crate::limits::WANT_MAX`].
    pub blocks: Vec<(Height, Hash)>,
    /// The highest ballot in which the sender voted for a block above its head, as its journal has it.
    pub voted: Option<Ballot>,
}

/// Everything one replica says to another. Each is a snapshot or an idempotent statement, so it may
/// be lost, repeated or reordered; the sender is the authenticated connection.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Message {
    /// The token channel's counter, from its sender (thesis algorithm 5).
    Token {
        /// The sender's counter.
        #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::number))]
        counter: u64,
    },
    /// The token channel's counter, returned by its receiver (thesis algorithm 6).
    TokenReturn {
        /// The counter received.
        #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::number))]
        counter: u64,
    },
    /// Where the sender stands.
    Summary(Summary),
    /// The sender's place in the Coordination Automaton, and what it knows of the receiver's.
    Coordination(Coordination),
    /// A demand to leave a view.
    Demand(Demand),
    /// Proof that a view was left.
    Leave(LeaveCertificate),
    /// A report on entering a view.
    Report(Report),
    /// Proof that a view was entered.
    Enter(EnterCertificate),
    /// The new primary's proof of base and tip.
    NewView(NewView),
    /// A proposal.
    PrePrepare(PrePrepare),
    /// A prepare or commit vote.
    Vote(Vote),
    /// A prepared or commit certificate.
    Certificate(Certificate),
    /// A request for block bodies.
    Want(Want),
    /// A block body that was wanted.
    Body(Arc<Block>),
    /// A request for committed blocks.
    Fetch {
        /// The first height wanted.
        from: Height,
        /// How many, at most [`crate::limits::FETCH_BLOCKS_MAX`].
        #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::number))]
        count: u32,
    },
    /// Committed blocks in ascending order without a gap.
    Blocks(Vec<CertifiedBlock>),
    /// What the sender's state is after a block.
    Attestation(Attestation),
    /// Attestations of blocks that were fetched, so that one who catches up can prove them too.
    StateCertificates(Vec<StateCertificate>),
    /// Transactions that clients gave to the sender.
    Transactions(Vec<Transaction>),
    /// Blocks that were wanted and are not held.
    Lacks(Lacks),
    /// What proves the sender's last snapshot: to whoever asks for blocks that the sender pruned, or is far
    /// behind.
    SnapshotOffer(Box<Checkpoint>),
    /// A request for a chunk of the snapshot at a height.
    SnapshotWant {
        /// The snapshot's height.
        height: Height,
        /// Where the chunk begins: the least hash of a key that may be in it.
        from: Hash,
    },
    /// A chunk of a snapshot. It proves itself to whoever holds the checkpoint; see `daruma-ledger`.
    SnapshotChunk {
        /// The snapshot's height.
        height: Height,
        /// Where it begins.
        from: Hash,
        /// The chunk, encoded.
        #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::bytes))]
        chunk: Vec<u8>,
    },
}

/// Which of a connection's two streams a message takes, so that bulk never delays votes (DESIGN 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Small and urgent.
    Votes,
    /// Large.
    Bulk,
}

impl Message {
    /// The stream that the message takes.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        match self {
            Self::Token { .. }
            | Self::TokenReturn { .. }
            | Self::Summary(_)
            | Self::Coordination(_)
            | Self::Demand(_)
            | Self::Leave(_)
            | Self::Enter(_)
            | Self::Vote(_)
            | Self::Certificate(_)
            | Self::Want(_)
            | Self::Lacks(_)
            | Self::Fetch { .. }
            | Self::SnapshotWant { .. }
            | Self::Attestation(_) => Lane::Votes,
            Self::Report(_)
            | Self::NewView(_)
            | Self::PrePrepare(_)
            | Self::Body(_)
            | Self::Blocks(_)
            | Self::StateCertificates(_)
            | Self::Transactions(_)
            | Self::SnapshotOffer(_)
            | Self::SnapshotChunk { .. } => Lane::Bulk,
        }
    }

    /// The kind's name, for counters and logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Token { .. } => "token",
            Self::TokenReturn { .. } => "token-return",
            Self::Summary(_) => "summary",
            Self::Coordination(_) => "coordination",
            Self::Demand(_) => "demand",
            Self::Leave(_) => "leave",
            Self::Report(_) => "report",
            Self::Enter(_) => "enter",
            Self::NewView(_) => "new-view",
            Self::PrePrepare(_) => "pre-prepare",
            Self::Vote(_) => "vote",
            Self::Certificate(_) => "certificate",
            Self::Want(_) => "want",
            Self::Lacks(_) => "lacks",
            Self::Body(_) => "body",
            Self::Fetch { .. } => "fetch",
            Self::Blocks(_) => "blocks",
            Self::Attestation(_) => "attestation",
            Self::StateCertificates(_) => "state-certificates",
            Self::Transactions(_) => "transactions",
            Self::SnapshotOffer(_) => "snapshot-offer",
            Self::SnapshotWant { .. } => "snapshot-want",
            Self::SnapshotChunk { .. } => "snapshot-chunk",
        }
    }
}
