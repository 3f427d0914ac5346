//! The proofs that a replica may hold of its view, and what a real engine makes of them.

use std::collections::BTreeMap;

use daruma_engine::{AdmissionContext, Effect, Input, admit};
use daruma_types::{
    Ballot, Certificate, CommitteeError, Demand, EnterCertificate, Hash, HeadClaim, Height,
    LeaveCertificate, Message, Promise, ReplicaId, Report, SignerSet, View, ViewProof, Vote,
    VoteKind,
};

use crate::committee::Replicas;

/// A proof of a view, as `daruma_types::ViewProof`; the signers do not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Proof {
    /// View 0.
    Initial,
    /// `n-f` demands to leave this view: phase 1 of the next.
    Left(u8),
    /// `n-f` reports: phase 0 of this view.
    Entered(u8),
    /// A commit certificate of this ballot: phase 0 of its view.
    Committed(u8),
    /// An entry of this view signed by too few. Only on a disk.
    TooFew(u8),
    /// An entry of this view with signatures that do not verify. Only on a disk.
    Forged(u8),
}

impl Proof {
    /// The view and phase shown.
    #[must_use]
    pub const fn shows(self) -> (u8, u8) {
        match self {
            Self::Initial => (0, 0),
            Self::Left(view) => (view + 1, 1),
            Self::Entered(view)
            | Self::Committed(view)
            | Self::TooFew(view)
            | Self::Forged(view) => (view, 0),
        }
    }

    /// What proofs are compared by: a later view, or the same one in service instead of in change.
    #[must_use]
    pub const fn rank(self) -> (u8, u8) {
        let (view, phase) = self.shows();
        (view, 1 - phase)
    }

    /// Every valid proof of views up to `last`.
    #[must_use]
    pub fn valid_up_to(last: u8) -> Vec<Self> {
        let mut all = vec![Self::Initial];
        for view in 1..=last {
            all.extend([Self::Left(view - 1), Self::Entered(view), Self::Committed(view)]);
        }
        all
    }

    /// The proof with signatures, the first replicas' as many as are needed.
    pub(crate) fn signed(self, replicas: &Replicas) -> ViewProof {
        let chain = replicas.committee().chain();
        let thresholds = replicas.committee().thresholds();
        let (strong, quorum) = (thresholds.strong(), thresholds.quorum());
        let signers = |count: usize| -> SignerSet {
            (0..count).map(|index| ReplicaId(index as u16)).collect()
        };
        let entered = |view: u8, count: usize| {
            let report = |index: usize| {
                let (id, key) = (ReplicaId(index as u16), replicas.key(index));
                let (ballot, head) = (Ballot(view.into()), HeadClaim::genesis(chain));
                Report::sign(chain, id, ballot, head, None, &key)
            };
            let entries = (0..count).map(|index| report(index).entry()).collect();
            EnterCertificate { view: View(view.into()), signers: signers(count), entries }
        };
        match self {
            Self::Initial => ViewProof::Initial,
            Self::Left(view) => {
                let view = View(view.into());
                let sign = |index| Demand::sign(chain, view, &replicas.key(index)).signature;
                let signatures = (0..strong).map(sign).collect();
                ViewProof::Left(LeaveCertificate { view, signers: signers(strong), signatures })
            }
            Self::Entered(view) => ViewProof::Entered(entered(view, strong)),
            Self::TooFew(view) => ViewProof::Entered(entered(view, strong - 1)),
            Self::Forged(view) => {
                let mut forged = entered(view, strong);
                forged.view = View(u64::from(view) + 1);
                ViewProof::Entered(forged)
            }
            Self::Committed(ballot) => {
                let (ballot, height, hash) = (Ballot(ballot.into()), Height(1), Hash([5; 32]));
                let kind = VoteKind::Commit;
                let vote = |index| {
                    Vote::sign(kind, chain, ballot, height, hash, &replicas.key(index)).signature
                };
                let signatures = (0..quorum).map(vote).collect();
                let signers = signers(quorum);
                let certificate = Certificate { kind, ballot, height, hash, signers, signatures };
                ViewProof::Committed(certificate)
            }
        }
    }
}

/// What a real engine does with proofs: each entry is one engine started from a journal and, but for
/// the start, given one message through the real door.
#[derive(Debug, Clone)]
pub struct Table {
    starts: BTreeMap<Proof, Proof>,
    steps: BTreeMap<(Proof, Proof), Step>,
}

/// What came of one proof held and one received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The proof held afterwards.
    pub holds: Proof,
    /// Whether the replica reported that it is in the new view.
    pub reports: bool,
}

/// Why no table could be made: the engine is not what the model takes it for.
#[derive(Debug)]
pub enum Surprise {
    /// No chain has so many replicas, or one that is alone, to which nobody can send a proof.
    Committee(CommitteeError),
    /// The engine was in a view and phase that no proof it had shows.
    View(String),
    /// A report left without the view having been promised first.
    UnpromisedReport(String),
}

impl Table {
    /// Asks the engine about every proof of views up to `last`, among `n` replicas.
    ///
    /// # Errors
    /// [`Surprise`].
    pub fn new(n: usize, last: u8) -> Result<Self, Surprise> {
        let replicas = Replicas::new(n).map_err(Surprise::Committee)?;
        let mut table = Self { starts: BTreeMap::new(), steps: BTreeMap::new() };
        let valid = Proof::valid_up_to(last);
        let on_disk = valid.iter().copied().chain(Self::illegal_up_to(last));
        for proof in on_disk {
            let (engine, _) = replicas.engine(0, proof.signed(&replicas));
            let now = (engine.status().view.0 as u8, engine.status().phase);
            let holds = [proof, Proof::Initial].into_iter().find(|p| p.shows() == now);
            let surprise = || Surprise::View(format!("{proof:?} on disk: {now:?}"));
            table.starts.insert(proof, holds.ok_or_else(surprise)?);
        }
        for held in &valid {
            for received in &valid {
                let step = one_step(&replicas, *held, *received)?;
                table.steps.insert((*held, *received), step);
            }
        }
        Ok(table)
    }

    /// What a disk may hold that proves nothing.
    fn illegal_up_to(last: u8) -> impl Iterator<Item = Proof> {
        (1..=last).flat_map(|view| [Proof::TooFew(view), Proof::Forged(view)])
    }

    /// What the engine held when started from each proof on disk.
    #[must_use]
    pub const fn starts(&self) -> &BTreeMap<Proof, Proof> {
        &self.starts
    }

    /// What each step came to.
    #[must_use]
    pub const fn steps(&self) -> &BTreeMap<(Proof, Proof), Step> {
        &self.steps
    }
}

fn one_step(replicas: &Replicas, held: Proof, received: Proof) -> Result<Step, Surprise> {
    let (mut engine, _) = replicas.engine(0, held.signed(replicas));
    let message = match received.signed(replicas) {
        ViewProof::Initial => return Ok(Step { holds: held, reports: false }),
        ViewProof::Left(left) => Message::Leave(left),
        ViewProof::Entered(entered) => Message::Enter(entered),
        ViewProof::Committed(certificate) => Message::Certificate(certificate),
    };
    let from = ReplicaId((replicas.committee().replicas().len() - 1) as u16);
    let mut effects = Vec::new();
    if let Ok(message) = admit(from, message, replicas) {
        effects = engine.step(Input::Received { from, message });
    }
    let text = || format!("{received:?} after {held:?}: {effects:?}");
    let is_report = |message: &Message| matches!(message, Message::Report(_));
    let (mut reports, mut promised) = (false, false);
    for effect in &effects {
        match effect {
            Effect::Promise { promise, then } => {
                let shows = |view: View| (view.0 as u8, 1) == received.shows();
                promised |= matches!(promise, Promise::View { view, .. } if shows(*view));
                reports |= then.iter().any(|(_, message)| is_report(message));
            }
            Effect::Send { message, .. } => reports |= is_report(message),
            Effect::Execute(_)
            | Effect::ServeBlocks { .. }
            | Effect::LookUpNonces(_)
            | Effect::Adopt { .. }
            | Effect::Mend(_)
            | Effect::Pooled(_)
            | Effect::Attested(_)
            | Effect::Observed(_) => {}
        }
    }
    if reports && !promised {
        return Err(Surprise::UnpromisedReport(text()));
    }
    let now = (engine.status().view.0 as u8, engine.status().phase);
    let holds = [held, received].into_iter().find(|proof| proof.shows() == now);
    Ok(Step { holds: holds.ok_or_else(|| Surprise::View(text()))?, reports })
}

/// A real engine of replica `index`, started from a journal that shows `proof`.
pub(super) fn start(
    replicas: &Replicas,
    index: usize,
    proof: Proof,
) -> (daruma_engine::Engine, Vec<Effect>) {
    replicas.engine(index, proof.signed(replicas))
}
