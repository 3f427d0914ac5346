//! What a step came to: lines in order, equal lines of several replicas in one hop joined.

use daruma_types::ReplicaId;

/// Collects lines.
#[derive(Debug, Default)]
pub(crate) struct Record {
    done: String,
    hop: Vec<(Vec<ReplicaId>, String)>,
}

impl Record {
    /// `who` did or said `what`.
    pub(crate) fn line(&mut self, who: ReplicaId, what: String) {
        match self.hop.iter_mut().find(|(_, known)| *known == what) {
            Some((replicas, _)) if !replicas.contains(&who) => replicas.push(who),
            Some(_) | None => self.hop.push((vec![who], what)),
        }
    }

    /// What comes next is another hop.
    pub(crate) fn end_hop(&mut self) {
        for (mut replicas, what) in self.hop.drain(..) {
            replicas.sort_unstable();
            let names: Vec<_> = replicas.iter().map(|id| format!("r{}", id.0)).collect();
            self.done.push_str(&format!("{}{what}\n", names.join(" ")));
        }
    }

    /// All lines.
    pub(crate) fn finish(mut self) -> String {
        self.end_hop();
        self.done
    }
}
