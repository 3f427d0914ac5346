//! The targets by name.

mod automata;
mod chainspec;
mod disk;
mod door;
mod frames;
mod journal;
mod links;
mod patches;
mod proofs;
mod rpc;
mod wire;

/// One target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: of its corpus' folder, and of its program under `cargo fuzz`.
    pub name: &'static str,
    /// Runs it. Panics if a property is broken.
    pub run: fn(&[u8]),
    /// Mutated inputs that `cargo test` runs beside the corpus: some seconds of one core.
    pub executions: u32,
}

const fn make(name: &'static str, run: fn(&[u8]), executions: u32) -> Target {
    Target { name, run, executions }
}

/// All targets.
const TARGETS: &[Target] = &[
    make("message", wire::message, 20_000),
    make("rows", wire::rows, 40_000),
    make("frames", frames::run, 4_000),
    make("journal", journal::run, 10_000),
    make("disk", disk::run, 4_000),
    make("chainspec", chainspec::run, 6_000),
    make("rpc", rpc::run, 40_000),
    make("automata", automata::run, 20_000),
    make("proofs", proofs::run, 20_000),
    make("links", links::run, 4_000),
    make("door", door::run, 10_000),
    make("engine", crate::engine::run, 3_000),
];

/// All targets.
#[must_use]
pub const fn targets() -> &'static [Target] {
    TARGETS
}

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    targets().iter().copied().find(|target| target.name == name)
}
