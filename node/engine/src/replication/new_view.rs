//! After a view change: where the chain continues (thesis 2.6.2, lines 9-14; DESIGN 4.2).

use alloc::sync::Arc;
use alloc::vec::Vec;

use daruma_types::{
    Ballot, Block, Certificate, Hash, HeadClaim, Header, Height, Message, NewView, ReplicaId,
    Report, Want, limits,
};

use super::Replication;
use crate::config::Context;
use crate::outbox::Outbox;
use crate::{Disbelief, Observation};

/// How often every peer is asked in vain for the blocks that reports refer to, before the new-view is made
/// without those reports: once may be lost, or be asked of a peer that has them a moment later.
const ASKED_IN_VAIN: u32 = 2;

/// A primary's wait for the blocks that reports refer to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Starving {
    /// The ticks for which nothing came,
    pub(super) ticks: u32,
    /// since the head was here,
    pub(super) head: Height,
    /// and so many bodies were held.
    pub(super) bodies: usize,
}

/// What `n-f` reports say about where to go on: the highest certified head, and the prepared
/// certificate to take over, if one outranks it.
pub(super) struct Selection<'a> {
    pub(super) base: &'a HeadClaim,
    pub(super) tip: Option<&'a Certificate>,
}

/// Works out base and tip. Every replica does so for itself, from the same reports.
pub(super) fn select(reports: &[Report]) -> Option<Selection<'_>> {
    let base = reports.iter().map(|r| &r.head).max_by_key(|h| (h.height, h.ballot()))?;
    let tip = reports
        .iter()
        .filter_map(|report| report.prepared.as_ref())
        .max_by_key(|certificate| (certificate.rank(), certificate.hash))
        .filter(|certificate| {
            certificate.height > base.height && certificate.rank() > (base.ballot(), base.height)
        });
    Some(Selection { base, tip })
}

/// Whether `headers` are a chain from above `selection`'s base up to its tip, no more and no less.
pub(super) fn supported(selection: &Selection<'_>, headers: &[Header]) -> bool {
    let mut parent = selection.base.hash;
    let mut height = selection.base.height;
    for header in headers {
        height = height.next();
        if header.height != height || header.parent != parent {
            return false;
        }
        parent = header.hash();
    }
    match selection.tip {
        Some(tip) => tip.height == height && tip.hash == parent && !headers.is_empty(),
        None => headers.is_empty(),
    }
}

impl Replication {
    /// As the primary of an entered view, makes the ballot active from `n-f` reports, once all that
    /// they refer to is held. Any `n-f` will do (see the top of `replication/mod.rs`): reports that refer to
    /// blocks which nobody gives are left out in time, if so many are left. Such blocks are lost with the
    /// disks of more than `f`, or kept back by a Byzantine replica that alone has them still.
    pub(crate) fn make_new_view(
        &mut self,
        mut reports: Vec<Report>,
        context: &Context,
        out: &mut Outbox,
    ) {
        let ours = self.is_primary(context) && !self.active && self.waiting_new_view.is_none();
        // Its own counts, whether it was made before or not.
        reports.retain(|report| report.replica != context.own);
        if !ours || reports.len().saturating_add(1) < context.thresholds().strong() {
            return;
        }
        // Its own report is made anew: it may have caught up since, and bodies below its head are
        // gone from memory.
        let own = Report::sign(
            context.committee.chain(),
            context.own,
            self.ballot,
            self.head.clone(),
            self.prepared.clone().filter(|prepared| prepared.ballot < self.ballot),
            context.signer.as_ref(),
        );
        reports.push(own);
        reports.sort_by_key(|report| report.replica);
        let Some((reports, headers)) = self.attainable(reports, context) else { return };
        let new_view = NewView::sign(
            context.committee.chain(),
            self.ballot,
            reports,
            headers,
            context.signer.as_ref(),
        );
        out.broadcast(Message::NewView(new_view.clone()));
        self.adopt_new_view(context.own, new_view, context, out);
    }

    /// The reports to make the new-view of, with its headers; none while that takes blocks that may come.
    fn attainable(
        &self,
        mut reports: Vec<Report>,
        context: &Context,
    ) -> Option<(Vec<Report>, Vec<Header>)> {
        let thresholds = context.thresholds();
        let patience = ASKED_IN_VAIN.saturating_mul(thresholds.replicas() as u32);
        loop {
            let selection = select(&reports)?;
            let ahead = selection.base.height > self.head.height;
            if !ahead && let Some(headers) = self.headers_down(selection.tip, selection.base) {
                return Some((reports, headers));
            }
            let tip = selection.tip.map(|tip| tip.hash);
            let before = reports.len();
            reports.retain(|report| match ahead {
                true => report.head.height <= self.head.height,
                false => report.prepared.as_ref().map(|prepared| prepared.hash) != tip,
            });
            let own = reports.iter().any(|report| report.replica == context.own);
            let enough = own && reports.len() < before && reports.len() >= thresholds.strong();
            if !enough || self.starving.ticks < patience {
                return None;
            }
        }
    }

    /// Counts the ticks for which blocks that the new-view needs were asked for, and none came.
    fn starve(&mut self, reports: &[Report], context: &Context) {
        let waits = self.is_primary(context)
            && !self.active
            && reports.len() >= context.thresholds().strong();
        let (head, bodies) = (self.head.height, self.bodies.len());
        let came = (head, bodies) != (self.starving.head, self.starving.bodies);
        let ticks = if waits && !came { self.starving.ticks.saturating_add(1) } else { 0 };
        self.starving = Starving { ticks, head, bodies };
    }

    /// As the primary of a ballot that is active though its new-view is lost, with a memory or in a crash,
    /// waits for it again, or makes another: a peer that never had it has nothing else to wait for but the
    /// detector. As after any loss of it, whoever voted in the ballot stays bound by its votes.
    pub(crate) fn miss_new_view(&mut self, context: &Context) {
        let lost = self.active && self.ballot > Ballot(0) && self.new_view.is_none();
        if lost && self.is_primary(context) {
            self.active = false;
        }
    }

    /// Headers from above `base` up to `tip`; none while a body is missing.
    fn headers_down(&self, tip: Option<&Certificate>, base: &HeadClaim) -> Option<Vec<Header>> {
        let mut headers = Vec::new();
        let mut next = tip.map(|tip| tip.hash);
        while let Some(hash) = next {
            let block = self.bodies.get(&hash)?;
            headers.push(block.header.clone());
            if headers.len() > limits::WINDOW_MAX {
                return None;
            }
            next = (block.header.height > base.height.next()).then_some(block.header.parent);
        }
        headers.reverse();
        Some(headers)
    }

    /// A new-view of the current ballot, from its primary or passed on by another.
    pub(crate) fn on_new_view(
        &mut self,
        from: ReplicaId,
        new_view: NewView,
        context: &Context,
        out: &mut Outbox,
    ) {
        if new_view.ballot == self.ballot && !self.active {
            self.adopt_new_view(from, new_view, context, out);
        }
    }

    /// Adopts a waiting new-view once the head has reached its base.
    pub(crate) fn retry_new_view(&mut self, context: &Context, out: &mut Outbox) {
        // It was checked when it came; it is acted on only once, so it is checked again.
        let base = |new_view: &NewView| select(&new_view.reports).map(|s| s.base.height);
        if self.waiting_new_view.as_ref().and_then(base).is_some_and(|base| base > self.head.height)
        {
            return;
        }
        let sound = |new_view: &NewView| {
            new_view.verify(&context.committee, context.verifier.as_ref()).is_ok()
        };
        if let Some(new_view) = self.waiting_new_view.take().filter(sound) {
            let primary = context.thresholds().primary(self.ballot.0);
            self.adopt_new_view(primary, new_view, context, out);
        }
    }

    fn adopt_new_view(
        &mut self,
        from: ReplicaId,
        new_view: NewView,
        context: &Context,
        out: &mut Outbox,
    ) {
        let Some(selection) = select(&new_view.reports) else { return };
        if !supported(&selection, &new_view.headers) {
            out.disbelieve(from, Disbelief::NewViewNotSupported);
            return;
        }
        if selection.base.height > self.head.height {
            self.waiting_new_view = Some(new_view);
            return;
        }
        // A replica that voted in this ballot before it lost its new-view stays bound by its votes.
        let contradicts = new_view.headers.iter().any(|header| {
            let accepted = self.slots.get(&header.height).and_then(|slot| slot.accepted);
            accepted.is_some_and(|accepted| accepted != header.hash())
        });
        if contradicts {
            out.disbelieve(from, Disbelief::NewViewNotSupported);
            return;
        }
        self.active = true;
        self.waiting_new_view = None;
        let head = self.head.height;
        self.taken_over =
            new_view.headers.iter().filter(|header| header.height > head).cloned().collect();
        self.tip = self.head_tip();
        self.new_view = Some(new_view);
        out.observe(Observation::Activated { ballot: self.ballot });
        if let Some(want) = self.missing(&[], context) {
            out.broadcast(Message::Want(want));
        }
    }

    /// Blocks whose bodies are needed: of the chain taken over, of the chain to take over as a new
    /// primary, of the chain below the prepared certificate, and of a committed slot.
    fn missing_bodies(&self, reports: &[Report], context: &Context) -> Vec<(Height, Hash)> {
        let mut missing: Vec<(Height, Hash)> = self
            .taken_over
            .iter()
            .map(|header| (header.height, header.hash()))
            .filter(|(_, hash)| !self.bodies.contains_key(hash))
            .collect();
        if self.is_primary(context)
            && !self.active
            && let Some(tip) = select(reports).and_then(|selection| selection.tip)
        {
            missing.extend(self.gap_below(tip));
        }
        missing.extend(self.prepared.as_ref().and_then(|prepared| self.gap_below(prepared)));
        let next = self.head.height.next();
        let quorum = context.thresholds().quorum();
        if let Some(certificate) =
            self.slots.get(&next).and_then(|slot| slot.committed(self.ballot, next, quorum))
        {
            missing.push((next, certificate.hash));
        }
        missing.sort_unstable();
        missing.dedup();
        missing.truncate(limits::WANT_MAX);
        missing
    }

    fn missing(&self, reports: &[Report], context: &Context) -> Option<Want> {
        let blocks = self.missing_bodies(reports, context);
        (!blocks.is_empty()).then_some(Want { blocks })
    }

    /// Asks for bodies that are missing: all when the need arises, then one peer after the other.
    pub(crate) fn want_bodies(&mut self, reports: &[Report], context: &Context, out: &mut Outbox) {
        self.starve(reports, context);
        let Some(want) = self.missing(reports, context) else { return };
        self.want_turn = self.want_turn.wrapping_add(1);
        let replicas = context.thresholds().replicas();
        let peer = ReplicaId((self.want_turn % replicas) as u16);
        if peer != context.own {
            out.send(peer, Message::Want(want));
        }
    }

    /// A body that was wanted. Others are not kept.
    pub(crate) fn on_body(&mut self, block: Arc<Block>, reports: &[Report], context: &Context) {
        let hash = block.hash();
        let wanted = self.missing_bodies(reports, context);
        if wanted.contains(&(block.header.height, hash)) {
            self.keep_body(hash, block);
        }
    }

    /// Sends the bodies held of those that `peer` wants, and says which are not.
    pub(crate) fn on_want(&self, peer: ReplicaId, want: &Want, out: &mut Outbox) {
        let mut lacking = Vec::new();
        for (height, hash) in &want.blocks {
            let decided = self.decided.get(height).map(|decided| &decided.block);
            let candidate = self.slots.get(height).and_then(|slot| slot.candidate.as_ref());
            let body = self
                .bodies
                .get(hash)
                .or_else(|| decided.filter(|block| block.hash() == *hash))
                .or_else(|| candidate.filter(|c| c.hash == *hash).map(|c| &c.block));
            if let Some(block) = body {
                out.send(peer, Message::Body(block.clone()));
            } else {
                lacking.push((*height, *hash));
            }
        }
        if let Some(lacks) = self.lacks(lacking) {
            out.send(peer, Message::Lacks(lacks));
        }
    }

    /// The new-view of the ballot, if it is held.
    pub(crate) fn held_new_view(&self, ballot: Ballot) -> Option<&NewView> {
        self.new_view.as_ref().filter(|held| held.ballot == ballot)
    }
}

#[cfg(test)]
mod tests;
