//! Sends a peer what its summary shows that it lacks (DESIGN 4.6).

use daruma_types::{Height, Message, PrePrepare, ReplicaId, SlotLine, Summary, Vote, VoteKind};

use super::Replication;
use super::slot::Slot;
use crate::config::Context;
use crate::outbox::Outbox;

impl Replication {
    /// Reads a peer's summary. `still` says that the summary before showed the same head and
    /// ballot: then what it lacks is not just on its way.
    pub(crate) fn help(
        &self,
        peer: ReplicaId,
        summary: &Summary,
        still: bool,
        context: &Context,
        out: &mut Outbox,
    ) {
        if summary.ballot != self.ballot {
            return;
        }
        if !summary.active
            && let Some(new_view) = self.held_new_view(summary.ballot)
        {
            out.send(peer, Message::NewView(new_view.clone()));
        }
        if !still {
            return;
        }
        for (height, slot) in self.slots.range(summary.head.next()..) {
            let line = summary.slots.iter().find(|line| line.height == *height);
            self.help_slot(peer, *height, slot, line, context, out);
        }
    }

    fn help_slot(
        &self,
        peer: ReplicaId,
        height: Height,
        slot: &Slot,
        line: Option<&SlotLine>,
        context: &Context,
        out: &mut Outbox,
    ) {
        let Some(hash) = slot.accepted else { return };
        let ballot = self.ballot;
        let theirs = line.filter(|line| line.accepted);
        let primary = context.thresholds().primary(ballot.0);
        // The primary repeats its proposals; were it gone, the next view would take them over.
        if theirs.is_none() && primary == context.own {
            let proposal = slot.vote_of(VoteKind::Prepare, primary);
            if let (Some(vote), Some(block)) = (proposal, self.bodies.get(&hash))
                && vote.hash == hash
            {
                let (block, signature) = (block.clone(), vote.signature);
                let proposal = PrePrepare { ballot, block, signature };
                out.send(peer, Message::PrePrepare(proposal));
            }
        }
        let lacks = |kind| match (kind, theirs) {
            (_, None) => true,
            (VoteKind::Prepare, Some(line)) => !line.prepares.contains(context.own),
            (VoteKind::Commit, Some(line)) => !line.commits.contains(context.own),
        };
        for kind in [VoteKind::Prepare, VoteKind::Commit] {
            if let (true, Some(held)) = (lacks(kind), slot.vote_of(kind, context.own)) {
                let (hash, signature) = (held.hash, held.signature);
                out.send(peer, Message::Vote(Vote { kind, ballot, height, hash, signature }));
            }
        }
        let quorum = context.thresholds().quorum();
        let unprepared = theirs.is_some_and(|line| line.prepares.len() < quorum);
        if let (true, Some(certificate)) = (unprepared, &slot.prepared) {
            out.send(peer, Message::Certificate(certificate.clone()));
        }
    }

    /// A line for each height in flight.
    pub(crate) fn slot_lines(&self) -> alloc::vec::Vec<SlotLine> {
        let lines = self.slots.iter().map(|(height, slot)| {
            let hash = slot.accepted.unwrap_or_default();
            SlotLine {
                height: *height,
                short: hash.short(),
                accepted: slot.accepted.is_some(),
                prepares: slot.voters(VoteKind::Prepare, &hash),
                commits: slot.voters(VoteKind::Commit, &hash),
            }
        });
        lines.take(daruma_types::limits::WINDOW_MAX).collect()
    }
}
