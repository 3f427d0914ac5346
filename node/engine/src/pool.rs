//! Pending transactions: known, not yet executed (the thesis's `pendReqs`; DESIGN 4.2, requests).
//!
//! Kept by client and nonce, bounded in all ways, a share for each replica (`shares.rs`). A full share refuses
//! the newest with an explicit answer, and nothing that was accepted is evicted. A transaction leaves when
//! its nonce, or a later one of its client, was executed; being put into a block is not enough.

#[cfg(feature = "laboratory")]
#[path = "laboratory/pool.rs"]
mod laboratory;
mod picking;
mod repairing;
mod shares;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use daruma_types::{Height, PublicKey, ReplicaId, Transaction};

pub(crate) use shares::Load;

use crate::config::Context;
use shares::Share;

/// Why a transaction was not taken into the pool. Final for this replica and moment; the same
/// transaction may be submitted again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolRefusal {
    /// This replica holds as many as it takes at once: its share of the pools, since each replica has room
    /// for what every other one took in.
    #[error("{pending} transactions are pending, as many as this replica takes; try again soon")]
    Full {
        /// Transactions pending, of this replica's clients.
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
    /// Who gave it to this replica: itself if a client did, else the peer whose share it fills.
    from: ReplicaId,
    /// Whether it was sent to all replicas.
    spread: bool,
    /// Whether the present primary was given it by this replica.
    handed: bool,
    /// Ticks since it came or was last spread.
    ticks: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Client {
    line: BTreeMap<u64, Pending>,
    /// The place in the queue of clients.
    place: u64,
    /// The executed height when the first in line became the first, or was handed to the primary, or the
    /// client was last served.
    first_since: Height,
    /// Blocks in which all others that were seen to wait meanwhile could have had their turns before it.
    ahead: u64,
}

impl Client {
    /// Begins the first one's wait anew.
    const fn wait_from(&mut self, executed: Height) {
        self.first_since = executed;
        self.ahead = 0;
    }

    /// Executed blocks through which the primary has passed the first in line over. None while this replica
    /// has not given it to the primary.
    fn passed_over(&self, executed: Height) -> u64 {
        let handed = self.line.first_key_value().is_some_and(|(_, first)| first.handed);
        let blocks = executed.0.saturating_sub(self.first_since.0);
        if handed { blocks.saturating_sub(self.ahead) } else { 0 }
    }
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
    /// What came from each replica.
    loads: Vec<Load>,
    /// Transactions that left because they, or later ones of their clients, were executed.
    settled: u64,
    /// The end of the queue of clients.
    places: u64,
    /// The last transaction whose signature was looked at again; none to begin with the first.
    checked: Option<(PublicKey, u64)>,
}

/// Ticks after which a transaction that is still pending is sent to all replicas: a primary that
/// works has executed it by then, and the others need not get it twice.
const SPREAD_AFTER_TICKS: u32 = 2;

/// Ticks after which a transaction that a peer passed on is given to the primary too: the peer may have
/// kept it from the primary, whose fault its waiting then is not. Well below the detector's patience.
const HAND_ON_TICKS: u32 = 10;

/// Ticks after which it is sent again, for replicas that had no room or were away.
const SPREAD_AGAIN_TICKS: u32 = 40;

impl Pool {
    pub(crate) fn new(replicas: usize) -> Self {
        Self { loads: vec![Load::default(); replicas], ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.load().count
    }

    /// All of it.
    fn load(&self) -> Load {
        self.loads.iter().fold(Load::default(), |all, load| all.plus(*load))
    }

    pub(crate) const fn settled(&self) -> u64 {
        self.settled
    }

    /// Takes in a transaction that `from` passed on, or a client if that is this replica. Having it already
    /// is no error.
    pub(crate) fn insert(
        &mut self,
        transaction: Transaction,
        from: ReplicaId,
        executed: Height,
        context: &Context,
    ) -> Result<(), PoolRefusal> {
        let client = self.clients.get(&transaction.client);
        if let Some(pending) = client.and_then(|c| c.line.get(&transaction.nonce)) {
            let same = pending.transaction.operation == transaction.operation;
            return if same { Ok(()) } else { Err(PoolRefusal::SameNonce) };
        }
        let limits = &context.local;
        let of_client = client.map_or(0, |c| c.line.len());
        if of_client >= limits.pending_per_client_max {
            return Err(PoolRefusal::ClientFull { pending: of_client });
        }
        let bytes = transaction.encoded_bytes();
        let (all, own) = (self.load(), from == context.own);
        let most = Load { count: limits.pending_max, bytes: limits.pending_bytes_max };
        let share = Share::of(context);
        let share = if own { share.own } else { share.all() };
        let load = self.loads.get_mut(from.index());
        let Some(load) = load.filter(|load| load.and(bytes).is_within(share)) else {
            let pending = self.loads.get(from.index()).map_or(0, |load| load.count);
            return Err(PoolRefusal::Full { pending });
        };
        if !all.and(bytes).is_within(most) {
            return Err(PoolRefusal::Full { pending: all.count });
        }
        *load = load.and(bytes);
        let is_new = client.is_none();
        let place = if is_new { self.next_place() } else { 0 };
        let client = self.clients.entry(transaction.client).or_default();
        if is_new {
            client.place = place;
        }
        if client.line.first_key_value().is_none_or(|(first, _)| *first > transaction.nonce) {
            client.wait_from(executed);
        }
        // What a client gave to this replica goes to the primary at once.
        let pending = Pending { spread: false, from, handed: own, ticks: 0, transaction };
        client.line.insert(pending.transaction.nonce, pending);
        Ok(())
    }

    /// A block with these clients' nonces was executed. A client of which anything is executed is not passed
    /// over, also where its own smaller nonces keep another one waiting.
    pub(crate) fn executed(&mut self, nonces: &[(PublicKey, u64)], height: Height) {
        for (client, nonce) in nonces {
            self.settle(client, *nonce, height);
            if let Some(client) = self.clients.get_mut(client) {
                client.wait_from(height);
            }
        }
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
        entry.wait_from(executed);
        for pending in left.values() {
            if let Some(load) = self.loads.get_mut(pending.from.index()) {
                *load = load.without(pending.transaction.encoded_bytes());
            }
        }
        self.settled = self.settled.wrapping_add(left.len() as u64);
        if entry.line.is_empty() {
            self.clients.remove(client);
        }
    }

    /// Counts a tick: what has waited long enough is to be sent to all replicas, and what a peer
    /// passed on to the primary. Both bounded by `most`.
    pub(crate) fn tick(&mut self, executed: Height, most: Load, context: &Context) -> Due {
        let turn = self.blocks_of_a_turn(context);
        let reminded_after = context.local.censorship_blocks / 2;
        let (mut due, mut spread, mut handing) = (Due::default(), Load::default(), Load::default());
        let (mut handed_on, mut waiting) = (Load::default(), Vec::new());
        for (key, client) in &mut self.clients {
            client.ahead = client.ahead.max(turn);
            // Half of its patience is over: what the primary was given may have been lost on the way.
            let reminds = client.passed_over(executed) >= reminded_after.max(1);
            for (index, pending) in client.line.values_mut().enumerate() {
                let size = pending.transaction.encoded_bytes();
                let own = pending.from == context.own;
                if index == 0 && reminds && handing.and(size).is_within(most) {
                    handing = handing.and(size);
                    due.to_primary.push(pending.transaction.clone());
                }
                if !own && pending.handed {
                    handed_on = handed_on.and(size);
                } else if !own && pending.ticks >= HAND_ON_TICKS {
                    let nonce = pending.transaction.nonce;
                    waiting.push((Reverse(pending.ticks), *key, nonce, size));
                }
                pending.ticks = pending.ticks.saturating_add(1);
                let patience = if pending.spread { SPREAD_AGAIN_TICKS } else { SPREAD_AFTER_TICKS };
                if own && pending.ticks >= patience && spread.and(size).is_within(most) {
                    pending.spread = true;
                    pending.ticks = 0;
                    spread = spread.and(size);
                    due.to_all.push(pending.transaction.clone());
                }
            }
        }
        // Who waits longest first, and no more than the primary has room for.
        waiting.sort_unstable();
        let room = Share::of(context).handed_on;
        for (_, key, nonce, size) in waiting {
            if !handed_on.and(size).is_within(room) || !handing.and(size).is_within(most) {
                break;
            }
            (handed_on, handing) = (handed_on.and(size), handing.and(size));
            due.to_primary.extend(self.hand_on(&key, nonce, executed));
        }
        due
    }

    fn hand_on(&mut self, client: &PublicKey, nonce: u64, executed: Height) -> Option<Transaction> {
        let client = self.clients.get_mut(client)?;
        if client.line.first_key_value().is_some_and(|(first, _)| *first == nonce) {
            // The primary is not to blame for the time before.
            client.wait_from(executed);
        }
        let pending = client.line.get_mut(&nonce)?;
        pending.handed = true;
        Some(pending.transaction.clone())
    }

    /// All transactions that clients gave to this replica, for a new primary; bounded.
    pub(crate) fn own(&self, own: ReplicaId, most: Load) -> Vec<Transaction> {
        let mut load = Load::default();
        self.clients
            .values()
            .flat_map(|client| client.line.values())
            .filter(|pending| pending.from == own)
            .map(|pending| &pending.transaction)
            .take_while(|transaction| {
                load = load.and(transaction.encoded_bytes());
                load.is_within(most)
            })
            .cloned()
            .collect()
    }

    /// For how many executed blocks, at most, a client's first transaction was passed over: beyond those
    /// in which everyone else may have had a turn before it.
    pub(crate) fn longest_wait_blocks(&self, executed: Height) -> u64 {
        self.clients.values().map(|client| client.passed_over(executed)).max().unwrap_or(0)
    }

    /// Starts all waiting anew, for a new primary.
    pub(crate) fn restart_waits(&mut self, executed: Height, own: ReplicaId) {
        for client in self.clients.values_mut() {
            client.wait_from(executed);
            for pending in client.line.values_mut() {
                pending.handed = pending.from == own;
                pending.ticks = 0;
            }
        }
    }

    /// The clients that have something pending.
    pub(crate) fn clients(&self) -> impl Iterator<Item = PublicKey> {
        self.clients.keys().copied()
    }
}
