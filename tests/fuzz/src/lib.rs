//! Fuzzing: what bytes of any kind do to every decoder, door and state machine of Daruma.
//!
//! Each target is a function of bytes that panics when a property is broken. It runs in two ways:
//! guided by coverage under `cargo fuzz` (the crate in `fuzz/`), and in a bounded slice of every
//! `cargo test`, over the kept corpora and seeded mutations of them. docs/fuzzing.md has the commands.
#![allow(clippy::panic, reason = "a broken property is told by a panic")]

mod allocation;
pub mod chain;
pub mod corpus;
pub mod engine;
pub mod limits;
pub mod mutate;
pub mod recording;
mod targets;

pub use targets::{Target, target, targets};
