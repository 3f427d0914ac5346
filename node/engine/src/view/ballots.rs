//! Ballots where they are not views: under the paper's view establishment views are `0..n-1` and come
//! again, while ballots only grow (DESIGN 4.2).
//!
//! # Rules
//!
//! B1. A replica's *floor* is the ballot it votes in; it votes in none below. The floor is durable
//!     before the report that states it leaves, and the journal refuses votes below it.
//! B2. A replica that serves view `v` takes the least ballot above its floor whose primary is `v`,
//!     unless its floor is a ballot of `v` already. It reports to `v` for *exactly* that ballot, and
//!     tells it in its summaries.
//! B3. The primary makes a new-view for its ballot from `n-f` reports for exactly that ballot. While it
//!     has none, it goes up to the highest ballot that another in its view tells; while it has one,
//!     only when `f+1` tell higher ones, or one has done so for long. It never makes a second new-view for a ballot: after a reset
//!     or a restart it takes a higher one.
//! B4. The others follow the primary of the view they serve up, and report anew. Nobody goes down, but
//!     for garbage: a floor more than [`BALLOT_LEAP`] above what `f+1` of at least `n-f` tell.
//! B5. Where `f+1` tell ballots of the primary above the one that it leads in, and it does not come up
//!     for them, its view makes no progress, whatever the others execute: they suspect it. A correct
//!     primary would have come up by B3. Without this, a faulty one that tells its ballot to some only
//!     leaves out more than `f` correct replicas: too few to have it replaced, and nothing is executed
//!     any more without the votes of faulty ones.
//! B6. The journal's floor is told with the ledger's head, and memory's follows it up. Otherwise a memory
//!     that forgot its floor is found out only when it serves a view and promises the ballot that it
//!     takes for the next, and the engine is made anew in the middle of an establishment, at the reset.
//!     Three of six that do so at different times hold one another up.
//!
//! # Why this is safe
//!
//! The argument of [`crate::replication`] needs this: if a block was committed in ballot `b`, every
//! new-view of a ballot `B > b` holds a report of a correct member of the quorum that committed it,
//! made after it prepared the block. A new-view holds `n-f` reports; one of them is of a correct
//! member. That report is for exactly `B`. By B1 the member casts no vote below `B` once it has made
//! it, so its votes in `b` came before, and the report shows the certificate on which it committed, or
//! one of a higher rank, or a head above it.
//!
//! Had the report been for a ballot below `B`, this would not follow: between the report and `B` the
//! member may have voted in a ballot in between, and the new-view would miss it. Hence *exactly*, and
//! hence the primary collects anew whenever it goes up. That views come again does no harm: nothing
//! here compares views, only ballots.
//!
//! A replica goes up to what its view's primary tells without further proof. That costs nothing but
//! numbers: votes need a new-view. Nobody is led further than [`BALLOT_LEAP`] above what `f+1` tell, so
//! the rule for garbage never lowers a floor that an execution made.

#[cfg(feature = "laboratory")]
#[path = "../laboratory/ballots.rs"]
mod laboratory;

use alloc::vec;
use alloc::vec::Vec;

use daruma_types::limits::{BALLOT_LEAP, BALLOT_MAX};
use daruma_types::{Ballot, Message, Promise, ReplicaId, Report, Summary, Thresholds};

use super::{Claims, Voting};
use crate::config::Context;
use crate::outbox::Outbox;
use crate::{Destination, Effect, Illegal};

/// Rounds of the detector for which a primary waits for reports before it goes up again. A report takes
/// a round trip and a disk's time, and a round is four round trips to the slowest of `n-2f`, and four
/// ticks at least. Otherwise one replica that tells ever higher ballots could keep it from ending.
const HOLD_ROUNDS: u32 = 4;

/// Rounds after which a primary that leads goes up for a single replica too, which could not take part
/// otherwise. One that lies can so cost a round trip in so long a time, and no more.
pub(crate) const LONE_ROUNDS: u32 = 24;

/// Rounds for which a primary may lead in a ballot that `f+1` have outgrown. It waits for [`HOLD_ROUNDS`]
/// before it comes up, and those who wait for it have by then told so as often.
const OUTGROWN_ROUNDS: u32 = 2 * HOLD_ROUNDS;

/// Ticks for which what a peer told counts: several summaries.
const FRESH_TICKS: u32 = 40;

/// What a peer told of its ballot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    ballot: Ballot,
    ticks: u32,
}

/// The ballot of a replica, and what it takes to make it active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ballots {
    floor: Ballot,
    /// Each replica's report of the highest ballot it reported for.
    reports: Vec<Option<Report>>,
    told: Vec<Option<Told>>,
    /// Rounds of the detector since the ballot last changed.
    held: u32,
    /// As primary, the next ballot must be a new one.
    renew: bool,
    /// In any case, the next ballot must be a new one: replication contradicted itself in this one.
    flushed: bool,
}

impl Ballots {
    /// Goes on from the journal's floor. What was reported before is gone with the memory: as primary
    /// it begins a new ballot.
    pub(super) fn restore(floor: Ballot, replicas: usize) -> Self {
        Self {
            floor,
            reports: vec![None; replicas],
            told: vec![None; replicas],
            held: 0,
            renew: true,
            flushed: false,
        }
    }

    pub(super) const fn floor(&self) -> Ballot {
        self.floor
    }

    /// Reports for exactly this replica's ballot; none if it must not lead another new-view there.
    pub(super) fn reports(&self) -> Vec<Report> {
        if self.renew {
            return Vec::new();
        }
        let reports = self.reports.iter().flatten();
        reports.filter(|report| report.ballot == self.floor).cloned().collect()
    }

    /// All was reset: a primary needs a new ballot, and with `flushed` any replica.
    pub(super) const fn reset(&mut self, flushed: bool) {
        self.renew = true;
        self.flushed |= flushed;
    }

    /// Once a tick: takes the ballot that the served view asks for (B2 to B4). `round_ended` says that a
    /// round of the detector did.
    pub(super) fn tick(
        &mut self,
        serving: Option<u16>,
        round_ended: bool,
        voting: &dyn Voting,
        context: &Context,
        out: &mut Outbox,
    ) {
        self.held = self.held.saturating_add(u32::from(round_ended));
        for told in self.told.iter_mut().flatten() {
            told.ticks = told.ticks.saturating_add(1);
        }
        let Some(primary) = serving.map(ReplicaId) else { return };
        let thresholds = context.thresholds();
        let leads = primary == context.own;
        let of_view = self.floor > Ballot(0) && thresholds.primary(self.floor.0) == primary;
        let mut target = self.floor;
        if !of_view || self.flushed || (self.renew && leads) {
            target = self.above(thresholds, primary);
        }
        (self.renew, self.flushed) = (false, false);
        let called =
            if leads { self.call(of_view, voting, thresholds) } else { self.told_by(primary) };
        let called = called.filter(|ballot| {
            thresholds.primary(ballot.0) == primary && ballot.0 <= self.reach(thresholds)
        });
        target = called.map_or(target, |called| called.max(target));
        if target > self.floor {
            self.take(target, primary, voting.claims(), context, out);
        }
    }

    /// The least ballot of `primary` above the floor.
    fn above(&self, thresholds: Thresholds, primary: ReplicaId) -> Ballot {
        thresholds.least_ballot(self.floor.next().0, primary).map_or(self.floor, Ballot)
    }

    /// The ballot that this replica, as primary, should go up to, if any (B3).
    fn call(&self, of_view: bool, voting: &dyn Voting, thresholds: Thresholds) -> Option<Ballot> {
        let reach = self.reach(thresholds);
        let own = thresholds.primary(self.floor.0);
        let mut calls: Vec<Ballot> = self.told.iter().flatten().map(|told| told.ballot).collect();
        calls.retain(|ballot| {
            let leads = !of_view || thresholds.primary(ballot.0) == own;
            *ballot > self.floor && ballot.0 <= reach && leads
        });
        calls.sort_unstable();
        if of_view && self.held < HOLD_ROUNDS {
            return None;
        }
        if voting.is_active() {
            let needed = if self.held < LONE_ROUNDS { thresholds.weak() } else { 1 };
            // To the highest of them: below it, one that lies could lead it up in small steps for ever, and one
            // that truly waits would go on waiting.
            return calls.last().copied().filter(|_| calls.len() >= needed);
        }
        let short = self.reports().len() < thresholds.strong();
        let higher = || short.then(|| self.above(thresholds, own)).filter(|_| of_view);
        calls.last().copied().or_else(higher)
    }

    /// Whether `f+1` wait for the primary of this ballot in higher ones, and have for long (B5).
    pub(super) fn is_outgrown(&self, thresholds: Thresholds) -> bool {
        let (reach, primary) = (self.reach(thresholds), thresholds.primary(self.floor.0));
        let higher = self.told.iter().flatten().filter(|Told { ballot, .. }| {
            let called = *ballot > self.floor && ballot.0 <= reach;
            called && thresholds.primary(ballot.0) == primary
        });
        self.held >= OUTGROWN_ROUNDS && higher.count() >= thresholds.weak()
    }

    /// The floor that the journal holds (B6). Who leads needs a new ballot: what was reported for this one is
    /// forgotten as well.
    pub(super) fn on_journal(&mut self, recorded: Ballot, thresholds: Thresholds) -> bool {
        // The rule for garbage lowers the journal's floor too, and this may have been read before it did.
        let forgotten = recorded > self.floor && recorded.0 <= self.reach(thresholds);
        if forgotten {
            (self.floor, self.held, self.renew) = (recorded, 0, true);
        }
        forgotten
    }

    fn told_by(&self, replica: ReplicaId) -> Option<Ballot> {
        self.told.get(replica.index()).copied().flatten().map(|told| told.ballot)
    }

    /// How far up others may lead this replica: at least one correct one is there, or near.
    fn reach(&self, thresholds: Thresholds) -> u64 {
        let mut told: Vec<Ballot> = self.told.iter().flatten().map(|told| told.ballot).collect();
        told.sort_unstable_by(|a, b| b.cmp(a));
        let known = told.get(thresholds.faulty_max()).copied().unwrap_or_default();
        known.max(self.floor).0.saturating_add(BALLOT_LEAP).min(BALLOT_MAX)
    }

    /// Takes `ballot`: makes it durable, then reports for it.
    fn take(
        &mut self,
        ballot: Ballot,
        primary: ReplicaId,
        claims: Claims,
        context: &Context,
        out: &mut Outbox,
    ) {
        (self.floor, self.held) = (ballot, 0);
        let Claims { head, prepared } = claims;
        let report = Report::sign(
            context.committee.chain(),
            context.own,
            ballot,
            head,
            prepared.filter(|prepared| prepared.ballot < ballot),
            context.signer.as_ref(),
        );
        let mut then = Vec::new();
        if primary != context.own {
            then.push((Destination::One(primary), Message::Report(report.clone())));
        }
        if let Some(place) = self.reports.get_mut(context.own.index()) {
            *place = Some(report);
        }
        out.push(Effect::Promise { promise: Promise::Floor { ballot }, then });
    }

    /// A peer's report. What it reports for is also what it tells. One for this replica's ballot takes the
    /// place of any other: memory may hold one of a ballot that never was.
    pub(super) fn on_report(&mut self, from: ReplicaId, report: Report) {
        self.tell(from, report.ballot);
        let floor = self.floor;
        let later = |held: &Report| {
            held.ballot < report.ballot || (report.ballot == floor && held.ballot != floor)
        };
        if let Some(place) = self.reports.get_mut(from.index())
            && place.as_ref().is_none_or(later)
        {
            *place = Some(report);
        }
    }

    /// A peer told its ballot. The latest counts, be it lower: memory may hold any, and one that came
    /// late is soon followed by the next.
    fn tell(&mut self, from: ReplicaId, ballot: Ballot) {
        if let Some(told) = self.told.get_mut(from.index())
            && ballot.0 <= BALLOT_MAX
        {
            *told = Some(Told { ballot, ticks: 0 });
        }
    }

    /// Reads a peer's summary; a primary that waits for this replica's report is sent it again, the one
    /// that was made before any vote of the ballot.
    pub(super) fn on_summary(
        &mut self,
        peer: ReplicaId,
        summary: &Summary,
        context: &Context,
        out: &mut Outbox,
    ) {
        self.tell(peer, summary.ballot);
        let leads = context.thresholds().primary(self.floor.0) == peer;
        let waits = !summary.active && !summary.reports.contains(context.own);
        if leads
            && waits
            && summary.ballot == self.floor
            && let Some(Some(report)) = self.reports.get(context.own.index())
            && report.ballot == self.floor
        {
            out.send(peer, Message::Report(report.clone()));
        }
    }

    /// A new-view of the served view's primary: `n-f` replicas are in its ballot.
    pub(super) fn on_new_view(
        &mut self,
        ballot: Ballot,
        serving: Option<u16>,
        context: &Context,
        out: &mut Outbox,
    ) {
        let thresholds = context.thresholds();
        let primary = thresholds.primary(ballot.0);
        let follows = serving.map(ReplicaId) == Some(primary) && primary != context.own;
        if follows && ballot > self.floor && ballot.0 <= BALLOT_MAX {
            (self.floor, self.held) = (ballot, 0);
            out.promise(Promise::Floor { ballot });
        }
    }

    /// Sets the floor, without a promise: a transient fault.
    #[cfg(feature = "laboratory")]
    pub(super) const fn set_floor(&mut self, floor: Ballot) {
        self.floor = floor;
    }

    /// Forgets what nobody stands behind: what was told long ago, and what this replica told itself. Of
    /// such the next summary takes the place of nothing, and with it one liar is `f+1`.
    fn forget_told(&mut self, own: ReplicaId) {
        for (index, place) in self.told.iter_mut().enumerate() {
            let stale = place.is_some_and(|told| told.ticks > FRESH_TICKS);
            if stale || index == own.index() {
                *place = None;
            }
        }
    }

    /// Drops reports that are not what they say.
    fn drop_invalid(&mut self, context: &Context, out: &mut Outbox) {
        let (committee, verifier) = (&context.committee, context.verifier.as_ref());
        let mut dropped = false;
        for (index, place) in self.reports.iter_mut().enumerate() {
            let sound = |report: &Report| {
                report.replica.index() == index && report.verify(committee, verifier).is_ok()
            };
            if place.as_ref().is_some_and(|report| !sound(report)) {
                *place = None;
                dropped = true;
            }
        }
        if dropped {
            out.repaired(Illegal::OutOfBounds("reports"));
        }
    }

    /// The stale-information rule for ballots (B4); `full` checks signatures too.
    pub(super) fn repair(&mut self, full: bool, context: &Context, out: &mut Outbox) {
        let thresholds = context.thresholds();
        let replicas = thresholds.replicas();
        if self.reports.len() != replicas || self.told.len() != replicas {
            out.repaired(Illegal::OutOfBounds("reports or ballots told"));
            *self = Self::restore(self.floor, replicas);
        }
        if full {
            self.drop_invalid(context, out);
        }
        self.forget_told(context.own);
        let mut told: Vec<Ballot> = self.told.iter().flatten().map(|told| told.ballot).collect();
        told.sort_unstable_by(|a, b| b.cmp(a));
        let supported = told.get(thresholds.faulty_max()).copied().unwrap_or_default();
        // This replica is one of the `n-f`.
        let enough = told.len().saturating_add(1) >= thresholds.strong();
        let leapt = enough && self.floor.0 > supported.0.saturating_add(BALLOT_LEAP);
        if leapt || self.floor.0 > BALLOT_MAX {
            out.repaired(Illegal::Floor { found: self.floor, lowered: supported });
            self.floor = supported;
            self.reports.fill(None);
            self.renew = true;
            out.promise(Promise::Floor { ballot: supported });
        }
    }
}

#[cfg(test)]
mod memory_tests;
#[cfg(test)]
mod tests;
