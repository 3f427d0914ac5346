//! Messages, promises and facts in words. Blocks have short names.

use std::collections::BTreeMap;

use daruma_engine::Observation;
use daruma_types::{Certificate, Hash, Height, Message, Promise, ReplicaId, SignerSet};

/// Names of blocks: height, and a letter by order of appearance.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: BTreeMap<Hash, String>,
    at: BTreeMap<Height, u8>,
}

impl Names {
    /// The hash by which the genesis is referred to.
    pub(crate) fn genesis(&mut self, hash: Hash) {
        self.known.insert(hash, "genesis".to_owned());
    }

    pub(crate) fn block(&mut self, height: Height, hash: Hash) -> String {
        let at = &mut self.at;
        let name = self.known.entry(hash).or_insert_with(|| {
            let count = at.entry(height).or_default();
            *count += 1;
            format!("{height}{}", char::from(b'a' + (*count - 1) % 26))
        });
        name.clone()
    }

    fn parent(&self, hash: &Hash) -> String {
        self.known.get(hash).cloned().unwrap_or_else(|| "an unknown block".to_owned())
    }

    fn certificate(&mut self, certificate: &Certificate) -> String {
        let block = self.block(certificate.height, certificate.hash);
        format!("{} of {block} in ballot {}", certificate.kind.name(), certificate.ballot)
    }

    pub(crate) fn promise(&mut self, promise: &Promise) -> String {
        match promise {
            Promise::View { view, phase, .. } => format!("view {view} phase {phase}"),
            Promise::Floor { ballot } => format!("no vote below ballot {ballot}"),
            Promise::Prepare { ballot, height, hash, .. } => {
                format!("prepare of {} in ballot {ballot}", self.block(*height, *hash))
            }
            Promise::Body { block } => {
                format!("to keep {}", self.block(block.header.height, block.hash()))
            }
            Promise::Prepared { certificate } => {
                format!("the certificate {}", self.certificate(certificate))
            }
        }
    }

    pub(crate) fn message(&mut self, message: &Message) -> String {
        let name = message.name();
        match message {
            Message::Token { .. } | Message::TokenReturn { .. } => name.to_owned(),
            Message::Summary(s) => format!(
                "summary: view {} phase {}, ballot {}{}, head {}, executed {}, {} slots",
                s.view,
                s.phase,
                s.ballot,
                if s.active { " active" } else { "" },
                s.head,
                s.executed,
                s.slots.len(),
            ),
            Message::Coordination(said) => {
                let own = said.own;
                format!("coordination: phase {} views {}", own.phase, own.pair)
            }
            Message::Demand(demand) => format!("demand to leave view {}", demand.view),
            Message::Leave(leave) => {
                format!("leave view {}, by {}", leave.view, set(leave.signers))
            }
            Message::Report(report) => {
                let prepared = match &report.prepared {
                    Some(certificate) => self.certificate(certificate),
                    None => "nothing prepared".to_owned(),
                };
                format!(
                    "report for view {}: head {}, {prepared}",
                    report.ballot, report.head.height
                )
            }
            Message::Enter(enter) => {
                format!("enter view {}, by {}", enter.view, set(enter.signers))
            }
            Message::NewView(new_view) => {
                let taken: Vec<_> =
                    new_view.headers.iter().map(|h| self.block(h.height, h.hash())).collect();
                let by = new_view.reports.iter().map(|report| report.replica).collect();
                let taken = if taken.is_empty() { "nothing".to_owned() } else { taken.join(" ") };
                format!(
                    "new-view of ballot {}, reports of {}, takes over {taken}",
                    new_view.ballot,
                    set(by)
                )
            }
            Message::PrePrepare(proposal) => {
                let header = &proposal.block.header;
                let block = self.block(header.height, proposal.block.hash());
                let parent = self.parent(&header.parent);
                let count = proposal.block.transactions.len();
                let plural = if count == 1 { "" } else { "s" };
                format!(
                    "pre-prepare of {block} on {parent} in ballot {}, {count} transaction{plural}",
                    proposal.ballot
                )
            }
            Message::Vote(vote) => {
                let block = self.block(vote.height, vote.hash);
                format!("{} of {block} in ballot {}", vote.kind.name(), vote.ballot)
            }
            Message::Certificate(certificate) => {
                format!("certificate, {}", self.certificate(certificate))
            }
            Message::Want(want) => {
                let blocks: Vec<_> =
                    want.blocks.iter().map(|(h, hash)| self.block(*h, *hash)).collect();
                format!("wants {}", blocks.join(" "))
            }
            Message::Lacks(lacks) => {
                let blocks: Vec<_> =
                    lacks.blocks.iter().map(|(h, hash)| self.block(*h, *hash)).collect();
                format!("lacks {}", blocks.join(" "))
            }
            Message::Body(block) => {
                format!("body of {}", self.block(block.header.height, block.hash()))
            }
            Message::Fetch { from, count } => format!("fetch of {count} from height {from}"),
            Message::Blocks(blocks) => {
                let blocks: Vec<_> = blocks
                    .iter()
                    .map(|b| self.block(b.block.header.height, b.block.hash()))
                    .collect();
                format!("committed blocks {}", blocks.join(" "))
            }
            Message::StateCertificates(certificates) => {
                let heights: Vec<_> =
                    certificates.iter().map(|c| c.statement.height.to_string()).collect();
                format!("state certificates of heights {}", heights.join(" "))
            }
            Message::Attestation(attestation) => {
                let statement = &attestation.statement;
                format!("attestation of {}", self.block(statement.height, statement.block))
            }
            Message::Transactions(transactions) => {
                let nonces: Vec<_> = transactions.iter().map(|t| t.nonce.to_string()).collect();
                format!("transactions with nonces {}", nonces.join(" "))
            }
            Message::SnapshotOffer(checkpoint) => {
                format!("offer of a snapshot at height {}", checkpoint.height())
            }
            Message::SnapshotWant { height, .. } => {
                format!("request for a chunk of the snapshot at height {height}")
            }
            Message::SnapshotChunk { height, .. } => {
                format!("chunk of the snapshot at height {height}")
            }
        }
    }

    pub(crate) fn observation(observation: &Observation) -> String {
        match observation {
            Observation::View { view, phase } => format!("is in view {view} phase {phase}"),
            Observation::Activated { ballot } => format!("votes in ballot {ballot}"),
            Observation::Suspected { view, reason } => {
                format!("suspects the primary of view {view}: {reason:?}")
            }
            Observation::Equivocation { replica, ballot, height } => {
                format!("saw {replica} contradict itself at height {height} in ballot {ballot}")
            }
            Observation::Forked { height } => {
                format!("sees another certified chain at height {height}")
            }
            Observation::GivenUp { ballot, height } => {
                format!("gives up what was prepared at height {height} in ballot {ballot}")
            }
            Observation::Diverged { height } => {
                format!("differs from f+1 others at height {height}")
            }
            Observation::Disbelieved { from, reason } => format!("disbelieves {from}: {reason:?}"),
            Observation::Repaired(illegal) => format!("repaired: {illegal}"),
        }
    }
}

fn set(signers: SignerSet) -> String {
    let names: Vec<_> = signers.iter().map(|ReplicaId(id)| format!("r{id}")).collect();
    names.join(" ")
}
