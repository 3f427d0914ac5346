//! A Daruma node as a library: put one together with [`Node::builder`], start it, and it runs the
//! chain of its chainspec until it is shut down (DESIGN 7).
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use daruma_chainspec::{ChainSpec, KnownAutomata};
//! use daruma_node::{Node, NodeConfig};
//!
//! let spec = ChainSpec::parse(&std::fs::read_to_string("chain.toml")?, &KnownAutomata::any())?;
//! let config = NodeConfig::read("node.toml".as_ref())?;
//! let mut running = Node::builder(spec, config).build()?.start().await?;
//! println!("JSON-RPC at http://{}", running.rpc());
//! running.stopped().await?;
//! # Ok(())
//! # }
//! ```

pub mod audit;
pub mod backup;
mod bridge;
mod builder;
pub mod config;
pub mod doctor;
pub mod keys;
mod opening;
mod scrub;
pub mod snapshots;
mod watch;

pub use builder::{BuildError, Node, NodeBuilder, Running, StartError};
pub use config::NodeConfig;
