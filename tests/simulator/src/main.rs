//! `daruma simulate` without a whole node around it: builds in a fraction of the time.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use daruma_simulator::command::{self, Arguments, CommandError, exit};

/// Searches for a fault in simulated networks.
///
/// Exit codes: 0 every rule held, 1 one did not, 2 bad input.
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    let print = &mut |line: &str| {
        // A reader that has gone away is no error.
        let _ = writeln!(out, "{line}");
    };
    match command::run(&Cli::parse().arguments, "daruma-simulator", print) {
        Ok(true) => ExitCode::from(exit::DONE),
        Ok(false) => ExitCode::from(exit::FAILED),
        Err(error) => {
            eprintln!("error: {error}");
            match error {
                CommandError::BadInput(_) => ExitCode::from(exit::BAD_INPUT),
                CommandError::Failed(_) => ExitCode::from(exit::FAILED),
            }
        }
    }
}
