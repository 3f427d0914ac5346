//! The stale-information rules of replication, run at every tick (DESIGN 4.2).

use daruma_types::{Ballot, Certificate, CertifiedBlock, HeadClaim, View, VoteKind};

use super::{BODIES_MAX, EARLY_VOTES_MAX, Replication};
use crate::Illegal;
use crate::config::Context;
use crate::outbox::Outbox;

impl Replication {
    /// Finds and repairs what no execution reaches; `full` checks signatures too.
    pub(crate) fn repair(&mut self, view: View, full: bool, context: &Context, out: &mut Outbox) {
        let expected = Ballot::of_view(view);
        if self.ballot != expected {
            out.repaired(Illegal::Ballot { found: self.ballot, expected });
            self.enter(expected);
        }
        self.repair_head(full, context, out);
        self.repair_slots(context, out);
        self.repair_prepared(full, context, out);
        self.repair_bounds(out);
    }

    /// The head must be the last of the decided blocks, and they must follow the executed one.
    fn repair_head(&mut self, full: bool, context: &Context, out: &mut Outbox) {
        let linked = self.decided_follow();
        let (height, hash) = match self.decided.last_key_value() {
            Some((height, decided)) => (*height, decided.certificate.hash),
            None => (self.executed.height, self.executed.block),
        };
        let matches = self.head.height == height && self.head.hash == hash;
        let valid =
            !full || self.head.verify(&context.committee, context.verifier.as_ref()).is_ok();
        if linked && matches && valid {
            return;
        }
        out.repaired(Illegal::Head(self.head.height));
        if !linked {
            self.decided.clear();
        }
        match self.decided.last_key_value() {
            Some((height, CertifiedBlock { block, certificate })) => {
                let certificate = certificate.clone();
                self.head_timestamp_ms = block.header.timestamp_ms;
                self.head = HeadClaim {
                    height: *height,
                    hash: certificate.hash,
                    certificate: Some(certificate),
                };
            }
            None => {
                // The certificate of the executed head is in the ledger. Without it in memory the
                // head cannot be claimed in a report; the next block decided brings one.
                let (height, hash) = (self.executed.height, self.executed.block);
                let fits = |c: &Certificate| c.height == height && c.hash == hash;
                let certificate = self.head.certificate.take().filter(fits);
                self.head = HeadClaim { height, hash, certificate };
            }
        }
        self.tip = self.head_tip();
        self.slots = self.slots.split_off(&self.head.height.next());
    }

    /// Whether the decided blocks are a chain above the executed one, each with its certificate.
    fn decided_follow(&self) -> bool {
        let mut height = self.executed.height;
        let mut hash = self.executed.block;
        self.decided.iter().all(|(at, CertifiedBlock { block, certificate })| {
            let follows = *at == height.next()
                && block.header.height == *at
                && block.header.parent == hash
                && certificate.height == *at
                && certificate.hash == block.hash();
            height = *at;
            hash = certificate.hash;
            follows
        })
    }

    pub(super) fn repair_slots(&mut self, context: &Context, out: &mut Outbox) {
        let (first, last) = (self.head.height.next(), self.window_end(context));
        let replicas = context.thresholds().replicas();
        let ballot = self.ballot;
        let bodies = &self.bodies;
        self.slots.retain(|height, slot| {
            let body = slot.accepted.is_none_or(|hash| {
                bodies.get(&hash).is_some_and(|block| block.header.height == *height)
            });
            let legal = *height >= first
                && *height <= last
                && body
                && slot.is_legal(replicas, ballot, *height);
            if !legal {
                out.repaired(Illegal::Slot(*height));
            }
            legal
        });
        // The accepted chain must reach from the head to the tip without a gap.
        let mut tip = self.head_tip();
        while let Some(block) = self
            .slots
            .get(&tip.height.next())
            .and_then(|slot| slot.accepted)
            .and_then(|hash| self.bodies.get(&hash).map(|block| (hash, block)))
            .filter(|(_, block)| block.header.parent == tip.hash)
        {
            let (hash, block) = block;
            tip = super::Tip {
                height: block.header.height,
                hash,
                timestamp_ms: block.header.timestamp_ms,
            };
        }
        if tip != self.tip {
            if self.tip.height != tip.height || self.tip.hash != tip.hash {
                out.repaired(Illegal::Slot(self.tip.height));
            }
            self.tip = tip;
        }
    }

    pub(super) fn repair_prepared(&mut self, full: bool, context: &Context, out: &mut Outbox) {
        let Some(prepared) = &self.prepared else { return };
        let valid = prepared.kind == VoteKind::Prepare
            && prepared.height > self.head.height
            && prepared.ballot <= self.ballot
            && (!full || prepared.verify(&context.committee, context.verifier.as_ref()).is_ok());
        if !valid {
            out.repaired(Illegal::Prepared(prepared.height));
            self.prepared = None;
        }
    }

    fn repair_bounds(&mut self, out: &mut Outbox) {
        if self.bodies.len() > BODIES_MAX {
            out.repaired(Illegal::OutOfBounds("bodies"));
            self.drop_loose_bodies();
        }
        let (head, ballot) = (self.head.height, self.ballot);
        self.promised.retain(|height, (voted, _)| *height > head && *voted <= ballot);
        self.bodies.retain(|_, block| block.header.height > head);
        for early in &mut self.early {
            early.truncate(EARLY_VOTES_MAX);
        }
        // Ballot 0, in which every chain begins, needs no new-view.
        self.active |= self.ballot == Ballot(0);
        let ballot = self.ballot;
        let of_ballot = |held: &daruma_types::NewView| held.ballot == ballot;
        self.new_view = self.new_view.take().filter(of_ballot);
        self.waiting_new_view = self.waiting_new_view.take().filter(of_ballot);
        if self.taken_over.len() > daruma_types::limits::WINDOW_MAX {
            out.repaired(Illegal::OutOfBounds("headers taken over"));
            self.taken_over.clear();
        }
    }
}
