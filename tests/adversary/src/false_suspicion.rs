//! A replica that wants to leave every view, whoever is primary.

use std::sync::Arc;

use daruma_types::{Coordination, Demand, Message, Place, ReplicaId, VStatus, View};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::{Adversary, Surroundings};

pub(crate) struct FalseSuspicion {
    random: ChaCha8Rng,
}

impl FalseSuspicion {
    pub(crate) fn new(random: ChaCha8Rng) -> Self {
        Self { random }
    }
}

impl Adversary for FalseSuspicion {
    fn outgoing(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        let summary = match &*message {
            Message::Summary(summary) => summary,
            // The paper's automaton has its wish for another view here.
            Message::Coordination(honest) => {
                let own = Place { change: true, ..honest.own };
                return vec![Arc::new(Message::Coordination(Coordination { own, ..*honest }))];
            }
            _ => return vec![message],
        };
        let mut summary = summary.clone();
        summary.monitor.suspects = true;
        summary.monitor.status = VStatus::VChange;
        summary.monitor.demands.insert(around.own);
        vec![Arc::new(Message::Summary(summary))]
    }

    fn on_tick(&mut self, around: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        let Some(summary) = around.summary else {
            return Vec::new();
        };
        let chain = around.committee.chain();
        let mut said = Vec::new();
        for to in around.others() {
            // Mostly the current view; at times the next, or one far away.
            let view = match self.random.random_range(0..20) {
                0 => summary.view.next(),
                1 => View(self.random.random()),
                2 => View(u64::MAX),
                3..=11 => continue,
                _ => summary.view,
            };
            said.push((to, Arc::new(Message::Demand(Demand::sign(chain, view, around.signer)))));
        }
        said
    }
}
