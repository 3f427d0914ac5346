//! A replica that pretends that nothing has happened yet: it is in the first view, at the genesis, and
//! holds no proof of anything (the thesis's `FORCING_RESET`).

use std::sync::Arc;

use daruma_types::{
    Ballot, Coordination, Height, Message, Place, ReplicaId, SignerSet, Summary, VStatus, View,
};

use crate::forged::denial;
use crate::{Adversary, Surroundings};

pub(crate) struct ForcingReset;

fn beginning(honest: &Summary, around: &Surroundings<'_>) -> Summary {
    let mut summary = honest.clone();
    summary.view = View(0);
    summary.phase = 0;
    summary.reports = SignerSet::EMPTY;
    summary.ballot = Ballot(0);
    summary.active = true;
    summary.head = Height(0);
    summary.head_hash = around.committee.chain().0;
    summary.executed = Height(0);
    summary.attested = Height(0);
    summary.prepared = None;
    summary.slots.clear();
    summary.monitor.status = VStatus::Ok;
    summary.monitor.suspects = false;
    summary.monitor.demands = SignerSet::EMPTY;
    summary
}

impl Adversary for ForcingReset {
    fn outgoing(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        match &*message {
            Message::Summary(honest) => {
                vec![Arc::new(Message::Summary(beginning(honest, around)))]
            }
            Message::Report(honest) => {
                vec![Arc::new(Message::Report(denial(honest.ballot, around)))]
            }
            // As the thesis has it, to the letter; the echo stays honest.
            Message::Coordination(honest) => {
                let own = Place { witness: true, ..Place::RESET };
                vec![Arc::new(Message::Coordination(Coordination { own, ..*honest }))]
            }
            Message::Leave(_) | Message::Enter(_) => Vec::new(),
            _ => vec![message],
        }
    }
}
