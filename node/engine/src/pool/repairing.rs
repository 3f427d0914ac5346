//! What in a pool cannot be so, and is dropped or put right.

use alloc::vec;
use alloc::vec::Vec;

use daruma_types::{Height, PublicKey};

use super::{Load, Pending, Pool};
use crate::config::Context;

/// Transactions whose signatures are checked again at one full check: some milliseconds of work.
const CHECKED_AT_ONCE: usize = 128;

/// The end of the queue at which places are given anew, in time before they run out.
const PLACES_MAX: u64 = 1 << 63;

impl Pool {
    /// Recomputes the totals, clamps marks, and drops what stands in a wrong place or is one too many;
    /// with `full`, checks some signatures too. True if something was wrong.
    pub(crate) fn repair(&mut self, executed: Height, full: bool, context: &Context) -> bool {
        let mut illegal = self.drop_misplaced(context);
        if full {
            illegal |= self.drop_invalid(context);
        }
        self.clients.retain(|_, client| !client.line.is_empty());
        illegal |= self.mend_queue();
        // As many turns as a full pool has, one client in each block, would not be more than this.
        let ahead_max = context.local.pending_max as u64;
        for client in self.clients.values_mut() {
            if client.first_since > executed {
                client.first_since = executed;
                illegal = true;
            }
            if client.ahead > ahead_max {
                client.ahead = 0;
                illegal = true;
            }
        }
        let loads = self.loads_anew(context);
        illegal |= loads != self.loads;
        self.loads = loads;
        illegal
    }

    /// A client whose place is beyond the end of the queue would wait for ever. True if there was one; that
    /// places run out is no fault of what is remembered, and they are only given anew.
    fn mend_queue(&mut self) -> bool {
        let end = self.places;
        let behind = self.clients.values().any(|client| client.place >= end);
        if end < PLACES_MAX && !behind {
            return false;
        }
        let mut order: Vec<_> = self.clients.iter().map(|(key, c)| (c.place, *key)).collect();
        order.sort_unstable();
        self.places = order.len() as u64;
        for ((_, key), place) in order.into_iter().zip(0..) {
            if let Some(client) = self.clients.get_mut(&key) {
                client.place = place;
            }
        }
        behind
    }

    fn loads_anew(&self, context: &Context) -> Vec<Load> {
        let mut loads = vec![Load::default(); context.thresholds().replicas()];
        for pending in self.clients.values().flat_map(|client| client.line.values()) {
            if let Some(load) = loads.get_mut(pending.from.index()) {
                *load = load.and(pending.transaction.encoded_bytes());
            }
        }
        loads
    }

    fn drop_misplaced(&mut self, context: &Context) -> bool {
        let limits = &context.local;
        let replicas = context.thresholds().replicas();
        let most = Load { count: limits.pending_max, bytes: limits.pending_bytes_max };
        let (mut illegal, mut load) = (false, Load::default());
        for (key, client) in &mut self.clients {
            let mut of_client = 0_usize;
            client.line.retain(|nonce, pending| {
                let with = load.and(pending.transaction.encoded_bytes());
                let stays = pending.transaction.client == *key
                    && pending.transaction.nonce == *nonce
                    && pending.from.index() < replicas
                    && of_client < limits.pending_per_client_max
                    && with.is_within(most);
                if stays {
                    of_client = of_client.saturating_add(1);
                    load = with;
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
