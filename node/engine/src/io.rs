//! All that goes into the engine and all that comes out of it.

use alloc::vec::Vec;

use daruma_types::{
    Adoption, Ballot, CertifiedBlock, Height, Message, Promise, PublicKey, ReplicaId,
    StateCertificate, Statement, Transaction, View,
};

use crate::{Admitted, EngineHead, Illegal, PoolRefusal};

/// What the engine is told. Every input is legal in every state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A tick of the replica's clock, at a steady rate. All patience is counted in ticks and tokens.
    Tick {
        /// The wall clock, ms since 1970. Goes into proposed headers, and decides nothing.
        now_ms: u64,
    },
    /// A message that passed [`crate::admit`].
    Received {
        /// The authenticated sender.
        from: ReplicaId,
        /// The message.
        message: Admitted,
    },
    /// Transactions that clients gave to this replica, verified, and not superseded in the ledger.
    /// Answered by one [`Effect::Pooled`] with an outcome for each.
    Submitted {
        /// The transactions, in order of arrival.
        transactions: Vec<Transaction>,
    },
    /// Answers [`Effect::LookUpNonces`].
    Nonces {
        /// The executed height when the ledger was read, or an earlier one.
        as_of: Height,
        /// Each client's last executed nonce, if it has one.
        nonces: Vec<(PublicKey, Option<u64>)>,
    },
    /// The ledger executed a block of [`Effect::Execute`] and made it durable.
    Executed {
        /// What the state is now.
        statement: Statement,
        /// The last executed nonce of each client in the block.
        nonces: Vec<(PublicKey, u64)>,
    },
    /// The ledger's head, told now and then, and at once when a block of [`Effect::Execute`] is not
    /// the next one (it is not executed then). In order with [`Input::Executed`]: everything executed
    /// up to this head was told before. Memory that does not follow from it is replaced.
    Ledger {
        /// The last executed block, and the hashes of those below it.
        head: EngineHead,
        /// The last floor of ballots in the journal; 0 if there is none.
        floor: Ballot,
    },
    /// The ledger found the record of an executed block damaged; told with [`Input::Ledger`] for as long as
    /// it is. The block is asked of the peers and given to it by [`Effect::Mend`].
    Missing {
        /// The highest such height.
        height: Height,
    },
    /// What the ledger found when it compared the blocks of [`Effect::Adopt`] with its own. If it gave
    /// up blocks, the engine is made anew instead.
    Adoption(Adoption),
}

impl Input {
    /// Whether the input can move nothing but the module it is for: half of all messages are tokens,
    /// and after each the others would look in vain for what to do. That a token makes this replica
    /// suspect its primary is seen by the suspicion.
    pub(crate) const fn concerns_one_module(&self) -> bool {
        match self {
            Self::Received { message, .. } => matches!(
                message.message(),
                Message::Token { .. }
                    | Message::TokenReturn { .. }
                    | Message::Coordination(_)
                    | Message::Attestation(_)
                    | Message::StateCertificates(_)
            ),
            Self::Tick { .. }
            | Self::Submitted { .. }
            | Self::Executed { .. }
            | Self::Ledger { .. }
            | Self::Missing { .. }
            | Self::Nonces { .. }
            | Self::Adoption(_) => false,
        }
    }
}

/// Whom a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// All other replicas.
    All,
    /// One other replica.
    One(ReplicaId),
}

/// What the driver must do, in order. Each variant carries all that the driver needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Make `promise` durable, and only then send what follows from it. Whatever comes later in the
    /// list, too, may only be done once the promise is durable.
    Promise {
        /// What must not be forgotten.
        promise: Promise,
        /// What may be said once it cannot be.
        then: Vec<(Destination, Message)>,
    },
    /// Send now. Contradicts nothing that this replica could say later.
    Send {
        /// To whom.
        to: Destination,
        /// What.
        message: Message,
    },
    /// Execute this block: the one above the block of the last `Execute`, or above the ledger's
    /// head. Answered by [`Input::Executed`]. From an engine whose memory was repaired it may be
    /// another one: then it is not executed, and answered by [`Input::Ledger`].
    Execute(CertifiedBlock),
    /// Compare these blocks of another certified chain with the ledger's own. Where they part, give up
    /// the own blocks above, keep them as evidence, and execute the others in their places; with `tie` only
    /// if the certificate of the other's first block ranks higher than the own, by (ballot, hash). Then the
    /// engine is made anew from ledger and journal; otherwise [`Input::Adoption`] says what was found.
    Adopt {
        /// Blocks one above the other.
        blocks: Vec<CertifiedBlock>,
        /// Whether both chains have equal support.
        tie: bool,
    },
    /// Put this block in the place of the damaged one of [`Input::Missing`], if it is the one that the
    /// ledger's chain has there.
    Mend(CertifiedBlock),
    /// Send `to` committed blocks from the ledger, as many as one message holds.
    ServeBlocks {
        /// Who asked.
        to: ReplicaId,
        /// The first height wanted.
        from: Height,
        /// How many at most.
        count: u32,
    },
    /// Read these clients' last executed nonces from the ledger; answered by [`Input::Nonces`].
    LookUpNonces(Vec<PublicKey>),
    /// What became of each transaction of [`Input::Submitted`], in order.
    Pooled(Vec<Result<(), PoolRefusal>>),
    /// `f+1` or more replicas, this one among them, attest this statement: clients may be answered.
    Attested(StateCertificate),
    /// A fact for people: count it, log it.
    Observed(Observation),
}

/// A fact for people. Nothing in the protocol depends on one being seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// The view establishment moved.
    View {
        /// The view.
        view: View,
        /// 0 serving, 1 changing.
        phase: u8,
    },
    /// A ballot's new-view was adopted: votes are cast again.
    Activated {
        /// The ballot.
        ballot: Ballot,
    },
    /// This replica began to suspect the primary of its view.
    Suspected {
        /// The view.
        view: View,
        /// Why.
        reason: Suspicion,
    },
    /// A replica signed two different votes of one kind for one ballot and height.
    Equivocation {
        /// Who.
        replica: ReplicaId,
        /// The ballot.
        ballot: Ballot,
        /// The height.
        height: Height,
    },
    /// A valid commit certificate contradicts this replica's chain: once more than `f` replicas were
    /// faulty.
    Forked {
        /// The height of the block that is not on our chain.
        height: Height,
    },
    /// A prepared certificate was given up, since `n-f` replicas lack a block of its chain: once more than
    /// `f` replicas were faulty.
    GivenUp {
        /// The certificate's ballot.
        ballot: Ballot,
        /// Its height.
        height: Height,
    },
    /// `f+1` replicas attest another state at this height than this replica computed.
    Diverged {
        /// The height.
        height: Height,
    },
    /// A message was well formed and truly signed, and still not believed.
    Disbelieved {
        /// The sender.
        from: ReplicaId,
        /// Why.
        reason: Disbelief,
    },
    /// Own state was illegal and has been repaired.
    Repaired(Illegal),
}

/// Why a primary is suspected (DESIGN 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// Others' tokens kept coming, the primary's did not.
    Unresponsive,
    /// Its tokens came, and nothing was executed of what waits.
    NoProgress,
    /// Blocks were executed, and a transaction that should be in them was not.
    Censorship,
    /// This replica's own memory of the view was wrong, and has been repaired.
    Repaired,
}

/// Why a truly signed message was not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disbelief {
    /// A block outside the window of heights in flight.
    OutsideWindow,
    /// A block without transactions, which would only make the ledger longer.
    EmptyBlock,
    /// A second, different proposal for one ballot and height.
    SecondProposal,
    /// A block that does not extend the accepted chain.
    WrongParent,
    /// A block with a transaction whose nonce was used before.
    StaleNonce,
    /// A block whose timestamp is before its parent's.
    TimeRunsBackwards,
    /// A new-view whose headers are not what its reports give.
    NewViewNotSupported,
}
