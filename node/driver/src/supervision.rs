//! Threads that panic go on, and threads that are stuck are told of.
//!
//! Each thread takes work, does it, and waits for more. A panic in between is a bug, and one that another input may
//! not meet: what the thread held in memory is made again (the engine from ledger and journal, the ledger
//! from its store), the piece of work is dropped, which all protocols here survive as they survive a lost
//! message, and the thread goes on after a pause. If that happens too often the process ends with an error, and
//! whoever runs it decides.
//!
//! A thread that does not come back from its work cannot be ended from outside: what it holds may be half
//! changed, and it may come back. So a second one is never started beside it; that it is stuck is told, in the
//! health of the node and in the heal log, until it moves.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use daruma_store::{Heal, HealComponent};
use tracing::error;

use crate::healing::now_ms;
use crate::{DriverError, limits};

/// A kind of thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    Engine,
    Executor,
    Serving,
    Check,
    Dispatch,
    Submit,
    Scrub,
    Snapshots,
}

impl Task {
    const ALL: [Self; 8] = [
        Self::Engine,
        Self::Executor,
        Self::Serving,
        Self::Check,
        Self::Dispatch,
        Self::Submit,
        Self::Scrub,
        Self::Snapshots,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Executor => "executor",
            Self::Serving => "serving",
            Self::Check => "check",
            Self::Dispatch => "dispatch",
            Self::Submit => "submit",
            Self::Scrub => "scrub",
            Self::Snapshots => "snapshots",
        }
    }

    /// How long one piece of its work may take before it counts as stuck.
    const fn patience(self) -> Duration {
        match self {
            Self::Engine => limits::ENGINE_STUCK,
            Self::Executor => limits::EXECUTOR_STUCK,
            Self::Serving
            | Self::Check
            | Self::Dispatch
            | Self::Submit
            | Self::Scrub
            | Self::Snapshots => limits::THREAD_STUCK,
        }
    }

    const fn component(self) -> HealComponent {
        match self {
            Self::Executor | Self::Serving | Self::Scrub | Self::Snapshots => HealComponent::Ledger,
            Self::Engine | Self::Check | Self::Dispatch | Self::Submit => HealComponent::Engine,
        }
    }
}

/// What is known of the threads of a kind.
#[derive(Debug, Default)]
struct Standing {
    /// Since when the piece of work under way is, in ms after the start, plus 1; 0 if none is.
    since: AtomicU64,
    restarts: AtomicU64,
    told: AtomicBool,
    /// The last panics.
    panics: Mutex<VecDeque<Instant>>,
}

/// Knows what all threads of a driver do.
#[derive(Debug)]
pub struct Supervisor {
    start: Instant,
    tasks: [Standing; Task::ALL.len()],
    /// Panics that the heal log does not have yet: [`limits::HEAL_NOTES_MAX`] at most.
    untold: Mutex<Vec<Heal>>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self { start: Instant::now(), tasks: Default::default(), untold: Mutex::default() }
    }
}

impl Supervisor {
    fn standing(&self, task: Task) -> Option<&Standing> {
        self.tasks.get(task as usize)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1).saturating_add(1)
    }

    /// A thread takes up a piece of work, or is still seen to move in it.
    pub(crate) fn works(&self, task: Task) {
        if let Some(standing) = self.standing(task) {
            standing.since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// A thread waits for work.
    pub(crate) fn waits(&self, task: Task) {
        if let Some(standing) = self.standing(task) {
            standing.since.store(0, Ordering::Relaxed);
            standing.told.store(false, Ordering::Relaxed);
        }
    }

    /// Does a piece of work. A panic in it is what the error says.
    pub(crate) fn caught<T>(&self, work: impl FnOnce() -> T) -> Result<T, String> {
        catch_unwind(AssertUnwindSafe(work)).map_err(|panic| told_by(panic.as_ref()))
    }

    /// Does pieces of work of a thread that holds nothing that a panic could leave half done.
    pub(crate) fn each<T>(
        &self,
        task: Task,
        work: impl FnOnce() -> T,
    ) -> Result<Option<T>, DriverError> {
        self.works(task);
        let done = self.caught(work);
        self.waits(task);
        match done {
            Ok(done) => Ok(Some(done)),
            Err(why) => {
                std::thread::sleep(self.restarts(task, &why)?);
                Ok(None)
            }
        }
    }

    /// Notes that a thread panicked, and says after which pause it may go on.
    ///
    /// # Errors
    /// [`DriverError::Panicked`] if it does so too often.
    pub(crate) fn restarts(&self, task: Task, why: &str) -> Result<Duration, DriverError> {
        let name = task.name();
        let Some(standing) = self.standing(task) else { return Err(DriverError::Panicked(name)) };
        let pause = {
            let mut panics = standing.panics.lock().unwrap_or_else(PoisonError::into_inner);
            plan(&mut panics, Instant::now())
        };
        error!(thread = name, why, ?pause, "a thread panicked: this is a bug");
        let done = match pause {
            Some(_) => "what it held in memory was made again, and it goes on",
            None => "it did so too often: the node stops",
        };
        let cause = format!("the {name} thread panicked");
        let heal = Heal::new(now_ms(), task.component(), cause, done).with_evidence(why);
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        if untold.len() < limits::HEAL_NOTES_MAX {
            untold.push(heal);
        }
        drop(untold);
        let pause = pause.ok_or(DriverError::Panicked(name))?;
        standing.restarts.fetch_add(1, Ordering::Relaxed);
        Ok(pause)
    }

    /// Threads that went on after a panic, and how often each.
    #[must_use]
    pub fn restarted(&self) -> Vec<(&'static str, u64)> {
        let counted = Task::ALL.into_iter().zip(&self.tasks);
        let counted = counted.map(|(t, of)| (t.name(), of.restarts.load(Ordering::Relaxed)));
        counted.filter(|(_, restarts)| *restarts > 0).collect()
    }

    /// Threads that do not come back from their work, and since when.
    #[must_use]
    pub fn stuck(&self) -> Vec<(&'static str, Duration)> {
        self.all_stuck().map(|(task, _, time)| (task.name(), time)).collect()
    }

    /// A stuck thread whose work is short whatever the ledger is like: nothing but a bug, or a disk that never
    /// answers, keeps it. What the others do may take as long as there are blocks.
    #[must_use]
    pub fn stuck_for_good(&self) -> Option<&'static str> {
        let short = |task: &Task| match task {
            Task::Engine | Task::Check | Task::Dispatch | Task::Submit => true,
            Task::Executor | Task::Serving | Task::Scrub | Task::Snapshots => false,
        };
        self.all_stuck().map(|(task, ..)| task).find(short).map(Task::name)
    }

    fn all_stuck(&self) -> impl Iterator<Item = (Task, &Standing, Duration)> {
        let now = self.now();
        Task::ALL.into_iter().zip(&self.tasks).filter_map(move |(task, standing)| {
            let since = standing.since.load(Ordering::Relaxed);
            let time = Duration::from_millis(now.saturating_sub(since));
            (since > 0 && time > task.patience()).then_some((task, standing, time))
        })
    }

    /// What the heal log does not have yet.
    pub(crate) fn news(&self) -> Vec<Heal> {
        let mut news =
            std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner));
        let new = self.all_stuck().filter(|(_, of, _)| !of.told.swap(true, Ordering::Relaxed));
        news.extend(new.map(|(task, _, time)| {
            let cause = format!("the {} thread does not come back from its work", task.name());
            let done = "the node says that it is not ready until it moves";
            Heal::new(now_ms(), task.component(), cause, done)
                .with_evidence(format!("for {} s", time.as_secs()))
        }));
        news
    }
}

/// When a thread that panicked may go on; none if it panicked too often.
fn plan(panics: &mut VecDeque<Instant>, now: Instant) -> Option<Duration> {
    while panics.front().is_some_and(|at| now.duration_since(*at) > limits::RESTART_WINDOW) {
        panics.pop_front();
    }
    let before = panics.len();
    if before >= limits::RESTARTS_MAX {
        return None;
    }
    panics.push_back(now);
    let doubled = limits::RESTART_PAUSE_MIN.saturating_mul(1 << before.min(16));
    Some(doubled.min(limits::RESTART_PAUSE_MAX))
}

fn told_by(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it said nothing".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_goes_on_after_growing_pauses_until_it_panicked_too_often_in_a_time() {
        let (mut panics, now) = (VecDeque::new(), Instant::now());
        let pauses: Vec<Duration> =
            (0..limits::RESTARTS_MAX).map(|_| plan(&mut panics, now).unwrap()).collect();
        assert_eq!(pauses.first(), Some(&limits::RESTART_PAUSE_MIN));
        assert!(pauses.is_sorted() && pauses.last() <= Some(&limits::RESTART_PAUSE_MAX));
        assert_eq!(plan(&mut panics, now), None);
        let later = now + limits::RESTART_WINDOW + Duration::from_secs(1);
        assert_eq!(plan(&mut panics, later), Some(limits::RESTART_PAUSE_MIN));
    }

    #[test]
    fn a_thread_is_stuck_only_while_its_work_takes_longer_than_its_patience() {
        let started = Instant::now().checked_sub(Duration::from_secs(3600)).unwrap();
        let supervisor = Supervisor { start: started, ..Supervisor::default() };
        for task in Task::ALL {
            supervisor.works(task);
            assert_eq!(supervisor.stuck(), []);
            let old = supervisor.now() - task.patience().as_millis() as u64 - 1000;
            supervisor.standing(task).unwrap().since.store(old, Ordering::Relaxed);
            assert_eq!(supervisor.stuck()[0].0, task.name());
            assert_eq!((supervisor.news().len(), supervisor.news().len()), (1, 0));
            supervisor.waits(task);
            assert_eq!(supervisor.stuck(), []);
        }
    }
}
