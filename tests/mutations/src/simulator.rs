//! Building and running the simulator of a copy.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cargo::cargo;
use crate::running::{End, running};
use crate::{MutationError, Verdict};

/// Time that the simulator may take for one mutation.
pub const RUN_TIME_MAX: Duration = Duration::from_secs(1800);

/// Builds the simulator in the workspace at `path`, below `target`. Gives the program.
///
/// # Errors
/// [`MutationError::Build`] with the compiler's last lines.
pub(crate) fn build(path: &Path, target: &Path) -> Result<PathBuf, MutationError> {
    let built = cargo(path, target, &["build", "--package=daruma-simulator", "--bins"])?;
    let program = built.into_iter().map(|built| built.program).next();
    program.ok_or_else(|| {
        let (errors, output) = (Vec::new(), "cargo names no program".to_owned());
        MutationError::Build { errors, output }
    })
}

/// Runs `seeds`, with further `arguments` and the mutation of this number on, until one fails.
///
/// # Errors
/// The program does not run, or says something else than expected.
pub(crate) fn run(
    program: &Path,
    seeds: Range<u64>,
    arguments: &[String],
    mutation: u32,
) -> Result<Verdict, MutationError> {
    let mut all: Vec<String> = vec!["--seeds".into(), format!("{}..{}", seeds.start, seeds.end)];
    all.extend(["--failures-max", "1", "--no-shrink"].map(str::to_owned));
    all.extend_from_slice(arguments);
    match running(program, Path::new("."), &all, mutation, RUN_TIME_MAX, |_| false)? {
        End::Itself(success, text) => match (success, verdict(&text)) {
            (true, None) => Ok(Verdict::Holds),
            (false, Some(broken)) => Ok(broken),
            (true | false, _) => Err(MutationError::Output { success, text }),
        },
        End::Line(_) | End::Late => Ok(Verdict::Hangs { program: "the simulator".to_owned() }),
    }
}

/// Reads `FAILED seed 17 ...` and the rule in the line below.
fn verdict(text: &str) -> Option<Verdict> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("FAILED seed "));
    let seed = lines.next()?.strip_prefix("FAILED seed ")?.split(' ').next()?.parse().ok()?;
    Some(Verdict::Broken { seed, rule: lines.next()?.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failing_seed_and_its_rule_are_read_from_the_output() {
        let text = "noise\nFAILED seed 17 n=4 f=1\n  agreement at 3 ms: r1 has\n  replay: ...\n";
        let rule = "agreement at 3 ms: r1 has".to_owned();
        assert_eq!(verdict(text), Some(Verdict::Broken { seed: 17, rule }));
        assert_eq!(verdict("20 runs, 0 failed\n"), None);
    }
}
