//! A client of a chain: it signs, submits, retries, and believes nothing that it has not verified.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{sync::Arc, time::Duration};
//! use daruma_chainspec::{ChainSpec, KnownAutomata};
//! use daruma_rpc_client::{Account, Client};
//! use daruma_types::SecretKey;
//!
//! let text = std::fs::read_to_string("chain.toml")?;
//! let spec = Arc::new(ChainSpec::parse(&text, &KnownAutomata::any())?);
//! let client = Client::new(spec, ["ws://127.0.0.1:8000", "ws://127.0.0.1:8001"])?;
//! let account = Account::new(SecretKey::from_bytes(&[7; 32]));
//! let confirmed =
//!     client.submit_and_wait(&account, vec![1, 2, 3], Duration::from_secs(30)).await?;
//! println!("{} at height {}", confirmed.hash, confirmed.statement.height);
//! # Ok(())
//! # }
//! ```
//!
//! # What is believed
//! *That a transaction was executed*, and with which receipt: only with a [`verify::Proof`], which any
//! single node can give and none can forge.
//! *That a transaction is refused, or can never be executed*: there is no proof of that in one node's
//! answer, so it takes the same word of `f+1` different nodes, of which one at least is correct. Each
//! URL given to [`Client::new`] must therefore lead to another replica. With fewer URLs a refusal
//! takes the word of all of them, and an operation is never signed again under a new nonce.

mod account;
mod client;
mod connection;
mod error;
pub mod limits;
mod ordered;
pub mod verify;

pub use account::Account;
pub use client::Client;
pub use connection::Connection;
pub use error::ClientError;
pub use verify::Confirmed;
