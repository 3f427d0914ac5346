//! Which transactions come into a block, and in which order clients get their turns.

use alloc::vec::Vec;

use daruma_types::{PublicKey, Transaction, supersedes};

use super::Pool;
use crate::config::{ChainLimits, Context};

impl Pool {
    /// Picks transactions for a block: clients take turns, who waits longest first, each client's in nonce
    /// order, skipping what `used` says is executed or in flight.
    ///
    /// A client that was served, or is new, goes to the end of the queue. An order by keys would let one who
    /// has many keep others from their turn, with ever new ones that come just before.
    pub(crate) fn pick(
        &mut self,
        used: impl Fn(&PublicKey) -> Option<u64>,
        limits: &ChainLimits,
    ) -> Vec<Transaction> {
        let mut lines: Vec<_> = self
            .clients
            .iter()
            .filter_map(|(key, client)| {
                let last = used(key);
                let mut line = client
                    .line
                    .values()
                    .skip_while(move |p| !supersedes(p.transaction.nonce, last))
                    .peekable();
                line.peek()?;
                Some((client.place, *key, line))
            })
            .collect();
        lines.sort_unstable_by_key(|(place, key, _)| (*place, *key));
        let (mut picked, mut bytes) = (Vec::new(), 0_usize);
        'full: while !lines.is_empty() {
            for (_, _, line) in &mut lines {
                let Some(next) = line.peek() else { continue };
                let size = next.transaction.encoded_bytes();
                if picked.len() >= limits.block_transactions_max
                    || bytes.saturating_add(size) > limits.block_bytes_max
                {
                    break 'full;
                }
                bytes = bytes.saturating_add(size);
                picked.push(next.transaction.clone());
                line.next();
            }
            lines.retain_mut(|(_, _, line)| line.peek().is_some());
        }
        for served in &picked {
            let place = self.next_place();
            if let Some(client) = self.clients.get_mut(&served.client) {
                client.place = place;
            }
        }
        picked
    }

    /// The end of the queue.
    pub(super) const fn next_place(&mut self) -> u64 {
        let place = self.places;
        self.places = place.saturating_add(1);
        place
    }

    /// Whether a block picked now would be full, when `flying` transactions of `flying_bytes` are in
    /// flight already.
    pub(crate) fn fills_a_block(
        &self,
        flying: usize,
        flying_bytes: usize,
        limits: &ChainLimits,
    ) -> bool {
        let all = self.load();
        all.count.saturating_sub(flying) >= limits.block_transactions_max
            || all.bytes.saturating_sub(flying_bytes) >= limits.block_bytes_max
    }

    /// Blocks, at most, that a primary with these transactions makes before each client had its turn.
    /// A block is full when the next transaction, however large, finds no room.
    pub(super) fn blocks_of_a_turn(&self, context: &Context) -> u64 {
        let limits = &context.chain;
        let clients = self.clients.len();
        let filled = limits.block_bytes_max.saturating_sub(context.largest_transaction()).max(1);
        let by_count = clients.div_ceil(limits.block_transactions_max.max(1));
        let by_bytes = self.load().bytes.div_ceil(filled);
        // Each serves one client at least.
        by_count.saturating_add(by_bytes).min(clients) as u64
    }
}
