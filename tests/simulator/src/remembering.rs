//! A verifier that remembers the signatures it found good.

use std::sync::{Arc, Mutex, PoisonError};

use daruma_types::{ChainId, PublicKey, Report, Signature, Verifier};

use crate::limits;

/// Signatures known to be good, each at a place that it gives itself; a later one replaces it.
#[derive(Debug)]
pub(crate) struct Known {
    good: Mutex<Vec<Good>>,
    reports: Mutex<Vec<ValidReport>>,
}

/// A valid report and its chain, if one was met that has its place here.
type ValidReport = Option<Box<(ChainId, Report)>>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Good {
    key: PublicKey,
    signature: Option<Signature>,
    content: Vec<u8>,
}

impl Known {
    pub(crate) fn new() -> Self {
        Self {
            good: Mutex::new(vec![Good::default(); limits::VERIFIED_MAX]),
            reports: Mutex::new(vec![None; limits::REPORTS_MAX]),
        }
    }

    /// Calls `act` with the entry at the signature's place, and whether it is this one.
    fn at<T>(
        &self,
        key: &PublicKey,
        content: &[u8],
        signature: &Signature,
        act: impl FnOnce(bool, &mut Good) -> T,
    ) -> T {
        let place = place(signature);
        // A run has one thread, and nothing panics while it holds the lock.
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = &mut good[place % limits::VERIFIED_MAX];
        let same = entry.signature.as_ref() == Some(signature)
            && entry.key == *key
            && entry.content == content;
        act(same, entry)
    }

    /// Calls `act` with the place of `report`.
    fn at_report<T>(&self, report: &Report, act: impl FnOnce(&mut ValidReport) -> T) -> T {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut reports[place(&report.signature) % limits::REPORTS_MAX])
    }

    /// Keeps in mind that `signature` is `key`'s on `content`.
    pub(crate) fn note(&self, key: &PublicKey, content: &[u8], signature: &Signature) {
        self.at(key, content, signature, |_, entry| entry.set(key, content, signature));
    }
}

/// Where to look for a signature: some bytes of it.
const fn place(signature: &Signature) -> usize {
    u16::from_le_bytes([signature.0[0], signature.0[1]]) as usize
}

impl Good {
    fn set(&mut self, key: &PublicKey, content: &[u8], signature: &Signature) {
        (self.key, self.signature) = (*key, Some(*signature));
        self.content.clear();
        self.content.extend_from_slice(content);
    }
}

/// Asks another verifier, once for each signature that is met again soon: whoever keeps a certificate,
/// or is sent one, checks the same signatures anew, and the answer depends on nothing but the
/// arguments. Those are compared in full; a refusal is never remembered.
pub(crate) struct Remembering {
    inner: Arc<dyn Verifier>,
    known: Arc<Known>,
}

impl Remembering {
    pub(crate) fn new(inner: Arc<dyn Verifier>, known: Arc<Known>) -> Self {
        Self { inner, known }
    }
}

impl Verifier for Remembering {
    fn verify(&self, key: &PublicKey, content: &[u8], signature: &Signature) -> bool {
        self.known.at(key, content, signature, |same, entry| {
            let good = same || self.inner.verify(key, content, signature);
            if good && !same {
                entry.set(key, content, signature);
            }
            good
        })
    }

    fn knows_report(&self, chain: ChainId, report: &Report) -> bool {
        let same = |(of, known): &(ChainId, Report)| *of == chain && known == report;
        self.known.at_report(report, |place| place.as_deref().is_some_and(same))
    }

    fn note_report(&self, chain: ChainId, report: &Report) {
        self.known.at_report(report, |place| *place = Some(Box::new((chain, report.clone()))));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use daruma_types::{Ballot, Committee, Hash, HeadClaim, Replica, ReplicaId};

    use super::*;
    use crate::scheme::{Keys, Role, Scheme};

    /// Finds signatures good that consist of the content's first byte, and counts how often it is asked.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Verifier for Counting {
        fn verify(&self, _: &PublicKey, content: &[u8], signature: &Signature) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed);
            signature.0 == [content[0]; 64]
        }
    }

    #[test]
    fn only_what_was_found_good_is_answered_from_memory_and_only_as_a_whole() {
        let inner = Arc::new(Counting::default());
        let verifier = Arc::clone(&inner) as Arc<dyn Verifier>;
        let remembering = Remembering::new(verifier, Arc::new(Known::new()));
        let (key, other) = (PublicKey([1; 32]), PublicKey([2; 32]));
        let asks = |key: &PublicKey, content: &[u8], byte: u8| {
            let before = inner.0.load(Ordering::Relaxed);
            let good = remembering.verify(key, content, &Signature([byte; 64]));
            (good, inner.0.load(Ordering::Relaxed) - before)
        };
        assert_eq!(asks(&key, &[5, 1], 5), (true, 1));
        assert_eq!(asks(&key, &[5, 1], 5), (true, 0));
        assert_eq!(asks(&other, &[5, 1], 5), (true, 1));
        assert_eq!(asks(&key, &[5, 2], 5), (true, 1));
        assert_eq!(asks(&key, &[6], 5), (false, 1));
        assert_eq!(asks(&key, &[6], 5), (false, 1));
    }

    #[test]
    fn a_report_is_known_as_a_whole_and_on_its_chain_only_and_only_once_it_was_valid() {
        let keys = Keys::new(Scheme::Fast, 1);
        let replicas = (0..4).map(|id| Replica {
            name: format!("r{id}"),
            key: keys.signer(Role::Replica, id).public_key(),
        });
        let (chain, other) = (ChainId(Hash([1; 32])), ChainId(Hash([2; 32])));
        let committee = Committee::new(chain, 1, replicas.collect()).unwrap();
        let verifier = keys.verifier();
        let signer = keys.signer(Role::Replica, 2);
        let head = HeadClaim::genesis(chain);
        let good = Report::sign(chain, ReplicaId(2), Ballot(3), head, None, signer.as_ref());
        assert!(!verifier.knows_report(chain, &good));
        assert_eq!(good.verify(&committee, verifier.as_ref()), Ok(()));
        assert!(verifier.knows_report(chain, &good));
        assert!(!verifier.knows_report(other, &good));
        let bent = Report { ballot: Ballot(4), ..good };
        assert!(!verifier.knows_report(chain, &bent));
        assert!(bent.verify(&committee, verifier.as_ref()).is_err());
        assert!(!verifier.knows_report(chain, &bent));
    }
}
