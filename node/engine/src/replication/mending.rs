//! An executed block whose record the ledger found damaged: had again from the other replicas (DESIGN 5).
//!
//! The ledger tells the height for as long as it misses it. The peers that have that height are asked in turn,
//! one at a time; what comes is given to the ledger, which takes it only if it is the block that its own chain
//! has there. So a peer that lies or lost the block, too, costs a wait and no more.

#[cfg(feature = "laboratory")]
#[path = "../laboratory/mending.rs"]
mod laboratory;

use daruma_types::{CertifiedBlock, Height, Message, ReplicaId};

use super::Replication;
use crate::Effect;
use crate::outbox::Outbox;

/// Ticks to wait for the block before the next peer is asked.
const ANSWER_TICKS: u32 = 4;

/// Ticks for which a height is asked for after the ledger told it last: it tells it every second, so what
/// memory made up ends by itself.
const TOLD_TICKS: u32 = 40;

/// The block that the ledger misses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mending {
    /// Its height, and for how many more ticks that counts.
    told: Option<(Height, u32)>,
    /// Ticks left for the peer that was asked.
    waits: u32,
    /// Whose turn it is.
    turn: usize,
}

impl Mending {
    /// Whom to ask for which height now, if anyone.
    fn tick(&mut self, heads: &[(ReplicaId, Height)]) -> Option<(ReplicaId, Height)> {
        self.waits = self.waits.min(ANSWER_TICKS).saturating_sub(1);
        let (height, left) = self.told?;
        let left = left.min(TOLD_TICKS).saturating_sub(1);
        self.told = (left > 0).then_some((height, left));
        if self.waits > 0 {
            return None;
        }
        let able = || heads.iter().filter(|(_, head)| *head >= height);
        self.turn = self.turn.wrapping_add(1);
        let (peer, _) = able().nth(self.turn.checked_rem(able().count())?)?;
        self.waits = ANSWER_TICKS;
        Some((*peer, height))
    }

    /// The block that is missing, if it is among these: the ledger tells whether it is still missing then.
    fn find<'a>(&mut self, blocks: &'a [CertifiedBlock]) -> Option<&'a CertifiedBlock> {
        let (height, _) = self.told?;
        let found = blocks.iter().find(|block| block.certificate.height == height)?;
        (self.told, self.waits) = (None, 0);
        Some(found)
    }
}

impl Replication {
    /// The ledger misses the block of this height.
    pub(crate) const fn on_missing(&mut self, height: Height) {
        self.mending.told = Some((height, TOLD_TICKS));
    }

    /// Asks the next peer that has the block, unless an answer is awaited. `heads` are the peers' heads as
    /// last heard.
    pub(crate) fn mending_tick(&mut self, heads: &[(ReplicaId, Height)], out: &mut Outbox) {
        if let Some((peer, from)) = self.mending.tick(heads) {
            out.send(peer, Message::Fetch { from, count: 1 });
        }
    }

    /// Committed blocks from a peer, truly certified: the one that is missing is given to the ledger.
    pub(crate) fn mend(&mut self, blocks: &[CertifiedBlock], out: &mut Outbox) {
        if let Some(block) = self.mending.find(blocks) {
            out.push(Effect::Mend(block.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;
    use alloc::vec::Vec;
    use daruma_types::{Block, Certificate, ChainId, Hash, SignerSet, VoteKind};

    const HEADS: [(ReplicaId, Height); 3] =
        [(ReplicaId(0), Height(9)), (ReplicaId(2), Height(4)), (ReplicaId(3), Height(5))];

    fn told(height: u64) -> Mending {
        Mending { told: Some((Height(height), TOLD_TICKS)), ..Mending::default() }
    }

    fn block(height: u64) -> CertifiedBlock {
        let chain = ChainId(Hash([7; 32]));
        let block = Block::build(chain, Height(height), chain.0, ReplicaId(0), 1, Vec::new());
        let (kind, ballot, hash) = (VoteKind::Commit, Default::default(), block.hash());
        let (signers, signatures) = (SignerSet::EMPTY, Vec::new());
        let height = Height(height);
        let certificate = Certificate { kind, ballot, height, hash, signers, signatures };
        CertifiedBlock { block: Arc::new(block), certificate }
    }

    #[test]
    fn peers_that_have_the_missing_block_are_asked_in_turn_for_as_long_as_the_ledger_tells_it() {
        let mut mending = told(5);
        let asked: Vec<_> = (0..200).filter_map(|_| mending.tick(&HEADS)).collect();
        assert_eq!(asked.len(), (TOLD_TICKS / ANSWER_TICKS) as usize);
        assert!(asked.iter().all(|(_, height)| *height == Height(5)));
        assert!(asked.chunks(2).all(|two| two.iter().any(|(peer, _)| *peer == ReplicaId(0))));
        assert!(asked.chunks(2).all(|two| two.iter().any(|(peer, _)| *peer == ReplicaId(3))));
        assert_eq!(told(10).tick(&HEADS), None, "nobody has it");
    }

    #[test]
    fn the_missing_block_is_given_to_the_ledger_once_and_others_are_not() {
        let mut mending = told(5);
        assert!(mending.tick(&HEADS).is_some());
        assert_eq!(mending.find(&[block(4), block(6)]), None);
        assert_eq!(mending.find(&[block(4), block(5)]), Some(&block(5)));
        assert_eq!(mending.find(&[block(5)]), None);
        mending.told = Some((Height(5), TOLD_TICKS));
        assert!(mending.tick(&HEADS).is_some(), "it was not the one: the next is asked at once");
    }

    #[test]
    fn a_belief_of_any_size_about_what_is_missing_ends() {
        let mut mending =
            Mending { told: Some((Height(5), u32::MAX)), waits: u32::MAX, turn: usize::MAX };
        let asked = (0..200).filter(|_| mending.tick(&HEADS).is_some()).count();
        assert!(asked > 0 && asked <= (TOLD_TICKS / ANSWER_TICKS) as usize);
        assert_eq!(mending.told, None);
    }
}
