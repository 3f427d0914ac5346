//! From frames to admitted messages: small ones at once, bulk on threads of its own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};

use bytes::Bytes;
use daruma_engine::{Input, admit};
use daruma_network::{Event, Events, Network};
use daruma_types::{Lane, Message, ReplicaId, codec};
use tracing::debug;

use crate::door::Door;
use crate::event::Counters;
use crate::limits;
use crate::supervision::Task;
use crate::syncing::{Awaited, Chunk, Waiting};
use crate::turn::{LedgerWork, Serving, Work};
use crate::{Answer, DriverError, Submission, Supervisor};

/// A frame and its authenticated sender.
pub(crate) struct Frame {
    pub(crate) from: ReplicaId,
    pub(crate) lane: Lane,
    pub(crate) bytes: Bytes,
}

/// What every thread of the intake needs.
#[derive(Clone)]
pub(crate) struct Intake {
    pub(crate) door: Arc<Door>,
    pub(crate) engine: SyncSender<Work>,
    pub(crate) network: Network,
    pub(crate) counters: Arc<Counters>,
    /// None for what comes from clients: the ledger's threads end with the network.
    pub(crate) sync: Option<SyncRoutes>,
    pub(crate) supervisor: Arc<Supervisor>,
}

/// Where messages of state sync go.
#[derive(Clone)]
pub(crate) struct SyncRoutes {
    pub(crate) ledger: SyncSender<LedgerWork>,
    pub(crate) servings: SyncSender<Serving>,
    pub(crate) awaited: Awaited,
    pub(crate) waiting: Waiting,
}

impl SyncRoutes {
    /// Takes a message that needs no look by the door; gives back any other.
    fn take(&self, from: ReplicaId, message: Message) -> Option<Message> {
        if let Message::SnapshotChunk { height, from: first, chunk: bytes } = message {
            let chunk = Chunk { sender: from, height, from: first, bytes };
            if self.awaited.take(from) {
                // Asked for again, should the ledger have no room.
                let _full = self.ledger.try_send(LedgerWork::Chunk(chunk));
            }
            return None;
        }
        if let Message::SnapshotWant { height, from: first } = message {
            let serving = Serving::Chunk { to: from, height, from: first };
            if self.waiting.begin(from) && self.servings.try_send(serving).is_err() {
                // The peer asks again.
                self.waiting.end(from);
            }
            return None;
        }
        Some(message)
    }
}

impl Intake {
    /// Takes events from the network until it ends: votes are checked here, bulk by `checkers`.
    ///
    /// # Errors
    /// That it panicked too often.
    pub(crate) fn dispatch(
        &self,
        mut events: Events,
        checkers: &[SyncSender<Frame>],
    ) -> Result<(), DriverError> {
        while let Some(event) = events.blocking_recv() {
            let Event::Frame { from, lane, frame: bytes } = event else { continue };
            let frame = Frame { from, lane, bytes };
            let goes_on = self.each(Task::Dispatch, || match lane {
                Lane::Votes => self.take(frame),
                Lane::Bulk => self.hand_on(frame, checkers),
            })?;
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    fn hand_on(&self, frame: Frame, checkers: &[SyncSender<Frame>]) -> bool {
        let Some(checker) = checkers.get(frame.from.index() % checkers.len().max(1)) else {
            return false;
        };
        match checker.try_send(frame) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                Counters::count(&self.counters.dropped);
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }

    /// Checks bulk messages until the network ends.
    ///
    /// # Errors
    /// As for the others: that it panicked too often.
    pub(crate) fn check_bulk(&self, frames: &Receiver<Frame>) -> Result<(), DriverError> {
        while let Ok(frame) = frames.recv() {
            if !self.each(Task::Check, || self.take(frame))? {
                break;
            }
        }
        Ok(())
    }

    /// Handles one input. A panic costs that one: whoever sent it repeats it. False once the engine is gone.
    fn each(&self, task: Task, work: impl FnOnce() -> bool) -> Result<bool, DriverError> {
        Ok(self.supervisor.each(task, work)?.unwrap_or(true))
    }

    /// Decodes and admits a frame. False once the engine is gone.
    fn take(&self, frame: Frame) -> bool {
        let Frame { from, lane, bytes } = frame;
        let message: Message = match codec::decode(&bytes) {
            Ok(message) => message,
            Err(error) => {
                debug!(%from, %error, "garbage");
                Counters::count(&self.counters.undecodable);
                self.network.report_garbage(from);
                return true;
            }
        };
        if message.lane() != lane {
            // Bulk in the lane of votes would hold everybody's votes up.
            debug!(%from, kind = message.name(), "a message in the wrong lane");
            Counters::count(&self.counters.undecodable);
            self.network.report_garbage(from);
            return true;
        }
        // Chunks are for the ledger, and large: they do not go through the engine.
        let message = match &self.sync {
            Some(sync) => sync.take(from, message),
            None => Some(message),
        };
        let Some(message) = message else { return true };
        self.door.check_ahead(&message);
        match admit(from, message, self.door.as_ref()) {
            Ok(message) => {
                if let (Message::SnapshotOffer(checkpoint), Some(sync)) =
                    (message.message(), &self.sync)
                {
                    // Offered again, should the ledger have no room.
                    let offer = LedgerWork::Offered(from, checkpoint.clone());
                    let _full = sync.ledger.try_send(offer);
                    return true;
                }
                let input = Box::new(Input::Received { from, message });
                self.engine.send(Work::Input(input)).is_ok()
            }
            Err(refusal) => {
                debug!(%from, %refusal, "refused");
                Counters::count(&self.counters.refused);
                true
            }
        }
    }

    /// Checks clients' transactions, in batches, until nobody can submit any more.
    pub(crate) fn check_submissions(
        &self,
        mut submissions: tokio::sync::mpsc::Receiver<Submission>,
    ) -> Result<(), DriverError> {
        let mut batch = Vec::new();
        while let Some(first) = submissions.blocking_recv() {
            batch.push(first);
            while batch.len() < limits::SUBMISSION_BATCH_MAX {
                match submissions.try_recv() {
                    Ok(next) => batch.push(next),
                    Err(_) => break,
                }
            }
            let batch = std::mem::take(&mut batch);
            if !self.each(Task::Submit, || self.submit(batch))? {
                break;
            }
        }
        Ok(())
    }

    fn submit(&self, batch: Vec<Submission>) -> bool {
        let mut good: Vec<(_, Answer)> = Vec::with_capacity(batch.len());
        for Submission { transaction, answer } in batch {
            match self.door.check_submission(&transaction) {
                Ok(()) => good.push((transaction, answer)),
                Err(refused) => answer(Err(refused)),
            }
        }
        good.is_empty() || self.engine.send(Work::Submit(good)).is_ok()
    }
}
