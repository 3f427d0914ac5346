//! `daruma simulate`: a search for seeds whose simulated run breaks a rule. Its arguments and what
//! they do are the simulator's own.

pub(crate) use daruma_simulator::command::Arguments;
use daruma_simulator::command::{self, CommandError};

use super::{CliError, output};

/// How people call this command.
const PROGRAM: &str = "daruma simulate";

pub(crate) fn execute(arguments: &Arguments) -> Result<(), CliError> {
    match command::run(arguments, PROGRAM, &mut |line| output::line(line)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(CliError::Told),
        Err(CommandError::BadInput(why)) => Err(CliError::BadInput(why)),
        Err(CommandError::Failed(why)) => Err(CliError::Failed(why)),
    }
}
