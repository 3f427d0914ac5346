//! What a move of the view establishment means for the other modules, and what they ask of it.

use daruma_types::{Ballot, View};

use super::Engine;
use crate::outbox::Outbox;

impl Engine {
    /// Where the view establishment is.
    pub(super) fn established(&self) -> (View, u8, Ballot) {
        let (view, phase) = self.views.current();
        (view, phase, self.views.ballot())
    }

    /// Tells the other modules of a move of the view establishment.
    pub(super) fn enter_views(&mut self, out: &mut Outbox) {
        if self.views.take_reset() {
            self.replication.suspend();
        }
        let standing = self.established();
        let (view, _, ballot) = standing;
        if self.entered.0 != view {
            self.monitor.enter(view, &self.context.local);
        }
        if self.entered.2 != ballot {
            self.replication.enter(ballot);
            self.pool.restart_waits(self.replication.executed().height, self.context.own);
            self.replication.replay_early(&self.context, out);
        }
        self.entered = standing;
    }

    /// Algorithm 4: demand a change, on own suspicion or with enough others.
    pub(super) fn decide_on_change(&mut self, out: &mut Outbox) {
        let demands = self.views.demands();
        if self.monitor.decide(demands, self.context.thresholds()) {
            self.views.demand_change(&self.replication, &self.context, out);
        } else {
            self.views.withdraw_demand();
        }
        self.replication.serve(self.monitor.serves() && self.views.serving().is_some());
    }
}
