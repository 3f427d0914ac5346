//! The stale-information rules of the resolver, and when those of the modules are run (DESIGN 4).

use alloc::vec;
use alloc::vec::Vec;

use daruma_types::{Ballot, PublicKey, limits};

use super::{Engine, Peer};
use crate::outbox::Outbox;
use crate::{Effect, Illegal};

/// Clients whose nonces are looked up in the ledger at one full check: some milliseconds of reading.
const LOOKED_UP_MAX: usize = 256;

impl Engine {
    /// One entry for each peer, each within its bounds, and with its share of a new tick.
    pub(super) fn refresh_peers(&mut self, out: &mut Outbox) {
        let replicas = self.context.thresholds().replicas();
        if self.peers.len() != replicas {
            out.repaired(Illegal::OutOfBounds("the peers' summaries"));
            self.peers = vec![Peer::default(); replicas];
        }
        // Nobody hears itself: what is there would be a peer to fetch from that never answers.
        let own = self.peers.get_mut(self.context.own.index());
        if own.is_some_and(|own| own.summary.take().is_some()) {
            out.repaired(Illegal::OutOfBounds("a summary of its own"));
        }
        for peer in &mut self.peers {
            let slots = peer.summary.as_ref().map_or(0, |summary| summary.slots.len());
            if slots > limits::WINDOW_MAX {
                out.repaired(Illegal::OutOfBounds("a peer's summary"));
                peer.summary = None;
            }
            peer.served = 0;
            peer.helped = false;
            peer.bodies = 0;
        }
    }

    /// Stale information is looked for at every tick, signatures now and then, and as soon as
    /// something was found (DESIGN 4).
    pub(super) fn repair(&mut self, out: &mut Outbox) {
        #[cfg(feature = "laboratory")]
        if self.baseline {
            return;
        }
        let every = u64::from(self.context.local.full_check_ticks.max(1));
        let full = self.ticks.is_multiple_of(every);
        let before = out.repairs();
        self.repair_once(full, out);
        if !full && out.repairs() > before {
            self.repair_once(true, out);
        }
        if full || out.repairs() > before {
            self.look_up_nonces(out);
        }
    }

    fn repair_once(&mut self, full: bool, out: &mut Outbox) {
        let replicas = self.context.thresholds().replicas();
        self.views.tick(full, &self.replication, &self.context, out);
        if self.links.repair(replicas) {
            out.repaired(Illegal::OutOfBounds("the token channels"));
        }
        let (view, _, ballot) = self.established();
        self.enter_views(out);
        let before = out.repairs();
        self.replication.repair(ballot, full, &self.context, out);
        let contradicted = out.repairs() > before;
        if self.monitor.repair(view, replicas, &self.context.local) {
            out.repaired(Illegal::OutOfBounds("the failure detector"));
        } else if contradicted && !self.views.flush() {
            // What else the ballot's votes rest on cannot be trusted either. If enough replicas find
            // the same, the next view starts from what is proven; one alone changes nothing.
            self.monitor.distrust(out);
        }
        let executed = self.replication.executed().height;
        if self.pool.repair(executed, full, &self.context) {
            out.repaired(Illegal::OutOfBounds("the pool"));
        }
        if self.attestations.repair(executed, full, &self.context) {
            out.repaired(Illegal::OutOfBounds("the attestations"));
        }
    }

    /// Two summaries of a peer showed that it waits for the new-view of `ballot`. Had anyone that, the peer
    /// would have got it in between.
    pub(super) fn heed_waiting(&mut self, ballot: Option<Ballot>) {
        if ballot == Some(self.replication.ballot()) && self.views.reports_again() {
            self.replication.miss_new_view(&self.context);
        }
    }

    /// Asks the ledger for the last nonces of clients that the pool or the memory of executed nonces
    /// knows, so that neither can believe for ever what is not so.
    fn look_up_nonces(&self, out: &mut Outbox) {
        let mut clients: Vec<PublicKey> = self.pool.clients().collect();
        clients.extend(self.replication.recent_clients());
        clients.sort_unstable();
        clients.dedup();
        // Where to begin moves from check to check, so that all get their turn.
        let start = (self.ticks as usize).checked_rem(clients.len()).unwrap_or(0);
        clients.rotate_left(start);
        clients.truncate(LOOKED_UP_MAX);
        if !clients.is_empty() {
            out.push(Effect::LookUpNonces(clients));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{CHAIN, context};
    use crate::replication::EngineHead;
    use crate::{Destination, Input};
    use daruma_types::{HeadClaim, Height, Message, RecoveredJournal, Statement};

    #[test]
    fn a_replica_that_remembers_a_summary_of_its_own_asks_itself_for_nothing() {
        let genesis = Statement {
            height: Height(0),
            block: CHAIN.0,
            state_root: CHAIN.0,
            receipts_root: CHAIN.0,
        };
        let head = EngineHead {
            claim: HeadClaim::genesis(CHAIN),
            timestamp_ms: 0,
            statement: genesis,
            recent: Vec::new(),
        };
        let context = context(4);
        let own = context.own;
        let (mut engine, _) = Engine::new(context, head, RecoveredJournal::default());
        let mut summary = engine.status().summary;
        summary.head = Height(9);
        engine.peers[own.index()].summary = Some(summary);
        for now_ms in 0..20 {
            let effects = engine.step(Input::Tick { now_ms });
            let asks = |effect: &Effect| {
                let to = Destination::One(own);
                matches!(effect, Effect::Send { to: whom, message: Message::Fetch { .. } } if *whom == to)
            };
            assert!(!effects.iter().any(asks));
        }
    }
}
