//! The resolver: owns the modules and passes information between them (thesis 3.2; DESIGN 4).

mod entering;
mod forking;
#[cfg(feature = "laboratory")]
#[path = "laboratory/engine.rs"]
mod laboratory;
mod repairing;
mod standing;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use daruma_types::{
    Ballot, Height, Message, NewView, Promise, PublicKey, RecoveredJournal, ReplicaId, Summary,
    Transaction, View, VoteKind, limits,
};

use crate::attest::Attestations;
use crate::config::Context;
use crate::conflict::Conflict;
use crate::link::Links;
use crate::monitor::{Monitor, Progress};
use crate::outbox::Outbox;
use crate::pool::{Load, Pool};
use crate::replication::{EngineHead, Replication};
use crate::view::{ViewEstablishment, Voting, establishment};
use crate::{Effect, Input, PoolRefusal};

/// Committed blocks that one peer may ask for between two ticks: each costs a read of the ledger, and
/// together they may be megabytes of traffic. Two of the largest answers.
const SERVED_PER_TICK: u32 = 2 * limits::FETCH_BLOCKS_MAX as u32;

/// Pending transactions that are sent at once: one message.
const SPREAD_AT_ONCE: Load =
    Load { count: limits::SPREAD_TRANSACTIONS_MAX, bytes: limits::SPREAD_BYTES_MAX };

/// What is remembered of a peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Peer {
    /// Its latest summary.
    summary: Option<Summary>,
    /// Blocks it asked for since the last tick.
    served: u32,
    /// Whether a summary of its was answered since the last tick.
    helped: bool,
    /// Bodies it asked for since the last tick.
    bodies: usize,
}

/// The consensus engine of one replica: a pure state machine.
pub struct Engine {
    context: Context,
    views: Box<dyn ViewEstablishment + Send>,
    replication: Replication,
    monitor: Monitor,
    links: Links,
    pool: Pool,
    attestations: Attestations,
    conflict: Conflict,
    peers: Vec<Peer>,
    now_ms: u64,
    ticks: u64,
    /// The view, its phase and the ballot that the other modules know of.
    entered: (View, u8, Ballot),
    /// The ballot whose primary was sent what clients gave to this replica.
    handed_over: Option<Ballot>,
    /// View, phase, ballot and activity as last told in a summary.
    told: (View, u8, Ballot, bool),
    /// Whether the stale-information rules are left out, to see what they do.
    #[cfg(feature = "laboratory")]
    baseline: bool,
}

impl core::fmt::Debug for Engine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Engine").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts from what the ledger and the journal hold. What of it does not verify is not used.
    #[must_use]
    pub fn new(
        context: Context,
        head: EngineHead,
        journal: RecoveredJournal,
    ) -> (Self, Vec<Effect>) {
        let replicas = context.thresholds().replicas();
        let RecoveredJournal { view, floor, votes, blocks, prepared } = journal;
        let recorded = view.as_ref().map(|(view, phase, _)| (*view, *phase));
        let proof = view.map(|(_, _, proof)| proof);
        let voted = votes.iter().map(|(ballot, ..)| *ballot).max();
        let floor = floor.max(voted).unwrap_or_default().max(head.claim.ballot());
        let views = establishment(proof, floor, &head.claim, &context);
        let ((view, phase), ballot) = (views.current(), views.ballot());
        let attestations = Attestations::restore(&head, &context);
        let mut replication = Replication::new(head, ballot, &context);
        replication.restore_votes(&votes, blocks, prepared, &context);
        let mut engine = Self {
            views,
            replication,
            monitor: Monitor::new(replicas),
            links: Links::new(replicas),
            pool: Pool::new(replicas),
            attestations,
            conflict: Conflict::default(),
            peers: vec![Peer::default(); replicas],
            now_ms: 0,
            ticks: 0,
            entered: (view, phase, ballot),
            handed_over: None,
            told: (view, phase, ballot, true),
            #[cfg(feature = "laboratory")]
            baseline: false,
            context,
        };
        engine.monitor.enter(view, &engine.context.local);
        let mut out = Outbox::default();
        let (view, phase) = engine.views.proof().shows();
        if recorded.unwrap_or_default() != (view, phase) {
            // The head proves more than the journal, or the journal nothing: what is voted for from
            // now on lies above no view that is not recorded.
            let proof = engine.views.proof().clone();
            out.promise(Promise::View { view, phase, proof });
        }
        engine.settle(&mut out);
        engine.summarise(&mut out);
        (engine, out.into_effects())
    }

    /// Advances by one input. Total: every input is legal in every state.
    #[must_use = "a dropped effect is a broken promise"]
    pub fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.step_into(input, &mut effects);
        effects
    }

    /// The same, with the effects added to a list that the caller may use again and again.
    pub fn step_into(&mut self, input: Input, effects: &mut Vec<Effect>) {
        let mut out = Outbox::over(core::mem::take(effects));
        let (alone, suspects) = (input.concerns_one_module(), self.monitor.suspects());
        match input {
            Input::Tick { now_ms } => self.tick(now_ms, &mut out),
            Input::Received { from, message } => {
                let (message, nonces) = message.into_parts();
                if from != self.context.own {
                    self.receive(from, message, nonces, &mut out);
                }
            }
            Input::Submitted { transactions } => self.submit(transactions, &mut out),
            Input::Nonces { as_of, nonces } => {
                self.replication.on_nonces(as_of, &nonces);
                for (client, last) in nonces {
                    if let Some(last) = last {
                        self.pool.settle(&client, last, self.replication.executed().height);
                    }
                }
            }
            Input::Adoption(adoption) => self.on_adoption(adoption),
            Input::Missing { height } => self.replication.on_missing(height),
            Input::Executed { statement, nonces } => {
                self.replication.on_executed(statement, &nonces, &mut self.pool);
                self.monitor.executed();
                self.attestations.on_executed(statement, &self.context, &mut out);
                if self.replication.is_catching_up() {
                    let heads = self.peer_heads();
                    self.replication.fetch(&heads, &self.context, &mut out);
                }
            }
            #[cfg(feature = "laboratory")]
            Input::Ledger { .. } if self.baseline => {}
            Input::Ledger { head, floor } => {
                let (context, statement) = (&self.context, head.statement);
                self.views.on_journal(floor, context, &mut out);
                if self.replication.on_ledger(head, context, &mut out) {
                    // What it holds about other heights than the ledger's is worth nothing now.
                    let _found = self.attestations.repair(statement.height, false, context);
                    // There is nothing to attest about the genesis.
                    if statement.height > Height(0) {
                        self.attestations.on_executed(statement, context, &mut out);
                    }
                }
            }
        }
        if !alone || self.monitor.suspects() != suspects {
            self.settle(&mut out);
        }
        *effects = out.into_effects();
    }

    fn tick(&mut self, now_ms: u64, out: &mut Outbox) {
        self.now_ms = now_ms;
        self.ticks = self.ticks.wrapping_add(1);
        self.refresh_peers(out);
        self.replication.ledger_tick();
        self.repair(out);
        self.links.tick(self.context.own, out);
        self.views.iterate(&self.replication, &self.context, out);
        let heads = self.peer_heads();
        self.replication.catch_up_tick(&heads, &self.context, out);
        self.replication.mending_tick(&heads, out);
        self.conflict_tick(out);
        let reports = self.reports_for_new_view();
        self.replication.want_bodies(&reports, &self.context, out);
        let executed = self.replication.executed().height;
        let due = self.pool.tick(executed, SPREAD_AT_ONCE, &self.context);
        if !due.to_all.is_empty() {
            out.broadcast(Message::Transactions(due.to_all));
        }
        self.hand_to_primary(due.to_primary, out);
        if self.ticks.is_multiple_of(u64::from(self.context.local.summary_ticks.max(1))) {
            self.summarise(out);
        }
    }

    fn receive(
        &mut self,
        from: ReplicaId,
        message: Message,
        nonces: Vec<(PublicKey, u64)>,
        out: &mut Outbox,
    ) {
        let context = &self.context;
        match message {
            Message::Token { counter } => {
                if self.links.on_token(from, counter, out) {
                    self.token(from, out);
                }
            }
            Message::TokenReturn { counter } => {
                if self.links.on_return(from, counter) {
                    self.views.on_exchange(from);
                }
            }
            Message::Summary(summary) => self.read_summary(from, summary, out),
            Message::Coordination(_)
            | Message::Demand(_)
            | Message::Leave(_)
            | Message::Report(_)
            | Message::Enter(_) => {
                self.tell_views(from, message, out);
            }
            Message::NewView(new_view) => self.new_view(from, new_view, out),
            Message::PrePrepare(proposal) => {
                self.replication.on_pre_prepare(from, proposal, nonces, context, out);
            }
            Message::Vote(vote) => self.replication.on_vote(from, vote, context, out),
            Message::Certificate(certificate) => match certificate.kind {
                VoteKind::Prepare => {
                    self.replication.on_prepared_certificate(certificate, context);
                }
                VoteKind::Commit => {
                    let own = self.replication.own_chain();
                    self.conflict.on_certificate(from, &certificate, own, out);
                    let decided = certificate.clone();
                    self.replication.on_commit_certificate(decided, context, out);
                    self.tell_views(from, Message::Certificate(certificate), out);
                }
            },
            Message::Want(want) => {
                let Some(peer) = self.peers.get_mut(from.index()) else { return };
                peer.bodies = peer.bodies.saturating_add(want.blocks.len());
                if peer.bodies <= limits::WANT_MAX {
                    self.replication.on_want(from, &want, out);
                }
            }
            Message::Lacks(lacks) => self.replication.on_lacks(from, &lacks, context, out),
            Message::Body(block) => {
                let reports = self.reports_for_new_view();
                self.replication.on_body(block, &reports, &self.context);
            }
            Message::Fetch { from: first, count } => self.serve(from, first, count, out),
            Message::Blocks(blocks) => {
                self.look_for_conflict(from, &blocks, out);
                self.replication.mend(&blocks, out);
                let context = &self.context;
                if self.replication.on_blocks(from, blocks, context, out) {
                    let heads = self.peer_heads();
                    self.replication.fetch(&heads, &self.context, out);
                }
            }
            Message::StateCertificates(certificates) => {
                for certificate in certificates {
                    self.attestations.on_certificate(&certificate, context, out);
                }
            }
            // Between the ledgers of two replicas, and `StateSync`; nothing here follows from them.
            Message::SnapshotOffer(_)
            | Message::SnapshotWant { .. }
            | Message::SnapshotChunk { .. } => {}
            Message::Attestation(attestation) => {
                self.attestations.on_attestation(attestation, context, out);
            }
            Message::Transactions(transactions) => {
                // Sorted by client at the door. What is executed must not wait: a primary would
                // propose it, and its block be refused.
                let executed = |client: &PublicKey| {
                    let found = nonces.binary_search_by_key(client, |(client, _)| *client);
                    found.ok().and_then(|index| nonces.get(index)).map(|(_, nonce)| *nonce)
                };
                for transaction in transactions {
                    let last = executed(&transaction.client);
                    if daruma_types::supersedes(transaction.nonce, last) {
                        // A refusal is answered to clients only; the peer keeps what it sent.
                        let _refused = self.pool_in(transaction, from);
                    }
                }
            }
        }
    }

    fn token(&mut self, from: ReplicaId, out: &mut Outbox) {
        let Some(view) = self.views.watched() else {
            self.monitor.rest();
            return;
        };
        let progress = Progress {
            settled: self.pool.settled(),
            waiting: self.pool.len() > 0,
            active: self.views.serving().is_some()
                && self.replication.is_active()
                && !self.views.leaves_out_many(&self.context),
            longest_wait_blocks: self.pool.longest_wait_blocks(self.replication.executed().height),
        };
        let primary = self.context.thresholds().primary(view.0);
        let (own, limits) = (self.context.own, &self.context.local);
        self.monitor.on_token(from, own, primary, progress, limits, out);
    }

    fn tell_views(&mut self, from: ReplicaId, message: Message, out: &mut Outbox) {
        self.views.on_message(from, message, &self.replication, &self.context, out);
    }

    /// A new-view shows that its ballot was entered.
    fn new_view(&mut self, from: ReplicaId, new_view: NewView, out: &mut Outbox) {
        self.views.on_new_view(&new_view, &self.replication, &self.context, out);
        self.enter_views(out);
        self.replication.on_new_view(from, new_view, &self.context, out);
    }

    fn read_summary(&mut self, from: ReplicaId, summary: Summary, out: &mut Outbox) {
        // One answer a tick: a peer that repeats itself must not cost more than its share.
        if let Some(peer) = self.peers.get_mut(from.index()) {
            if peer.helped {
                peer.summary = Some(summary);
                return;
            }
            peer.helped = true;
        }
        let context = &self.context;
        let before = self.peers.get(from.index()).and_then(|peer| peer.summary.as_ref());
        let still = before
            .is_some_and(|before| before.head == summary.head && before.ballot == summary.ballot);
        let unattested = before.is_some_and(|before| before.attested == summary.attested);
        self.views.help(from, &summary, &self.replication, context, out);
        self.replication.help(from, &summary, still, context, out);
        self.attestations.help(from, &summary, unattested, context, out);
        let waits = still && !summary.active && before.is_some_and(|before| !before.active);
        self.heed_waiting(waits.then_some(summary.ballot));
        if let Some(peer) = self.peers.get_mut(from.index()) {
            peer.summary = Some(summary);
        }
    }

    fn serve(&mut self, to: ReplicaId, from: Height, count: u32, out: &mut Outbox) {
        let Some(peer) = self.peers.get_mut(to.index()) else { return };
        peer.served = peer.served.saturating_add(count.max(1));
        if peer.served <= SERVED_PER_TICK && from <= self.replication.executed().height {
            out.push(Effect::ServeBlocks { to, from, count });
        } else {
            // So that it asks again soon, or another, instead of waiting for this answer.
            out.send(to, Message::Blocks(Vec::new()));
        }
    }

    /// Takes a transaction into the pool unless its nonce was executed since it was checked.
    fn pool_in(&mut self, transaction: Transaction, from: ReplicaId) -> Result<(), PoolRefusal> {
        let last = self.replication.last_nonce_executed(&transaction.client);
        match last.filter(|_| !daruma_types::supersedes(transaction.nonce, last)) {
            Some(last) => Err(PoolRefusal::Superseded { last }),
            None => {
                let executed = self.replication.executed().height;
                self.pool.insert(transaction, from, executed, &self.context)
            }
        }
    }

    fn submit(&mut self, transactions: Vec<Transaction>, out: &mut Outbox) {
        let mut outcomes = Vec::with_capacity(transactions.len());
        let mut taken = Vec::new();
        for transaction in transactions {
            let outcome = self.pool_in(transaction.clone(), self.context.own);
            if outcome.is_ok() {
                taken.push(transaction);
            }
            outcomes.push(outcome);
        }
        out.push(Effect::Pooled(outcomes));
        self.hand_to_primary(taken, out);
    }

    /// Sends transactions to the primary, in messages within their bounds.
    fn hand_to_primary(&self, transactions: Vec<Transaction>, out: &mut Outbox) {
        let primary = self.context.thresholds().primary(self.replication.ballot().0);
        if primary == self.context.own || !self.replication.is_active() {
            return;
        }
        let (mut batch, mut bytes) = (Vec::new(), 0_usize);
        for transaction in transactions {
            let size = transaction.encoded_bytes();
            let full = batch.len() >= limits::SPREAD_TRANSACTIONS_MAX
                || bytes.saturating_add(size) > limits::SPREAD_BYTES_MAX;
            if full {
                out.send(primary, Message::Transactions(core::mem::take(&mut batch)));
                bytes = 0;
            }
            bytes = bytes.saturating_add(size);
            batch.push(transaction);
        }
        if !batch.is_empty() {
            out.send(primary, Message::Transactions(batch));
        }
    }

    /// Lets the modules react to one another until nothing moves.
    fn settle(&mut self, out: &mut Outbox) {
        loop {
            self.enter_views(out);
            self.decide_on_change(out);
            if self.entered != self.established() {
                continue;
            }
            if self.views.serving().is_some() {
                self.replication.retry_new_view(&self.context, out);
                let reports = self.reports_for_new_view();
                self.replication.make_new_view(reports, &self.context, out);
            }
            // No vote is cast in a ballot that is not the view's: what memory says of it is about to be
            // repaired.
            if self.replication.ballot() != self.views.ballot() {
                break;
            }
            self.replication.advance(&self.context, out);
            if self.views.serving().is_some() {
                self.replication.propose(&mut self.pool, self.now_ms, &self.context, out);
            }
            self.views.on_head(&self.replication, &self.context, out);
            if self.entered == self.established() {
                break;
            }
        }
        self.hand_over(out);
        let (view, phase) = self.views.current();
        let ballot = self.replication.ballot();
        if self.told != (view, phase, ballot, self.replication.is_active()) {
            self.summarise(out);
        }
    }

    /// Once a ballot is active, its primary is given what clients gave to this replica.
    fn hand_over(&mut self, out: &mut Outbox) {
        let ballot = self.replication.ballot();
        if self.replication.is_active() && self.handed_over != Some(ballot) {
            self.handed_over = Some(ballot);
            let own = self.pool.own(self.context.own, SPREAD_AT_ONCE);
            self.hand_to_primary(own, out);
        }
    }

    /// The reports a new primary works from; none for the others.
    fn reports_for_new_view(&self) -> Vec<daruma_types::Report> {
        let primary = self.context.thresholds().primary(self.replication.ballot().0);
        if primary == self.context.own && !self.replication.is_active() {
            self.views.reports()
        } else {
            Vec::new()
        }
    }
}
