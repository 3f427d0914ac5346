//! Messages, effects and facts in one line each, for traces.

use daruma_engine::{Disbelief, Illegal, Observation, Suspicion};
use daruma_types::{Message, Promise, Statement};

/// A message in one line.
pub(crate) fn message(message: &Message) -> String {
    let name = message.name();
    match message {
        Message::Token { counter } | Message::TokenReturn { counter } => {
            format!("{name} {counter}")
        }
        Message::Summary(s) => format!(
            "{name} view {}.{} ballot {}{} head {} executed {} attested {} prepared {:?} slots {} \
             reports {:b} {:?} suspects {} demands {:b}",
            s.view,
            s.phase,
            s.ballot,
            if s.active { " active" } else { "" },
            s.head,
            s.executed,
            s.attested,
            s.prepared,
            s.slots.len(),
            s.reports.0,
            s.monitor.status,
            s.monitor.suspects,
            s.monitor.demands.0,
        ),
        Message::Coordination(said) => {
            let place = |place: daruma_types::Place| {
                let (change, witness) = (place.change, place.witness);
                format!(
                    "{}:{}{}{}",
                    place.phase,
                    place.pair,
                    if change { " change" } else { "" },
                    if witness { " witness" } else { "" }
                )
            };
            format!("{name} own {} echo {}", place(said.own), place(said.echo))
        }
        Message::Demand(demand) => format!("{name} to leave view {}", demand.view),
        Message::Leave(leave) => format!("{name} of view {}", leave.view),
        Message::Report(report) => format!(
            "{name} of {} for ballot {} head {} prepared {:?}",
            report.replica,
            report.ballot,
            report.head.height,
            report.prepared.as_ref().map(|p| (p.rank(), p.hash)),
        ),
        Message::Enter(enter) => format!("{name} view {}", enter.view),
        Message::NewView(new_view) => {
            let headers: Vec<_> =
                new_view.headers.iter().map(|header| (header.height, header.hash())).collect();
            let reports: Vec<_> = new_view.reports.iter().map(|r| r.replica.0).collect();
            format!("{name} ballot {} reports {reports:?} headers {headers:?}", new_view.ballot)
        }
        Message::PrePrepare(proposal) => format!(
            "{name} ballot {} height {} {:?} on {:?}, {} transactions",
            proposal.ballot,
            proposal.block.header.height,
            proposal.block.hash(),
            proposal.block.header.parent,
            proposal.block.transactions.len(),
        ),
        Message::Vote(vote) => format!(
            "{} ballot {} height {} {:?}",
            vote.kind.name(),
            vote.ballot,
            vote.height,
            vote.hash
        ),
        Message::Certificate(c) => format!(
            "{name} of {} ballot {} height {} {:?}",
            c.kind.name(),
            c.ballot,
            c.height,
            c.hash
        ),
        Message::Want(want) => format!("{name} {:?}", want.blocks),
        Message::Lacks(lacks) => {
            let voted =
                lacks.voted.map_or("no ballot".to_owned(), |ballot| format!("ballot {ballot}"));
            format!("{name} {:?}, voted last in {voted}", lacks.blocks)
        }
        Message::Body(block) => format!("{name} {} {:?}", block.header.height, block.hash()),
        Message::Fetch { from, count } => format!("{name} {count} from {from}"),
        Message::Blocks(blocks) => {
            let heights: Vec<_> = blocks.iter().map(|b| b.block.header.height.0).collect();
            format!("{name} {heights:?}")
        }
        Message::StateCertificates(certificates) => {
            let heights: Vec<_> = certificates.iter().map(|c| c.statement.height.0).collect();
            format!("{name} {heights:?}")
        }
        Message::Attestation(a) => {
            format!("{name} of {} height {} {:?}", a.replica, a.statement.height, a.statement.block)
        }
        Message::Transactions(transactions) => {
            let nonces: Vec<_> = transactions.iter().map(|t| (t.client, t.nonce)).collect();
            format!("{name} {nonces:?}")
        }
        Message::SnapshotOffer(checkpoint) => format!("{name} at {}", checkpoint.height()),
        Message::SnapshotWant { height, from } => format!("{name} at {height} from {from:?}"),
        Message::SnapshotChunk { height, from, chunk } => {
            format!("{name} at {height} from {from:?}, {} bytes", chunk.len())
        }
    }
}

/// A promise in one line.
pub(crate) fn promise(promise: &Promise) -> String {
    match promise {
        Promise::View { view, phase, .. } => format!("view {view}.{phase}"),
        Promise::Floor { ballot } => format!("floor {ballot}"),
        Promise::Prepare { ballot, height, hash, .. } => {
            format!("prepare ballot {ballot} height {height} {hash:?}")
        }
        Promise::Body { block } => {
            format!("body {} {:?}", block.header.height, block.hash())
        }
        Promise::Prepared { certificate: c } => {
            format!("prepared ballot {} height {} {:?}", c.ballot, c.height, c.hash)
        }
    }
}

/// What a replica's ledger is after a height.
pub(crate) fn statement(statement: &Statement) -> String {
    let Statement { height, block, state_root, receipts_root } = statement;
    format!("height {height}: block {block:?}, state {state_root:?}, receipts {receipts_root:?}")
}

/// What a replica observed, in words.
pub(crate) fn fact(observation: &Observation) -> String {
    match observation {
        Observation::View { view, phase: 0 } => format!("serves view {view}"),
        Observation::View { view, .. } => format!("changes to view {view}"),
        Observation::Activated { ballot } => format!("votes in ballot {ballot} from now on"),
        Observation::Suspected { view, reason } => match reason {
            Suspicion::Unresponsive => format!("suspects the primary of view {view}: it is silent"),
            Suspicion::NoProgress => {
                format!("suspects the primary of view {view}: nothing is executed")
            }
            Suspicion::Censorship => {
                format!("suspects the primary of view {view}: a transaction is left out")
            }
            Suspicion::Repaired => {
                format!("suspects the primary of view {view}: its own view was repaired")
            }
        },
        Observation::Equivocation { replica, ballot, height } => {
            format!("has evidence of two votes of {replica} in ballot {ballot} for height {height}")
        }
        Observation::Forked { height } => {
            format!("holds a certificate against its own chain at height {height}")
        }
        Observation::GivenUp { ballot, height } => {
            format!("gives up what was prepared in ballot {ballot} at height {height}")
        }
        Observation::Diverged { height } => {
            format!("finds that others attest another state at height {height}")
        }
        Observation::Disbelieved { from, reason } => {
            format!("does not believe {from}: {}", disbelief(*reason))
        }
        Observation::Repaired(illegal) => format!("repairs itself: {illegal}"),
    }
}

const fn disbelief(reason: Disbelief) -> &'static str {
    match reason {
        Disbelief::OutsideWindow => "a block outside the window",
        Disbelief::EmptyBlock => "an empty block",
        Disbelief::SecondProposal => "a second proposal for one ballot and height",
        Disbelief::WrongParent => "a block that does not extend the accepted chain",
        Disbelief::StaleNonce => "a block with a used nonce",
        Disbelief::TimeRunsBackwards => "a block older than its parent",
        Disbelief::NewViewNotSupported => "a new-view that its reports do not give",
    }
}

/// The kind of a fact, for counters.
pub(crate) const fn observation(observation: &Observation) -> &'static str {
    match observation {
        Observation::View { .. } => "observed: view",
        Observation::Activated { .. } => "observed: activated",
        Observation::Suspected { reason, .. } => match reason {
            Suspicion::Unresponsive => "suspected: unresponsive",
            Suspicion::NoProgress => "suspected: no progress",
            Suspicion::Censorship => "suspected: censorship",
            Suspicion::Repaired => "suspected: own memory was wrong",
        },
        Observation::Equivocation { .. } => "observed: equivocation",
        Observation::GivenUp { .. } => "observed: given up",
        Observation::Diverged { .. } => "observed: diverged",
        Observation::Forked { .. } => "observed: another certified chain",
        Observation::Disbelieved { reason, .. } => match reason {
            Disbelief::OutsideWindow => "disbelieved: outside window",
            Disbelief::EmptyBlock => "disbelieved: empty block",
            Disbelief::SecondProposal => "disbelieved: second proposal",
            Disbelief::WrongParent => "disbelieved: wrong parent",
            Disbelief::StaleNonce => "disbelieved: stale nonce",
            Disbelief::TimeRunsBackwards => "disbelieved: time runs backwards",
            Disbelief::NewViewNotSupported => "disbelieved: new-view not supported",
        },
        Observation::Repaired(_) => "observed: repaired",
    }
}

/// The kind of what was repaired, for counters.
pub(crate) const fn illegal(illegal: &Illegal) -> &'static str {
    match illegal {
        Illegal::UnprovenView { .. } => "view without proof",
        Illegal::Ballot { .. } => "ballot not the view's",
        Illegal::Floor { .. } | Illegal::Forgotten { .. } => "floor of ballots",
        Illegal::Automaton => "coordination automaton",
        Illegal::Slot(_) => "slot",
        Illegal::Prepared(_) => "prepared certificate",
        Illegal::Head(_) => "head",
        Illegal::Executed(_) => "executed block",
        Illegal::NewView(_) => "new-view",
        Illegal::OutOfBounds(_) => "out of bounds",
    }
}
