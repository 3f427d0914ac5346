//! The normal case: propose, accept, prepare, commit (DESIGN 4.2).

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use daruma_types::{
    Ballot, Block, Certificate, CertifiedBlock, Hash, Height, Message, PrePrepare, Promise,
    PublicKey, ReplicaId, Vote, VoteKind, limits, supersedes,
};

use super::slot::{Candidate, Held};
use super::{EARLY_VOTES_MAX, Replication, Tip};
use crate::config::Context;
use crate::outbox::Outbox;
use crate::pool::Pool;
use crate::{Destination, Disbelief, Effect, Observation};

impl Replication {
    /// As primary, proposes a block of what waits, if it is time to.
    pub(crate) fn propose(
        &mut self,
        pool: &mut Pool,
        now_ms: u64,
        context: &Context,
        out: &mut Outbox,
    ) {
        while self.may_propose(pool, context) {
            let transactions = pool.pick(|client| self.last_nonce(client), &context.chain);
            if transactions.is_empty() {
                return;
            }
            let block = Arc::new(Block::build(
                context.committee.chain(),
                self.tip.height.next(),
                self.tip.hash,
                context.own,
                now_ms.max(self.tip.timestamp_ms),
                transactions,
            ));
            let before = self.tip.height;
            self.accept(block, context, out);
            self.advance(context, out);
            if self.tip.height == before {
                return;
            }
        }
    }

    /// Whether a proposal would be accepted and is worth its votes: while few blocks are on their
    /// way any, beyond that only a full one, so that blocks grow with the load.
    fn may_propose(&self, pool: &Pool, context: &Context) -> bool {
        let next = self.tip.height.next();
        let on_their_way = self.tip.height.0.saturating_sub(self.executed.height.0);
        let (flying, flying_bytes) = self.flying();
        self.serving
            && self.active
            && self.is_primary(context)
            && self.taken_over.is_empty()
            && self.in_window(next, context)
            && self.slots.get(&next).is_none_or(|slot| slot.accepted.is_none())
            && pool.len() > flying
            && (on_their_way < context.local.eager_proposals as u64
                || pool.fills_a_block(flying, flying_bytes, &context.chain))
    }

    /// Transactions, and their bytes, in accepted and decided blocks that are not executed yet.
    fn flying(&self) -> (usize, usize) {
        let accepted = self.slots.values().filter_map(|slot| self.bodies.get(&slot.accepted?));
        let decided = self.decided.values().map(|decided| &decided.block);
        accepted.chain(decided).fold((0, 0), |(count, bytes), block| {
            let header = &block.header;
            (
                count.saturating_add(header.count as usize),
                bytes.saturating_add(header.bytes as usize),
            )
        })
    }

    /// A proposal of the ballot's primary, from it or passed on by another.
    pub(crate) fn on_pre_prepare(
        &mut self,
        from: ReplicaId,
        pre_prepare: PrePrepare,
        nonces: Vec<(PublicKey, u64)>,
        context: &Context,
        out: &mut Outbox,
    ) {
        let PrePrepare { ballot, block, signature } = pre_prepare;
        if ballot != self.ballot {
            return;
        }
        let (height, hash) = (block.header.height, block.hash());
        let primary = context.thresholds().primary(ballot.0);
        let Some(slot) = self.slot(height, context) else {
            // One window ahead is normal for a replica that executes more slowly.
            if height > self.window_end(context).plus(limits::WINDOW_MAX as u64) {
                out.disbelieve(from, Disbelief::OutsideWindow);
            }
            return;
        };
        if !slot.record(VoteKind::Prepare, primary, Held { hash, signature }) {
            out.observe(Observation::Equivocation { replica: primary, ballot, height });
            out.disbelieve(from, Disbelief::SecondProposal);
        }
        // A proposal counts with the vote that bears it.
        let voted = slot.vote_of(VoteKind::Prepare, primary).is_some_and(|vote| vote.hash == hash);
        if voted && slot.candidate.is_none() && slot.accepted.is_none() {
            slot.candidate = Some(Candidate { hash, block, nonces, refused_above: None });
        }
    }

    /// A vote of the ballot, or of a later one, which is kept for then.
    pub(crate) fn on_vote(
        &mut self,
        from: ReplicaId,
        vote: Vote,
        context: &Context,
        out: &mut Outbox,
    ) {
        if vote.ballot > self.ballot {
            if let Some(early) = self.early.get_mut(from.index()) {
                if early.len() >= EARLY_VOTES_MAX {
                    early.pop_front();
                }
                early.push_back(vote);
            }
            return;
        }
        if vote.ballot < self.ballot {
            return;
        }
        let Vote { kind, ballot, height, hash, signature } = vote;
        let Some(slot) = self.slot(height, context) else { return };
        if !slot.record(kind, from, Held { hash, signature }) {
            out.observe(Observation::Equivocation { replica: from, ballot, height });
        }
    }

    /// Takes the votes that came before the ballot was entered.
    pub(crate) fn replay_early(&mut self, context: &Context, out: &mut Outbox) {
        let ballot = self.ballot;
        for index in 0..self.early.len() {
            let Some(early) = self.early.get_mut(index) else { continue };
            let votes = core::mem::take(early);
            for vote in votes.into_iter().filter(|vote| vote.ballot >= ballot) {
                self.on_vote(ReplicaId(index as u16), vote, context, out);
            }
        }
    }

    /// A prepared certificate for a block accepted in this ballot stands for its votes.
    pub(crate) fn on_prepared_certificate(&mut self, certificate: Certificate, context: &Context) {
        if certificate.ballot != self.ballot || certificate.kind != VoteKind::Prepare {
            return;
        }
        let Some(slot) = self.slot(certificate.height, context) else { return };
        if slot.accepted == Some(certificate.hash) && slot.prepared.is_none() {
            slot.prepared = Some(certificate);
        }
    }

    /// Whether new blocks are accepted: not once enough replicas demand another view (thesis
    /// algorithm 4). What was accepted goes on being prepared and committed.
    pub(crate) const fn serve(&mut self, serving: bool) {
        self.serving = serving;
    }

    /// Takes every step that the votes and proposals held allow.
    pub(crate) fn advance(&mut self, context: &Context, out: &mut Outbox) {
        loop {
            self.accept_taken_over(context, out);
            while self.extend_over_accepted() || self.accept_next(context, out) {}
            self.prepare(context, out);
            if !self.commit(context, out) {
                return;
            }
        }
    }

    /// What was voted for before (a restart, or a head that came another way) extends the tip, whether
    /// or not new blocks are accepted.
    fn extend_over_accepted(&mut self) -> bool {
        let Tip { height, hash: parent, .. } = self.tip;
        let next = height.next();
        let Some(hash) = self.slots.get(&next).and_then(|slot| slot.accepted) else { return false };
        // The tip rises with every step, whatever memory holds under the hash: this ends.
        let extends = |header: &daruma_types::Header| {
            header.parent == parent && header.height == next && header.height > height
        };
        let Some(block) = self.bodies.get(&hash).filter(|b| extends(&b.header)).cloned() else {
            return false;
        };
        self.extend_tip(hash, &block);
        true
    }

    /// Accepts the candidate above the tip, if there is one and it is valid.
    fn accept_next(&mut self, context: &Context, out: &mut Outbox) -> bool {
        if !self.serving || !self.active || !self.taken_over.is_empty() {
            return false;
        }
        let next = self.tip.height.next();
        let tip = self.tip;
        let Some(slot) = self.slots.get(&next).filter(|slot| slot.accepted.is_none()) else {
            return false;
        };
        let Some(candidate) = slot.candidate.clone() else { return false };
        // A vote above, whose chain down to here was lost with the disk, came first (R2).
        let voted_above = self.slots.range(next.next()..).any(|(_, slot)| slot.accepted.is_some());
        if candidate.refused_above == Some(tip.hash) || voted_above {
            return false;
        }
        match self.check_candidate(&candidate) {
            Ok(()) if self.in_window(next, context) => {
                self.accept(candidate.block, context, out);
                self.tip.height == next
            }
            Ok(()) => false,
            Err(reason) => {
                let primary = context.thresholds().primary(self.ballot.0);
                out.disbelieve(primary, reason);
                let slot = self.slots.get_mut(&next).and_then(|slot| slot.candidate.as_mut());
                if let Some(candidate) = slot {
                    candidate.refused_above = Some(tip.hash);
                }
                false
            }
        }
    }

    fn check_candidate(&self, candidate: &Candidate) -> Result<(), Disbelief> {
        let Candidate { block, nonces, .. } = candidate;
        if block.transactions.is_empty() {
            return Err(Disbelief::EmptyBlock);
        }
        if block.header.parent != self.tip.hash {
            return Err(Disbelief::WrongParent);
        }
        if block.header.timestamp_ms < self.tip.timestamp_ms {
            return Err(Disbelief::TimeRunsBackwards);
        }
        let mut last: BTreeMap<PublicKey, u64> = nonces.iter().copied().collect();
        for transaction in &block.transactions {
            let known = last.get(&transaction.client).copied();
            let known = known.max(self.last_nonce(&transaction.client));
            if !supersedes(transaction.nonce, known) {
                return Err(Disbelief::StaleNonce);
            }
            last.insert(transaction.client, transaction.nonce);
        }
        Ok(())
    }

    /// Accepts `block` above the tip: promises its prepare, then says so. The primary says it with
    /// the proposal itself.
    fn accept(&mut self, block: Arc<Block>, context: &Context, out: &mut Outbox) {
        let (height, hash, ballot) = (block.header.height, block.hash(), self.ballot);
        let vote = self.sign(VoteKind::Prepare, height, hash, context);
        let own = context.own;
        if self
            .promised
            .get(&height)
            .is_some_and(|(voted, other)| *voted == ballot && *other != hash)
        {
            // Voted otherwise in an earlier life, and the block of that vote is lost.
            return;
        }
        let Some(slot) = self.slot(height, context) else { return };
        if slot.accepted.is_some() {
            return;
        }
        slot.accepted = Some(hash);
        slot.candidate = None;
        slot.record(VoteKind::Prepare, own, Held { hash, signature: vote.signature });
        self.promised.insert(height, (ballot, hash));
        let message = if self.is_primary(context) && block.header.proposer == own {
            let signature = vote.signature;
            Message::PrePrepare(PrePrepare { ballot, block: block.clone(), signature })
        } else {
            Message::Vote(vote)
        };
        let promise = Promise::Prepare { ballot, height, hash, block: block.clone() };
        out.promise_then_broadcast(promise, message);
        self.extend_tip(hash, &block);
    }

    /// Accepts, all at once, the chain that the new-view took over, and prepares its tip only (R2).
    fn accept_taken_over(&mut self, context: &Context, out: &mut Outbox) {
        if self.taken_over.is_empty() {
            return;
        }
        // Blocks of it may have been committed meanwhile, also while nothing is accepted.
        self.taken_over = self.expected_to_take_over();
        if !self.serving || !self.active || self.taken_over.is_empty() {
            return;
        }
        let missing = |header: &daruma_types::Header| !self.bodies.contains_key(&header.hash());
        let follows = self.taken_over.first().is_none_or(|first| first.parent == self.head.hash);
        let fits = self.taken_over.last().is_none_or(|last| self.in_window(last.height, context));
        if !follows || !fits || self.taken_over.iter().any(missing) {
            return;
        }
        // Kept until all are accepted: while they are listed, their bodies are.
        let headers = self.taken_over.clone();
        let Some(anchor) = headers.last().map(|header| header.height) else { return };
        for header in headers {
            let (height, hash) = (header.height, header.hash());
            let Some(block) = self.bodies.get(&hash).cloned() else { return };
            if height == anchor {
                self.accept(block, context, out);
            } else {
                let Some(slot) = self.slot(height, context) else { return };
                slot.accepted = Some(hash);
                slot.candidate = None;
                out.promise(Promise::Body { block: block.clone() });
                self.extend_tip(hash, &block);
            }
        }
        self.taken_over.clear();
    }

    fn extend_tip(&mut self, hash: Hash, block: &Arc<Block>) {
        self.note_in_flight(block);
        self.keep_body(hash, block.clone());
        let header = &block.header;
        self.tip = Tip { height: header.height, hash, timestamp_ms: header.timestamp_ms };
    }

    /// Forms prepared certificates, and commits what they allow (R3, R4).
    fn prepare(&mut self, context: &Context, out: &mut Outbox) {
        let quorum = context.thresholds().quorum();
        let (ballot, tip) = (self.ballot, self.tip.height);
        let mut highest = None;
        for (height, slot) in self.slots.range_mut(..=tip) {
            let Some(hash) = slot.accepted else { continue };
            if slot.prepared.is_none() {
                slot.prepared = slot.certificate(VoteKind::Prepare, ballot, *height, hash, quorum);
            }
            if slot.prepared.is_some() {
                highest = Some(*height);
            }
        }
        let Some(height) = highest else { return };
        let commits = self.cast_commits(height, context);
        let held = self.prepared.as_ref().map(Certificate::rank);
        let higher = self
            .slots
            .get(&height)
            .and_then(|slot| slot.prepared.as_ref())
            .filter(|certificate| held.is_none_or(|held| held < certificate.rank()));
        if let Some(certificate) = higher.cloned() {
            self.prepared = Some(certificate.clone());
            let promise = Promise::Prepared { certificate };
            out.push(Effect::Promise { promise, then: commits });
        } else {
            for (to, message) in commits {
                out.push(Effect::Send { to, message });
            }
        }
    }

    /// Commit votes for every accepted height up to `up_to` that has none of this replica's yet.
    fn cast_commits(&mut self, up_to: Height, context: &Context) -> Vec<(Destination, Message)> {
        let mut heights = Vec::new();
        for (height, slot) in self.slots.range(..=up_to) {
            if slot.vote_of(VoteKind::Commit, context.own).is_none()
                && let Some(hash) = slot.accepted
            {
                heights.push((*height, hash));
            }
        }
        let mut commits = Vec::new();
        for (height, hash) in heights {
            let vote = self.sign(VoteKind::Commit, height, hash, context);
            if let Some(slot) = self.slots.get_mut(&height) {
                let held = Held { hash, signature: vote.signature };
                slot.record(VoteKind::Commit, context.own, held);
            }
            commits.push((Destination::All, Message::Vote(vote)));
        }
        commits
    }

    /// Commits the block above the head, if a quorum did and its body is held.
    fn commit(&mut self, context: &Context, out: &mut Outbox) -> bool {
        let next = self.head.height.next();
        let quorum = context.thresholds().quorum();
        let Some(certificate) =
            self.slots.get(&next).and_then(|slot| slot.committed(self.ballot, next, quorum))
        else {
            return false;
        };
        let candidate = self.slots.get(&next).and_then(|slot| slot.candidate.as_ref());
        let block = self.bodies.get(&certificate.hash).or_else(|| {
            candidate.filter(|c| c.hash == certificate.hash).map(|candidate| &candidate.block)
        });
        let Some(block) = block.cloned() else { return false };
        // A certificate made of what memory held is checked before the ledger acts on it: there is no
        // way back from there.
        let certified = CertifiedBlock { block, certificate };
        if !super::soundness::is_sound(&certified, context) {
            self.repair_next(context, out);
            return false;
        }
        let CertifiedBlock { block, certificate } = certified;
        self.decide(certificate, block, context, out)
    }

    fn sign(&self, kind: VoteKind, height: Height, hash: Hash, context: &Context) -> Vote {
        let chain = context.committee.chain();
        Vote::sign(kind, chain, self.ballot, height, hash, context.signer.as_ref())
    }

    /// Votes of this replica that a journal brought back: signed again, equal to those sent.
    pub(crate) fn restore_votes(
        &mut self,
        votes: &[(Ballot, Height, Hash)],
        blocks: Vec<Arc<Block>>,
        prepared: Option<Certificate>,
        context: &Context,
    ) {
        let head = self.head.height;
        self.promised =
            votes.iter().map(|(ballot, height, hash)| (*height, (*ballot, *hash))).collect();
        // From above: where not all find room, those below the last vote do.
        for block in blocks.into_iter().rev().filter(|block| block.header.height > head) {
            self.keep_body(block.hash(), block);
        }
        self.prepared = prepared.filter(|certificate| {
            certificate.height > self.head.height
                && certificate.ballot <= self.ballot
                && certificate.kind == VoteKind::Prepare
                && certificate.verify(&context.committee, context.verifier.as_ref()).is_ok()
        });
        for (ballot, height, hash) in votes.iter().copied() {
            if ballot != self.ballot || !self.bodies.contains_key(&hash) {
                continue;
            }
            let vote = self.sign(VoteKind::Prepare, height, hash, context);
            let Some(slot) = self.slot(height, context) else { continue };
            slot.accepted = Some(hash);
            slot.record(VoteKind::Prepare, context.own, Held { hash, signature: vote.signature });
            // It voted in this ballot, so the ballot was active.
            self.active = true;
        }
        self.restore_taken_over(context);
        if let Some(certificate) = self.prepared.clone() {
            self.on_prepared_certificate(certificate, context);
        }
    }

    /// The blocks below the lowest vote were taken over: accepted without a vote of this ballot.
    fn restore_taken_over(&mut self, context: &Context) {
        let lowest = self.slots.values().find_map(|slot| slot.accepted);
        let chain = self.chain_below(lowest);
        for hash in chain {
            let Some(height) = self.bodies.get(&hash).map(|block| block.header.height) else {
                return;
            };
            if let Some(slot) = self.slot(height, context) {
                slot.accepted = Some(hash);
            }
        }
    }
}
