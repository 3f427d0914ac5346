//! The automata that a node can run, by name. A chainspec names one and gives its parameters; a program
//! that embeds a node adds its own.

mod registry;

pub use registry::{Registry, RegistryError};

/// Compiles and runs the example of the guide.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/automata.md")]
struct Guide;
