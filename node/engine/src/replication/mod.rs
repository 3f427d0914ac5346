//! Replication: the three-phase protocol over a window of heights (thesis 2.6.2; DESIGN 4.2).
//!
//! # Rules of voting
//!
//! R1. A replica votes in its current ballot only, and the ballot is its view establishment's: the view
//!     itself, or under the paper's the floor that its journal keeps ([`crate::view`], `ballots`).
//! R2. In a ballot it prepares at most one block per height, in a chain without gaps: first the
//!     *anchor*, the tip that the ballot's new-view took over (with nothing taken over, the block
//!     above the base), then upwards. It never prepares below the anchor.
//! R3. It commits a block in a ballot when it holds a prepared certificate of that ballot for this
//!     block or for one that extends it.
//! R4. Promises are durable before what follows from them is sent.
//! R5. It reports the prepared certificate with the highest (ballot, height), unless its chain was lost with
//!     more than `f` disks (`lost.rs`).
//!
//! # Why this is safe
//!
//! Two prepared certificates of one ballot lie on one chain: their quorums share a correct replica,
//! which prepares one chain without gaps (R2).
//!
//! Let X at height h be committed in ballot b, and let c be a prepared certificate of a ballot above
//! b. Claim: c's block is X or extends X. By induction over the ballots: a quorum held a prepared certificate (b, h' >= h) whose chain has X at h (R3). Any
//! `n-f` reports hold one of a correct member of it, whose rank is at least (b, h'); the new-view
//! takes over the highest rank, which by induction has X in its chain, or a base above h, which is
//! committed and so has X in its chain. R2 keeps every later prepare of the ballot at or above that
//! tip. Without the anchor rule the claim fails: if the blocks taken over were prepared one by one
//! from the base up, a certificate for a *lower* block in the new ballot would outrank the old tip,
//! and the next view would drop a committed block above it.

mod catch_up;
mod deciding;
mod held;
#[cfg(feature = "laboratory")]
#[path = "../laboratory/replication.rs"]
mod laboratory;
mod ledger;
mod legality;
mod lost;
mod mending;
mod new_view;
mod retransmit;
mod slot;
mod soundness;
mod voting;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use daruma_types::{
    Ballot, Block, Certificate, CertifiedBlock, Hash, HeadClaim, Header, Height, NewView,
    PublicKey, ReplicaId, Statement, Vote, limits,
};

use crate::config::Context;
use crate::conflict::Own;
use crate::view::{Claims, Voting};
use catch_up::CatchUp;
use lost::Lost;
use mending::Mending;
use new_view::Starving;
use slot::Slot;

/// Votes of later ballots kept per peer until the replica gets there: as many as a window has, in
/// both kinds. The oldest goes first; all can be repeated.
const EARLY_VOTES_MAX: usize = 2 * limits::WINDOW_MAX;

/// Bodies kept above the head: the accepted chain, the prepared chain, that of the last vote, and as many
/// again for blocks that are wanted.
const BODIES_MAX: usize = 4 * limits::WINDOW_MAX;

/// Hashes of own blocks that are remembered: peers that are further behind are catching up.
const TRAIL_MAX: usize = 2 * limits::WINDOW_MAX;

/// Executed heights for which clients' nonces are remembered, for blocks whose ledger look-up is
/// older than their execution.
const RECENT_HEIGHTS: u64 = 2 * limits::WINDOW_MAX as u64;

/// Where the ledger stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineHead {
    /// The last executed block with its certificate.
    pub claim: HeadClaim,
    /// Its timestamp, ms.
    pub timestamp_ms: u64,
    /// The state after it.
    pub statement: Statement,
    /// What the last blocks came to, ascending, up to [`crate::RECENT_STATEMENTS_MAX`] of them: a replica
    /// that starts attests them again, for clients that were waiting when it stopped, and their hashes tell
    /// which of its peers are on its chain.
    pub recent: Vec<Statement>,
}

/// The end of a chain of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tip {
    pub(crate) height: Height,
    pub(crate) hash: Hash,
    pub(crate) timestamp_ms: u64,
}

/// A client's nonce in a block above or just below the executed height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Used {
    nonce: u64,
    height: Height,
}

/// State of the module.
#[derive(Debug, Clone)]
pub(crate) struct Replication {
    /// The committed head: its block is held, and executed or on its way there.
    head: HeadClaim,
    head_timestamp_ms: u64,
    /// What the ledger reported last.
    executed: Statement,
    /// Committed blocks that the ledger has not reported yet.
    decided: BTreeMap<Height, CertifiedBlock>,
    ballot: Ballot,
    /// Whether the ballot's new-view was adopted.
    active: bool,
    /// Whether new blocks are accepted (thesis algorithm 4).
    serving: bool,
    /// Headers taken over by the new-view and not accepted yet, for want of bodies.
    taken_over: Vec<Header>,
    /// The end of the accepted chain; the head if nothing is accepted above it.
    tip: Tip,
    slots: BTreeMap<Height, Slot>,
    bodies: BTreeMap<Hash, Arc<Block>>,
    /// The prepared certificate of the highest rank above the head.
    prepared: Option<Certificate>,
    /// The ballot's new-view, for peers that lack it.
    new_view: Option<NewView>,
    /// A new-view whose base is above the head: adopted once the head is there.
    waiting_new_view: Option<NewView>,
    /// Last nonces of clients in blocks above the executed height.
    in_flight: BTreeMap<PublicKey, Used>,
    /// Last nonces of clients in blocks executed lately.
    recent: BTreeMap<PublicKey, Used>,
    /// Votes that the journal holds: not to be contradicted, even where their blocks were lost with the
    /// disk. At most as many as a journal has.
    promised: BTreeMap<Height, (Ballot, Hash)>,
    /// The hashes of the last blocks of our chain, the head's among them: what peers' heads are compared
    /// with.
    trail: BTreeMap<Height, Hash>,
    /// The executed heights at the last tellings of the ledger, by which `recent` ages.
    tellings: VecDeque<Height>,
    /// The first decided block at the last telling of the ledger.
    waiting_for_ledger: Option<Height>,
    /// Whether the decided blocks were given to the ledger again since the last tick.
    given_again: bool,
    early: Vec<VecDeque<Vote>>,
    catch_up: CatchUp,
    mending: Mending,
    /// Whose turn it is to be asked for bodies.
    want_turn: usize,
    /// How long the new-view that this primary is to make has waited for blocks.
    starving: Starving,
    /// Who lacks a block below the prepared certificate.
    lost: Lost,
}

impl Voting for Replication {
    /// What a report says (R5).
    fn claims(&self) -> Claims {
        Claims { head: self.head.clone(), prepared: self.prepared.clone() }
    }

    fn is_active(&self) -> bool {
        self.active
    }

    fn has_new_view(&self) -> bool {
        self.held_new_view(self.ballot).is_some()
    }

    fn head(&self) -> &HeadClaim {
        &self.head
    }
}

impl Replication {
    pub(crate) fn new(head: EngineHead, ballot: Ballot, context: &Context) -> Self {
        let trail = ledger::trail_of(&head, context);
        let EngineHead { claim, timestamp_ms, statement, recent: _ } = head;
        let tip = Tip { height: claim.height, hash: claim.hash, timestamp_ms };
        Self {
            head: claim,
            head_timestamp_ms: timestamp_ms,
            executed: statement,
            decided: BTreeMap::new(),
            ballot,
            active: ballot == Ballot(0),
            serving: true,
            taken_over: Vec::new(),
            tip,
            slots: BTreeMap::new(),
            bodies: BTreeMap::new(),
            prepared: None,
            new_view: None,
            waiting_new_view: None,
            in_flight: BTreeMap::new(),
            recent: BTreeMap::new(),
            promised: BTreeMap::new(),
            trail,
            tellings: VecDeque::new(),
            waiting_for_ledger: None,
            given_again: false,
            early: vec![VecDeque::new(); context.thresholds().replicas()],
            catch_up: CatchUp::default(),
            mending: Mending::default(),
            want_turn: 0,
            starving: Starving::default(),
            lost: Lost::default(),
        }
    }

    pub(crate) const fn executed(&self) -> &Statement {
        &self.executed
    }

    pub(crate) const fn ballot(&self) -> Ballot {
        self.ballot
    }

    pub(crate) const fn prepared(&self) -> Option<&Certificate> {
        self.prepared.as_ref()
    }

    /// The own chain, as far as it is remembered.
    pub(crate) const fn own_chain(&self) -> Own<'_> {
        Own { head: &self.head, trail: &self.trail }
    }

    /// Remembers the last block of our chain.
    fn leave_trail(&mut self) {
        let HeadClaim { height, hash, .. } = self.head;
        self.trail.insert(height, hash);
        while self.trail.len() > TRAIL_MAX {
            self.trail.pop_first();
        }
    }

    /// Forgets our chain but for its head.
    pub(crate) fn forget_trail(&mut self) {
        self.trail.clear();
        self.leave_trail();
    }

    pub(crate) const fn tip(&self) -> Tip {
        self.tip
    }

    /// The view establishment began anew: nothing more is accepted before a new-view. Votes stay as they
    /// are, and committed blocks.
    pub(crate) fn suspend(&mut self) {
        self.active = self.ballot == Ballot(0);
        self.new_view = None;
        self.waiting_new_view = None;
        self.taken_over.clear();
    }

    /// Moves to `ballot`: nothing is accepted in it yet, and its primary's new-view is awaited.
    pub(crate) fn enter(&mut self, ballot: Ballot) {
        if ballot == self.ballot {
            return;
        }
        self.ballot = ballot;
        self.active = ballot == Ballot(0);
        self.serving = true;
        self.taken_over.clear();
        self.slots.clear();
        self.new_view = None;
        self.waiting_new_view = None;
        self.tip = self.head_tip();
        self.in_flight.clear();
        let decided: Vec<Arc<Block>> = self.decided.values().map(|d| d.block.clone()).collect();
        for block in decided {
            self.note_in_flight(&block);
        }
    }

    const fn head_tip(&self) -> Tip {
        Tip { height: self.head.height, hash: self.head.hash, timestamp_ms: self.head_timestamp_ms }
    }

    /// The highest height that may be in flight. Nothing is executed above the head; where memory says
    /// so, what is proposed before the ledger tells better must have an end.
    fn window_end(&self, context: &Context) -> Height {
        let executed = self.executed.height.min(self.head.height);
        executed.plus(context.chain.window.min(limits::WINDOW_MAX) as u64)
    }

    fn in_window(&self, height: Height, context: &Context) -> bool {
        height > self.head.height && height <= self.window_end(context)
    }

    fn slot(&mut self, height: Height, context: &Context) -> Option<&mut Slot> {
        if !self.in_window(height, context) {
            return None;
        }
        let replicas = context.thresholds().replicas();
        Some(self.slots.entry(height).or_insert_with(|| Slot::new(replicas)))
    }

    fn is_primary(&self, context: &Context) -> bool {
        context.thresholds().primary(self.ballot.0) == context.own
    }

    fn note_in_flight(&mut self, block: &Block) {
        let height = block.header.height;
        for transaction in &block.transactions {
            let used = self
                .in_flight
                .entry(transaction.client)
                .or_insert(Used { nonce: transaction.nonce, height });
            used.nonce = used.nonce.max(transaction.nonce);
            used.height = used.height.max(height);
        }
    }

    /// The last nonce of `client` known to be executed or in flight.
    pub(crate) fn last_nonce(&self, client: &PublicKey) -> Option<u64> {
        let in_flight = self.in_flight.get(client).map(|used| used.nonce);
        let recent = self.recent.get(client).map(|used| used.nonce);
        in_flight.max(recent)
    }

    /// The last nonce of `client` that was executed lately.
    pub(crate) fn last_nonce_executed(&self, client: &PublicKey) -> Option<u64> {
        self.recent.get(client).map(|used| used.nonce)
    }

    /// Keeps a body, if there is room: bodies of the accepted and prepared chains always fit.
    fn keep_body(&mut self, hash: Hash, block: Arc<Block>) {
        if self.bodies.contains_key(&hash) {
            return;
        }
        if self.bodies.len() >= BODIES_MAX {
            self.drop_loose_bodies();
        }
        if self.bodies.len() < BODIES_MAX {
            self.bodies.insert(hash, block);
        }
    }

    /// Drops bodies that are in no chain this replica accepted, voted for last or holds a certificate of.
    fn drop_loose_bodies(&mut self) {
        let mut needed: Vec<Hash> = self.slots.values().filter_map(|slot| slot.accepted).collect();
        needed.extend(self.taken_over.iter().map(Header::hash));
        needed.extend(self.chain_below(self.prepared.as_ref().map(|p| p.hash)));
        needed.extend(self.chain_below(self.last_vote().map(|(.., hash)| hash)));
        needed.sort_unstable();
        self.bodies.retain(|hash, _| needed.binary_search(hash).is_ok());
    }

    /// Hashes from `tip` down to above the head, as far as bodies are held.
    fn chain_below(&self, tip: Option<Hash>) -> Vec<Hash> {
        let mut chain = Vec::new();
        let mut next = tip;
        while let Some(hash) = next {
            if chain.len() > limits::WINDOW_MAX {
                break;
            }
            chain.push(hash);
            next = self
                .bodies
                .get(&hash)
                .filter(|block| block.header.height > self.head.height.next())
                .map(|block| block.header.parent);
        }
        chain
    }

    /// Which replica, if any, this one fetches committed blocks from.
    pub(crate) const fn fetching_from(&self) -> Option<ReplicaId> {
        self.catch_up.peer()
    }
}
