//! Arbitrary certificates and what holds them: forged, replayed, or real with one field changed.

use alloc::vec::Vec;

use daruma_types::{
    Certificate, CertifiedBlock, Coordination, EnterCertificate, EnterEntry, HeadClaim, Header,
    LeaveCertificate, Message, NewView, ReplicaId, Report, ViewProof, VoteKind, limits,
};

use super::Garbage;

impl Garbage<'_> {
    pub(crate) fn certificate(&mut self, kind: VoteKind) -> Certificate {
        let dictionary = self.dictionary;
        let of_kind = || dictionary.certificates.iter().filter(|known| known.kind == kind);
        let at = self.below((of_kind().count() as u64).max(1)) as usize;
        let mut certificate = match of_kind().nth(at) {
            Some(known) if self.real() => return known.clone(),
            Some(known) if self.chance(65) => known.clone(),
            Some(_) | None => {
                let signers = self.signers();
                return Certificate {
                    kind,
                    ballot: self.ballot(),
                    height: self.height(),
                    hash: self.hash(),
                    signers,
                    signatures: (0..signers.len()).map(|_| self.signature()).collect(),
                };
            }
        };
        match self.below(6) {
            0 => certificate.kind = self.kind(),
            1 => certificate.ballot = self.ballot(),
            2 => certificate.height = self.height(),
            3 => certificate.hash = self.hash(),
            4 => certificate.signers = self.signers(),
            _ => {
                let forged = self.signature();
                let at = self.below(certificate.signatures.len() as u64) as usize;
                if let Some(place) = certificate.signatures.get_mut(at) {
                    *place = forged;
                }
            }
        }
        certificate
    }

    pub(crate) fn head_claim(&mut self) -> HeadClaim {
        let certificate = self.certificate(VoteKind::Commit);
        if self.real() || self.chance(40) {
            let (height, hash) = (certificate.height, certificate.hash);
            return HeadClaim { height, hash, certificate: Some(certificate) };
        }
        HeadClaim {
            height: self.height(),
            hash: self.hash(),
            certificate: self.maybe(|_| Some(certificate)),
        }
    }

    pub(crate) fn report(&mut self, of: ReplicaId) -> Report {
        let dictionary = self.dictionary;
        let own = || dictionary.reports.iter().filter(|report| report.replica == of);
        let at = self.below((own().count() as u64).max(1)) as usize;
        let mut report = match own().nth(at) {
            Some(known) if self.real() => return known.clone(),
            Some(known) => known.clone(),
            None => Report {
                replica: of,
                ballot: self.ballot(),
                head: self.head_claim(),
                prepared: self.maybe(|g| Some(g.certificate(VoteKind::Prepare))),
                signature: self.signature(),
            },
        };
        match self.below(5) {
            0 => report.replica = self.replica(),
            1 => report.ballot = self.ballot(),
            2 => report.head = self.head_claim(),
            3 => report.prepared = self.maybe(|g| Some(g.certificate(VoteKind::Prepare))),
            _ => report.signature = self.signature(),
        }
        report
    }

    pub(crate) fn leave(&mut self) -> LeaveCertificate {
        let signers = self.signers();
        LeaveCertificate {
            view: self.view(),
            signers,
            signatures: (0..signers.len()).map(|_| self.signature()).collect(),
        }
    }

    pub(crate) fn entered(&mut self) -> EnterCertificate {
        let signers = self.signers();
        EnterCertificate {
            view: self.view(),
            signers,
            entries: (0..signers.len())
                .map(|_| EnterEntry { digest: self.hash(), signature: self.signature() })
                .collect(),
        }
    }

    pub(crate) fn proof(&mut self) -> ViewProof {
        let dictionary = self.dictionary;
        match self.pick(&dictionary.proofs) {
            Some(known) if self.real() => known.clone(),
            Some(ViewProof::Left(left)) if self.chance(60) => {
                ViewProof::Left(LeaveCertificate { view: self.view(), ..left.clone() })
            }
            Some(ViewProof::Entered(entered)) if self.chance(60) => {
                ViewProof::Entered(EnterCertificate { view: self.view(), ..entered.clone() })
            }
            Some(_) | None => match self.below(4) {
                0 => ViewProof::Initial,
                1 => ViewProof::Left(self.leave()),
                2 => ViewProof::Entered(self.entered()),
                _ => {
                    let kind = self.kind();
                    ViewProof::Committed(self.certificate(kind))
                }
            },
        }
    }

    pub(crate) fn headers(&mut self) -> Vec<Header> {
        let count = self.size(limits::WINDOW_MAX);
        (0..count).map(|_| self.header()).collect()
    }

    pub(crate) fn new_view(&mut self) -> NewView {
        let dictionary = self.dictionary;
        let mut new_view = match self.pick(&dictionary.new_views) {
            Some(known) if self.real() => return known.clone(),
            Some(known) => known.clone(),
            None => NewView {
                ballot: self.ballot(),
                reports: self.each(Self::report),
                headers: self.headers(),
                signature: self.signature(),
            },
        };
        match self.below(4) {
            0 => new_view.ballot = self.ballot(),
            1 => new_view.reports = self.each(Self::report),
            2 => new_view.headers = self.headers(),
            _ => new_view.signature = self.signature(),
        }
        new_view
    }

    /// A message that may be on its way when a run begins: well formed or not, real or forged.
    pub fn message(&mut self, from: ReplicaId) -> Message {
        // Places are said only where there is a Coordination Automaton.
        let kinds = if self.dictionary.places.is_empty() { 14 } else { 16 };
        match self.below(kinds) {
            0 => Message::Token { counter: self.number(&[0]) },
            1 => Message::TokenReturn { counter: self.number(&[0]) },
            2 => Message::Demand(self.demand(from)),
            3 => Message::Leave(self.leave()),
            4 => Message::Report(self.report(from)),
            5 => Message::Enter(self.entered()),
            6 => Message::NewView(self.new_view()),
            7 => Message::Vote(self.vote(from)),
            8 => {
                let kind = self.kind();
                Message::Certificate(self.certificate(kind))
            }
            9 => Message::Fetch { from: self.height(), count: self.small_number(&[1]) },
            10 => Message::Blocks((0..self.below(3)).map(|_| self.certified()).collect()),
            11 => Message::Attestation(self.attestation(from)),
            12 => Message::Transactions((0..self.below(3)).map(|_| self.transaction()).collect()),
            13 => Message::Summary(self.summary()),
            _ => Message::Coordination(Coordination { own: self.place(), echo: self.place() }),
        }
    }

    pub(crate) fn certified(&mut self) -> CertifiedBlock {
        let dictionary = self.dictionary;
        match self.pick(&dictionary.certified) {
            Some(known) if self.real() => known.clone(),
            Some(known) if self.chance(50) => {
                let mut certified = known.clone();
                if self.flag() {
                    certified.block = self.block();
                } else {
                    certified.certificate = self.certificate(VoteKind::Commit);
                }
                certified
            }
            Some(_) | None => {
                let block = self.block();
                let mut certificate = self.certificate(VoteKind::Commit);
                certificate.height = block.header.height;
                certificate.hash = block.hash();
                CertifiedBlock { block, certificate }
            }
        }
    }
}
