//! Sees when a node must begin again: what no part of it can mend while the others hold on to it.
//!
//! A thread that does not come back from its work cannot be taken from it, and RocksDB stays closed for
//! writes after some errors of a disk, however well the disk is later, until all who use it have let go. A
//! new start mends both: nothing that counts is in memory alone.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use daruma_driver::{Counters, Supervisor};
use tempfile::NamedTempFile;
use tokio::time::MissedTickBehavior;

use crate::StartError;

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(2);

/// Looks in a row at which a thread is stuck before it is given up: 5 minutes. Looks are counted and not
/// the time, which also passes while a process stands still.
const STUCK_LOOKS_MAX: u32 = 150;

/// Looks in a row at which the store refuses writes and its folder takes them before the store is given
/// up. The driver tries again after at most 2 s, so the disk was well when it did.
const CLOSED_LOOKS_MAX: u32 = 5;

/// Bytes of a file that is written to see whether a folder takes one: more than a disk that is nearly full
/// has in reserve for its own books.
const PROBE_BYTES: usize = 1 << 20;

/// What has been seen at the last looks.
#[derive(Debug, Default)]
struct Watch {
    /// Looks in a row at which this thread was stuck.
    stuck: Option<(&'static str, u32)>,
    /// Looks in a row at which only the store refused.
    closed: u32,
}

impl Watch {
    /// Looks once: the thread that does not come back, if there is one, whether the store refuses writes, and,
    /// asked only then, whether its folder takes a file.
    fn look(
        &mut self,
        stuck: Option<&'static str>,
        refuses: bool,
        takes: impl FnOnce() -> bool,
    ) -> Result<(), StartError> {
        self.stuck = stuck.map(|thread| match self.stuck {
            Some((same, looks)) if same == thread => (thread, looks.saturating_add(1)),
            Some(_) | None => (thread, 1),
        });
        self.closed = if refuses && takes() { self.closed.saturating_add(1) } else { 0 };
        match self.stuck {
            Some((thread, looks)) if looks >= STUCK_LOOKS_MAX => Err(StartError::Stuck { thread }),
            _ if self.closed >= CLOSED_LOOKS_MAX => Err(StartError::Closed),
            _ => Ok(()),
        }
    }
}

/// Whether a folder takes a file, on the disk.
fn takes(folder: &Path) -> bool {
    let written = NamedTempFile::with_prefix_in("probe-", folder).and_then(|mut file| {
        file.write_all(&[0; PROBE_BYTES])?;
        file.as_file().sync_all()?;
        file.close()
    });
    written.is_ok()
}

/// Watches a node until it must begin again; says why.
pub(crate) async fn watch(
    folder: PathBuf,
    counters: Arc<Counters>,
    supervisor: Arc<Supervisor>,
) -> StartError {
    let mut looks = tokio::time::interval(PERIOD);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::default();
    loop {
        looks.tick().await;
        let refuses = counters.journal_fails.load(Ordering::Relaxed)
            || counters.ledger_fails.load(Ordering::Relaxed);
        let stuck = supervisor.stuck_for_good();
        let folder = folder.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let seen = watch.look(stuck, refuses, || takes(&folder));
            (watch, seen)
        });
        match looked.await {
            Ok((_, Err(why))) => return why,
            Ok((next, Ok(()))) => watch = next,
            Err(failed) => return failed.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_given_up_only_while_its_folder_takes_what_it_refuses() {
        let mut watch = Watch::default();
        for _ in 0..1000 {
            assert!(watch.look(None, true, || false).is_ok(), "the disk is not well yet");
        }
        for _ in 1..CLOSED_LOOKS_MAX {
            assert!(watch.look(None, true, || true).is_ok());
        }
        assert!(watch.look(None, false, || unreachable!("nothing is refused")).is_ok());
        for _ in 1..CLOSED_LOOKS_MAX {
            assert!(watch.look(None, true, || true).is_ok());
        }
        assert!(matches!(watch.look(None, true, || true), Err(StartError::Closed)));
    }

    #[test]
    fn a_thread_is_given_up_only_if_the_same_is_stuck_look_after_look() {
        let mut watch = Watch::default();
        for thread in ["engine", "check"].into_iter().cycle().take(1000) {
            assert!(watch.look(Some(thread), false, || true).is_ok());
        }
        assert!(watch.look(None, false, || true).is_ok());
        for _ in 1..STUCK_LOOKS_MAX {
            assert!(watch.look(Some("engine"), false, || true).is_ok());
        }
        let given_up = watch.look(Some("engine"), false, || true);
        assert!(matches!(given_up, Err(StartError::Stuck { thread: "engine" })));
    }

    #[test]
    fn a_folder_takes_a_file_and_keeps_nothing_of_it_and_one_that_is_not_there_takes_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(takes(folder.path()));
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        assert!(!takes(&folder.path().join("gone")));
    }
}
