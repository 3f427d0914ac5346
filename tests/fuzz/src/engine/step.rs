//! What the fuzzer can do to the engine, as bytes decide.

use arbitrary::Arbitrary;
use daruma_types::{Message, RecoveredJournal, SignerSet, Summary, VoteKind};

/// A view or ballot, mostly near the engine's own.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Near {
    /// The engine's own.
    Own,
    /// As many above it.
    Above(u8),
    /// As many below it.
    Below(u8),
    /// This one.
    At(daruma_types::View),
}

/// A bit of [`Step::Want`]'s sender that makes another message of it: with a step of its own, what is kept in the
/// corpora would mean something else.
pub(crate) const LACKS: u8 = 0x80;

/// Which of the things of one kind that were seen or made: counted from the last.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Pick {
    /// The one the engine would naturally look at next.
    Natural,
    /// Counted from the last, modulo how many there are.
    Back(u8),
}

/// A client's transaction.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) struct Order {
    pub(crate) client: u8,
    pub(crate) nonce: u8,
    pub(crate) subtract: bool,
    pub(crate) amount: u8,
}

/// Which variables a transient fault sets.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Scrambled {
    /// All.
    All,
    /// So many in 256.
    Some(u8),
    /// Those of one module.
    Module(u8),
}

/// One input to the engine, or a fault. `from` and `signers` are taken modulo the three replicas whose
/// keys the fuzzer holds; whatever can be signed is.
#[derive(Debug, Clone, Arbitrary)]
pub(crate) enum Step {
    /// The clock ticks.
    Tick { times: u8 },
    /// All three peers return the engine's tokens and send one each.
    Tokens { times: u8 },
    /// One peer sends a token that it makes up.
    LyingToken { from: u8, counter: u64, returned: bool },
    /// Anything, unsigned.
    Unsigned { from: u8, message: Box<Message> },
    /// What a peer says of itself; if `near`, it stands where the engine does.
    Summary { from: u8, near: bool, summary: Summary },
    /// One demand.
    Demand { from: u8, view: Near },
    /// The demands of `signers`.
    Leave { from: u8, view: Near, signers: SignerSet },
    /// One report.
    Report { from: u8, view: Near, head: Pick, prepared: Option<Pick> },
    /// A certificate of reports.
    Enter { from: u8, view: Near, prepared: Option<Pick> },
    /// A new-view with the three peers' reports, or with the engine's own among them.
    NewView { from: u8, view: Near, prepared: Option<Pick>, with_own: bool, headers: u8 },
    /// All that an orderly view change takes: demands, reports and the new-view.
    ViewChange { by: u8, prepared: Option<Pick> },
    /// A proposal of the ballot's primary, if it is one of the three.
    Propose { ballot: Near, parent: Pick, orders: Vec<Order>, time: u8 },
    /// One vote.
    Vote { from: u8, kind: VoteKind, ballot: Near, block: Pick },
    /// The votes of all three.
    Votes { kind: VoteKind, ballot: Near, block: Pick },
    /// A certificate.
    Certificate { from: u8, kind: VoteKind, ballot: Near, block: Pick, signers: SignerSet },
    /// A request for bodies; if [`LACKS`] is set in `from`, the answer of one that lacks them.
    Want { from: u8, blocks: Vec<Pick> },
    /// A body.
    Body { from: u8, block: Pick },
    /// Committed blocks, up to the one picked.
    Blocks { from: u8, ballot: Near, up_to: Pick, count: u8 },
    /// One attestation, true or made up.
    Attest { from: u8, back: u8, lie: bool },
    /// Attestations together.
    StateCertificates { from: u8, back: u8, signers: SignerSet },
    /// Transactions passed on by a peer.
    Transactions { from: u8, orders: Vec<Order> },
    /// Transactions of clients.
    Submit { orders: Vec<Order> },
    /// The ledger executes decided blocks.
    Execute { times: u8 },
    /// Power is lost after so many effects of the next input.
    PowerLoss { after: u8 },
    /// A restart, now.
    Restart,
    /// The ledger tells where it stands, as it does now and then.
    TellHead,
    /// The ledger answers what the engine asked about nonces.
    TellNonces,
    /// A transient fault: the engine starts with this journal.
    Damage { journal: Box<RecoveredJournal> },
    /// A transient fault: variables of the engine hold anything.
    Scramble { seed: u64, scope: Scrambled, values: u8 },
}
