//! Small-scope mutations: one field of one message, changed by a small step. What goes wrong mostly
//! goes wrong at such steps: one view further, one height lower, the hash of another block.

use std::sync::Arc;

use daruma_types::{
    Ballot, Block, Certificate, Hash, Header, Height, Message, SignerSet, Statement, View, VoteKind,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// `message` with one field changed by a small step, its signatures as they were; `seen` are hashes
/// that it may name instead of its own. Unchanged if the message has no field to change.
#[must_use]
pub fn small_step(message: &Message, seen: &[Hash], random: &mut ChaCha8Rng) -> Message {
    let mut changed = message.clone();
    let mut step = Step { seen, random };
    match &mut changed {
        Message::Token { counter } => step.number(counter),
        Message::Summary(summary) => match step.choice(8) {
            0 => step.view(&mut summary.view),
            1 => summary.phase ^= 1,
            2 => step.ballot(&mut summary.ballot),
            3 => step.height(&mut summary.head),
            4 => step.height(&mut summary.executed),
            5 => step.height(&mut summary.attested),
            6 => step.member(&mut summary.reports),
            _ => step.hash(&mut summary.head_hash),
        },
        Message::Coordination(said) => {
            let place = if step.choice(2) == 0 { &mut said.own } else { &mut said.echo };
            match step.choice(4) {
                0 => place.phase ^= 1,
                1 => place.pair.next = place.pair.next.wrapping_add(1),
                2 => place.pair.current = place.pair.current.map(|view| view.wrapping_sub(1)),
                _ => place.change = !place.change,
            }
        }
        Message::Demand(demand) => step.view(&mut demand.view),
        Message::Leave(leave) => match step.choice(2) {
            0 => step.view(&mut leave.view),
            _ => step.member(&mut leave.signers),
        },
        Message::Report(report) => match (step.choice(3), &mut report.prepared) {
            (0, _) => step.ballot(&mut report.ballot),
            (1, Some(prepared)) => step.certificate(prepared),
            _ => match &mut report.head.certificate {
                Some(certificate) if step.choice(2) == 0 => step.certificate(certificate),
                Some(_) | None => step.height(&mut report.head.height),
            },
        },
        Message::Enter(enter) => match step.choice(2) {
            0 => step.view(&mut enter.view),
            _ => step.member(&mut enter.signers),
        },
        Message::NewView(new_view) => match step.choice(3) {
            0 => step.ballot(&mut new_view.ballot),
            1 if !new_view.headers.is_empty() => {
                let place = step.choice(new_view.headers.len());
                step.header(&mut new_view.headers[place]);
            }
            _ => drop(new_view.reports.pop()),
        },
        Message::PrePrepare(proposal) => match step.choice(2) {
            0 => step.ballot(&mut proposal.ballot),
            _ => step.block(&mut proposal.block),
        },
        Message::Vote(vote) => match step.choice(4) {
            0 => vote.kind = other_kind(vote.kind),
            1 => step.ballot(&mut vote.ballot),
            2 => step.height(&mut vote.height),
            _ => step.hash(&mut vote.hash),
        },
        Message::Certificate(certificate) => step.certificate(certificate),
        Message::Body(block) => step.block(block),
        Message::Lacks(lacks) => match (lacks.blocks.first_mut(), &mut lacks.voted) {
            (_, Some(voted)) => step.ballot(voted),
            (Some((height, _)), None) => step.height(height),
            (None, None) => {}
        },
        Message::Fetch { from, .. } => step.height(from),
        Message::Blocks(blocks) => {
            if let Some(block) = blocks.first_mut() {
                step.certificate(&mut block.certificate);
            }
        }
        Message::Attestation(attestation) => step.statement(&mut attestation.statement),
        Message::StateCertificates(certificates) => {
            if let Some(certificate) = certificates.first_mut() {
                step.statement(&mut certificate.statement);
            }
        }
        Message::Transactions(transactions) => {
            if let Some(transaction) = transactions.first_mut() {
                step.number(&mut transaction.nonce);
            }
        }
        Message::SnapshotOffer(checkpoint) => step.statement(&mut checkpoint.state.statement),
        Message::SnapshotWant { height, .. } => step.height(height),
        Message::SnapshotChunk { chunk, .. } if !chunk.is_empty() => {
            let place = step.choice(chunk.len());
            chunk[place] ^= 1;
        }
        // A token that comes back, or a want, is not worth a step; further kinds have none yet.
        _ => {}
    }
    changed
}

const fn other_kind(kind: VoteKind) -> VoteKind {
    match kind {
        VoteKind::Prepare => VoteKind::Commit,
        VoteKind::Commit => VoteKind::Prepare,
    }
}

struct Step<'a> {
    seen: &'a [Hash],
    random: &'a mut ChaCha8Rng,
}

impl Step<'_> {
    fn choice(&mut self, count: usize) -> usize {
        self.random.random_range(0..count.max(1))
    }

    fn number(&mut self, number: &mut u64) {
        *number =
            if self.random.random() { number.wrapping_add(1) } else { number.wrapping_sub(1) };
    }

    fn view(&mut self, view: &mut View) {
        self.number(&mut view.0);
    }

    fn ballot(&mut self, ballot: &mut Ballot) {
        self.number(&mut ballot.0);
    }

    fn height(&mut self, height: &mut Height) {
        self.number(&mut height.0);
    }

    /// A hash seen before, or the same but for one bit.
    fn hash(&mut self, hash: &mut Hash) {
        let place = self.choice(self.seen.len());
        match self.seen.get(place) {
            Some(seen) if seen != hash => *hash = *seen,
            Some(_) | None => hash.0[31] ^= 1,
        }
    }

    /// One member more or less.
    fn member(&mut self, set: &mut SignerSet) {
        set.0 ^= 1 << self.choice(8);
    }

    fn certificate(&mut self, certificate: &mut Certificate) {
        match self.choice(5) {
            0 => certificate.kind = other_kind(certificate.kind),
            1 => self.ballot(&mut certificate.ballot),
            2 => self.height(&mut certificate.height),
            3 => self.hash(&mut certificate.hash),
            _ => self.member(&mut certificate.signers),
        }
    }

    fn statement(&mut self, statement: &mut Statement) {
        match self.choice(4) {
            0 => self.height(&mut statement.height),
            1 => self.hash(&mut statement.block),
            2 => self.hash(&mut statement.state_root),
            _ => self.hash(&mut statement.receipts_root),
        }
    }

    fn header(&mut self, header: &mut Header) {
        match self.choice(4) {
            0 => self.height(&mut header.height),
            1 => self.hash(&mut header.parent),
            2 => header.proposer.0 ^= 1,
            _ => self.number(&mut header.timestamp_ms),
        }
    }

    fn block(&mut self, block: &mut Arc<Block>) {
        let mut changed = (**block).clone();
        if changed.transactions.len() > 1 && self.choice(3) == 0 {
            changed.transactions.swap(0, 1);
        } else {
            self.header(&mut changed.header);
        }
        *block = Arc::new(changed);
    }
}
