//! Conversations: text files that script a small network of real engines and record what is sent.
//!
//! A file is a list of steps. A step is commands, a line `----`, and what came of them:
//!
//! ```text
//! # One transaction, four replicas.
//! replicas 4
//! ----
//!
//! submit r0 "apples"
//! deliver
//! ----
//! r0: promises prepare of 1a in ballot 0
//! r0 -> all: pre-prepare of 1a on genesis in ballot 0, 1 transaction
//! ```
//!
//! Blocks are named by height and order of appearance: `1a`, and `1b` for another block of height 1.
//! Within one hop (everything that was on the wire when it began), equal lines of several replicas
//! are joined: `r1 r2 r3 -> all: ...`. Tokens and their returns are never shown, summaries on demand.
//! [`Command`] lists the commands. The files are golden tests: see `tests/golden.rs`.

mod command;
mod record;
mod script;
mod words;
mod world;

pub use command::{Command, CommandError, Select};
pub use script::{Script, Step};
pub use world::{World, WorldError};

/// Runs a script from the beginning; what came of each step, in order.
///
/// # Errors
/// [`WorldError`] with the step's first line, for a command that cannot be understood or done.
pub fn play(script: &Script) -> Result<Vec<String>, WorldError> {
    let mut world = World::new();
    script.steps.iter().map(|step| world.perform(step)).collect()
}
