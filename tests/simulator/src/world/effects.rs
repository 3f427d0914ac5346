//! Effects, performed in order as a driver does: promises become durable before anything that
//! follows them is done.

use daruma_engine::{Effect, Observation};
use daruma_ledger::{Depth, LedgerError, LedgerReader};
use daruma_store::Store;
use daruma_types::{
    Adoption, CertifiedBlock, Height, Message, PublicKey, ReplicaId, limits as hard,
};

use super::{Accusation, Event, World};
use crate::replica::{Replica, engine_head};
use crate::{Invariant, Start, describe, limits};

impl World<'_> {
    /// Puts effects in line, and performs as many as can be performed now. The list is empty then.
    pub(super) fn perform(&mut self, replica: usize, effects: &mut Vec<Effect>) {
        let incarnation = self.replicas[replica].incarnation;
        let mut effects = effects.drain(..);
        let Some(running) = &self.replicas[replica].running else { return };
        let waiting = running.outbox.len() + effects.len();
        if waiting > limits::OUTBOX_MAX {
            let what = format!("{waiting} effects wait for the disk of {replica}");
            self.broken((Invariant::Bounds, what));
            return;
        }
        // With an empty line, what stands before the first promise need not go through it.
        if running.outbox.is_empty() {
            while effects.as_slice().first().is_some_and(|e| !matches!(e, Effect::Promise { .. })) {
                let Some(effect) = effects.next() else { break };
                self.perform_one(replica, effect);
                if !self.lives(replica, incarnation) || !self.violations.is_empty() {
                    return;
                }
            }
        }
        if let Some(running) = &mut self.replicas[replica].running
            && effects.len() > 0
        {
            running.outbox.extend(effects);
            self.pump(replica);
        }
    }

    /// Performs effects from the front of the line, up to a promise that is not durable.
    fn pump(&mut self, replica: usize) {
        let incarnation = self.replicas[replica].incarnation;
        while self.lives(replica, incarnation) && self.violations.is_empty() {
            let Some(running) = &mut self.replicas[replica].running else { return };
            match running.outbox.front() {
                None => return,
                Some(Effect::Promise { .. }) if running.durable == 0 => {
                    self.sync(replica);
                    return;
                }
                Some(_) => {}
            }
            let Some(effect) = running.outbox.pop_front() else { return };
            if matches!(effect, Effect::Promise { .. }) {
                running.durable -= 1;
            }
            self.perform_one(replica, effect);
        }
    }

    /// Makes all promises that wait durable together, unless some already are on their way.
    fn sync(&mut self, replica: usize) {
        let replicas = &mut self.replicas[replica];
        let Some(running) = &mut replicas.running else { return };
        if running.syncing.is_some() {
            return;
        }
        let promises =
            running.outbox.iter().filter(|effect| matches!(effect, Effect::Promise { .. }));
        running.syncing = Some(promises.count());
        let at_us = self.now_us + self.plan.sync_us * replicas.disk_factor;
        let incarnation = replicas.incarnation;
        self.queue.push(at_us, Event::Synced { replica, incarnation });
    }

    /// The disk says that the promises are durable.
    pub(super) fn synced(&mut self, replica: usize, incarnation: u32) {
        if !self.lives(replica, incarnation) {
            return;
        }
        let id = self.replicas[replica].id;
        let Some(running) = &mut self.replicas[replica].running else { return };
        let Some(count) = running.syncing.take() else { return };
        let promises = running.promises(running.durable, count);
        running.durable += count;
        for promise in &promises {
            self.trace
                .of(self.now_us, id, || format!("keeps on disk: {}", describe::promise(promise)));
        }
        if let Err(error) = self.replicas[replica].store.journal(&promises) {
            if self.power_went(replica) {
                return;
            }
            let Replica { correct, transient, tainted, spoiled, .. } = self.replicas[replica];
            // A promise that contradicts one of a faulty memory, or the other way round: the disk counts.
            if transient || tainted || spoiled {
                self.trace.of(self.now_us, id, || format!("is made anew: {error}"));
                self.rebuild(replica);
            } else if correct {
                let wanted: Vec<String> = promises.iter().map(describe::promise).collect();
                let what = format!("the store of {id}: {error}; asked for {wanted:?}");
                self.broken((Invariant::Refused, what));
            }
            return;
        }
        self.pump(replica);
    }

    fn perform_one(&mut self, replica: usize, effect: Effect) {
        match effect {
            Effect::Promise { then, .. } => {
                let incarnation = self.replicas[replica].incarnation;
                for (to, message) in then {
                    if self.lives(replica, incarnation) {
                        self.send(replica, to, message);
                    }
                }
            }
            Effect::Send { to, message } => self.send(replica, to, message),
            Effect::Execute(block) => self.decided(replica, block),
            Effect::LookUpNonces(clients) => self.look_up(replica, &clients),
            Effect::Adopt { blocks, tie } => self.adopt(replica, &blocks, tie),
            Effect::Mend(block) => self.mend(replica, &block),
            Effect::ServeBlocks { to, from, count } => self.serve(replica, to, from, count),
            Effect::Pooled(outcomes) => {
                for outcome in outcomes {
                    let Replica { id, incarnation, .. } = self.replicas[replica];
                    if let Some(notes) = &mut self.notes {
                        notes.answered(id, incarnation, outcome);
                    }
                    match outcome {
                        Ok(()) => self.stats.count("submission: pooled"),
                        Err(_) => self.stats.count("submission: refused"),
                    }
                }
            }
            Effect::Attested(certificate) => {
                if let Err(error) = self.replicas[replica].store.put_state_certificate(&certificate)
                {
                    if self.power_went(replica) {
                        return;
                    }
                    self.broken((Invariant::Refused, error.to_string()));
                }
                self.finish_snapshot(replica);
                if self.replicas[replica].correct {
                    match self.checkers.answered(self.replicas[replica].id, &certificate) {
                        Ok(confirmed) => self.confirmed(&confirmed),
                        Err(broken) => self.broken(broken),
                    }
                }
            }
            Effect::Observed(observation) => self.observed(replica, &observation),
        }
    }

    /// A block is to be executed, after those before it.
    pub(super) fn decided(&mut self, replica: usize, block: CertifiedBlock) {
        let id = self.replicas[replica].id;
        let (height, hash) = (block.certificate.height, block.certificate.hash);
        self.trace.of(self.now_us, id, || format!("decides height {height}: {hash:?}"));
        let Some(running) = &mut self.replicas[replica].running else { return };
        running.decided.push_back(block);
        if running.decided.len() > limits::EXECUTION_QUEUE_MAX {
            let what = format!("{} blocks wait for execution at {id}", running.decided.len());
            self.broken((Invariant::Bounds, what));
            return;
        }
        self.execute_next(replica);
    }

    fn execute_next(&mut self, replica: usize) {
        let incarnation = self.replicas[replica].incarnation;
        let Some(running) = &mut self.replicas[replica].running else { return };
        if !running.executing && !running.decided.is_empty() {
            running.executing = true;
            let at_us = self.now_us + self.plan.execute_us;
            self.queue.push(at_us, Event::Execute { replica, incarnation });
        }
    }

    /// The ledger executes a block: from here on it is durable, whether the engine hears of it or not.
    pub(super) fn execute(&mut self, replica: usize, incarnation: u32) {
        if !self.lives(replica, incarnation) {
            return;
        }
        let Replica { id, correct, transient, .. } = self.replicas[replica];
        let healing = self.is_healing(replica);
        let Some(running) = &mut self.replicas[replica].running else { return };
        running.executing = false;
        let Some(block) = running.decided.pop_front() else { return };
        let executed = match running.ledger.execute(&block) {
            Ok(executed) => executed,
            Err(_) if self.power_went(replica) => {
                self.executed_unheard(replica, &block);
                return;
            }
            // The engine asks for blocks all the time, and gets some that are no use yet.
            Err(LedgerError::Restoring { .. }) => {
                self.stats.count("snapshot: block given meanwhile");
                self.execute_next(replica);
                return;
            }
            Err(error) => {
                let Some(running) = &mut self.replicas[replica].running else { return };
                let again = certified_before(&running.reader, &block);
                let repaired = transient
                    && error.is_damage()
                    && running.ledger.check_again(Depth::Whole).is_ok();
                let excused =
                    (transient && repaired) || ((transient || healing) && error.refuses_block());
                if correct && !again && !excused {
                    self.broken((Invariant::Refused, format!("the ledger of {id}: {error}")));
                    return;
                }
                self.trace.of(self.now_us, id, || format!("does not execute: {error}"));
                self.stats.count("ledger: block refused");
                self.tell_head(replica);
                self.execute_next(replica);
                return;
            }
        };
        let statement = executed.statement;
        self.trace.mix(&[self.now_us, statement.height.0, u64::from(statement.block.short())]);
        self.trace.mix(&[u64::from(statement.state_root.short())]);
        self.trace.of(self.now_us, id, || format!("executed {}", describe::statement(&statement)));
        if correct {
            let sound = self.checkers.executed(id, &block, statement, &executed.receipts);
            self.check(sound);
        }
        self.begin_snapshot(replica, statement.height);
        let executed = Box::new((statement, executed.nonces));
        let told = Event::Told { replica, incarnation, executed };
        self.queue.push(self.now_us + limits::TOLD_AFTER_US, told);
        self.execute_next(replica);
    }

    /// A block that became durable just before the power went counts as executed, though nobody heard.
    fn executed_unheard(&mut self, replica: usize, block: &CertifiedBlock) {
        let Replica { id, correct, ref store, .. } = self.replicas[replica];
        let (head, receipts) = (store.head(), store.receipts(block.certificate.height));
        if let (true, Ok(Some(head)), Ok(Some(receipts))) = (correct, head, receipts)
            && head.hash == block.certificate.hash
        {
            let sound = self.checkers.executed(id, block, head.statement, &receipts);
            self.check(sound);
        }
    }

    /// Tells an engine where its ledger stands: it hears of it after all that was executed before.
    pub(super) fn tell_head(&mut self, replica: usize) {
        let incarnation = self.replicas[replica].incarnation;
        let Some(running) = &self.replicas[replica].running else { return };
        let head = Box::new((engine_head(&running.ledger), running.ledger.missing()));
        let floor = self.replicas[replica].store.floor();
        let told = Event::Head { replica, incarnation, head, floor };
        self.queue.push(self.now_us + limits::TOLD_AFTER_US, told);
    }

    /// The ledger reads nonces, and tells them in order with what it executed.
    fn look_up(&mut self, replica: usize, clients: &[PublicKey]) {
        let incarnation = self.replicas[replica].incarnation;
        let Some(running) = &self.replicas[replica].running else { return };
        let as_of = running.ledger.head().claim.height;
        let reader = &running.reader;
        let found = clients.iter().filter_map(|key| Some((*key, reader.last_nonce(key).ok()?)));
        let read = Box::new((as_of, found.collect()));
        let told = Event::Nonces { replica, incarnation, read };
        self.queue.push(self.now_us + limits::TOLD_AFTER_US, told);
    }

    /// The ledger compares another chain's blocks with its own, and may give up some of these.
    fn adopt(&mut self, replica: usize, blocks: &[CertifiedBlock], tie: bool) {
        let Replica { id, correct, incarnation, .. } = self.replicas[replica];
        let forked = correct && !self.replicas[replica].transient && !self.forked;
        let Some(running) = &mut self.replicas[replica].running else { return };
        let adoption = match running.ledger.adopt(blocks, tie) {
            Ok(adoption) => adoption,
            Err(_) if self.power_went(replica) => return,
            Err(error) => {
                self.broken((Invariant::Refused, format!("the ledger of {id}: {error}")));
                return;
            }
        };
        self.trace.line(self.now_us, || format!("{id} compares another chain: {adoption:?}"));
        if let Adoption::Adopted { to } = adoption {
            // Before convergence it is told and no more: the engine is made anew as ever.
            if forked {
                self.broken((Invariant::Durability, format!("{id} gave up its blocks above {to}")));
            }
            self.stats.count("conflict: blocks given up");
            let rebuilt = &mut self.replicas[replica];
            (rebuilt.incarnation, rebuilt.running) = (incarnation + 1, None);
            self.start(replica);
        } else {
            let told = Event::Adoption { replica, incarnation, adoption };
            self.queue.push(self.now_us + limits::TOLD_AFTER_US, told);
        }
    }

    fn serve(&mut self, replica: usize, to: ReplicaId, from: Height, count: u32) {
        if self.offer_instead(replica, to, from) {
            return;
        }
        let Some(running) = &self.replicas[replica].running else { return };
        let count = (count as usize).min(hard::FETCH_BLOCKS_MAX);
        let read = running.reader.sound_blocks(from, count, hard::FETCH_BYTES_MAX);
        let damaged = read.as_ref().ok().and_then(|(_, damaged)| *damaged);
        match read {
            Ok((blocks, _)) if blocks.is_empty() => {}
            Ok((blocks, _)) => {
                let to = daruma_engine::Destination::One(to);
                let heights = blocks.iter().map(|block| block.certificate.height);
                let reader = &running.reader;
                let attested = heights.filter_map(|h| reader.state_certificate(h).ok().flatten());
                let attested = attested.collect();
                self.send(replica, to, Message::StateCertificates(attested));
                self.send(replica, to, Message::Blocks(blocks));
            }
            Err(error) => {
                let what = format!("reading blocks from {from}: {error}");
                self.broken((Invariant::Refused, what));
            }
        }
        if let Some(height) = damaged {
            self.check_height(replica, height);
        }
    }

    /// The ledger looks at a record that could not be served.
    fn check_height(&mut self, replica: usize, height: Height) {
        let Replica { id, correct, tainted, .. } = self.replicas[replica];
        let Some(running) = &mut self.replicas[replica].running else { return };
        match running.ledger.check_height(height) {
            Ok(repairs) if repairs.is_empty() => {}
            Ok(repairs) if tainted || !correct => {
                self.stats.count("ledger: damaged record found");
                self.trace.of(self.now_us, id, || format!("finds on its disk: {repairs:?}"));
                self.tell_head(replica);
            }
            Ok(repairs) => {
                let what = format!("of the undamaged ledger of {id} were repaired: {repairs:?}");
                self.broken((Invariant::Refused, what));
            }
            Err(error) => {
                self.broken((Invariant::Refused, format!("the ledger of {id}: {error}")));
            }
        }
    }

    /// A block takes the place of a damaged one, if it is the one that was there.
    fn mend(&mut self, replica: usize, block: &CertifiedBlock) {
        let (id, height) = (self.replicas[replica].id, block.certificate.height);
        let Some(running) = &mut self.replicas[replica].running else { return };
        match running.ledger.mend(block) {
            Ok(mended) => {
                if mended {
                    self.stats.count("ledger: damaged record replaced");
                }
                self.trace.of(self.now_us, id, || format!("mends height {height}: {mended}"));
                self.tell_head(replica);
            }
            Err(error) => {
                self.broken((Invariant::Refused, format!("the ledger of {id}: {error}")));
            }
        }
    }

    /// Transactions that clients now hold as confirmed.
    pub(super) fn confirmed(&mut self, confirmed: &[(PublicKey, u64)]) {
        for (client, nonce) in confirmed {
            self.clients.confirmed(client, *nonce);
            self.trace.line(self.now_us, || {
                format!("client {client:?} holds nonce {nonce} as confirmed")
            });
        }
    }

    fn observed(&mut self, replica: usize, observation: &Observation) {
        let id = self.replicas[replica].id;
        self.trace.of(self.now_us, id, || describe::fact(observation));
        if !self.replicas[replica].correct {
            return;
        }
        self.stats.count(describe::observation(observation));
        if let Observation::Repaired(illegal) = observation {
            self.stats.repaired(describe::illegal(illegal));
        }
        if let Observation::Equivocation { replica: accused, ballot, height } = observation
            && let Some(notes) = &mut self.notes
        {
            let (by, accused, ballot, height) = (id, *accused, *ballot, *height);
            notes.accusations.push(Accusation { by, accused, ballot, height });
        }
        match observation {
            Observation::View { view, .. } => self.stats.views = self.stats.views.max(view.0),
            Observation::Equivocation { replica: accused, .. }
                if !self.is_healing(replica)
                    && self
                        .replicas
                        .get(accused.index())
                        .is_none_or(|a| a.correct && !a.tainted && !a.spoiled) =>
            {
                let what = format!("{id} accuses {accused}, which is correct: {observation:?}");
                self.broken((Invariant::Evidence, what));
            }
            // Beside at most f faulty replicas some correct one has the block.
            Observation::GivenUp { .. }
                if self.plan.start == Start::Fresh && !self.replicas[replica].spoiled =>
            {
                self.broken((Invariant::Durability, format!("{id}: {observation:?}")));
            }
            Observation::GivenUp { .. } => {}
            Observation::Diverged { .. } if self.is_healing(replica) => {}
            Observation::Diverged { .. } => {
                let what = format!("{id}: {observation:?}");
                self.broken((Invariant::Determinism, what));
            }
            Observation::Repaired(_)
                if self.replicas[replica].transient || self.is_healing(replica) =>
            {
                self.disturbed();
            }
            Observation::Repaired(illegal) => {
                self.broken((Invariant::Closure, format!("{id} repaired: {illegal}")));
            }
            Observation::Equivocation { .. }
            | Observation::Activated { .. }
            | Observation::Suspected { .. }
            | Observation::Forked { .. }
            | Observation::Disbelieved { .. } => {}
        }
    }
}

/// Whether the ledger has this block already: asking twice is no contradiction.
fn certified_before(reader: &LedgerReader, block: &CertifiedBlock) -> bool {
    let known = reader.certificate(block.certificate.height).ok().flatten();
    known.is_some_and(|known| known.hash == block.certificate.hash)
}
