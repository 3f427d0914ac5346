//! What is certified survives: the judge of what a reset must not lose.
//!
//! Right after memories and disks were set, each correct replica's disk is read as a stranger would read
//! it: a height counts while block and certificate of it and of every height below are whole, certified
//! by a quorum, and lie one upon the other. Such a chain *stands* there. Later, when all is well again:
//!
//! 1. Each correct replica's disk stands up to its head, and nothing at all is missing below it.
//! 2. What stood at `n-q+1` correct replicas or more, `q` being the quorum, is in it. No quorum for
//!    another block was possible: each needs one of those replicas, and none of them votes against its own
//!    ledger.
//! 3. What stood at fewer is in it too, unless another *certified* block took its place or that of one
//!    below it: then two chains were certified, and the conflict rule chose. Nothing is ever lost to
//!    nothing.
//! 4. The chain executed anew, from the genesis on an empty disk, comes to the state that all have.

use std::sync::Arc;

use daruma_ledger::{Depth, Ledger};
use daruma_store::{MemoryStore, Store, Trust};
use daruma_types::{CertifiedBlock, Hash, Height, ReplicaId, VoteKind, limits as hard};

use super::World;
use crate::Invariant;

/// The chains that stood on correct replicas' disks, each from height 1 on.
#[derive(Debug, Default)]
pub(super) struct Stood(Vec<(ReplicaId, Vec<Hash>)>);

impl World<'_> {
    fn trust_of_all(&self) -> Trust {
        let (committee, verifier) = (Arc::clone(&self.committee), Arc::clone(&self.verifier));
        Trust { committee, verifier }
    }

    /// What stands on the disks of correct replicas now.
    pub(super) fn what_stands(&self) -> Stood {
        let trust = self.trust_of_all();
        let correct = self.replicas.iter().filter(|replica| replica.correct);
        let hashes = |store: &MemoryStore| {
            let blocks = standing(store, &trust);
            blocks.iter().map(|block| block.certificate.hash).collect()
        };
        Stood(correct.map(|replica| (replica.id, hashes(&replica.store))).collect())
    }

    /// Whether what stood then still stands, as far as it must: see the top of this file. All correct
    /// replicas must run and be at one height.
    pub(super) fn check_survival(&self, before: &Stood) -> Result<(), (Invariant, String)> {
        let trust = self.trust_of_all();
        let lost = |what: String| Err((Invariant::Durability, what));
        let mut chain: Option<Vec<CertifiedBlock>> = None;
        for replica in self.replicas.iter().filter(|replica| replica.correct) {
            let Some(running) = &replica.running else { continue };
            let (id, head) = (replica.id, running.ledger.head().claim.height);
            let stands = standing(&replica.store, &trust);
            if (stands.len() as u64) < head.0 {
                let what = format!(
                    "{id} is at {head}, and what it holds stands up to {} only",
                    stands.len()
                );
                return lost(what);
            }
            let stands: Vec<_> = stands.into_iter().take(head.0 as usize).collect();
            if chain.as_ref().is_some_and(|chain| *chain_of(chain) != *chain_of(&stands)) {
                return lost(format!("{id} holds another chain than the others"));
            }
            chain.get_or_insert(stands);
        }
        let chain = chain.unwrap_or_default();
        let now = chain_of(&chain);
        let thresholds = self.committee.thresholds();
        let enough = thresholds.replicas() - thresholds.quorum() + 1;
        for (id, stood) in &before.0 {
            let same = now.iter().zip(stood).take_while(|(now, then)| now == then).count();
            let Some(first) = stood.get(same) else { continue };
            let height = same + 1;
            if now.len() <= same {
                return lost(format!(
                    "{id} held a certified block at {height}, and now nobody does"
                ));
            }
            let holders = before.0.iter().filter(|(_, other)| other.get(same) == Some(first));
            let holders = holders.count();
            if holders >= enough {
                let what = format!(
                    "{holders} replicas held the certified block {first:?} at {height}, and now all \
                     have another"
                );
                return lost(what);
            }
        }
        self.check_replay(&chain, &trust)
    }

    /// The chain executed anew comes to what the ledgers say.
    fn check_replay(
        &self,
        chain: &[CertifiedBlock],
        trust: &Trust,
    ) -> Result<(), (Invariant, String)> {
        let refused = |error: daruma_ledger::LedgerError| (Invariant::Refused, error.to_string());
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let (ledger, _) =
            Ledger::open(store, Arc::clone(&self.automaton), trust.clone(), Depth::Recent)
                .map_err(refused)?;
        let mut ledger = ledger.sharing(Arc::clone(&self.hashes));
        for block in chain {
            ledger.execute(block).map_err(refused)?;
        }
        let anew = ledger.head().statement;
        for replica in self.replicas.iter().filter(|replica| replica.correct) {
            let Some(running) = &replica.running else { continue };
            let found = running.ledger.head().statement;
            if found != anew {
                let what = format!("{} has {found:?}; executed anew it is {anew:?}", replica.id);
                return Err((Invariant::Determinism, what));
            }
        }
        Ok(())
    }
}

fn chain_of(blocks: &[CertifiedBlock]) -> Vec<Hash> {
    blocks.iter().map(|block| block.certificate.hash).collect()
}

/// The chain that stands in a store.
fn standing(store: &MemoryStore, trust: &Trust) -> Vec<CertifiedBlock> {
    let mut found: Vec<CertifiedBlock> = Vec::new();
    let mut below = trust.chain().0;
    for height in (1..).map(Height) {
        let (Ok(Some(block)), Ok(Some(certificate))) =
            (store.block(height), store.certificate(height))
        else {
            break;
        };
        let (count_max, bytes_max) = (hard::BLOCK_TRANSACTIONS_MAX, hard::BLOCK_BYTES_MAX);
        let stands = block.header.height == height
            && block.header.parent == below
            && block.verify_shape(trust.chain(), count_max, bytes_max).is_ok()
            && certificate.height == height
            && certificate.hash == block.hash()
            && trust.holds(VoteKind::Commit, &certificate);
        if !stands {
            break;
        }
        below = certificate.hash;
        found.push(CertifiedBlock { block: Arc::new(block), certificate });
    }
    found
}
