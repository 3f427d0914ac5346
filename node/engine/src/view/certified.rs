//! View establishment (a), `certified`: every view carries its proof (DESIGN 4.1 a).
//!
//! A view is left on `n-f` demands and entered on `n-f` reports, both kept as certificates. A
//! replica goes to whatever certificate shows the furthest (view, phase), and hands its own to any
//! peer that is behind. So correct replicas meet at the highest certificate in the system within a
//! constant number of rounds, from any state, and nobody can lead one there without a quorum.

#[cfg(feature = "laboratory")]
#[path = "../laboratory/certified.rs"]
mod laboratory;

use alloc::vec;
use alloc::vec::Vec;

use daruma_types::{
    Ballot, Demand, EnterCertificate, HeadClaim, LeaveCertificate, Message, NewView, Promise,
    ReplicaId, Report, Signature, SignerSet, Summary, View, ViewProof, VoteKind,
};

use super::{Claims, ViewEstablishment, Voting};
use crate::config::Context;
use crate::outbox::Outbox;
use crate::{Illegal, Observation};

/// State of the module: the view, its phase and proof, and each replica's latest demand and report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certified {
    view: View,
    phase: u8,
    proof: ViewProof,
    demands: Vec<Option<(View, Signature)>>,
    reports: Vec<Option<Report>>,
}

/// Further means: a later view, or the same one in service instead of in change.
const fn rank(view: View, phase: u8) -> (u64, u8) {
    (view.0, 1_u8.saturating_sub(phase))
}

impl Certified {
    /// Goes on from `proof`, if it is valid, or from what the head's certificate proves.
    pub(crate) fn restore(proof: Option<ViewProof>, head: &HeadClaim, context: &Context) -> Self {
        let replicas = context.thresholds().replicas();
        let mut restored = Self {
            view: View(0),
            phase: 0,
            proof: ViewProof::Initial,
            demands: vec![None; replicas],
            reports: vec![None; replicas],
        };
        restored.reset(head, context);
        if let Some(proof) = proof {
            let (view, phase) = proof.shows();
            let valid = proof.verify(&context.committee, context.verifier.as_ref()).is_ok();
            if valid && rank(view, phase) > rank(restored.view, restored.phase) {
                (restored.view, restored.phase, restored.proof) = (view, phase, proof);
            }
        }
        restored
    }

    /// What must be journalled, and, in phase 1, said about the view just entered.
    fn announce(&mut self, voting: &dyn Voting, context: &Context, out: &mut Outbox) {
        let promise =
            Promise::View { view: self.view, phase: self.phase, proof: self.proof.clone() };
        out.observe(Observation::View { view: self.view, phase: self.phase });
        match &self.proof {
            ViewProof::Left(left) => {
                out.broadcast(Message::Leave(left.clone()));
                let report = self.own_report(voting, context);
                out.promise_then_broadcast(promise, Message::Report(report));
            }
            ViewProof::Initial | ViewProof::Entered(_) | ViewProof::Committed(_) => {
                out.promise(promise);
            }
        }
    }

    /// This replica's report of the current view, made now unless there is one.
    fn own_report(&mut self, voting: &dyn Voting, context: &Context) -> Report {
        let ballot = Ballot::of_view(self.view);
        if let Some(Some(report)) = self.reports.get(context.own.index())
            && report.ballot == ballot
        {
            return report.clone();
        }
        let Claims { head, prepared } = voting.claims();
        // One that was made late may know of this view's own ballot, of which it must not tell.
        let prepared = prepared.filter(|prepared| prepared.ballot < ballot);
        let report = Report::sign(
            context.committee.chain(),
            context.own,
            ballot,
            head,
            prepared,
            context.signer.as_ref(),
        );
        if let Some(place) = self.reports.get_mut(context.own.index()) {
            *place = Some(report.clone());
        }
        report
    }

    /// Forms whatever certificates the demands and reports held allow, and follows them.
    fn advance(&mut self, voting: &dyn Voting, context: &Context, out: &mut Outbox) {
        while let Some(proof) = self.best_proof(context) {
            // What is held was checked when it came, but memory can change. A view once entered is
            // promised for good, so its proof is checked again when it is put together.
            if proof.verify(&context.committee, context.verifier.as_ref()).is_err() {
                let held = self.held();
                self.drop_invalid(context, out);
                if self.held() == held {
                    return;
                }
                continue;
            }
            self.go(proof, voting, context, out);
        }
    }

    fn go(&mut self, proof: ViewProof, voting: &dyn Voting, context: &Context, out: &mut Outbox) {
        let (view, phase) = proof.shows();
        (self.view, self.phase, self.proof) = (view, phase, proof);
        self.announce(voting, context, out);
    }

    /// The furthest proof that the demands and reports held give, if it is ahead.
    fn best_proof(&self, context: &Context) -> Option<ViewProof> {
        let strong = context.thresholds().strong();
        let mut best: Option<ViewProof> = None;
        let mut consider = |proof: ViewProof| {
            let (view, phase) = proof.shows();
            let ahead = best.as_ref().map_or(rank(self.view, self.phase), |b| {
                let (view, phase) = b.shows();
                rank(view, phase)
            });
            if rank(view, phase) > ahead {
                best = Some(proof);
            }
        };
        for view in self.demands.iter().flatten().map(|(view, _)| *view) {
            let of_view = |d: &Option<(View, Signature)>| d.filter(|(v, _)| *v == view);
            let signers = signers_of(&self.demands, |d| of_view(d).is_some());
            if signers.len() >= strong && view >= self.view {
                let signatures = self.demands.iter().filter_map(of_view).map(|(_, s)| s).collect();
                consider(ViewProof::Left(LeaveCertificate { view, signers, signatures }));
            }
        }
        for view in self.reports.iter().flatten().map(|report| View(report.ballot.0)) {
            if rank(view, 0) <= rank(self.view, self.phase) {
                continue;
            }
            let of_view = |r: &&Option<Report>| {
                r.as_ref().is_some_and(|report| report.ballot == Ballot::of_view(view))
            };
            let signers = signers_of(&self.reports, |r| of_view(&r));
            if signers.len() >= strong && view >= self.view {
                let entries =
                    self.reports.iter().filter(of_view).flatten().map(Report::entry).collect();
                consider(ViewProof::Entered(EnterCertificate { view, signers, entries }));
            }
        }
        best
    }

    /// Whether the view is truly proven. Checked before anything is signed about it: what a quorum signs
    /// counts for ever, and all their memories may hold one wrong view, even the last there is.
    fn is_proven(&self, context: &Context) -> bool {
        self.proof.shows() == (self.view, self.phase)
            && self.proof.verify(&context.committee, context.verifier.as_ref()).is_ok()
    }

    /// How many demands and reports are held.
    fn held(&self) -> usize {
        let demands = self.demands.iter().flatten().count();
        demands.saturating_add(self.reports.iter().flatten().count())
    }

    fn demands_view(&self, replica: ReplicaId) -> bool {
        matches!(self.demands.get(replica.index()), Some(Some((view, _))) if *view == self.view)
    }
}

fn signers_of<T>(held: &[Option<T>], counts: impl Fn(&Option<T>) -> bool) -> SignerSet {
    let members = held.iter().enumerate().filter(|(_, entry)| counts(entry));
    members.map(|(index, _)| ReplicaId(index as u16)).collect()
}

impl ViewEstablishment for Certified {
    fn current(&self) -> (View, u8) {
        (self.view, self.phase)
    }

    fn serving(&self) -> Option<View> {
        (self.phase == 0).then_some(self.view)
    }

    fn watched(&self) -> Option<View> {
        Some(self.view)
    }

    fn ballot(&self) -> Ballot {
        Ballot::of_view(self.view)
    }

    fn demand_change(&mut self, voting: &dyn Voting, context: &Context, out: &mut Outbox) {
        if self.demands_view(context.own) || !self.is_proven(context) {
            return;
        }
        let demand = Demand::sign(context.committee.chain(), self.view, context.signer.as_ref());
        if let Some(place) = self.demands.get_mut(context.own.index()) {
            *place = Some((demand.view, demand.signature));
        }
        out.broadcast(Message::Demand(demand));
        self.advance(voting, context, out);
    }

    fn demands(&self) -> SignerSet {
        signers_of(&self.demands, |d| d.is_some_and(|(view, _)| view == self.view))
    }

    fn on_message(
        &mut self,
        from: ReplicaId,
        message: Message,
        voting: &dyn Voting,
        context: &Context,
        out: &mut Outbox,
    ) {
        if let Message::Demand(demand) = &message {
            if demand.view >= self.view {
                if let Some(place) = self.demands.get_mut(from.index()) {
                    *place = Some((demand.view, demand.signature));
                }
                self.advance(voting, context, out);
            }
        } else if let Message::Report(report) = message {
            // The first report of a view counts: a later one could only hide what it showed.
            if report.ballot >= Ballot::of_view(self.view) {
                if let Some(place) = self.reports.get_mut(from.index())
                    && place.as_ref().is_none_or(|held| held.ballot < report.ballot)
                {
                    *place = Some(report);
                }
                self.advance(voting, context, out);
            }
        } else if let Message::Leave(left) = message {
            self.adopt(ViewProof::Left(left), voting, context, out);
        } else if let Message::Enter(entered) = message {
            self.adopt(ViewProof::Entered(entered), voting, context, out);
        } else if let Message::Certificate(certificate) = message
            && certificate.kind == VoteKind::Commit
        {
            self.adopt(ViewProof::Committed(certificate), voting, context, out);
        }
    }

    fn tick(&mut self, full: bool, voting: &dyn Voting, context: &Context, out: &mut Outbox) {
        let proven = self.proof.shows() == (self.view, self.phase)
            && (!full || self.proof.verify(&context.committee, context.verifier.as_ref()).is_ok());
        if !proven {
            out.repaired(Illegal::UnprovenView { view: self.view, phase: self.phase });
            let proof = core::mem::replace(&mut self.proof, ViewProof::Initial);
            *self = Self::restore(Some(proof), voting.head(), context);
        }
        let replicas = context.thresholds().replicas();
        if self.demands.len() != replicas || self.reports.len() != replicas {
            out.repaired(Illegal::OutOfBounds("demands or reports"));
            self.demands = vec![None; replicas];
            self.reports = vec![None; replicas];
        }
        if full {
            self.drop_invalid(context, out);
        }
    }

    fn help(
        &mut self,
        peer: ReplicaId,
        summary: &Summary,
        voting: &dyn Voting,
        context: &Context,
        out: &mut Outbox,
    ) {
        if rank(summary.view, summary.phase) < rank(self.view, self.phase) {
            match &self.proof {
                ViewProof::Initial => {}
                ViewProof::Left(left) => out.send(peer, Message::Leave(left.clone())),
                ViewProof::Entered(entered) => out.send(peer, Message::Enter(entered.clone())),
                ViewProof::Committed(certificate) => {
                    out.send(peer, Message::Certificate(certificate.clone()));
                }
            }
        }
        if summary.view != self.view {
            return;
        }
        // Who no longer demands what it once did lost its memory; one late status costs a repetition.
        if !summary.monitor.demands.contains(peer)
            && let Some(place) = self.demands.get_mut(peer.index())
        {
            *place = place.filter(|(view, _)| *view != summary.view);
        }
        // A primary without a new-view makes one, or makes it again after its loss: whoever voted in
        // the ballot already stays bound by its votes, and reports of earlier ballots.
        let wants = summary.phase == 1
            || (!summary.active && context.thresholds().primary(self.view.0) == peer);
        let ballot = Ballot::of_view(self.view);
        let held = |r: &Option<Report>| r.as_ref().is_some_and(|r| r.ballot == ballot);
        let made = self.reports.get(context.own.index()).is_some_and(held);
        let missing = wants && self.view > View(0) && !summary.reports.contains(context.own);
        if missing && (made || !voting.has_new_view()) && (made || self.is_proven(context)) {
            let report = self.own_report(voting, context);
            out.send(peer, Message::Report(report));
        }
        if !summary.monitor.demands.contains(context.own)
            && let Some(Some((view, signature))) = self.demands.get(context.own.index())
        {
            let (view, signature) = (*view, *signature);
            if view == self.view {
                out.send(peer, Message::Demand(Demand { view, signature }));
            }
        }
    }

    fn reports(&self) -> Vec<Report> {
        let ballot = Ballot::of_view(self.view);
        self.reports.iter().flatten().filter(|r| r.ballot == ballot).cloned().collect()
    }

    fn reporters(&self) -> SignerSet {
        let ballot = Ballot::of_view(self.view);
        let held = self.reports.iter().flatten().filter(|report| report.ballot == ballot);
        held.map(|report| report.replica).collect()
    }

    fn reports_again(&self) -> bool {
        true
    }

    fn proof(&self) -> &ViewProof {
        &self.proof
    }

    /// The reports of a new-view are those on which its view was entered.
    fn on_new_view(
        &mut self,
        new_view: &NewView,
        voting: &dyn Voting,
        context: &Context,
        out: &mut Outbox,
    ) {
        let view = View(new_view.ballot.0);
        if view >= self.view {
            let entered = EnterCertificate {
                view,
                signers: new_view.reports.iter().map(|report| report.replica).collect(),
                entries: new_view.reports.iter().map(Report::entry).collect(),
            };
            self.adopt(ViewProof::Entered(entered), voting, context, out);
        }
    }

    /// A head that was committed in a later ballot proves that view.
    fn on_head(&mut self, voting: &dyn Voting, context: &Context, out: &mut Outbox) {
        let Some(certificate) = voting.head().certificate.as_ref() else { return };
        if certificate.ballot > Ballot::of_view(self.view) {
            let proof = ViewProof::Committed(certificate.clone());
            // A later view is promised for good, and memory may hold any head.
            if proof.verify(&context.committee, context.verifier.as_ref()).is_ok() {
                self.adopt(proof, voting, context, out);
            }
        }
    }

    #[cfg(feature = "laboratory")]
    fn set_view(&mut self, view: View, phase: u8, proof: ViewProof) {
        (self.view, self.phase, self.proof) = (view, phase, proof);
    }

    #[cfg(feature = "laboratory")]
    fn scramble(&mut self, garbage: &mut crate::laboratory::Garbage<'_>) {
        self.scramble_all(garbage);
    }

    #[cfg(feature = "laboratory")]
    fn sizes(&self, replicas: usize, sizes: &mut Vec<crate::laboratory::Size>) {
        self.all_sizes(replicas, sizes);
    }
}

impl Certified {
    /// Goes to the view that `proof`, which is valid, shows, if that is ahead.
    fn adopt(
        &mut self,
        proof: ViewProof,
        voting: &dyn Voting,
        context: &Context,
        out: &mut Outbox,
    ) {
        let (view, phase) = proof.shows();
        if rank(view, phase) > rank(self.view, self.phase) {
            self.go(proof, voting, context, out);
            self.advance(voting, context, out);
        }
    }

    /// Forgets everything but what the head's certificate proves.
    fn reset(&mut self, head: &HeadClaim, context: &Context) {
        let replicas = context.thresholds().replicas();
        self.demands = vec![None; replicas];
        self.reports = vec![None; replicas];
        self.proof = match &head.certificate {
            Some(certificate)
                if certificate.ballot.0 > 0
                    && head.verify(&context.committee, context.verifier.as_ref()).is_ok() =>
            {
                ViewProof::Committed(certificate.clone())
            }
            Some(_) | None => ViewProof::Initial,
        };
        (self.view, self.phase) = self.proof.shows();
    }

    /// Drops demands and reports whose signatures do not hold (stale information).
    fn drop_invalid(&mut self, context: &Context, out: &mut Outbox) {
        let committee = &context.committee;
        let verifier = context.verifier.as_ref();
        let mut dropped = false;
        for (index, place) in self.demands.iter_mut().enumerate() {
            let Some((view, signature)) = place else { continue };
            let bytes = Demand::signed_bytes(committee.chain(), *view);
            let id = ReplicaId(index as u16);
            if committee.check(id, "demand", &bytes, signature, verifier).is_err() {
                *place = None;
                dropped = true;
            }
        }
        for (index, place) in self.reports.iter_mut().enumerate() {
            let valid = place.as_ref().is_none_or(|report| {
                report.replica.index() == index && report.verify(committee, verifier).is_ok()
            });
            if !valid {
                *place = None;
                dropped = true;
            }
        }
        if dropped {
            out.repaired(Illegal::OutOfBounds("a demand or report"));
        }
    }
}

#[cfg(test)]
mod tests;
