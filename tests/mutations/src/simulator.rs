//! Building and running the simulator of a copy.

use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::MutationError;

/// Time that the simulator may take for one mutation. A change may make the code loop for ever.
pub const RUN_TIME_MAX: Duration = Duration::from_secs(1800);

/// What the tests, or a search, came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// No test failed, or no run broke a rule.
    Holds,
    /// A run broke one.
    Broken {
        /// Its seed.
        seed: u64,
        /// The line that says which rule.
        rule: String,
    },
    /// A test failed.
    Test {
        /// Its name; what cargo said if no test has one.
        name: String,
    },
    /// The simulator did not come to an end in [`RUN_TIME_MAX`].
    Hangs,
}

/// Builds the simulator in the workspace at `path`, below `target`. Gives the program.
///
/// # Errors
/// [`MutationError::Build`] with the compiler's last lines.
pub fn build(path: &Path, target: &Path) -> Result<PathBuf, MutationError> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--offline", "--package", "daruma-simulator"])
        .current_dir(path)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .map_err(|source| MutationError::Io { path: path.to_owned(), source })?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(30)).copied();
        return Err(MutationError::Build { output: last.collect::<Vec<_>>().join("\n") });
    }
    Ok(target.join("release").join("daruma-simulator"))
}

/// Runs `seeds`, with further `arguments`, until one fails.
///
/// # Errors
/// The program does not run, or says something else than expected.
pub fn run(
    program: &Path,
    seeds: Range<u64>,
    arguments: &[String],
) -> Result<Verdict, MutationError> {
    let io = |source| MutationError::Io { path: program.to_owned(), source };
    let mut child = Command::new(program)
        .args([
            "--seeds",
            &format!("{}..{}", seeds.start, seeds.end),
            "--failures-max",
            "1",
            "--no-shrink",
        ])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(io)?;
    let (sender, receiver) = mpsc::channel();
    if let Some(mut stdout) = child.stdout.take() {
        thread::spawn(move || {
            let mut text = String::new();
            // What was read before an error is judged as it is.
            let _ = stdout.read_to_string(&mut text);
            let _ = sender.send(text);
        });
    }
    let Ok(text) = receiver.recv_timeout(RUN_TIME_MAX) else {
        child.kill().map_err(io)?;
        child.wait().map_err(io)?;
        return Ok(Verdict::Hangs);
    };
    let status = child.wait().map_err(io)?;
    match (status.success(), verdict(&text)) {
        (true, None) => Ok(Verdict::Holds),
        (false, Some(broken)) => Ok(broken),
        (true | false, _) => Err(MutationError::Output { status: status.to_string(), text }),
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
