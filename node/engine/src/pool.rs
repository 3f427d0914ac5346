//! Pending transactions: known, not yet executed (the thesis's `pendReqs`; DESIGN 4.2, requests).
//!
//! Kept by client and nonce, bounded in all ways. A full pool refuses the newest with an explicit
//! answer and never evicts what it accepted. A transaction leaves when its nonce, or a later one of
//! its client, was executed; being put into a block is not enough.

#[cfg(feature = "laboratory")]
#[path = "laboratory/pool.rs"]
mod laboratory;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use daruma_types::{Height, PublicKey, Transaction, supersedes};

use crate::config::{ChainLimits, Context, LocalLimits};

/// Why a transaction was not taken into the pool. Final for this replica and moment; the same
/// transaction may be submitted again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolRefusal {
    /// The pool is full.
    #[error("the pool is full with {pending} transactions; try again when some are executed")]
    Full {
        /// Transactions pending.
        pending: usize,
    },
    /// The client has too many pending.
    #[error("{pending} transactions of this client are pending, as many as one client may have")]
    ClientFull {
        /// The client's transactions pending.
        pending: usize,
    },
    /// The client executed this nonce or a later one.
    #[error("the client's nonce {last} was executed already; a new one must be larger")]
    Superseded {
        /// The client's last executed nonce.
        last: u64,
    },
    /// The client has another operation pending under the same nonce.
    #[error("another operation of this client is pending under the same nonce")]
    SameNonce,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pending {
    transaction: Transaction,
    /// Whether it was sent to all replicas.
    spread: bool,
    /// Whether this replica got it from a client.
    own: bool,
    /// Whether the present primary was given it by this replica.
    handed: bool,
    /// Ticks since it came or was last spread.
    ticks: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Client {
    line: BTreeMap<u64, Pending>,
    /// The executed height when the first in line became the first.
    first_since: Height,
}

/// What a tick makes due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Due {
    /// To be sent to all replicas.
    pub(crate) to_all: Vec<Transaction>,
    /// To be given to the primary.
    pub(crate) to_primary: Vec<Transaction>,
}

/// The pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pool {
    clients: BTreeMap<PublicKey, Client>,
    count: usize,
    bytes: usize,
    /// Transactions that left because they, or later ones of their clients, were executed.
    settled: u64,
    /// Where the next block starts to pick clients, so that all get their turn.
    turn: Option<PublicKey>,
    /// The last transaction whose signature was looked at again; none to begin with the first.
    checked: Option<(PublicKey, u64)>,
}

/// Transactions whose signatures are checked again at one full check: some milliseconds of work.
const CHECKED_AT_ONCE: usize = 128;

/// Ticks after which a transaction that is still pending is sent to all replicas: a primary that
/// works has executed it by then, and the others need not get it twice.
const SPREAD_AFTER_TICKS: u32 = 2;

/// Ticks after which a transaction that a peer passed on is given to the primary too: the peer may have
/// kept it from the primary, whose fault its waiting then is not. Well below the detector's patience.
const HAND_ON_TICKS: u32 = 10;

/// Ticks after which it is sent again, for replicas that had no room or were away.
const SPREAD_AGAIN_TICKS: u32 = 40;

impl Pool {
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    pub(crate) const fn settled(&self) -> u64 {
        self.settled
    }

    /// Takes a transaction in. Having it already is no error.
    pub(crate) fn insert(
        &mut self,
        transaction: Transaction,
        own: bool,
        executed: Height,
        limits: &LocalLimits,
    ) -> Result<(), PoolRefusal> {
        let client = self.clients.get(&transaction.client);
        if let Some(pending) = client.and_then(|c| c.line.get(&transaction.nonce)) {
            let same = pending.transaction.operation == transaction.operation;
            return if same { Ok(()) } else { Err(PoolRefusal::SameNonce) };
        }
        let of_client = client.map_or(0, |c| c.line.len());
        if of_client >= limits.pending_per_client_max {
            return Err(PoolRefusal::ClientFull { pending: of_client });
        }
        let bytes = transaction.encoded_bytes();
        if self.count >= limits.pending_max
            || self.bytes.saturating_add(bytes) > limits.pending_bytes_max
        {
            return Err(PoolRefusal::Full { pending: self.count });
        }
        let client = self.clients.entry(transaction.client).or_default();
        if client.line.first_key_value().is_none_or(|(first, _)| *first > transaction.nonce) {
            client.first_since = executed;
        }
        // What a client gave to this replica goes to the primary at once.
        let pending = Pending { spread: false, own, handed: own, ticks: 0, transaction };
        client.line.insert(pending.transaction.nonce, pending);
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Removes what `nonce` of `client` settles.
    pub(crate) fn settle(&mut self, client: &PublicKey, nonce: u64, executed: Height) {
        let Some(entry) = self.clients.get_mut(client) else { return };
        let mut left = match nonce.checked_add(1) {
            Some(next) => entry.line.split_off(&next),
            None => BTreeMap::new(),
        };
        core::mem::swap(&mut left, &mut entry.line);
        if left.is_empty() {
            return;
        }
        entry.first_since = executed;
        for pending in left.values() {
            self.count = self.count.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(pending.transaction.encoded_bytes());
        }
        self.settled = self.settled.wrapping_add(left.len() as u64);
        if entry.line.is_empty() {
            self.clients.remove(client);
        }
    }

    /// Picks transactions for a block: clients take turns, each client's in nonce order, skipping
    /// what `used` says is executed or in flight.
    pub(crate) fn pick(
        &mut self,
        used: impl Fn(&PublicKey) -> Option<u64>,
        limits: &ChainLimits,
    ) -> Vec<Transaction> {
        let mut lines: Vec<_> = self
            .turns()
            .filter_map(|(key, client)| {
                let last = used(key);
                let mut line = client
                    .line
                    .values()
                    .skip_while(move |p| !supersedes(p.transaction.nonce, last))
                    .peekable();
                line.peek()?;
                Some((*key, line))
            })
            .collect();
        let (mut picked, mut bytes) = (Vec::new(), 0_usize);
        let mut turn = None;
        'full: while !lines.is_empty() {
            for (key, line) in &mut lines {
                let Some(next) = line.peek() else { continue };
                let size = next.transaction.encoded_bytes();
                if picked.len() >= limits.block_transactions_max
                    || bytes.saturating_add(size) > limits.block_bytes_max
                {
                    turn = Some(*key);
                    break 'full;
                }
                bytes = bytes.saturating_add(size);
                picked.push(next.transaction.clone());
                line.next();
            }
            lines.retain_mut(|(_, line)| line.peek().is_some());
        }
        self.turn = turn;
        picked
    }

    /// Whether a block picked now would be full, when `flying` transactions of `flying_bytes` are in
    /// flight already.
    pub(crate) fn fills_a_block(
        &self,
        flying: usize,
        flying_bytes: usize,
        limits: &ChainLimits,
    ) -> bool {
        self.count.saturating_sub(flying) >= limits.block_transactions_max
            || self.bytes.saturating_sub(flying_bytes) >= limits.block_bytes_max
    }

    /// The clients, from the one whose turn it is.
    fn turns(&self) -> impl Iterator<Item = (&PublicKey, &Client)> {
        let start = self.turn.unwrap_or_default();
        self.clients.range(start..).chain(self.clients.range(..start))
    }

    /// Counts a tick: what has waited long enough is to be sent to all replicas, and what a peer
    /// passed on to the primary. Both bounded by `max` and `bytes_max`.
    pub(crate) fn tick(&mut self, executed: Height, max: usize, bytes_max: usize) -> Due {
        let (mut due, mut handing) = (Vec::new(), Vec::new());
        let (mut bytes, mut handing_bytes) = (0_usize, 0_usize);
        for client in self.clients.values_mut() {
            for pending in client.line.values_mut() {
                let size = pending.transaction.encoded_bytes();
                let room = handing.len() < max && handing_bytes.saturating_add(size) <= bytes_max;
                if !pending.handed && pending.ticks >= HAND_ON_TICKS && room {
                    pending.handed = true;
                    handing_bytes = handing_bytes.saturating_add(size);
                    handing.push(pending.transaction.clone());
                    // The primary is not to blame for the time before.
                    client.first_since = executed;
                }
                pending.ticks = pending.ticks.saturating_add(1);
                let patience = if pending.spread { SPREAD_AGAIN_TICKS } else { SPREAD_AFTER_TICKS };
                let fits = due.len() < max && bytes.saturating_add(size) <= bytes_max;
                if pending.own && pending.ticks >= patience && fits {
                    pending.spread = true;
                    pending.ticks = 0;
                    bytes = bytes.saturating_add(size);
                    due.push(pending.transaction.clone());
                }
            }
        }
        Due { to_all: due, to_primary: handing }
    }

    /// All transactions that clients gave to this replica, for a new primary; bounded.
    pub(crate) fn own(&self, max: usize, bytes_max: usize) -> Vec<Transaction> {
        let mut bytes = 0_usize;
        self.clients
            .values()
            .flat_map(|client| client.line.values())
            .filter(|pending| pending.own)
            .map(|pending| &pending.transaction)
            .take(max)
            .take_while(|transaction| {
                bytes = bytes.saturating_add(transaction.encoded_bytes());
                bytes <= bytes_max
            })
            .cloned()
            .collect()
    }

    /// For how many executed blocks some client's first transaction has been first.
    pub(crate) fn longest_wait_blocks(&self, executed: Height) -> u64 {
        self.clients
            .values()
            .map(|client| executed.0.saturating_sub(client.first_since.0))
            .max()
            .unwrap_or(0)
    }

    /// Starts all waiting anew, for a new primary.
    pub(crate) fn restart_waits(&mut self, executed: Height) {
        for client in self.clients.values_mut() {
            client.first_since = executed;
            for pending in client.line.values_mut() {
                pending.handed = pending.own;
                pending.ticks = 0;
            }
        }
    }

    /// The clients that have something pending.
    pub(crate) fn clients(&self) -> impl Iterator<Item = PublicKey> {
        self.clients.keys().copied()
    }

    /// Recomputes the totals, clamps marks, and drops what stands in a wrong place or is one too many;
    /// with `full`, checks some signatures too. True if something was wrong.
    pub(crate) fn repair(&mut self, executed: Height, full: bool, context: &Context) -> bool {
        let mut illegal = self.drop_misplaced(&context.local);
        if full {
            illegal |= self.drop_invalid(context);
        }
        for client in self.clients.values_mut() {
            if client.first_since > executed {
                client.first_since = executed;
                illegal = true;
            }
        }
        self.clients.retain(|_, client| !client.line.is_empty());
        let lines = || self.clients.values().flat_map(|client| client.line.values());
        let count = lines().count();
        let bytes = lines().map(|pending| pending.transaction.encoded_bytes()).sum();
        illegal |= (count, bytes) != (self.count, self.bytes);
        (self.count, self.bytes) = (count, bytes);
        illegal
    }

    fn drop_misplaced(&mut self, limits: &LocalLimits) -> bool {
        let (mut illegal, mut count, mut bytes) = (false, 0_usize, 0_usize);
        for (key, client) in &mut self.clients {
            let mut of_client = 0_usize;
            client.line.retain(|nonce, pending| {
                let size = pending.transaction.encoded_bytes();
                let stays = pending.transaction.client == *key
                    && pending.transaction.nonce == *nonce
                    && of_client < limits.pending_per_client_max
                    && count < limits.pending_max
                    && bytes.saturating_add(size) <= limits.pending_bytes_max;
                if stays {
                    of_client = of_client.saturating_add(1);
                    count = count.saturating_add(1);
                    bytes = bytes.saturating_add(size);
                }
                illegal |= !stays;
                stays
            });
        }
        illegal
    }

    /// Drops transactions whose signatures do not hold, from where the last check stopped.
    fn drop_invalid(&mut self, context: &Context) -> bool {
        let after = self.checked.take();
        let all = || self.clients.values().flat_map(|client| client.line.values());
        let name = |pending: &Pending| (pending.transaction.client, pending.transaction.nonce);
        let is_after = |pending: &&Pending| after.is_none_or(|after| name(pending) > after);
        let rest = all().filter(is_after).chain(all().filter(|pending| !is_after(pending)));
        let due: Vec<&Pending> = rest.take(CHECKED_AT_ONCE).collect();
        let next = due.last().filter(|_| due.len() == CHECKED_AT_ONCE).map(|last| name(last));
        let (chain, verifier) = (context.committee.chain(), context.verifier.as_ref());
        let bytes_max = context.chain.operation_bytes_max;
        let invalid: Vec<(PublicKey, u64)> = due
            .into_iter()
            .filter(|pending| pending.transaction.verify(chain, bytes_max, verifier).is_err())
            .map(name)
            .collect();
        self.checked = next;
        for (client, nonce) in &invalid {
            if let Some(entry) = self.clients.get_mut(client) {
                entry.line.remove(nonce);
            }
        }
        !invalid.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use daruma_types::Signature;

    const CHAIN: ChainLimits = ChainLimits {
        operation_bytes_max: 100,
        block_bytes_max: 100_000,
        block_transactions_max: 4,
        window: 8,
    };

    fn transaction(client: u8, nonce: u64) -> Transaction {
        Transaction {
            client: PublicKey([client; 32]),
            nonce,
            operation: vec![client],
            signature: Signature([0; 64]),
        }
    }

    fn pool(of: &[(u8, u64)]) -> Pool {
        let mut pool = Pool::default();
        for (client, nonce) in of {
            pool.insert(transaction(*client, *nonce), true, Height(0), &LocalLimits::default())
                .unwrap();
        }
        pool
    }

    fn context() -> Context {
        crate::fixtures::context(4)
    }

    fn names(picked: &[Transaction]) -> Vec<(u8, u64)> {
        picked.iter().map(|t| (t.client.0[0], t.nonce)).collect()
    }

    #[test]
    fn clients_take_turns_and_each_clients_nonces_ascend() {
        let mut pool = pool(&[(1, 3), (1, 1), (1, 2), (2, 9), (3, 5)]);
        let picked = pool.pick(|_| None, &CHAIN);
        assert_eq!(names(&picked), [(1, 1), (2, 9), (3, 5), (1, 2)]);
    }

    #[test]
    fn what_is_executed_or_in_flight_is_not_picked_again() {
        let mut pool = pool(&[(1, 1), (1, 2), (2, 9)]);
        let used = |client: &PublicKey| (client.0[0] == 1).then_some(1);
        assert_eq!(names(&pool.pick(used, &CHAIN)), [(1, 2), (2, 9)]);
    }

    #[test]
    fn the_client_cut_off_by_a_full_block_comes_first_in_the_next() {
        let mut pool = pool(&[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]);
        assert_eq!(pool.pick(|_| None, &CHAIN).len(), 4);
        assert_eq!(names(&pool.pick(|_| None, &CHAIN))[0], (5, 1));
    }

    #[test]
    fn a_full_pool_refuses_the_newest_and_keeps_the_rest() {
        let limits = LocalLimits { pending_max: 2, ..LocalLimits::default() };
        let mut pool = pool(&[(1, 1), (2, 1)]);
        let refused = pool.insert(transaction(3, 1), true, Height(0), &limits);
        assert_eq!(refused, Err(PoolRefusal::Full { pending: 2 }));
        assert_eq!(pool.insert(transaction(1, 1), true, Height(0), &limits), Ok(()));
        assert_eq!(pool.len(), 2);
    }

    #[test]
    fn one_client_cannot_take_more_than_its_share() {
        let limits = LocalLimits { pending_per_client_max: 1, ..LocalLimits::default() };
        let mut pool = pool(&[(1, 1)]);
        let refused = pool.insert(transaction(1, 2), true, Height(0), &limits);
        assert_eq!(refused, Err(PoolRefusal::ClientFull { pending: 1 }));
    }

    #[test]
    fn execution_settles_a_nonce_and_all_below_it_and_nothing_else() {
        let mut pool = pool(&[(1, 1), (1, 2), (1, 3), (2, 1)]);
        pool.settle(&PublicKey([1; 32]), 2, Height(1));
        assert_eq!((pool.len(), pool.settled()), (2, 2));
        assert!(!pool.repair(Height(1), false, &context()));
    }

    #[test]
    fn waiting_is_counted_from_when_a_transaction_became_its_clients_first() {
        let mut pool = pool(&[(1, 1), (1, 2)]);
        assert_eq!(pool.longest_wait_blocks(Height(10)), 10);
        pool.settle(&PublicKey([1; 32]), 1, Height(10));
        assert_eq!(pool.longest_wait_blocks(Height(12)), 2);
    }

    #[test]
    fn wrong_totals_are_found_and_repaired() {
        let mut pool = pool(&[(1, 1)]);
        pool.count = 77;
        assert!(pool.repair(Height(0), false, &context()));
        assert_eq!(pool.len(), 1);
    }

    #[test]
    fn what_stands_under_another_name_or_that_nobody_signed_is_dropped() {
        let key = crate::fixtures::key(50);
        let chain = crate::fixtures::CHAIN;
        let signed = |nonce| Transaction::sign(chain, &key, nonce, vec![1]);
        let mut pool = Pool::default();
        for transaction in [signed(1), signed(2), transaction(3, 1)] {
            pool.insert(transaction, true, Height(0), &LocalLimits::default()).unwrap();
        }
        let client = signed(1).client;
        let line = &mut pool.clients.get_mut(&client).unwrap().line;
        line.get_mut(&2).unwrap().transaction = signed(7);
        assert!(pool.repair(Height(0), false, &context()));
        assert_eq!((pool.len(), pool.clients.len()), (2, 2), "nonce 7 stood in the place of 2");
        assert!(pool.repair(Height(0), true, &context()));
        assert_eq!((pool.len(), pool.clients().collect::<Vec<_>>()), (1, vec![client]));
        assert!(!pool.repair(Height(0), true, &context()));
    }

    #[test]
    fn a_wait_that_begins_above_what_is_executed_begins_now() {
        let mut pool = pool(&[(1, 1)]);
        pool.clients.get_mut(&PublicKey([1; 32])).unwrap().first_since = Height(u64::MAX);
        assert!(pool.repair(Height(4), false, &context()));
        assert_eq!(pool.longest_wait_blocks(Height(6)), 2);
    }
}
