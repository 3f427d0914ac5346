//! Rules B1 to B6, each on both sides. Replica 1 of six (f = 1); it leads ballots 1, 7, 13 and so on.

use daruma_types::limits::BALLOT_LEAP;
use daruma_types::{Ballot, HeadClaim, Promise, ReplicaId, Report};

use super::{Ballots, HOLD_ROUNDS, LONE_ROUNDS, OUTGROWN_ROUNDS};
use crate::Effect;
use crate::config::Context;
use crate::fixtures::{CHAIN, context, key};
use crate::outbox::Outbox;
use crate::view::{Claims, Voting};

const OWN: u16 = 1;

struct Active(bool, HeadClaim);

impl Voting for Active {
    fn claims(&self) -> Claims {
        Claims { head: self.1.clone(), prepared: None }
    }
    fn is_active(&self) -> bool {
        self.0
    }
    fn has_new_view(&self) -> bool {
        self.0
    }
    fn head(&self) -> &HeadClaim {
        &self.1
    }
}

/// In `ballot`, in which it was before.
fn at(ballot: u64) -> Ballots {
    Ballots { renew: false, ..Ballots::restore(Ballot(ballot), 6) }
}

fn report(ballot: u64, id: u16) -> Report {
    let head = HeadClaim::genesis(CHAIN);
    Report::sign(CHAIN, ReplicaId(id), Ballot(ballot), head, None, &key(id))
}

/// Serves this view for so many rounds of the detector; the ballot then.
fn serves(ballots: &mut Ballots, view: u16, active: bool, rounds: u32, context: &Context) -> u64 {
    for _ in 0..rounds {
        let voting = Active(active, HeadClaim::genesis(CHAIN));
        ballots.tick(Some(view), true, &voting, context, &mut Outbox::default());
    }
    ballots.floor().0
}

#[test]
fn b1_a_report_waits_until_its_floor_is_durable() {
    let context = context(6);
    let mut ballots = at(7);
    let mut out = Outbox::default();
    ballots.tick(Some(2), true, &Active(true, HeadClaim::genesis(CHAIN)), &context, &mut out);
    let effects = out.into_effects();
    let [Effect::Promise { promise: Promise::Floor { ballot: Ballot(8) }, then }] = &effects[..]
    else {
        panic!("{effects:?}");
    };
    assert_eq!(then.len(), 1);
}

#[test]
fn b3_a_new_view_is_made_of_reports_for_exactly_its_ballot() {
    let mut ballots = at(7);
    for (id, ballot) in [(2, 7), (3, 13), (4, 1), (5, 7)] {
        ballots.on_report(ReplicaId(id), report(ballot, id));
    }
    let of: alloc::vec::Vec<_> = ballots.reports().iter().map(|report| report.replica.0).collect();
    assert_eq!(of, [2, 5]);
}

#[test]
fn b3_after_a_restart_a_primary_takes_a_higher_ballot_and_a_backup_stays() {
    let context = context(6);
    let mut primary = Ballots::restore(Ballot(7), 6);
    primary.on_report(ReplicaId(2), report(7, 2));
    assert!(primary.reports().is_empty(), "what was reported for may have led to a new-view");
    assert_eq!(serves(&mut primary, OWN, false, 1, &context), 13);
    let mut backup = Ballots::restore(Ballot(8), 6);
    assert_eq!(serves(&mut backup, 2, false, 1, &context), 8);
}

#[test]
fn b3_a_primary_that_leads_goes_up_for_f_plus_one_and_for_one_only_after_long() {
    let context = context(6);
    let tell = |ballots: &mut Ballots, id| ballots.on_report(ReplicaId(id), report(13, id));
    let mut by_one = at(7);
    tell(&mut by_one, 3);
    assert_eq!(serves(&mut by_one, OWN, true, LONE_ROUNDS - 1, &context), 7);
    assert_eq!(serves(&mut by_one, OWN, true, 1, &context), 13);
    let mut by_two = at(7);
    (3..5).for_each(|id| tell(&mut by_two, id));
    assert_eq!(serves(&mut by_two, OWN, true, HOLD_ROUNDS - 1, &context), 7, "held for a while");
    assert_eq!(serves(&mut by_two, OWN, true, 1, &context), 13);
}

#[test]
fn b3_a_primary_without_a_new_view_holds_its_ballot_for_reports_to_come() {
    let context = context(6);
    let mut ballots = at(7);
    ballots.on_report(ReplicaId(3), report(13, 3));
    assert_eq!(serves(&mut ballots, OWN, false, HOLD_ROUNDS - 1, &context), 7);
    assert_eq!(serves(&mut ballots, OWN, false, 1, &context), 13);
}

#[test]
fn b4_f_replicas_lead_nobody_further_than_a_leap() {
    let context = context(6);
    let far = (BALLOT_LEAP / 6 + 2) * 6 + 3;
    let mut ballots = at(3);
    ballots.on_report(ReplicaId(3), report(far, 3));
    assert_eq!(serves(&mut ballots, 3, false, 1, &context), 3);
    ballots.on_report(ReplicaId(4), report(far, 4));
    assert_eq!(serves(&mut ballots, 3, false, 1, &context), far, "one of two is correct");
}

#[test]
fn b4_a_new_view_is_followed_up_to_the_primary_of_the_served_view_only() {
    let context = context(6);
    for (ballot, floor) in [(8, 8), (9, 2), (2, 2), (7, 2)] {
        let mut ballots = at(2);
        ballots.on_new_view(Ballot(ballot), Some(2), &context, &mut Outbox::default());
        assert_eq!(ballots.floor(), Ballot(floor), "a new-view of ballot {ballot}");
    }
}

#[test]
fn b4_a_floor_is_lowered_when_n_minus_f_are_far_below_and_not_for_fewer() {
    let context = context(6);
    for (told, floor) in [(3, 2 * BALLOT_LEAP), (4, 7)] {
        let mut ballots = at(2 * BALLOT_LEAP);
        (2..2 + told).for_each(|id| ballots.on_report(ReplicaId(id), report(7, id)));
        ballots.repair(false, &context, &mut Outbox::default());
        assert_eq!(ballots.floor(), Ballot(floor), "{told} told theirs");
    }
}

#[test]
fn b5_a_primary_that_does_not_come_up_for_f_plus_one_makes_no_progress_in_time() {
    let context = context(6);
    let after = |told: &[(u16, u64)], rounds| {
        let mut ballots = at(8);
        told.iter().for_each(|(id, ballot)| ballots.tell(ReplicaId(*id), Ballot(*ballot)));
        serves(&mut ballots, 2, true, rounds, &context);
        ballots.is_outgrown(context.thresholds())
    };
    assert!(after(&[(4, 14), (5, 20)], OUTGROWN_ROUNDS));
    assert!(!after(&[(4, 14), (5, 20)], OUTGROWN_ROUNDS - 1), "it has time to come up");
    assert!(!after(&[(4, 14), (5, 8)], OUTGROWN_ROUNDS), "one may lie");
    assert!(!after(&[(4, 14), (5, 15)], OUTGROWN_ROUNDS), "another's ballot");
    assert!(!after(&[(4, 14), (5, 14 + 6 * BALLOT_LEAP)], OUTGROWN_ROUNDS), "it must not go there");
}

#[test]
fn b6_memory_that_forgot_its_floor_has_it_from_the_journal_and_never_goes_down() {
    let context = context(6);
    for (memory, journal, floor) in [(0, 8, 8), (8, 7, 8), (7, 9 + BALLOT_LEAP, 7)] {
        let mut ballots = at(memory);
        let forgotten = ballots.on_journal(Ballot(journal), context.thresholds());
        assert_eq!((ballots.floor(), forgotten), (Ballot(floor), floor != memory));
    }
    let mut primary = at(0);
    assert!(primary.on_journal(Ballot(7), context.thresholds()));
    assert_eq!(serves(&mut primary, OWN, false, 1, &context), 13, "7 may have had a new-view");
}
