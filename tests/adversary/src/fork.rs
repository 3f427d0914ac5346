//! A second chain beside the engine's: blocks of the adversary in place of those that its own
//! engine proposed, consistent along the chain, so that a victim sees nothing wrong but the branch.

use std::collections::BTreeMap;
use std::sync::Arc;

use daruma_types::{
    Ballot, Block, Hash, Header, Height, Message, PrePrepare, Transaction, Vote, VoteKind,
};

use crate::{Surroundings, limits};

/// Blocks by the hash of the engine's block that each one stands in for.
#[derive(Default)]
pub(crate) struct Fork {
    blocks: BTreeMap<Hash, Arc<Block>>,
}

impl Fork {
    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.blocks.clear();
    }

    /// Puts a block with `transactions` in place of the block with `header`, on the fork if the
    /// parent is on it. The timestamp is moved by `later_ms`, so that it is another block even with
    /// equal transactions.
    pub(crate) fn replace(
        &mut self,
        header: &Header,
        transactions: Vec<Transaction>,
        later_ms: u64,
    ) -> Arc<Block> {
        self.replace_at(header, header.height, self.name_of(header.parent), transactions, later_ms)
    }

    /// The same at another height, on `parent`.
    pub(crate) fn replace_at(
        &mut self,
        header: &Header,
        height: Height,
        parent: Hash,
        transactions: Vec<Transaction>,
        later_ms: u64,
    ) -> Arc<Block> {
        let original = header.hash();
        if let Some(block) = self.blocks.get(&original) {
            return Arc::clone(block);
        }
        if self.blocks.len() >= limits::FORK_BLOCKS_MAX {
            self.blocks.clear();
        }
        let block = Arc::new(Block::build(
            header.chain,
            height,
            parent,
            header.proposer,
            header.timestamp_ms.saturating_add(later_ms),
            transactions,
        ));
        self.blocks.insert(original, Arc::clone(&block));
        block
    }

    /// The name on the fork of the engine's block `hash`; `hash` itself if it is not on the fork.
    pub(crate) fn name_of(&self, hash: Hash) -> Hash {
        self.blocks.get(&hash).map_or(hash, |block| block.hash())
    }

    /// The fork's block called `hash`.
    pub(crate) fn body(&self, hash: &Hash) -> Option<Arc<Block>> {
        self.blocks.values().find(|block| block.hash() == *hash).map(Arc::clone)
    }

    /// The engine's vote, cast for the fork's block instead.
    pub(crate) fn vote(&self, vote: &Vote, around: &Surroundings<'_>) -> Option<Message> {
        let block = self.blocks.get(&vote.hash)?;
        Some(signed_vote(vote.kind, vote.ballot, block.header.height, block.hash(), around))
    }
}

/// A vote of the adversary's replica.
pub(crate) fn signed_vote(
    kind: VoteKind,
    ballot: Ballot,
    height: Height,
    hash: Hash,
    around: &Surroundings<'_>,
) -> Message {
    let chain = around.committee.chain();
    Message::Vote(Vote::sign(kind, chain, ballot, height, hash, around.signer))
}

/// A proposal of the adversary's replica.
pub(crate) fn signed_proposal(
    ballot: Ballot,
    block: Arc<Block>,
    around: &Surroundings<'_>,
) -> Message {
    let bytes = VoteKind::Prepare.signed_bytes(
        around.committee.chain(),
        ballot,
        block.header.height,
        &block.hash(),
    );
    let signature = around.signer.sign(&bytes);
    Message::PrePrepare(PrePrepare { ballot, block, signature })
}
