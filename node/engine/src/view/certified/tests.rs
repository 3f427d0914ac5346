//! What counts here counts only as long as it is proven.

use alloc::vec::Vec;

use daruma_types::{
    Ballot, Block, Certificate, Demand, Hash, HeadClaim, Height, Message, Promise, ReplicaId,
    Report, Signature, Summary, View, ViewProof, Vote, VoteKind,
};

use super::Certified;
use crate::config::Context;
use crate::fixtures::{CHAIN, context, key};
use crate::outbox::Outbox;
use crate::view::{Claims, ViewEstablishment, Voting};
use crate::{Destination, Effect};

const FORGED: Signature = Signature([1; 64]);

/// A replication with this head and prepared certificate.
struct Holds {
    head: HeadClaim,
    prepared: Option<Certificate>,
}

impl Holds {
    fn nothing() -> Self {
        Self { head: HeadClaim::genesis(CHAIN), prepared: None }
    }
}

impl Voting for Holds {
    fn claims(&self) -> Claims {
        Claims { head: self.head.clone(), prepared: self.prepared.clone() }
    }
    fn is_active(&self) -> bool {
        false
    }
    fn has_new_view(&self) -> bool {
        false
    }
    fn head(&self) -> &HeadClaim {
        &self.head
    }
}

fn certificate(kind: VoteKind, ballot: u64) -> Certificate {
    let block = Block::build(CHAIN, Height(1), CHAIN.0, ReplicaId(0), 1, Vec::new());
    let (ballot, height, hash) = (Ballot(ballot), Height(1), block.hash());
    let voters = [0, 2, 3];
    let sign = |id: &u16| Vote::sign(kind, CHAIN, ballot, height, hash, &key(*id)).signature;
    let signers = voters.iter().copied().map(ReplicaId).collect();
    Certificate {
        kind,
        ballot,
        height,
        hash,
        signers,
        signatures: voters.iter().map(sign).collect(),
    }
}

fn demand(view: u64, id: u16) -> (View, Signature) {
    (View(view), Demand::sign(CHAIN, View(view), &key(id)).signature)
}

fn report(view: u64, id: u16, prepared: Option<Certificate>) -> Report {
    let head = HeadClaim::genesis(CHAIN);
    Report::sign(CHAIN, ReplicaId(id), Ballot(view), head, prepared, &key(id))
}

/// Replica 1 of four in view 0.
fn fresh(context: &Context) -> Certified {
    Certified::restore(None, &HeadClaim::genesis(CHAIN), context)
}

/// What it says of its view: demands and reports by their view or ballot, and what it promises.
fn said(out: Outbox) -> Vec<(&'static str, u64)> {
    let mut said = Vec::new();
    let mut message = |message: &Message| {
        if let Message::Demand(demand) = message {
            said.push(("demand", demand.view.0));
        } else if let Message::Report(report) = message {
            said.push(("report", report.ballot.0));
        }
    };
    let mut promised = Vec::new();
    for effect in out.into_effects() {
        if let Effect::Promise { promise: Promise::View { view, .. }, then } = effect {
            promised.push(("promise", view.0));
            then.iter().for_each(|(_, sent)| message(sent));
        } else if let Effect::Send { message: sent, .. } = effect {
            message(&sent);
        }
    }
    promised.extend(said);
    promised
}

#[test]
fn demands_and_reports_that_memory_made_up_lead_nowhere_and_are_dropped() {
    let context = context(4);
    let mut certified = fresh(&context);
    for id in [0, 2, 3] {
        certified.demands[id] = Some((View(8), FORGED));
    }
    let mut out = Outbox::default();
    certified.advance(&Holds::nothing(), &context, &mut out);
    assert_eq!((certified.current(), said(out)), ((View(0), 0), Vec::new()));
    assert_eq!(certified.demands, [None; 4]);

    let forged = Report { signature: FORGED, ..report(0, 2, None) };
    certified.reports[2] = Some(forged);
    certified.reports[3] = Some(report(1, 3, None));
    certified.demands[2] = Some((View(0), FORGED));
    certified.demands[3] = Some(demand(0, 3));
    let mut out = Outbox::default();
    certified.tick(true, &Holds::nothing(), &context, &mut out);
    assert_eq!((&certified.reports[2], certified.demands[2]), (&None, None));
    assert!(certified.reports[3].is_some() && certified.demands[3].is_some(), "true ones stay");
}

#[test]
fn nothing_is_signed_about_a_view_that_only_memory_says() {
    let context = context(4);
    for view in [0, 7] {
        let mut certified = fresh(&context);
        certified.view = View(view);
        let mut out = Outbox::default();
        certified.demand_change(&Holds::nothing(), &context, &mut out);
        let expected = if view == 0 { [("demand", 0)].to_vec() } else { Vec::new() };
        assert_eq!(said(out), expected);
    }
}

#[test]
fn a_head_leads_to_the_view_it_proves_and_one_that_memory_made_up_to_none() {
    let context = context(4);
    for forged in [false, true] {
        let mut certificate = certificate(VoteKind::Commit, 6);
        if forged {
            certificate.signatures.reverse();
        }
        let (height, hash) = (Height(1), certificate.hash);
        let head = HeadClaim { height, hash, certificate: Some(certificate) };
        let mut certified = fresh(&context);
        let mut out = Outbox::default();
        certified.on_head(&Holds { head, prepared: None }, &context, &mut out);
        let (view, promised) =
            if forged { (0, Vec::new()) } else { (6, [("promise", 6)].to_vec()) };
        assert_eq!((certified.current(), said(out)), ((View(view), 0), promised));
    }
}

#[test]
fn a_journals_view_is_believed_only_with_its_proof() {
    let context = context(4);
    for forged in [false, true] {
        let mut certificate = certificate(VoteKind::Commit, 6);
        if forged {
            certificate.signatures.reverse();
        }
        let proof = ViewProof::Committed(certificate);
        let certified = Certified::restore(Some(proof), &HeadClaim::genesis(CHAIN), &context);
        assert_eq!(certified.current(), (View(if forged { 0 } else { 6 }), 0));
    }
}

#[test]
fn a_report_that_is_made_late_tells_of_no_certificate_of_its_own_ballot() {
    let context = context(4);
    for (ballot, tells) in [(5, true), (6, false)] {
        let mut certified = fresh(&context);
        (certified.view, certified.proof) =
            (View(6), ViewProof::Committed(certificate(VoteKind::Commit, 6)));
        let prepared = Some(certificate(VoteKind::Prepare, ballot));
        let voting = Holds { prepared, ..Holds::nothing() };
        assert_eq!(certified.own_report(&voting, &context).prepared.is_some(), tells);
    }
}

#[test]
fn of_two_reports_of_one_view_the_first_counts_and_one_of_a_later_view_replaces_it() {
    let context = context(4);
    let mut certified = fresh(&context);
    let first = report(1, 3, Some(certificate(VoteKind::Prepare, 0)));
    for (heard, held) in [
        (first.clone(), first.clone()),
        (report(1, 3, None), first),
        (report(2, 3, None), report(2, 3, None)),
    ] {
        let mut out = Outbox::default();
        let message = Message::Report(heard);
        certified.on_message(ReplicaId(3), message, &Holds::nothing(), &context, &mut out);
        assert_eq!(certified.reports[3], Some(held));
    }
}

#[test]
fn a_late_copy_of_an_earlier_demand_does_not_take_the_place_of_a_later_one() {
    let context = context(4);
    let mut certified = fresh(&context);
    (certified.view, certified.proof) =
        (View(6), ViewProof::Committed(certificate(VoteKind::Commit, 6)));
    for view in [6, 2] {
        let demand = Demand::sign(CHAIN, View(view), &key(3));
        let mut out = Outbox::default();
        let message = Message::Demand(demand);
        certified.on_message(ReplicaId(3), message, &Holds::nothing(), &context, &mut out);
        assert_eq!(certified.demands[3], Some(super::tests::demand(6, 3)));
    }
}

/// The summary of a replica in view 0 that demands nothing.
fn summary() -> Summary {
    Summary {
        view: View(0),
        phase: 0,
        reports: daruma_types::SignerSet::EMPTY,
        ballot: Ballot(0),
        active: true,
        head: Height(0),
        head_hash: CHAIN.0,
        executed: Height(0),
        state_root: Hash::default(),
        attested: Height(0),
        prepared: None,
        slots: Vec::new(),
        monitor: daruma_types::MonitorReport {
            status: daruma_types::VStatus::Ok,
            suspects: false,
            demands: daruma_types::SignerSet::EMPTY,
        },
    }
}

#[test]
fn a_demand_counts_no_longer_once_its_maker_shows_that_it_forgot_it() {
    let context = context(4);
    let mut certified = fresh(&context);
    certified.demands[2] = Some(demand(0, 2));
    certified.demands[3] = Some(demand(0, 3));
    let mut out = Outbox::default();
    certified.help(ReplicaId(3), &summary(), &Holds::nothing(), &context, &mut out);
    assert_eq!(certified.demands(), [ReplicaId(2)].into_iter().collect());
}

#[test]
fn who_is_behind_is_shown_the_proof_and_nobody_else_is() {
    let context = context(4);
    let mut certified = fresh(&context);
    for (view, sent) in [(0, 0), (6, 1)] {
        if view > 0 {
            let proof = ViewProof::Committed(certificate(VoteKind::Commit, view));
            (certified.view, certified.proof) = (View(view), proof);
        }
        let mut out = Outbox::default();
        certified.help(ReplicaId(3), &summary(), &Holds::nothing(), &context, &mut out);
        let to_it = |effect: &Effect| {
            matches!(
                effect,
                Effect::Send {
                    to: Destination::One(ReplicaId(3)),
                    message: Message::Certificate(_)
                }
            )
        };
        assert_eq!(out.into_effects().iter().filter(|effect| to_it(effect)).count(), sent);
    }
}

#[test]
fn demands_to_leave_other_views_neither_add_to_a_certificate_nor_spoil_it() {
    let context = context(4);
    for (views, left) in [([5, 0, 0, 0], true), ([5, 7, 0, 0], false)] {
        let mut certified = fresh(&context);
        for (id, view) in (0..).zip(views) {
            certified.demands[usize::from(id)] = Some(demand(view, id));
        }
        certified.advance(&Holds::nothing(), &context, &mut Outbox::default());
        assert_eq!(certified.current(), if left { (View(1), 1) } else { (View(0), 0) });
    }
}

#[test]
fn a_report_waits_until_the_view_that_it_promises_is_durable() {
    let context = context(4);
    let mut certified = fresh(&context);
    for id in [0, 2, 3] {
        certified.demands[usize::from(id)] = Some(demand(0, id));
    }
    let mut out = Outbox::default();
    certified.advance(&Holds::nothing(), &context, &mut out);
    let mut promised = Vec::new();
    for effect in out.into_effects() {
        if let Effect::Promise { promise: Promise::View { view, phase, .. }, then } = effect {
            promised.push((view, phase, then.len()));
        } else if let Effect::Send { message, .. } = effect {
            assert_eq!(message.name(), "leave");
        }
    }
    assert_eq!(promised, [(View(1), 1, 1)]);
}

#[test]
fn a_proof_of_an_earlier_view_or_of_the_same_leads_nowhere() {
    let context = context(4);
    let mut certified = fresh(&context);
    (certified.view, certified.proof) =
        (View(6), ViewProof::Committed(certificate(VoteKind::Commit, 6)));
    for ballot in [2, 6] {
        let message = Message::Certificate(certificate(VoteKind::Commit, ballot));
        let mut out = Outbox::default();
        certified.on_message(ReplicaId(3), message, &Holds::nothing(), &context, &mut out);
        assert_eq!((certified.current(), said(out)), ((View(6), 0), Vec::new()));
    }
}

#[test]
fn a_view_that_its_proof_does_not_show_or_that_nobody_signed_is_left_for_what_is_proven() {
    let context = context(4);
    let mut forged = certificate(VoteKind::Commit, 7);
    forged.signatures.reverse();
    for (proof, full) in [(ViewProof::Initial, false), (ViewProof::Committed(forged), true)] {
        let mut certified = fresh(&context);
        (certified.view, certified.proof) = (View(7), proof);
        certified.tick(full, &Holds::nothing(), &context, &mut Outbox::default());
        assert_eq!(certified.current(), (View(0), 0));
    }
}
