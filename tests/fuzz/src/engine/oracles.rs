//! What must hold of everything that an engine does.

use std::collections::{BTreeMap, BTreeSet};

use daruma_engine::{Destination, Engine, Observation, admit};
use daruma_network::frame_bytes_max;
use daruma_types::{
    Ballot, CertifiedBlock, Hash, Height, Message, ReplicaId, StateCertificate, Vote, VoteKind,
    codec,
};

use super::replica::LOCAL;
use crate::chain::{Door, LIMITS, REPLICAS, chain};

type Voted = (VoteKind, Ballot, Height);

/// Watches one replica through all its lives.
#[derive(Debug)]
pub(crate) struct Oracles {
    own: ReplicaId,
    /// What it voted for.
    votes: BTreeMap<Voted, Hash>,
    /// What the fuzzer signed in the others' names.
    signed: BTreeMap<(ReplicaId, Voted), BTreeSet<Hash>>,
    /// The last block of an `Execute` in this life, or the ledger's head.
    decided: Option<(Height, Hash)>,
    /// Whether a transient fault happened: then own promises may be contradicted and own state
    /// repaired.
    pub(crate) damaged: bool,
    /// Ticks until what a fault left in memory was looked for, signatures included.
    repairing: u32,
}

impl Oracles {
    pub(crate) fn new(own: ReplicaId) -> Self {
        let (votes, signed) = (BTreeMap::new(), BTreeMap::new());
        Self { own, votes, signed, decided: None, damaged: false, repairing: 0 }
    }

    /// A new life begins at this head.
    pub(crate) fn started(&mut self, height: Height, hash: Hash) {
        self.decided = Some((height, hash));
    }

    /// A transient fault: what was promised before does not bind any more.
    pub(crate) fn fault(&mut self) {
        self.damaged = true;
        self.votes.clear();
        // The first full check may be the very next tick or the last of so many, and what it finds may
        // be used again by the one after it.
        self.repairing = 2 * LOCAL.full_check_ticks + 1;
    }

    /// The replica gave up blocks for another certified chain: more than `f` are faulty, and votes at
    /// those heights are cast again.
    pub(crate) fn forked(&mut self) {
        self.votes.clear();
    }

    /// Before a tick.
    pub(crate) fn ticked(&mut self) {
        self.repairing = self.repairing.saturating_sub(1);
    }

    /// Whether memory is sound again, if there ever was a fault.
    pub(crate) const fn settled(&self) -> bool {
        self.repairing == 0
    }

    /// The fuzzer signed this vote.
    pub(crate) fn signed(&mut self, by: ReplicaId, vote: (VoteKind, Ballot, Height), hash: Hash) {
        self.signed.entry((by, vote)).or_default().insert(hash);
    }

    /// The engine sends `message`: its peers let it in, it fits its frame, and it contradicts no vote.
    pub(crate) fn sent(&mut self, to: Destination, message: &Message) {
        if !self.settled() {
            return;
        }
        if let Destination::One(to) = to {
            assert!(to.0 < REPLICAS && to != self.own, "sent to {to}: {message:?}");
        }
        let admitted = admit(self.own, message.clone(), &Door { reader: None });
        assert!(admitted.is_ok(), "peers refuse {message:?}: {admitted:?}");
        let length = codec::encode(message).len();
        let most = frame_bytes_max(message.lane());
        assert!(length <= most, "{} has {length} bytes; its lane carries {most}", message.name());
        if let Message::Vote(Vote { kind, ballot, height, hash, .. }) = message {
            self.voted((*kind, *ballot, *height), *hash);
        }
        if let Message::PrePrepare(proposal) = message
            && chain().committee.thresholds().primary(proposal.ballot.0) == self.own
        {
            let (height, hash) = (proposal.block.header.height, proposal.block.hash());
            self.voted((VoteKind::Prepare, proposal.ballot, height), hash);
        }
    }

    fn voted(&mut self, vote: Voted, hash: Hash) {
        let before = *self.votes.entry(vote).or_insert(hash);
        assert!(before == hash, "two votes: {vote:?} for {before:?} and for {hash:?}");
    }

    /// The engine has `block` executed: the next one, with a certificate that verifies.
    pub(crate) fn executes(&mut self, block: &CertifiedBlock) {
        let header = &block.block.header;
        if let Some((height, hash)) = self.decided
            && !self.damaged
        {
            assert_eq!(header.height, height.next(), "a gap or a repeat in what is executed");
            assert_eq!(header.parent, hash, "what is executed is no chain");
        }
        if !self.settled() {
            return;
        }
        assert_eq!(block.certificate.hash, block.block.hash(), "another block's certificate");
        let sound = block.certificate.verify(&chain().committee, chain().verifier.as_ref());
        assert_eq!(sound, Ok(()), "a block without a certificate is executed");
        self.decided = Some((header.height, block.block.hash()));
    }

    /// The engine tells clients that this is certain.
    pub(crate) fn attested(&self, certificate: &StateCertificate) {
        if !self.settled() {
            return;
        }
        let needed = chain().committee.thresholds().weak();
        let sound = certificate.verify(needed, &chain().committee, chain().verifier.as_ref());
        assert_eq!(sound, Ok(()), "clients are told of a state that is not certified");
        assert!(certificate.signers.contains(self.own), "clients are told of another's state");
    }

    /// Own state is never illegal without a fault, and nobody is accused who did not sign twice.
    pub(crate) fn observed(&self, observation: &Observation) {
        match observation {
            Observation::Repaired(illegal) => {
                assert!(self.damaged, "repaired without a fault: {illegal}");
            }
            Observation::Equivocation { replica, ballot, height } => {
                let twice = [VoteKind::Prepare, VoteKind::Commit].into_iter().any(|kind| {
                    let signed = self.signed.get(&(*replica, (kind, *ballot, *height)));
                    signed.is_some_and(|hashes| hashes.len() > 1)
                });
                assert!(twice || self.damaged, "{replica} is accused of what it did not do");
            }
            Observation::View { .. }
            | Observation::Activated { .. }
            | Observation::Suspected { .. }
            | Observation::GivenUp { .. }
            | Observation::Diverged { .. }
            | Observation::Forked { .. }
            | Observation::Disbelieved { .. } => {}
        }
    }

    /// What a replica holds is within its bounds.
    pub(crate) fn bounded(&self, engine: &Engine) {
        if !self.settled() {
            return;
        }
        for size in engine.sizes() {
            assert!(size.held <= size.bound, "{size:?}");
        }
        let status = engine.status();
        assert!(status.slots.len() <= LIMITS.window, "{} slots", status.slots.len());
        assert!(status.pending <= LOCAL.pending_max, "{} transactions wait", status.pending);
        assert!(status.phase <= 1, "phase {}", status.phase);
        assert!(status.head >= status.executed.height || self.damaged, "executed above the head");
        let highest = status.executed.height.plus(LIMITS.window as u64);
        assert!(status.tip <= highest.max(status.head), "the tip is outside the window");
    }
}
