//! A replica that is in one view towards even-numbered replicas and in another one towards odd-numbered
//! ones (the thesis's `DIFFERENT_VIEWS`).

use std::sync::Arc;

use daruma_types::{Ballot, Coordination, Demand, Message, Place, ReplicaId, View, ViewPair};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::forged::denial;
use crate::{Adversary, Surroundings};

pub(crate) struct DifferentViews {
    /// How far the view shown to odd replicas is from the true one.
    ahead: u64,
    random: ChaCha8Rng,
}

impl DifferentViews {
    pub(crate) fn new(mut random: ChaCha8Rng) -> Self {
        Self { ahead: random.random_range(1..=2), random }
    }
}

const fn is_odd(to: ReplicaId) -> bool {
    to.0 % 2 == 1
}

impl Adversary for DifferentViews {
    fn outgoing(
        &mut self,
        to: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        let chain = around.committee.chain();
        let lie = match &*message {
            Message::Summary(honest) => {
                let mut summary = honest.clone();
                // Serving in both, whatever its engine is doing.
                summary.phase = 0;
                summary.active = true;
                if is_odd(to) {
                    summary.view = View(summary.view.0.saturating_add(self.ahead));
                    summary.ballot = Ballot(summary.view.0);
                }
                Message::Summary(summary)
            }
            // As the thesis has it, to the letter: view 1 to even ones and 2 to odd ones.
            Message::Coordination(honest) => {
                let pair = ViewPair::settled(if is_odd(to) { 2 } else { 1 });
                let own = Place { phase: 0, pair, change: false, witness: true };
                Message::Coordination(Coordination { own, ..*honest })
            }
            Message::Demand(honest) if is_odd(to) => {
                let view = View(honest.view.0.saturating_add(self.ahead));
                Message::Demand(Demand::sign(chain, view, around.signer))
            }
            Message::Report(honest) if is_odd(to) => Message::Report(denial(honest.ballot, around)),
            // The even ones never hear that a view was entered, the odd ones never that one was left.
            Message::Enter(_) if !is_odd(to) => return Vec::new(),
            Message::Leave(_) if is_odd(to) => return Vec::new(),
            _ => return vec![message],
        };
        vec![Arc::new(lie)]
    }

    fn on_tick(&mut self, around: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        let Some(summary) = around.summary else {
            return Vec::new();
        };
        if !self.random.random_bool(0.2) {
            return Vec::new();
        }
        let (chain, view) = (around.committee.chain(), summary.view);
        let demand = |view| Arc::new(Message::Demand(Demand::sign(chain, view, around.signer)));
        let next = View(view.0.saturating_add(self.ahead));
        around.others().map(|to| (to, demand(if is_odd(to) { next } else { view }))).collect()
    }
}
