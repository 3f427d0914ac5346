//! Running a program of a copy: a fault may make it loop for ever, or keep all that it sees.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::MutationError;
use crate::switched::SWITCH;

/// Address space that it may use, in KiB: far more than a test or a search needs, and less than the
/// machines of developers have.
const MEMORY_MAX_KIB: u64 = 6 << 20;

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself. Whether with success, and what it said.
    Itself(bool, String),
    /// It said a line that was waited for, and was ended: that line.
    Line(String),
    /// It ran for longer than it may, and was ended.
    Late,
}

/// Runs `program` in `folder`, with the mutation of this number on, until it ends, or says a line for which `stop` holds, or `time_max` has
/// passed.
///
/// # Errors
/// It does not run.
pub(crate) fn running(
    program: &Path,
    folder: &Path,
    arguments: &[String],
    mutation: u32,
    time_max: Duration,
    stop: impl Fn(&str) -> bool,
) -> Result<End, MutationError> {
    let io = |source| MutationError::Io { path: program.to_owned(), source };
    let limited = format!("ulimit -v {MEMORY_MAX_KIB}; exec \"$0\" \"$@\"");
    let mut child = Command::new("sh")
        .args(["-c", &limited])
        .arg(program)
        .args(arguments)
        .current_dir(folder)
        .env("RUST_BACKTRACE", "0")
        .env(SWITCH, mutation.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(io)?;
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            // What was read before an error is judged as it is.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
    }
    let begin = Instant::now();
    let mut text = String::new();
    loop {
        match receiver.recv_timeout(time_max.saturating_sub(begin.elapsed())) {
            Ok(line) if stop(&line) => {
                child.kill().map_err(io)?;
                child.wait().map_err(io)?;
                return Ok(End::Line(line));
            }
            Ok(line) => text.extend([line.as_str(), "\n"]),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                child.kill().map_err(io)?;
                child.wait().map_err(io)?;
                return Ok(End::Late);
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Ok(End::Itself(child.wait().map_err(io)?.success(), text));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, time_max: Duration) -> End {
        let arguments = ["-c".to_owned(), script.to_owned()];
        let stop = |line: &str| line == "stop";
        running(Path::new("sh"), Path::new("."), &arguments, 0, time_max, stop).unwrap()
    }

    #[test]
    fn a_program_is_heard_out_unless_it_says_enough_or_is_late() {
        let long = Duration::from_secs(60);
        assert_eq!(shell("echo a; echo b", long), End::Itself(true, "a\nb\n".to_owned()));
        assert_eq!(shell("echo a; exit 3", long), End::Itself(false, "a\n".to_owned()));
        assert_eq!(shell("echo stop; exec tail -f /dev/null", long), End::Line("stop".to_owned()));
        assert_eq!(shell("exec tail -f /dev/null", Duration::from_millis(1)), End::Late);
    }
}
