//! A replica that lies about itself, in unsigned summaries as well as in what it signs.

use std::sync::Arc;

use daruma_types::{
    Attestation, Ballot, Height, Lacks, Message, Place, ReplicaId, SignerSet, Summary, View,
    ViewPair,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::forged::denial;
use crate::{Adversary, Surroundings};

pub(crate) struct Liar {
    random: ChaCha8Rng,
}

impl Liar {
    pub(crate) fn new(random: ChaCha8Rng) -> Self {
        Self { random }
    }

    /// A number near `true_value`, or at an end of its range.
    fn number(&mut self, true_value: u64) -> u64 {
        match self.random.random_range(0..6) {
            0 => 0,
            1 => u64::MAX,
            2 => true_value.saturating_sub(1),
            3 => true_value.saturating_add(self.random.random_range(1..100)),
            _ => true_value,
        }
    }

    fn summary(&mut self, honest: &Summary) -> Summary {
        let mut summary = honest.clone();
        summary.view = View(self.number(summary.view.0));
        summary.phase = self.random.random_range(0..=1);
        summary.ballot = Ballot(self.number(summary.ballot.0));
        summary.active = self.random.random();
        summary.head = Height(self.number(summary.head.0));
        summary.executed = Height(self.number(summary.executed.0));
        summary.attested = Height(self.number(summary.attested.0));
        if self.random.random_bool(0.2) {
            summary.head_hash.0[0] ^= 1;
            summary.state_root.0[0] ^= 1;
        }
        if self.random.random_bool(0.3) {
            let rank = (self.random.random(), self.random.random());
            summary.prepared = Some((Ballot(rank.0), Height(rank.1)));
        }
        for line in &mut summary.slots {
            if self.random.random_bool(0.3) {
                line.prepares = SignerSet(self.random.random());
                line.commits = SignerSet(self.random.random());
                line.accepted = self.random.random();
            }
        }
        summary
    }
}

impl Liar {
    /// A place in which a correct replica could be, another one each time it is asked for.
    fn place(&mut self, views: u16) -> Place {
        let next = self.random.random_range(0..views);
        let other = self.random.random_range(0..views);
        let phase = self.random.random_range(0..=1);
        let pair = match (phase, self.random.random_range(0..4)) {
            (_, 0) => ViewPair { current: None, next: 0 },
            (0, _) => ViewPair::settled(next),
            _ => ViewPair { current: (other != next).then_some(other), next },
        };
        Place { phase, pair, change: self.random.random(), witness: self.random.random_bool(0.8) }
    }
}

impl Adversary for Liar {
    fn outgoing(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        let chain = around.committee.chain();
        let lie = match &*message {
            Message::Summary(honest) => Message::Summary(self.summary(honest)),
            Message::Coordination(honest) => {
                let views = around.committee.thresholds().replicas() as u16;
                let mut said = *honest;
                if self.random.random_bool(0.7) {
                    said.own = self.place(views);
                }
                if self.random.random_bool(0.3) {
                    said.echo = self.place(views);
                }
                Message::Coordination(said)
            }
            Message::Report(honest) => Message::Report(denial(honest.ballot, around)),
            Message::Attestation(honest) => {
                let mut statement = honest.statement;
                statement.state_root.0[0] ^= self.random.random_range(0..=1);
                Message::Attestation(Attestation::sign(statement, around.own, chain, around.signer))
            }
            // It has nothing, and has never voted.
            Message::Body(block) => {
                let blocks = vec![(block.header.height, block.hash())];
                Message::Lacks(Lacks { blocks, voted: None })
            }
            Message::Lacks(honest) => Message::Lacks(Lacks { voted: None, ..honest.clone() }),
            _ => return vec![message],
        };
        vec![Arc::new(lie)]
    }
}
