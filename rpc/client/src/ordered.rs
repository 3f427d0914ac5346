//! Submitting many operations of one key, in order.
//!
//! A window of transactions is signed with increasing nonces and sent in one batch, which a node takes
//! up in order; the next window waits until every transaction of this one has come to an end. What
//! is not confirmed is sent again, the same bytes, to the next node. An operation gets a new nonce
//! only when `f+1` nodes say that its transaction can never be executed any more.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use daruma_rpc_api::{Confirmation, ErrorKind, RpcFailure, TransactionJson, TxState};
use daruma_types::{Hash, Outcome, Transaction};
use jsonrpsee::core::client::{ClientT, Error};
use jsonrpsee::core::params::{ArrayParams, BatchRequestBuilder};
use tokio::time::Instant;

use crate::account::Lane;
use crate::client::{Client, Node, Reached};
use crate::verify::Proof;
use crate::{Account, ClientError, Confirmed, Connection, limits};

type Outcomes = Vec<Result<Confirmed, ClientError>>;

/// One operation on its way.
struct Item {
    /// Position among the operations of the call.
    position: usize,
    transaction: Transaction,
    hash: Hash,
    /// Nodes that refuse it for good, with their words.
    refused: BTreeMap<usize, RpcFailure>,
    /// Nodes that say the nonce went past it, with the nonce they name.
    gone: BTreeMap<usize, u64>,
    result: Option<Result<Confirmed, ClientError>>,
    last: String,
}

/// What one node said about one transaction.
enum Word {
    Confirmed(Confirmed),
    /// Superseded; the nonce that the node names.
    Gone(u64),
    Refused(RpcFailure),
    /// Not taken up now; when to try again.
    Later(Option<u64>, String),
    Pending,
    Nonsense(String),
}

impl Item {
    fn new(position: usize, transaction: Transaction, hash: Hash) -> Self {
        Self {
            position,
            transaction,
            hash,
            refused: BTreeMap::new(),
            gone: BTreeMap::new(),
            result: None,
            last: "no node was asked".to_owned(),
        }
    }
}

impl Client {
    /// Signs `operations` with increasing nonces, submits them in order and waits until each has come
    /// to an end, at most `timeout` for all of them. One result for each operation.
    ///
    /// They are executed in order, unless a transaction is superseded: then its operation is signed
    /// again and executed after the others of its window.
    pub async fn submit_ordered(
        &self,
        account: &Account,
        operations: Vec<Vec<u8>>,
        timeout: Duration,
    ) -> Vec<Result<Confirmed, ClientError>> {
        let deadline = Instant::now() + timeout;
        let mut lane = account.lane().await;
        let mut results: Outcomes = Vec::with_capacity(operations.len());
        let mut stopped = false;
        let mut rest = operations.into_iter().peekable();
        while rest.peek().is_some() {
            let mut window = Vec::new();
            let mut bytes = 0_usize;
            while let Some(operation) = rest.next_if(|next| {
                window.is_empty()
                    || (window.len() < limits::WINDOW_TRANSACTIONS_MAX
                        && bytes.saturating_add(next.len()) <= limits::WINDOW_BYTES_MAX)
            }) {
                bytes = bytes.saturating_add(operation.len());
                window.push(operation);
            }
            if stopped {
                results.extend(window.iter().map(|_| Err(ClientError::NotSent)));
                continue;
            }
            let outcomes = self.submit_window(&mut lane, window, deadline).await;
            stopped = outcomes.iter().any(|outcome| {
                matches!(
                    outcome,
                    Err(ClientError::Deadline { .. } | ClientError::PerhapsSuperseded { .. })
                )
            });
            results.extend(outcomes);
        }
        results
    }

    async fn submit_window(
        &self,
        lane: &mut Lane<'_>,
        operations: Vec<Vec<u8>>,
        deadline: Instant,
    ) -> Outcomes {
        let mut results: Vec<Option<Result<Confirmed, ClientError>>> = Vec::new();
        let mut items = Vec::new();
        for (position, operation) in operations.into_iter().enumerate() {
            match self.sign(lane, operation) {
                Ok((transaction, hash)) => {
                    items.push(Item::new(position, transaction, hash));
                    results.push(None);
                }
                Err(error) => results.push(Some(Err(error))),
            }
        }
        let mut index = self.preferred.load(Ordering::Relaxed);
        let mut asked = 0_usize;
        let mut pause = limits::PAUSE_MIN;
        while !items.is_empty() && Instant::now() < deadline {
            index %= self.nodes.len();
            let Some(node) = self.nodes.get(index) else { break };
            let retry_after = self.attempt(node, index, &mut items, deadline).await;
            for item in &mut items {
                self.judge(item, lane);
            }
            let before = items.len();
            items.retain_mut(|item| match item.result.take() {
                None => true,
                Some(result) => {
                    if let Some(slot) = results.get_mut(item.position) {
                        *slot = Some(result);
                    }
                    false
                }
            });
            // In order of nonce, which is no longer that of position once an operation was signed again.
            items.sort_by_key(|item| item.transaction.nonce);
            if items.is_empty() {
                self.preferred.store(index, Ordering::Relaxed);
                break;
            }
            index += 1;
            asked = if items.len() < before { 0 } else { asked + 1 };
            if retry_after.is_some() || asked >= self.nodes.len() {
                let wait = retry_after.unwrap_or(pause).min(limits::PAUSE_MAX);
                tokio::time::sleep_until((Instant::now() + wait).min(deadline)).await;
                pause = (pause * 2).min(limits::PAUSE_MAX);
                asked = 0;
            }
        }
        for item in items {
            if let Some(slot) = results.get_mut(item.position) {
                *slot = Some(Err(ClientError::Deadline { hash: item.hash, last: item.last }));
            }
        }
        results.into_iter().map(|result| result.unwrap_or(Err(ClientError::NotSent))).collect()
    }

    fn sign(
        &self,
        lane: &mut Lane<'_>,
        operation: Vec<u8>,
    ) -> Result<(Transaction, Hash), ClientError> {
        let max = self.spec.limits().operation_bytes_max as usize;
        if operation.len() > max {
            return Err(ClientError::TooLarge { found: operation.len(), max });
        }
        let transaction = lane.sign(self.spec.chain_id(), operation)?;
        let hash = transaction.hash(self.spec.chain_id());
        Ok((transaction, hash))
    }

    /// Sends all items to one node and notes what it says. Returns when it asks to be asked again.
    async fn attempt(
        &self,
        node: &Node,
        index: usize,
        items: &mut [Item],
        deadline: Instant,
    ) -> Option<Duration> {
        let left = deadline.saturating_duration_since(Instant::now()).min(self.attempt);
        let timeout_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let transactions: Vec<TransactionJson> =
            items.iter().map(|item| item.transaction.clone().into()).collect();
        let call = node.call(async |connection| send(connection, transactions, timeout_ms).await);
        let answers = match tokio::time::timeout_at(deadline + limits::TRANSPORT_GRACE, call).await
        {
            Ok(Reached::Answer(answers)) if answers.len() == items.len() => answers,
            other => {
                let problem = match other {
                    Err(_) => format!("{}: no answer in time", node.url),
                    Ok(Reached::Nothing(problem)) => problem,
                    Ok(Reached::Failure(failure)) => format!("{}: {failure}", node.url),
                    Ok(Reached::Answer(_)) => format!("{}: wrong number of answers", node.url),
                };
                tracing::debug!(%problem, "attempt failed");
                for item in items {
                    item.last.clone_from(&problem);
                }
                return None;
            }
        };
        let mut retry_after = None;
        for (item, answer) in items.iter_mut().zip(answers) {
            match self.word(answer, &item.transaction) {
                Word::Confirmed(confirmed) => item.result = Some(Ok(confirmed)),
                Word::Gone(nonce) => {
                    item.gone.insert(index, nonce);
                    item.last = format!("{}: superseded by nonce {nonce}", node.url);
                }
                Word::Refused(failure) => {
                    item.last = format!("{}: {failure}", node.url);
                    item.refused.insert(index, failure);
                }
                Word::Later(after_ms, problem) => {
                    retry_after = retry_after.max(after_ms.map(Duration::from_millis));
                    item.last = format!("{}: {problem}", node.url);
                }
                Word::Pending => {
                    item.last = format!("{}: still pending", node.url);
                }
                Word::Nonsense(problem) => {
                    item.last = format!("{}: {problem}", node.url);
                    tracing::warn!(problem = %item.last, "answer not believed");
                }
            }
        }
        retry_after
    }

    fn word(&self, answer: Result<Confirmation, RpcFailure>, transaction: &Transaction) -> Word {
        let confirmation = match answer {
            Ok(confirmation) => confirmation,
            Err(failure) if failure.data.kind == ErrorKind::TxExpired => {
                let named = failure.data.last_nonce.as_deref().and_then(|text| text.parse().ok());
                return Word::Gone(named.unwrap_or(transaction.nonce));
            }
            Err(failure) if failure.data.retryable => {
                return Word::Later(failure.data.retry_after_ms, failure.to_string());
            }
            Err(failure) => return Word::Refused(failure),
        };
        if confirmation.state == TxState::Pending {
            return Word::Pending;
        }
        let verified =
            Proof::read(&confirmation).and_then(|proof| self.verify(&proof, transaction));
        match verified {
            // It was perhaps executed in an earlier block, so this is no more than the node's word.
            Ok(Confirmed { outcome: Outcome::Superseded { last_nonce }, .. }) => {
                Word::Gone(last_nonce)
            }
            Ok(confirmed) => Word::Confirmed(confirmed),
            Err(error) => Word::Nonsense(error.to_string()),
        }
    }

    /// Ends an item, or signs its operation again, once enough nodes have said the same.
    fn judge(&self, item: &mut Item, lane: &mut Lane<'_>) {
        if item.result.is_some() {
            return;
        }
        let weak = self.committee.thresholds().weak();
        let nodes = self.nodes.len();
        if item.gone.len() >= weak {
            // One of them is correct and its nonce true; a false one cannot be the least of them and
            // larger than the truth.
            let nonce = item.gone.values().copied().min().unwrap_or(item.transaction.nonce);
            lane.raise(nonce);
            let operation = std::mem::take(&mut item.transaction.operation);
            match self.sign(lane, operation) {
                Ok((transaction, hash)) => {
                    tracing::info!(old = %item.hash, new = %hash, "superseded; signed again");
                    *item = Item::new(item.position, transaction, hash);
                }
                Err(error) => item.result = Some(Err(error)),
            }
        } else if item.gone.len() >= nodes {
            item.result = Some(Err(ClientError::PerhapsSuperseded {
                hash: item.hash,
                said: item.gone.len(),
                needed: weak,
            }));
        } else if item.refused.len() >= weak.min(nodes)
            && let Some((_, failure)) = item.refused.pop_last()
        {
            let failure = Box::new(failure);
            item.result = Some(Err(ClientError::Refused { hash: item.hash, failure }));
        }
    }
}

/// One batch of `tx_submitAndWait`, or one call if there is but one transaction.
async fn send(
    connection: &Connection,
    transactions: Vec<TransactionJson>,
    timeout_ms: u64,
) -> Result<Vec<Result<Confirmation, RpcFailure>>, Error> {
    const METHOD: &str = "tx_submitAndWait";
    let single = transactions.len() == 1;
    let mut batch = BatchRequestBuilder::new();
    for transaction in transactions {
        let mut params = ArrayParams::new();
        params.insert(transaction)?;
        params.insert(timeout_ms)?;
        if single {
            return match connection.request(METHOD, params).await {
                Ok(confirmation) => Ok(vec![Ok(confirmation)]),
                Err(Error::Call(object)) => match RpcFailure::read(&object) {
                    Some(failure) => Ok(vec![Err(failure)]),
                    None => Err(Error::Call(object)),
                },
                Err(error) => Err(error),
            };
        }
        batch.insert(METHOD, params)?;
    }
    let answers = connection.batch_request::<Confirmation>(batch).await?;
    answers
        .into_iter()
        .map(|answer| match answer {
            Ok(confirmation) => Ok(Ok(confirmation)),
            Err(object) => match RpcFailure::read(&object) {
                Some(failure) => Ok(Err(failure)),
                None => Err(Error::Call(object.into_owned())),
            },
        })
        .collect()
}
