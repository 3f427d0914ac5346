//! `daruma tx`: transactions.

mod file;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{ArgGroup, Args, Subcommand};
use daruma_chainspec::KnownAutomata;
use daruma_node::keys::SecretSeed;
use daruma_rpc_client::{Account, Client, ClientError, Confirmed};
use daruma_types::{Outcome, PublicKey, Transaction};
use serde_json::{Value, json};

use super::operations::Operations;
use super::{CliError, block_on, chain, keys, output};

#[derive(Debug, Subcommand)]
pub(crate) enum Arguments {
    /// Sign an operation, or each line of a file, and submit it.
    Submit(SubmitArguments),
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(false))]
pub(crate) struct SubmitArguments {
    /// The chain.toml: it says what is signed, and who may confirm it.
    #[arg(long, value_name = "FILE", env = "DARUMA_CHAIN")]
    chain: PathBuf,
    /// A replica to submit to; may be repeated, each URL for another replica. The next one is asked
    /// when one does not answer.
    #[arg(long, value_name = "URL", required = true)]
    rpc: Vec<String>,
    /// Wait until the execution is verified. Always so with --file.
    #[arg(long)]
    wait: bool,
    /// The client's key file [default: a new key, which is then forgotten].
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A file with one operation in each line; empty lines are passed over. They are executed in
    /// order.
    #[arg(long, value_name = "FILE", group = "what")]
    file: Option<PathBuf>,
    /// Operations are given as the hex digits of their bytes.
    #[arg(long)]
    hex: bool,
    /// How long to wait; with --file, for each group of operations.
    #[arg(long, value_name = "S", default_value_t = 60)]
    timeout_s: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The operation: JSON in the automaton's form, or, for append-list, the text to append.
    #[arg(group = "what")]
    operation: Option<String>,
}

/// All that submitting takes.
struct Session {
    client: Client,
    account: Account,
    operations: Operations,
    timeout: Duration,
}

impl Arguments {
    pub(crate) fn execute(self) -> Result<(), CliError> {
        let Self::Submit(arguments) = self;
        arguments.execute()
    }
}

impl SubmitArguments {
    fn execute(self) -> Result<(), CliError> {
        let spec = Arc::new(chain::read(&self.chain, &KnownAutomata::any())?);
        let operations = Operations::of(&spec, self.hex);
        let client = Client::new(spec, self.rpc.clone()).map_err(CliError::bad_input)?;
        let key = match &self.key {
            Some(path) => SecretSeed::read(path),
            None => SecretSeed::generate(),
        };
        let key = key.map_err(keys::as_cli_error)?;
        let account = Account::new(key.secret_key());
        let timeout = Duration::from_secs(self.timeout_s);
        let session = Session { client, account, operations, timeout };
        match (&self.file, &self.operation) {
            (Some(path), _) => file::submit(&session, path, self.json),
            (None, Some(text)) => {
                let operation = session.operations.parse_argument(text)?;
                if self.wait {
                    block_on(self.confirm(&session, operation))
                } else {
                    block_on(self.hand_over(&session, &key, operation))
                }
            }
            (None, None) => Err(CliError::bad_input("there is no operation")),
        }
    }

    async fn confirm(&self, session: &Session, operation: Vec<u8>) -> Result<(), CliError> {
        let Session { client, account, timeout, .. } = session;
        let confirmed = client.submit_and_wait(account, operation, *timeout).await;
        let confirmed = confirmed.map_err(|error| as_cli_error(&error))?;
        let aborted = matches!(confirmed.outcome, Outcome::Aborted { .. });
        if self.json {
            output::json(&confirmed_json(session, &confirmed));
        } else {
            let (height, index) = (confirmed.statement.height, confirmed.index);
            let outcome = outcome_text(session, &confirmed.outcome);
            output::line(format!(
                "{} at height {height}, index {index}: {outcome}",
                confirmed.hash
            ));
        }
        if aborted { Err(CliError::Told) } else { Ok(()) }
    }

    async fn hand_over(
        &self,
        session: &Session,
        key: &SecretSeed,
        operation: Vec<u8>,
    ) -> Result<(), CliError> {
        let chain = session.client.spec().chain_id();
        let transaction = Transaction::sign(chain, &key.secret_key(), nonce(), operation);
        let submitted = session.client.submit(&transaction).await;
        let submitted = submitted.map_err(|error| as_cli_error(&error))?;
        if self.json {
            output::json(&json!({
                "hash": submitted.hash, "state": submitted.state, "client": hex(&key.public_key()),
            }));
        } else {
            output::line(format!("{} is pending", submitted.hash));
        }
        Ok(())
    }
}

/// Microseconds since 1970.
fn nonce() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(0)
}

fn hex(key: &PublicKey) -> String {
    key.to_hex()
}

fn as_cli_error(error: &ClientError) -> CliError {
    match error {
        ClientError::Url { .. } | ClientError::TooLarge { .. } => CliError::bad_input(error),
        ClientError::NoncesUsedUp
        | ClientError::Refused { .. }
        | ClientError::PerhapsSuperseded { .. }
        | ClientError::Deadline { .. }
        | ClientError::NotSent
        | ClientError::NoAnswer(_)
        | ClientError::Answer(_) => CliError::failed(error),
    }
}

fn outcome_text(session: &Session, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Executed { reply } => format!("executed, {}", session.operations.reply(reply)),
        Outcome::Aborted { code, reason } => format!("aborted with code {code}: {reason}"),
        Outcome::Superseded { last_nonce } => format!("superseded by nonce {last_nonce}"),
    }
}

fn confirmed_json(session: &Session, confirmed: &Confirmed) -> Value {
    let outcome = match &confirmed.outcome {
        Outcome::Executed { reply } => {
            json!({ "kind": "executed", "reply": session.operations.reply(reply) })
        }
        Outcome::Aborted { code, reason } => {
            json!({ "kind": "aborted", "code": code, "reason": reason })
        }
        Outcome::Superseded { last_nonce } => {
            json!({ "kind": "superseded", "lastNonce": last_nonce.to_string() })
        }
    };
    json!({
        "hash": confirmed.hash.to_string(),
        "height": confirmed.statement.height.0,
        "index": confirmed.index,
        "outcome": outcome,
        "block": confirmed.statement.block.to_string(),
        "stateRoot": confirmed.statement.state_root.to_string(),
        "client": hex(&session.account.public_key()),
    })
}
