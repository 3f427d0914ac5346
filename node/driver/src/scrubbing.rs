//! Looks through the whole ledger again and again, on a thread of its own, while the replica serves: not faster than
//! it was told to, not while blocks are executed if that can be helped, and not while it is paused.
//!
//! It only reads. What does not look as it should it gives to the executor, which looks again and repairs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use daruma_ledger::{Scrubber, Suspect};
use tracing::{debug, info, warn};

use crate::healing::now_ms;
use crate::limits;
use crate::turn::LedgerWork;

/// How fast and how often a ledger is looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrubSettings {
    /// Whether it is at all, until somebody says otherwise.
    pub enabled: bool,
    /// Rows that are read in a second, at most.
    pub rows_per_second: u32,
    /// From the end of one pass to the beginning of the next.
    pub pause: Duration,
}

/// How far the scrubber is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScrubProgress {
    /// Whether it stands still until somebody resumes it.
    pub paused: bool,
    /// The number of the pass, from 1; of the last one between two.
    pub pass: u64,
    /// The table that is looked at; empty between two passes.
    pub table: &'static str,
    /// The height, where blocks are looked at.
    pub height: u64,
    /// Rows looked at since the start.
    pub rows: u64,
    /// Rows looked at in a second, over this pass.
    pub rows_per_second: u64,
    /// What was found and repaired, or asked of the others, since the start.
    pub findings: u64,
    /// When the last pass ended, in ms since 1970; 0 if none did.
    pub last_pass_ms: u64,
    /// How long it took, in ms.
    pub last_pass_took_ms: u64,
}

/// What others see and say of the scrubber. Shared.
#[derive(Debug, Default)]
pub struct ScrubControl {
    paused: AtomicBool,
    findings: AtomicU64,
    progress: Mutex<ScrubProgress>,
    /// Whether the executor executes a block.
    pub(crate) executing: AtomicBool,
}

impl ScrubControl {
    pub(crate) fn new(settings: ScrubSettings) -> Self {
        Self { paused: AtomicBool::new(!settings.enabled), ..Self::default() }
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> ScrubProgress {
        let (paused, findings) = (&self.paused, &self.findings);
        ScrubProgress {
            paused: paused.load(Ordering::Relaxed),
            findings: findings.load(Ordering::Relaxed),
            ..*self.shown()
        }
    }

    /// Stops it after its step, or lets it go on where it stopped. Holds until the next start.
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    pub(crate) fn found(&self, count: usize) {
        self.findings.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn shown(&self) -> MutexGuard<'_, ScrubProgress> {
        // Numbers for people: whatever a panic left is as good as any.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the scrubbing thread holds.
pub(crate) struct Scrubbing {
    pub(crate) scrubber: Scrubber,
    pub(crate) settings: ScrubSettings,
    pub(crate) control: Arc<ScrubControl>,
    pub(crate) ledger: SyncSender<LedgerWork>,
    /// Never sends; it ends with the engine's thread.
    pub(crate) engine: Receiver<()>,
}

/// The driver ends.
pub(crate) struct Ends;

impl Scrubbing {
    /// Waits. An error says that the driver ends.
    fn wait(&self, time: Duration) -> Result<(), Ends> {
        match self.engine.recv_timeout(time) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(Ends),
        }
    }

    /// Makes passes until the driver ends.
    pub(crate) fn run(&mut self) -> Result<(), Ends> {
        loop {
            self.pass()?;
            self.wait(self.settings.pause)?;
        }
    }

    fn pass(&mut self) -> Result<(), Ends> {
        let (started, mut rows) = (Instant::now(), 0_u64);
        self.wait_for_leave()?;
        self.control.shown().pass += 1;
        loop {
            self.wait_for_leave()?;
            let scrubbed = match self.scrubber.step() {
                Ok(scrubbed) => scrubbed,
                Err(failed) => {
                    warn!(%failed, "the scrubber could not read");
                    self.wait(limits::DISK_PAUSE_MAX)?;
                    continue;
                }
            };
            rows = rows.saturating_add(scrubbed.rows);
            let suspected = scrubbed.suspects.len();
            for suspect in scrubbed.suspects {
                self.hand_over(suspect)?;
            }
            let (table, height) = self.scrubber.position();
            let took = started.elapsed();
            {
                let mut shown = self.control.shown();
                shown.rows = shown.rows.saturating_add(scrubbed.rows);
                shown.rows_per_second = rows.saturating_mul(1000) / millis(took).max(1);
                (shown.table, shown.height) = (table, height.0);
                if scrubbed.pass_done {
                    (shown.table, shown.height) = ("", 0);
                    (shown.last_pass_ms, shown.last_pass_took_ms) = (now_ms(), millis(took));
                }
            }
            if scrubbed.pass_done {
                info!(rows, ?took, "the ledger was looked through");
                return Ok(());
            }
            debug!(table, %height, rows, suspected, "scrubbing");
            let rate = f64::from(self.settings.rows_per_second.max(1));
            self.wait(Duration::from_secs_f64(scrubbed.rows as f64 / rate))?;
        }
    }

    /// Waits while paused, and a while for an execution to end.
    fn wait_for_leave(&self) -> Result<(), Ends> {
        while self.control.paused.load(Ordering::Relaxed) {
            self.wait(limits::SCRUB_PAUSED_LOOK)?;
        }
        let mut left = limits::SCRUB_YIELDS_MAX;
        while left > 0 && self.control.executing.load(Ordering::Relaxed) {
            left -= 1;
            self.wait(limits::SCRUB_YIELD)?;
        }
        Ok(())
    }

    /// Gives the executor something to look at, as soon as it has room for it.
    fn hand_over(&self, suspect: Suspect) -> Result<(), Ends> {
        let mut work = LedgerWork::Settle(suspect);
        loop {
            work = match self.ledger.try_send(work) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(Ends),
                Err(TrySendError::Full(work)) => work,
            };
            self.wait(limits::SCRUB_PAUSED_LOOK)?;
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
