//! An arbitrary height in flight.

use daruma_types::{Ballot, Hash, Height, VoteKind};

use super::{Candidate, Held, Slot};
use crate::laboratory::{Garbage, Values};

impl Slot {
    /// Makes the signatures of all votes held false.
    pub(in crate::replication) fn forge_votes(&mut self) {
        let votes = self.prepares.iter_mut().chain(&mut self.commits);
        votes.flatten().for_each(|vote| vote.signature.0.reverse());
    }

    /// A slot of any content, most often of one that could be in `ballot` at `height`.
    pub(in crate::replication) fn arbitrary(
        g: &mut Garbage<'_>,
        ballot: Ballot,
        height: Height,
        hashes: &[Hash],
    ) -> Self {
        let favourite = g.pick(hashes).copied();
        let mut hash = |g: &mut Garbage<'_>| match favourite {
            Some(hash) if g.chance(80) => hash,
            Some(_) | None => g.hash(),
        };
        let candidate = g.maybe(|g| {
            let block = if g.flag() { g.fitting_block() } else { g.block() };
            let nonces = (0..g.size(2)).map(|_| (g.client(), g.nonce())).collect();
            let hash = if g.chance(90) { block.hash() } else { g.hash() };
            Some(Candidate { hash, block, nonces, refused_above: g.maybe(|g| Some(g.hash())) })
        });
        let votes = |g: &mut Garbage<'_>, kind, hash: &mut dyn FnMut(&mut Garbage<'_>) -> Hash| {
            g.each(|g, of| {
                g.maybe(|g| {
                    let real = g.dictionary.votes.iter().find(|(voter, vote)| {
                        *voter == of
                            && vote.ballot == ballot
                            && vote.height == height
                            && vote.kind == kind
                    });
                    match real {
                        Some((_, vote)) if g.real() => {
                            Some(Held { hash: vote.hash, signature: vote.signature })
                        }
                        Some(_) | None => Some(Held { hash: hash(g), signature: g.signature() }),
                    }
                })
            })
        };
        let prepares = votes(g, VoteKind::Prepare, &mut hash);
        let commits = votes(g, VoteKind::Commit, &mut hash);
        Self {
            candidate,
            accepted: g.maybe(|g| Some(hash(g))),
            prepared: g.maybe(|g| {
                let mut certificate = g.certificate(VoteKind::Prepare);
                if g.values() == Values::Mixed && g.flag() {
                    (certificate.ballot, certificate.height) = (ballot, height);
                    certificate.hash = hash(g);
                }
                Some(certificate)
            }),
            prepares,
            commits,
            contradicted: g.signers(),
        }
    }
}
