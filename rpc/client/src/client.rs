//! The client: nodes to ask, and how to ask them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use daruma_chainspec::ChainSpec;
use daruma_rpc_api::{RpcFailure, Submitted, TxApiClient};
use daruma_types::{Committee, Ed25519, Statement, Transaction};
use jsonrpsee::core::client::Error;
use tokio::sync::Mutex;

use crate::connection::{URL_ALLOWED, authority};
use crate::verify::{Proof, Unverified};
use crate::{Account, ClientError, Confirmed, Connection, limits};

/// A client of one chain. It may be shared by many tasks.
#[derive(Debug)]
pub struct Client {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) committee: Committee,
    pub(crate) nodes: Vec<Node>,
    /// The node that answered last.
    pub(crate) preferred: AtomicUsize,
    pub(crate) attempt: Duration,
    verified: std::sync::Mutex<VecDeque<Statement>>,
}

/// One node, connected when needed.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) url: String,
    connection: Mutex<Option<Arc<Connection>>>,
}

/// What came of one call to one node.
pub(crate) enum Reached<T> {
    /// An answer.
    Answer(T),
    /// The node refuses, in the terms of this interface.
    Failure(RpcFailure),
    /// No answer, or one that makes no sense.
    Nothing(String),
}

impl Node {
    pub(crate) async fn connection(&self) -> Result<Arc<Connection>, ClientError> {
        let mut held = self.connection.lock().await;
        if let Some(connection) = &*held {
            return Ok(Arc::clone(connection));
        }
        let opened = Arc::new(Connection::open(&self.url).await?);
        *held = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Forgets a connection that failed, so that the next call makes another.
    async fn forget(&self, failed: &Arc<Connection>) {
        let mut held = self.connection.lock().await;
        if held.as_ref().is_some_and(|connection| Arc::ptr_eq(connection, failed)) {
            *held = None;
        }
    }

    /// Makes one call.
    pub(crate) async fn call<T>(
        &self,
        call: impl AsyncFnOnce(&Connection) -> Result<T, Error>,
    ) -> Reached<T> {
        let connection = match self.connection().await {
            Ok(connection) => connection,
            Err(error) => return Reached::Nothing(error.to_string()),
        };
        match call(&connection).await {
            Ok(answer) => Reached::Answer(answer),
            Err(Error::Call(object)) => match RpcFailure::read(&object) {
                Some(failure) => Reached::Failure(failure),
                None => Reached::Nothing(format!("{}: {object}", self.url)),
            },
            Err(error) => {
                self.forget(&connection).await;
                Reached::Nothing(format!("{}: {error}", self.url))
            }
        }
    }
}

impl Client {
    /// A client of the chain `spec` that asks the nodes at `urls` (`ws://host:port`, or
    /// `http://host:port`). Nothing is connected yet. Each URL must lead to another replica.
    ///
    /// # Errors
    /// [`ClientError::Url`] for a list that is empty, too long, repeats itself or has another scheme.
    pub fn new<S: Into<String>>(
        spec: Arc<ChainSpec>,
        urls: impl IntoIterator<Item = S>,
    ) -> Result<Self, ClientError> {
        let urls: Vec<String> = urls.into_iter().map(Into::into).collect();
        let refused = |found: &str| ClientError::Url { found: found.into(), allowed: URL_ALLOWED };
        if urls.is_empty() || urls.len() > limits::URLS_MAX {
            return Err(refused(&format!("a list of {}", urls.len())));
        }
        for (index, url) in urls.iter().enumerate() {
            let authority = authority(url).ok_or_else(|| refused(url))?;
            let before = urls.iter().take(index);
            if before.filter_map(|url| self::authority(url)).any(|other| other == authority) {
                return Err(refused(url));
            }
        }
        let node = |url| Node { url, connection: Mutex::new(None) };
        Ok(Self {
            committee: spec.committee(),
            spec,
            nodes: urls.into_iter().map(node).collect(),
            preferred: AtomicUsize::new(0),
            attempt: limits::ATTEMPT,
            verified: std::sync::Mutex::default(),
        })
    }

    /// Sets how long one node may keep an attempt waiting before the next is asked: at most, and by
    /// default, [`limits::ATTEMPT`].
    #[must_use]
    pub fn with_attempt(self, attempt: Duration) -> Self {
        Self { attempt: attempt.min(limits::ATTEMPT), ..self }
    }

    /// The chain.
    #[must_use]
    pub const fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// Signs one operation, submits it and waits until its execution is verified, at most `timeout`.
    /// What is sent again after a lost connection or a silent node are the same signed bytes.
    ///
    /// Calls on one account follow each other; [`Self::submit_ordered`] keeps more in flight.
    ///
    /// # Errors
    /// [`ClientError`]: only [`ClientError::Deadline`] and [`ClientError::PerhapsSuperseded`] leave
    /// open whether the operation took effect.
    pub async fn submit_and_wait(
        &self,
        account: &Account,
        operation: Vec<u8>,
        timeout: Duration,
    ) -> Result<Confirmed, ClientError> {
        let mut results = self.submit_ordered(account, vec![operation], timeout).await;
        // One operation, one result.
        results.pop().unwrap_or(Err(ClientError::NotSent))
    }

    /// Hands a signed transaction to the first node that answers, and does not wait for it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] in one node's word, or [`ClientError::NoAnswer`].
    pub async fn submit(&self, transaction: &Transaction) -> Result<Submitted, ClientError> {
        let mut last = String::new();
        let first = self.preferred.load(Ordering::Relaxed);
        for step in 0..self.nodes.len() {
            let index = (first + step) % self.nodes.len();
            match self.submit_to(index, transaction).await {
                Err(ClientError::NoAnswer(error)) => last = error,
                answer => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return answer;
                }
            }
        }
        Err(ClientError::NoAnswer(last))
    }

    /// Hands a signed transaction to every node at once; one answer for each URL, in their order.
    pub async fn submit_to_all(
        &self,
        transaction: &Transaction,
    ) -> Vec<Result<Submitted, ClientError>> {
        let calls = (0..self.nodes.len()).map(|index| self.submit_to(index, transaction));
        futures::future::join_all(calls).await
    }

    async fn submit_to(
        &self,
        index: usize,
        transaction: &Transaction,
    ) -> Result<Submitted, ClientError> {
        let Some(node) = self.nodes.get(index) else {
            return Err(ClientError::NoAnswer("no such node".into()));
        };
        let json = transaction.clone().into();
        match node.call(async |connection| TxApiClient::submit(connection, json).await).await {
            Reached::Answer(submitted) => Ok(submitted),
            Reached::Failure(failure) => Err(ClientError::Refused {
                hash: transaction.hash(self.spec.chain_id()),
                failure: Box::new(failure),
            }),
            Reached::Nothing(error) => Err(ClientError::NoAnswer(error)),
        }
    }

    /// Asks one question of the first node that answers: a read, whose answer is one node's word.
    ///
    /// # Errors
    /// [`ClientError::Answer`] for an error of the interface, else [`ClientError::NoAnswer`].
    pub async fn ask<T>(
        &self,
        question: impl AsyncFn(&Connection) -> Result<T, Error>,
    ) -> Result<T, ClientError> {
        let mut last = String::new();
        let first = self.preferred.load(Ordering::Relaxed);
        for step in 0..self.nodes.len() {
            let index = (first + step) % self.nodes.len();
            let Some(node) = self.nodes.get(index) else { continue };
            match node.call(&question).await {
                Reached::Answer(answer) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Reached::Failure(failure) => return Err(ClientError::Answer(Box::new(failure))),
                Reached::Nothing(error) => last = error,
            }
        }
        Err(ClientError::NoAnswer(last))
    }

    /// Verifies `proof`; the signatures of one statement are checked once.
    pub(crate) fn verify(
        &self,
        proof: &Proof,
        transaction: &Transaction,
    ) -> Result<Confirmed, Unverified> {
        let confirmed = proof.verify_but_signatures(&self.committee, transaction)?;
        let statement = confirmed.statement;
        let known = || self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if known().contains(&statement) {
            return Ok(confirmed);
        }
        let weak = self.committee.thresholds().weak();
        proof.attestations.verify(weak, &self.committee, &Ed25519)?;
        let mut known = known();
        if known.len() >= limits::STATEMENTS_KEPT {
            known.pop_front();
        }
        known.push_back(statement);
        Ok(confirmed)
    }
}
