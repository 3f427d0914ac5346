//! Certificates on both sides of their thresholds (the catalogue's C-M07): who has only one peer to learn
//! from believes a quorum's commits and `f+1` attestations, and nothing that is one signature short.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::sync::Arc;

use daruma_catalogue::{
    Counts, RHYTHMS, automaton, begin, consistent, cut_off, executed_by_all, plan, six,
};
use daruma_simulator::adversary::{Adversary, Surroundings};
use daruma_simulator::{Plan, Rhythm, Rig};
use daruma_types::{CertifiedBlock, Message, ReplicaId, Signature, SignerSet, StateCertificate};

/// Blocks that the learner lacks: the next three windows need three answers.
const MISSED: u64 = 20;

/// Until what is missed is fetched from one peer, with time for wrong answers.
const LEARNING_ROUNDS_MAX: u32 = 60;

/// What the teller makes of the signatures that a certificate has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// So many of them.
    Real(usize),
    /// So many, the last of which is not its signer's.
    LastForged(usize),
    /// One less than so many, and the first of them again under the name of one who did not sign.
    FirstTwice(usize),
}

impl Shown {
    fn of(self, signers: SignerSet, signatures: &[Signature]) -> (SignerSet, Vec<Signature>) {
        let (Self::Real(count) | Self::LastForged(count) | Self::FirstTwice(count)) = self;
        let mut shown: Vec<_> =
            signers.iter().zip(signatures.iter().copied()).take(count).collect();
        assert_eq!(shown.len(), count, "the honest certificate has fewer signatures");
        let first = shown[0].1;
        match (self, shown.last_mut()) {
            (Self::LastForged(_), Some((_, signature))) => signature.0[0] ^= 1,
            (Self::FirstTwice(_), Some((_, signature))) => *signature = first,
            _ => {}
        }
        (shown.iter().map(|(id, _)| *id).collect(), shown.into_iter().map(|(_, s)| s).collect())
    }
}

/// Helps who lacks blocks, with so many signatures below them, and says nothing else but that it is there.
struct Teller {
    commits: Shown,
    attestations: Shown,
}

impl Adversary for Teller {
    fn outgoing(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        _: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        let plain = matches!(
            &*message,
            Message::Token { .. } | Message::TokenReturn { .. } | Message::Summary(_)
        );
        let said = if plain {
            message
        } else if let Message::Blocks(blocks) = &*message {
            Arc::new(Message::Blocks(
                blocks
                    .iter()
                    .map(|honest| {
                        let mut block: CertifiedBlock = honest.clone();
                        let certificate = &mut block.certificate;
                        (certificate.signers, certificate.signatures) =
                            self.commits.of(certificate.signers, &certificate.signatures);
                        block
                    })
                    .collect(),
            ))
        } else if let Message::StateCertificates(honest) = &*message {
            Arc::new(Message::StateCertificates(
                honest
                    .iter()
                    .map(|honest| {
                        let (signers, signatures) =
                            self.attestations.of(honest.signers, &honest.signatures);
                        StateCertificate { signers, signatures, ..honest.clone() }
                    })
                    .collect(),
            ))
        } else {
            return Vec::new();
        };
        vec![said]
    }
}

/// How far the learner executes, and up to where it knows of attestations, when all it hears is a teller.
fn learns(plan: &Plan, rhythm: Rhythm, teller: Teller) -> (u64, u64) {
    let n = plan.thresholds.replicas();
    let (learner, telling) = (ReplicaId((n - 1) as u16), ReplicaId(1));
    let mut plan = plan.clone();
    plan.chain.block_transactions_max = 1;
    plan.drive(rhythm, |rig| {
        begin(rig);
        rig.stop(learner);
        let all = rig.correct();
        let asked: Vec<_> = (1..=MISSED).map(|nonce| nonce.to_string()).collect();
        for (nonce, operation) in (1..).zip(&asked) {
            rig.submit(&all, 0, nonce, operation);
        }
        let done = rig.until(4 * MISSED as u32, |rig| executed_by_all(rig, &asked));
        assert!(done.is_some(), "{plan}");
        rig.play(telling, teller);
        cut_off(rig, n, &[learner], true);
        rig.cut(telling, learner, false);
        rig.cut(learner, telling, false);
        rig.start(learner);
        let learnt = |rig: &Rig<'_>| {
            let status = rig.status(learner);
            (status.executed.height.0, status.attested.0)
        };
        rig.until(LEARNING_ROUNDS_MAX, |rig| learnt(rig) == (MISSED, MISSED));
        assert_eq!(consistent(rig), None, "{plan}");
        learnt(rig)
    })
}

fn plans() -> [Plan; 4] {
    [plan(4, 21), plan(7, 22), plan(11, 23), automaton(six(24))]
}

fn counts(plan: &Plan) -> Counts {
    Counts { n: plan.thresholds.replicas(), f: plan.thresholds.faulty_max() }
}

#[test]
fn c_m07_a_block_under_a_quorums_commits_is_executed_and_under_one_less_or_a_forged_one_is_not() {
    for plan in plans() {
        let Counts { f, .. } = counts(&plan);
        let quorum = counts(&plan).overlapping();
        for rhythm in RHYTHMS {
            for (commits, believed) in [
                (Shown::Real(quorum), true),
                (Shown::Real(quorum - 1), false),
                (Shown::LastForged(quorum), false),
                (Shown::FirstTwice(quorum), false),
            ] {
                let attestations = Shown::Real(f + 1);
                let (executed, _) = learns(&plan, rhythm, Teller { commits, attestations });
                let expected = if believed { MISSED } else { 0 };
                assert_eq!(executed, expected, "{plan} {rhythm:?} {commits:?}");
            }
        }
    }
}

#[test]
fn c_m07_a_state_that_f_plus_1_attest_is_attested_and_with_one_less_or_a_forged_one_it_is_not() {
    for plan in plans() {
        let Counts { f, .. } = counts(&plan);
        let commits = Shown::Real(counts(&plan).overlapping());
        for rhythm in RHYTHMS {
            for (attestations, believed) in [
                (Shown::Real(f + 1), true),
                (Shown::Real(f), false),
                (Shown::LastForged(f + 1), false),
                (Shown::FirstTwice(f + 1), false),
            ] {
                let (executed, attested) = learns(&plan, rhythm, Teller { commits, attestations });
                let expected = if believed { MISSED } else { 0 };
                let context = format!("{plan} {rhythm:?} {attestations:?}");
                assert_eq!((executed, attested), (MISSED, expected), "{context}");
            }
        }
    }
}
