//! Processes from outside: signals, memory, processor time, bytes on the loopback interface.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::{Instant, sleep};

use crate::limits::POLL;

/// What a process has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory that is resident, in bytes.
    pub resident_bytes: u64,
    /// Processor time since its start.
    pub processor: Duration,
}

/// Sends a signal, by its name without SIG.
///
/// # Errors
/// If there is no such process.
pub fn send_signal(pid: u32, signal: &str) -> Result<()> {
    // A shell's own `kill` is there on every machine; the program of that name is not.
    let status = Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status()?;
    ensure!(status.success(), "process {pid} cannot be sent {signal}");
    Ok(())
}

/// Waits until a process has ended and its parent knows.
pub(crate) async fn gone(pid: u32, max: Duration) -> Result<()> {
    let deadline = Instant::now() + max;
    while folder(pid).exists() {
        ensure!(Instant::now() < deadline, "process {pid} has not ended after {max:?}");
        sleep(POLL).await;
    }
    Ok(())
}

/// What a process has used so far.
///
/// # Errors
/// If there is no such process, or no /proc.
pub fn usage(pid: u32) -> Result<Usage> {
    let status = read(&folder(pid).join("status"))?;
    let kib = status.lines().find_map(|line| {
        line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse().ok()
    });
    let kib: u64 = kib.context("no VmRSS")?;
    let stat = read(&folder(pid).join("stat"))?;
    // The fields after the program's name, which may contain spaces; times are the 14th and 15th of all,
    // in ticks of a hundredth of a second.
    let (_, fields) = stat.rsplit_once(')').context("no fields")?;
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).flat_map(str::parse::<u64>).sum();
    Ok(Usage { resident_bytes: kib * 1024, processor: Duration::from_millis(ticks * 10) })
}

/// Bytes that have crossed the loopback interface since the machine started, headers and
/// acknowledgements included.
///
/// # Errors
/// If there is no /proc/net/dev.
pub fn loopback_bytes() -> Result<u64> {
    let devices = read(Path::new("/proc/net/dev"))?;
    let line = devices.lines().find_map(|line| line.trim().strip_prefix("lo:"));
    let bytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    bytes.context("no loopback interface")
}

fn folder(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory() {
        let used = usage(std::process::id()).unwrap();
        assert!(used.resident_bytes > 100_000, "{used:?}");
        loopback_bytes().unwrap();
    }

    #[test]
    fn a_process_that_does_not_exist_cannot_be_signalled() {
        assert!(send_signal(u32::MAX / 2, "KILL").is_err());
    }
}
