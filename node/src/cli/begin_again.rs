//! A replica's process that begins again in place: the same program with the same arguments, under the same
//! process number, so that whoever watches the process sees one that lives.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::CliError;

/// What one life of the process tells the next.
const VARIABLE: &str = "DARUMA_BEGAN_AGAIN";

/// The program that runs, even if its file was replaced meanwhile.
const ITSELF: &str = "/proc/self/exe";

/// Who lived so long had begun well.
const WELL: Duration = Duration::from_secs(600);

/// The pause before the first beginning, doubled with each that follows a short life.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest such pause: what a bug stops at every start must not fill the log.
const PAUSE_MAX: Duration = Duration::from_secs(64);

/// Characters of a reason that are told on.
const WHY_MAX: usize = 500;

/// The lives of this process before this one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lives {
    /// How many short ones there were in a row.
    short: u32,
    /// Why the last one ended.
    pub(crate) why: String,
}

impl Lives {
    /// What the life before this one told, if there was one.
    pub(crate) fn told() -> Option<Self> {
        serde_json::from_str(&std::env::var(VARIABLE).ok()?).ok()
    }

    /// What to tell the next life.
    fn next(before: Option<Self>, lived: Duration, why: &str) -> Self {
        let short = match before {
            Some(before) if lived < WELL => before.short.saturating_add(1),
            Some(_) | None => 0,
        };
        Self { short, why: why.chars().take(WHY_MAX).collect() }
    }

    /// How long to wait before the next life.
    fn pause(&self) -> Duration {
        PAUSE_MIN.saturating_mul(1 << self.short.min(16)).min(PAUSE_MAX)
    }
}

/// Begins again after a pause, which is over before the process is replaced; does not return then.
pub(crate) async fn begin_again(started: Instant, why: &str) -> CliError {
    let lives = Lives::next(Lives::told(), started.elapsed(), why);
    let pause = lives.pause();
    tracing::error!(why, ?pause, "this replica begins again");
    tokio::time::sleep(pause).await;
    let lives = match serde_json::to_string(&lives) {
        Ok(lives) => lives,
        Err(error) => return CliError::failed(error),
    };
    let program = if Path::new(ITSELF).exists() {
        ITSELF.into()
    } else {
        match std::env::current_exe() {
            Ok(program) => program,
            Err(error) => return CliError::failed(format!("cannot begin again: {error}")),
        }
    };
    let arguments = std::env::args_os().skip(1);
    let failed = Command::new(program).args(arguments).env(VARIABLE, lives).exec();
    CliError::failed(format!("cannot begin again: {failed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_lives_are_short_and_are_short_again_after_a_long_one() {
        let (mut lives, mut pauses) = (None, Vec::new());
        for _ in 0..20 {
            let next = Lives::next(lives, Duration::from_secs(1), "a bug");
            pauses.push(next.pause());
            lives = Some(next);
        }
        assert_eq!(pauses.first(), Some(&PAUSE_MIN));
        assert!(pauses.is_sorted() && pauses.last() == Some(&PAUSE_MAX));
        assert_eq!(Lives::next(lives, WELL, "another").pause(), PAUSE_MIN);
    }
}
