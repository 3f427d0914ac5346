//! A replica that is Byzantine at certain times only, in another way each time.

use std::sync::Arc;

use daruma_types::{Message, ReplicaId, Transaction};

use crate::{Adversary, Behaviour, Surroundings};

/// A behaviour with its beginning and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Who.
    pub replica: ReplicaId,
    /// What it does. [`Behaviour::Twins`] is honest here: a second engine cannot come and go.
    pub behaviour: Behaviour,
    /// From when on, in ms since the run began.
    pub from_ms: u64,
    /// Until when.
    pub until_ms: u64,
}

/// One replica's behaviours, each at its time; where two overlap, the first counts. Honest in between.
pub struct Switching {
    parts: Vec<(Window, Box<dyn Adversary>)>,
    /// The time as last heard.
    elapsed_ms: u64,
}

impl core::fmt::Debug for Switching {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.parts.iter().map(|(window, _)| window)).finish()
    }
}

impl Switching {
    /// What `replica` does in `windows`; `seed` decides how.
    #[must_use]
    pub fn new(replica: ReplicaId, windows: &[Window], seed: u64) -> Self {
        let own = windows.iter().filter(|window| window.replica == replica);
        let parts = own
            .enumerate()
            .map(|(i, window)| (*window, window.behaviour.adversary(seed.wrapping_add(i as u64))))
            .collect();
        Self { parts, elapsed_ms: 0 }
    }

    fn part(&mut self, elapsed_ms: u64) -> Option<&mut Box<dyn Adversary>> {
        self.elapsed_ms = elapsed_ms;
        let now = |window: &Window| (window.from_ms..window.until_ms).contains(&elapsed_ms);
        self.parts.iter_mut().find(|(window, _)| now(window)).map(|(_, adversary)| adversary)
    }
}

impl Adversary for Switching {
    fn outgoing(
        &mut self,
        to: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        match self.part(around.elapsed_ms) {
            Some(part) => part.outgoing(to, message, around),
            None => vec![message],
        }
    }

    fn incoming(
        &mut self,
        from: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Option<Arc<Message>> {
        match self.part(around.elapsed_ms) {
            Some(part) => part.incoming(from, message, around),
            None => Some(message),
        }
    }

    fn submitted(&mut self, transactions: Vec<Transaction>) -> Vec<Transaction> {
        match self.part(self.elapsed_ms) {
            Some(part) => part.submitted(transactions),
            None => transactions,
        }
    }

    fn on_tick(&mut self, around: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        self.part(around.elapsed_ms).map_or_else(Vec::new, |part| part.on_tick(around))
    }

    fn raw(&mut self, around: &Surroundings<'_>) -> Vec<(ReplicaId, Vec<u8>)> {
        self.part(around.elapsed_ms).map_or_else(Vec::new, |part| part.raw(around))
    }
}
