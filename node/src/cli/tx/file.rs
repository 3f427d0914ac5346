//! Submitting every line of a file.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::Instant;

use daruma_rpc_client::{ClientError, Confirmed, limits::WINDOW_TRANSACTIONS_MAX};
use daruma_types::Outcome;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::super::{CliError, block_on, output};
use super::{Session, hex};

/// Failures that are printed one by one; the rest is only counted.
const FAILURES_SHOWN: u64 = 10;

#[derive(Default)]
struct Counts {
    confirmed: u64,
    aborted: u64,
    failed: u64,
}

/// Submits the operations of the file at `path`, in order.
pub(super) fn submit(session: &Session, path: &Path, as_json: bool) -> Result<(), CliError> {
    // Read twice: what is wrong in the last line is known before the first is sent.
    let count = each_line(path, |number, line| {
        let parsed = session.operations.parse(line);
        parsed
            .map(drop)
            .map_err(|why| CliError::bad_input(format!("{}, line {number}: {why}", path.display())))
    })?;
    let bar = ProgressBar::new(count);
    let style = "{bar:30} {pos}/{len} operations, {per_sec}, {eta} left";
    bar.set_style(ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar()));
    let begin = Instant::now();
    let counts = block_on(async {
        let mut counts = Counts::default();
        let mut window = Vec::new();
        let mut lines = Lines::open(path)?;
        while let Some((number, line)) = lines.next()? {
            let changed = |why| CliError::failed(format!("line {number} has changed: {why}"));
            window.push(session.operations.parse(&line).map_err(changed)?);
            if window.len() == WINDOW_TRANSACTIONS_MAX {
                submit_window(session, std::mem::take(&mut window), &mut counts, &bar).await;
            }
        }
        submit_window(session, window, &mut counts, &bar).await;
        Ok(counts)
    })?;
    bar.finish_and_clear();
    let seconds = begin.elapsed().as_secs_f64();
    let Counts { confirmed, aborted, failed } = counts;
    let per_second = confirmed as f64 / seconds.max(1e-6);
    let client = hex(&session.account.public_key());
    if as_json {
        output::json(&json!({
            "confirmed": confirmed, "aborted": aborted, "failed": failed,
            "seconds": seconds, "perSecond": per_second, "client": client,
        }));
    } else {
        output::line(format!(
            "{confirmed} confirmed in {seconds:.1} s ({per_second:.0} per second), {aborted} \
             aborted, {failed} not confirmed"
        ));
    }
    if aborted + failed == 0 { Ok(()) } else { Err(CliError::Told) }
}

async fn submit_window(
    session: &Session,
    window: Vec<Vec<u8>>,
    counts: &mut Counts,
    bar: &ProgressBar,
) {
    let Session { client, account, timeout, .. } = session;
    let results = client.submit_ordered(account, window, *timeout).await;
    for result in &results {
        note(result, counts, bar);
    }
    bar.inc(results.len() as u64);
}

fn note(result: &Result<Confirmed, ClientError>, counts: &mut Counts, bar: &ProgressBar) {
    let problem = match result {
        Ok(Confirmed { outcome: Outcome::Executed { .. }, .. }) => {
            counts.confirmed += 1;
            return;
        }
        Ok(Confirmed { hash, outcome: Outcome::Aborted { code, reason }, .. }) => {
            counts.aborted += 1;
            format!("{hash} was aborted with code {code}: {reason}")
        }
        Ok(Confirmed { hash, outcome: Outcome::Superseded { last_nonce }, .. }) => {
            counts.failed += 1;
            format!("{hash} was superseded by nonce {last_nonce}")
        }
        Err(error) => {
            counts.failed += 1;
            error.to_string()
        }
    };
    if counts.aborted + counts.failed <= FAILURES_SHOWN {
        bar.suspend(|| eprintln!("{problem}"));
    }
}

/// The lines of a file that are not empty, with their numbers.
struct Lines {
    reader: BufReader<File>,
    number: u64,
    path: String,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, CliError> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
        Ok(Self { reader: BufReader::new(file), number: 0, path: name })
    }

    fn next(&mut self) -> Result<Option<(u64, String)>, CliError> {
        loop {
            let mut line = String::new();
            let read = self.reader.read_line(&mut line);
            if read.map_err(|error| unreadable(&self.path, &error))? == 0 {
                return Ok(None);
            }
            self.number += 1;
            let text = line.trim_end_matches(['\n', '\r']);
            if !text.is_empty() {
                return Ok(Some((self.number, text.to_owned())));
            }
        }
    }
}

fn unreadable(path: &str, error: &io::Error) -> CliError {
    CliError::bad_input(format!("{path}: {error}"))
}

/// Calls `check` with every line, and counts them.
fn each_line(
    path: &Path,
    mut check: impl FnMut(u64, &str) -> Result<(), CliError>,
) -> Result<u64, CliError> {
    let mut lines = Lines::open(path)?;
    let mut count = 0;
    while let Some((number, line)) = lines.next()? {
        check(number, &line)?;
        count += 1;
    }
    Ok(count)
}
