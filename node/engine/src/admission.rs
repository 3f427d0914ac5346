//! The door for messages: whatever can be checked without the engine's state is checked here, on
//! any thread, and only what passed can be given to the engine (DESIGN 11).

use alloc::boxed::Box;
use alloc::vec::Vec;

use daruma_types::{
    Block, CertifiedBlock, Committee, Hash, Height, Invalid, Message, PrePrepare, PublicKey,
    ReplicaId, Summary, Transaction, TransactionError, Verifier, VoteKind, limits,
};

use crate::ChainLimits;

/// What the door needs to know beside the message.
pub trait AdmissionContext {
    /// The replicas.
    fn committee(&self) -> &Committee;
    /// Checks signatures.
    fn verifier(&self) -> &dyn Verifier;
    /// The chain's bounds.
    fn limits(&self) -> ChainLimits;
    /// Checks size, signature and form of a transaction. May remember what it checked before.
    ///
    /// # Errors
    /// What is wrong with the transaction.
    fn check(&self, transaction: &Transaction) -> Result<(), TransactionError>;
    /// The client's last executed nonce in the ledger.
    fn last_nonce(&self, client: &PublicKey) -> Option<u64>;
}

/// A message whose form, bounds and signatures hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    message: Message,
    nonces: Vec<(PublicKey, u64)>,
}

impl Admitted {
    /// The message.
    #[must_use]
    pub const fn message(&self) -> &Message {
        &self.message
    }

    /// The message, and for transactions and proposals the last executed nonces of their clients, as the
    /// ledger had them when the message came.
    #[must_use]
    pub fn into_parts(self) -> (Message, Vec<(PublicKey, u64)>) {
        (self.message, self.nonces)
    }
}

/// A message that passed every check that depends on the message alone, not on any replica's ledger.
/// Where several replicas of one chain live in one process, as in a simulation, one check serves all
/// that the message goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    message: Message,
}

impl Checked {
    /// Checks `message`, which `from` sent. The ledger of `context` is not asked.
    ///
    /// # Errors
    /// The message, and what [`admit`] has against it.
    pub fn new(
        from: ReplicaId,
        message: Message,
        context: &dyn AdmissionContext,
    ) -> Result<Self, Box<(Message, Refusal)>> {
        match check(from, &message, context) {
            Ok(()) => Ok(Self { message }),
            Err(refusal) => Err(Box::new((message, refusal))),
        }
    }

    /// The message.
    #[must_use]
    pub const fn message(&self) -> &Message {
        &self.message
    }

    /// The message for one replica, whose ledger has these last executed nonces of clients.
    pub fn admitted(&self, last_nonce: impl Fn(&PublicKey) -> Option<u64>) -> Admitted {
        let message = self.message.clone();
        let nonces = ledger_nonces(&message, last_nonce);
        Admitted { message, nonces }
    }
}

/// Why a message was not believed. Always the sender's doing, never ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The sender is not a replica of the chain.
    #[error("{0} is not in the chainspec")]
    UnknownReplica(ReplicaId),
    /// A replica speaks in another's name.
    #[error("{from} sent a {what} in the name of {claimed}")]
    Impersonation {
        /// Which message.
        what: &'static str,
        /// The authenticated sender.
        from: ReplicaId,
        /// The name in the message.
        claimed: ReplicaId,
    },
    /// More of something than a message may hold.
    #[error("a {what} holds {found} entries; at most {max} are allowed")]
    TooMany {
        /// Which message.
        what: &'static str,
        /// Entries found.
        found: usize,
        /// Entries allowed.
        max: usize,
    },
    /// A form, signature or certificate does not hold.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// Lets `message` in if all that can be checked without the engine's state holds.
///
/// # Errors
/// [`Refusal`] says what does not hold; the sender is to blame.
pub fn admit(
    from: ReplicaId,
    message: Message,
    context: &dyn AdmissionContext,
) -> Result<Admitted, Refusal> {
    check(from, &message, context)?;
    let nonces = ledger_nonces(&message, |client| context.last_nonce(client));
    Ok(Admitted { message, nonces })
}

/// All that is checked at the door.
fn check(
    from: ReplicaId,
    message: &Message,
    context: &dyn AdmissionContext,
) -> Result<(), Refusal> {
    let committee = context.committee();
    let verifier = context.verifier();
    if committee.replica(from).is_none() {
        return Err(Refusal::UnknownReplica(from));
    }
    match message {
        Message::Token { .. } | Message::TokenReturn { .. } => {}
        Message::Summary(summary) => check_summary(summary)?,
        Message::Coordination(coordination) => {
            let replicas = committee.thresholds().replicas();
            let places = [coordination.own, coordination.echo];
            if !places.iter().all(|place| place.in_domain(replicas)) {
                let why = "a phase or view is out of its domain";
                return Err(Invalid::Malformed { what: "coordination", why }.into());
            }
        }
        Message::Demand(demand) => {
            let bytes = daruma_types::Demand::signed_bytes(committee.chain(), demand.view);
            committee.check(from, "demand", &bytes, &demand.signature, verifier)?;
        }
        Message::Leave(certificate) => certificate.verify(committee, verifier)?,
        Message::Report(report) => {
            own_name("report", from, report.replica)?;
            report.verify(committee, verifier)?;
        }
        Message::Enter(certificate) => certificate.verify(committee, verifier)?,
        Message::NewView(new_view) => new_view.verify(committee, verifier)?,
        Message::PrePrepare(pre_prepare) => check_pre_prepare(pre_prepare, context)?,
        Message::Vote(vote) => vote.verify(from, committee, verifier)?,
        Message::Certificate(certificate) => certificate.verify(committee, verifier)?,
        Message::Want(want) => check_named("want", &want.blocks)?,
        Message::Lacks(lacks) => check_named("lacks", &lacks.blocks)?,
        Message::Body(block) => check_block(block, context)?,
        Message::Fetch { count, .. } => {
            bounded("fetch", *count as usize, limits::FETCH_BLOCKS_MAX)?
        }
        Message::Blocks(blocks) => {
            bounded("blocks", blocks.len(), limits::FETCH_BLOCKS_MAX)?;
            blocks.iter().try_for_each(|block| check_certified(block, context))?;
        }
        Message::StateCertificates(certificates) => {
            bounded("state certificates", certificates.len(), limits::FETCH_BLOCKS_MAX)?;
            let needed = committee.thresholds().weak();
            for certificate in certificates {
                certificate.verify(needed, committee, verifier)?;
            }
        }
        Message::SnapshotOffer(checkpoint) => checkpoint.verify(committee, verifier)?,
        // Checked by the ledger, against the checkpoint of the snapshot that it restores.
        Message::SnapshotWant { .. } | Message::SnapshotChunk { .. } => {}
        Message::Attestation(attestation) => {
            own_name("attestation", from, attestation.replica)?;
            attestation.verify(committee, verifier)?;
        }
        Message::Transactions(transactions) => {
            bounded("transactions", transactions.len(), limits::SPREAD_TRANSACTIONS_MAX)?;
            for transaction in transactions {
                context.check(transaction).map_err(Invalid::from)?;
            }
        }
    }
    Ok(())
}

fn own_name(what: &'static str, from: ReplicaId, claimed: ReplicaId) -> Result<(), Refusal> {
    if from == claimed { Ok(()) } else { Err(Refusal::Impersonation { what, from, claimed }) }
}

fn bounded(what: &'static str, found: usize, max: usize) -> Result<(), Refusal> {
    if found <= max { Ok(()) } else { Err(Refusal::TooMany { what, found, max }) }
}

/// Blocks that a message names: not too many, and each once.
fn check_named(what: &'static str, blocks: &[(Height, Hash)]) -> Result<(), Refusal> {
    bounded(what, blocks.len(), limits::WANT_MAX)?;
    if blocks.is_sorted_by(|a, b| a < b) {
        return Ok(());
    }
    Err(Invalid::Malformed { what, why: "its blocks are not in ascending order" }.into())
}

fn check_summary(summary: &Summary) -> Result<(), Refusal> {
    bounded("summary", summary.slots.len(), limits::WINDOW_MAX)?;
    let malformed = |why| Err(Invalid::Malformed { what: "summary", why }.into());
    if summary.phase > 1 {
        return malformed("its phase is neither 0 nor 1");
    }
    if !summary.slots.is_sorted_by(|a, b| a.height < b.height) {
        return malformed("its slots are not in ascending order of height");
    }
    Ok(())
}

fn check_block(block: &Block, context: &dyn AdmissionContext) -> Result<(), Refusal> {
    let bounds = context.limits();
    block.verify_shape(
        context.committee().chain(),
        bounds.block_transactions_max,
        bounds.block_bytes_max,
    )?;
    if context.committee().replica(block.header.proposer).is_none() {
        return Err(Invalid::UnknownReplica(block.header.proposer).into());
    }
    for transaction in &block.transactions {
        context.check(transaction).map_err(Invalid::from)?;
    }
    Ok(())
}

fn check_pre_prepare(
    pre_prepare: &PrePrepare,
    context: &dyn AdmissionContext,
) -> Result<(), Refusal> {
    let committee = context.committee();
    let header = &pre_prepare.block.header;
    let primary = committee.thresholds().primary(pre_prepare.ballot.0);
    let bytes = VoteKind::Prepare.signed_bytes(
        committee.chain(),
        pre_prepare.ballot,
        header.height,
        &header.hash(),
    );
    // The signature first: it is cheap, and binds the rest to the primary.
    committee.check(primary, "pre-prepare", &bytes, &pre_prepare.signature, context.verifier())?;
    check_block(&pre_prepare.block, context)
}

/// A committed block needs no check of its transactions: `f+1` correct replicas made it.
fn check_certified(
    certified: &CertifiedBlock,
    context: &dyn AdmissionContext,
) -> Result<(), Refusal> {
    let CertifiedBlock { block, certificate } = certified;
    if certificate.kind != VoteKind::Commit
        || certificate.height != block.header.height
        || certificate.hash != block.hash()
    {
        let why = "its certificate does not commit it";
        return Err(Invalid::Malformed { what: "certified block", why }.into());
    }
    certificate.verify(context.committee(), context.verifier())?;
    let bounds = context.limits();
    block.verify_shape(
        context.committee().chain(),
        bounds.block_transactions_max,
        bounds.block_bytes_max,
    )?;
    Ok(())
}

/// The last executed nonces of the clients in a proposal or in transactions, in order of their keys.
fn ledger_nonces(
    message: &Message,
    last_nonce: impl Fn(&PublicKey) -> Option<u64>,
) -> Vec<(PublicKey, u64)> {
    let transactions = match message {
        Message::PrePrepare(pre_prepare) => &pre_prepare.block.transactions,
        Message::Transactions(transactions) => transactions,
        Message::Token { .. }
        | Message::TokenReturn { .. }
        | Message::Summary(_)
        | Message::Coordination(_)
        | Message::Demand(_)
        | Message::Leave(_)
        | Message::Report(_)
        | Message::Enter(_)
        | Message::NewView(_)
        | Message::Vote(_)
        | Message::Certificate(_)
        | Message::Want(_)
        | Message::Lacks(_)
        | Message::Body(_)
        | Message::Fetch { .. }
        | Message::Blocks(_)
        | Message::Attestation(_)
        | Message::SnapshotOffer(_)
        | Message::SnapshotWant { .. }
        | Message::SnapshotChunk { .. }
        | Message::StateCertificates(_) => return Vec::new(),
    };
    let mut clients: Vec<PublicKey> = transactions.iter().map(|t| t.client).collect();
    clients.sort_unstable();
    clients.dedup();
    clients
        .into_iter()
        .filter_map(|client| last_nonce(&client).map(|nonce| (client, nonce)))
        .collect()
}
