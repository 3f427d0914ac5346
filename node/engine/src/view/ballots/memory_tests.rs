//! What memory may hold of others' ballots, and how it is left for what they say.

use alloc::vec::Vec;

use daruma_types::limits::BALLOT_LEAP;
use daruma_types::{Ballot, Establishment, HeadClaim, ReplicaId, Report};

use super::{Ballots, FRESH_TICKS, Told};
use crate::fixtures::{CHAIN, NoBlocks, context_with, key};
use crate::outbox::Outbox;

const PLAIN: Establishment = Establishment::Automaton { event_driven_fd: false };
const PEER: ReplicaId = ReplicaId(2);

/// Those of replica 1, which leads ballot 7.
fn ballots() -> Ballots {
    Ballots { renew: false, ..Ballots::restore(Ballot(7), 6) }
}

fn report(of: ReplicaId, ballot: u64) -> Report {
    Report::sign(CHAIN, of, Ballot(ballot), HeadClaim::genesis(CHAIN), None, &key(of.0))
}

fn reporters(ballots: &Ballots) -> Vec<ReplicaId> {
    ballots.reports().iter().map(|report| report.replica).collect()
}

#[test]
fn what_a_peer_tells_last_counts_be_it_lower() {
    let mut ballots = ballots();
    ballots.tell(PEER, Ballot(20));
    ballots.tell(PEER, Ballot(13));
    assert_eq!(ballots.told_by(PEER), Some(Ballot(13)));
}

#[test]
fn a_report_for_this_ballot_takes_the_place_of_one_for_a_ballot_that_never_was() {
    let mut ballots = ballots();
    ballots.reports[PEER.index()] = Some(report(PEER, 1 << 40));
    ballots.on_report(PEER, report(PEER, 7));
    assert_eq!(reporters(&ballots), [PEER]);
    // And none that came late takes its place.
    ballots.on_report(PEER, report(PEER, 1));
    assert_eq!(reporters(&ballots), [PEER]);
}

#[test]
fn a_full_check_drops_reports_that_their_authors_did_not_sign() {
    let context = context_with(6, PLAIN);
    let forged = Report { signature: report(PEER, 1).signature, ..report(PEER, 7) };
    for held in [forged, report(ReplicaId(3), 7)] {
        let mut ballots = ballots();
        ballots.reports[PEER.index()] = Some(held);
        let mut out = Outbox::default();
        ballots.repair(false, &context, &mut out);
        assert_eq!(ballots.reports().len(), 1, "signatures are checked now and then");
        ballots.repair(true, &context, &mut out);
        assert_eq!(reporters(&ballots), []);
    }
    let mut ballots = ballots();
    ballots.on_report(PEER, report(PEER, 7));
    ballots.repair(true, &context, &mut Outbox::default());
    assert_eq!(reporters(&ballots), [PEER]);
}

#[test]
fn what_this_replica_told_itself_or_nobody_repeats_does_not_make_a_liar_believed() {
    let context = context_with(6, PLAIN);
    let far = Ballot(9 + 6 * BALLOT_LEAP);
    let own = (context.own, 0);
    for (id, ticks) in [own, (ReplicaId(5), FRESH_TICKS + 1)] {
        let mut ballots = Ballots { floor: Ballot(3), ..ballots() };
        ballots.tell(ReplicaId(3), far);
        ballots.told[id.index()] = Some(Told { ballot: Ballot(u64::MAX), ticks });
        ballots.repair(false, &context, &mut Outbox::default());
        let head = HeadClaim::genesis(CHAIN);
        ballots.tick(Some(3), true, &NoBlocks(head), &context, &mut Outbox::default());
        assert_eq!(ballots.floor(), Ballot(3), "{id}");
    }
}
