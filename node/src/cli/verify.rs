//! `daruma verify`: an audit of a stopped replica's data, or of a copy of it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use daruma_ledger::{Audited, Finding};
use daruma_node::audit::{FolderAudit, audit_folder};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::error::with_causes;
use super::{CliError, chain, output};

/// What the bar shows where the end is known, and where it is not.
const STYLE: &str = "{bar:30} {pos}/{len} {msg}, {per_sec}, {eta} left";
const ENDLESS_STYLE: &str = "{spinner} {pos} {msg}, {per_sec}";

/// How often the bar is drawn anew at most: audits look at many rows in a second.
const DRAWN_EVERY: u64 = 256;

/// The exit codes are 0 if nothing was found, 1 if something was, and 2 if the folder cannot be looked at.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The data folder of a replica that does not run, as its node.toml names it, or a copy. Nothing in it
    /// is changed.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The chain.toml of its chain.
    #[arg(long, value_name = "FILE", env = "DARUMA_CHAIN")]
    chain: PathBuf,
    /// Execute the whole chain anew, in memory, and compare what each block comes to. Takes memory for all
    /// of it.
    #[arg(long)]
    execute: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn execute(self) -> Result<(), CliError> {
        let (spec, automaton) = chain::with_automaton(&self.chain)?;
        let bar = Bar::new();
        let audit =
            audit_folder(&self.data, &spec, automaton, self.execute, &mut |at| bar.show(at));
        bar.finish();
        let audit = audit.map_err(|error| CliError::bad_input(with_causes(&error)))?;
        if self.json {
            output::json(&as_json(&audit));
        } else {
            print(&audit);
        }
        if audit.is_clean() { Ok(()) } else { Err(CliError::Told) }
    }
}

/// A row as people can name it.
fn row_name(finding: &Finding) -> String {
    match &finding.row {
        None => finding.column.name().to_owned(),
        Some(key) => format!("{}/0x{}", finding.column.name(), hex::encode(key)),
    }
}

fn print(audit: &FolderAudit) {
    let rows = &audit.rows;
    for file in &audit.files {
        output::line(format!("files: {file}"));
    }
    for finding in &rows.findings {
        let at = finding.height.map(|height| format!(" (height {height})")).unwrap_or_default();
        output::line(format!("{}{at}: {}", row_name(finding), finding.found));
    }
    if rows.more > 0 {
        output::line(format!("and {} findings more", rows.more));
    }
    for note in &rows.notes {
        output::line(format!("note: {note}"));
    }
    if let Some(head) = &rows.head {
        let looked_at = rows.looked_at.iter().map(|(what, count)| format!("{count} {what}"));
        output::line(format!(
            "looked at: {}; head {}, state {}",
            looked_at.collect::<Vec<_>>().join(", "),
            head.height,
            output::short(&head.state_root)
        ));
    }
    if audit.is_clean() {
        output::line("clean: everything is what it should be");
    } else {
        output::line("not clean; the replica repairs this when it starts, see docs/repair.md");
    }
}

fn as_json(audit: &FolderAudit) -> Value {
    let rows = &audit.rows;
    let finding = |finding: &Finding| {
        json!({
            "table": finding.column.name(),
            "row": finding.row.as_ref().map(|key| format!("0x{}", hex::encode(key))),
            "height": finding.height.map(|height| height.0),
            "found": finding.found,
        })
    };
    json!({
        "clean": audit.is_clean(),
        "files": audit.files,
        "findings": rows.findings.iter().map(finding).collect::<Vec<_>>(),
        "more": rows.more,
        "notes": rows.notes,
        "lookedAt": rows.looked_at,
        "height": rows.head.map(|head| head.height.0),
        "blockHash": rows.head.map(|head| head.block.to_hex()),
        "stateRoot": rows.head.map(|head| head.state_root.to_hex()),
    })
}

/// A bar on the standard error stream, if that is a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    fn show(&self, at: Audited) {
        let Audited { what, done, total } = at;
        if self.0.message() != what {
            let style = if total > 0 { STYLE } else { ENDLESS_STYLE };
            let style = ProgressStyle::with_template(style);
            self.0.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.0.set_length(total);
            self.0.reset();
            self.0.set_message(what);
        }
        if done.is_multiple_of(DRAWN_EVERY) || done == total {
            self.0.set_position(done);
        }
    }

    fn finish(self) {
        self.0.finish_and_clear();
    }
}
