//! Collects the effects of one step.

use alloc::vec::Vec;

use daruma_types::{Message, Promise, ReplicaId};

use crate::{Destination, Disbelief, Effect, Illegal, Observation};

/// The effects of one step, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    effects: Vec<Effect>,
    repairs: usize,
}

impl Outbox {
    /// Adds to `effects`.
    pub(crate) const fn over(effects: Vec<Effect>) -> Self {
        Self { effects, repairs: 0 }
    }

    pub(crate) fn into_effects(self) -> Vec<Effect> {
        self.effects
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(crate) fn broadcast(&mut self, message: Message) {
        self.effects.push(Effect::Send { to: Destination::All, message });
    }

    pub(crate) fn send(&mut self, to: ReplicaId, message: Message) {
        self.effects.push(Effect::Send { to: Destination::One(to), message });
    }

    /// A promise that only constrains this replica's future.
    pub(crate) fn promise(&mut self, promise: Promise) {
        self.effects.push(Effect::Promise { promise, then: Vec::new() });
    }

    /// A promise, and the message to everyone that it permits.
    pub(crate) fn promise_then_broadcast(&mut self, promise: Promise, message: Message) {
        let then = Vec::from([(Destination::All, message)]);
        self.effects.push(Effect::Promise { promise, then });
    }

    pub(crate) fn observe(&mut self, observation: Observation) {
        self.effects.push(Effect::Observed(observation));
    }

    pub(crate) fn repaired(&mut self, illegal: Illegal) {
        self.repairs = self.repairs.saturating_add(1);
        self.observe(Observation::Repaired(illegal));
    }

    /// How many repairs were told of.
    pub(crate) const fn repairs(&self) -> usize {
        self.repairs
    }

    pub(crate) fn disbelieve(&mut self, from: ReplicaId, reason: Disbelief) {
        self.observe(Observation::Disbelieved { from, reason });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daruma_types::Ballot;

    #[test]
    fn what_follows_from_a_promise_waits_until_it_is_durable() {
        let mut out = Outbox::default();
        let promise = Promise::Floor { ballot: Ballot(3) };
        let message = Message::Token { counter: 7 };
        out.promise_then_broadcast(promise.clone(), message.clone());
        let then = [(Destination::All, message)].into();
        assert_eq!(out.into_effects(), [Effect::Promise { promise, then }]);
    }
}
