//! The client library against four nodes, some of which lie, lose or die.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daruma_rpc_api::Confirmation;
use daruma_rpc_client::{Account, Client, ClientError};
use daruma_rpc_server::{Config, LedgerEvent, Refused, Server, Submission};
use daruma_types::{Height, Outcome, Transaction};
use jsonrpsee::core::client::ClientT;
use jsonrpsee::http_client::HttpClientBuilder;
use jsonrpsee::server::{RpcModule, ServerBuilder, ServerHandle};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::harness::{Chain, Node, key};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(100);

/// What a node does with submissions.
#[derive(Clone)]
enum Manner {
    /// Executes each at once.
    Honest,
    /// Says "pending", and forgets it.
    Forgetful,
    /// Executes each, and never answers.
    Mute,
    /// Says this.
    Refusing(Refused),
}

struct Cluster {
    chain: Arc<Mutex<Chain>>,
    servers: Vec<Server>,
    /// What the nodes were given: node and transaction.
    seen: Arc<Mutex<Vec<(usize, Transaction)>>>,
}

impl Cluster {
    async fn of(manners: &[Manner]) -> Self {
        let chain = Chain::new();
        let events = broadcast::Sender::new(1024);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut servers = Vec::new();
        for (id, manner) in manners.iter().enumerate() {
            let node =
                Node::of(Arc::clone(&chain), events.clone(), Config::default(), id as u16).await;
            let Node { server, submissions, .. } = node;
            servers.push(server);
            let (manner, seen) = (manner.clone(), Arc::clone(&seen));
            tokio::spawn(play(id, manner, submissions, Arc::clone(&chain), events.clone(), seen));
        }
        Self { chain, servers, seen }
    }

    fn urls(&self, scheme: &str) -> Vec<String> {
        self.servers.iter().map(|server| format!("{scheme}://{}", server.address())).collect()
    }

    fn client(&self) -> Client {
        self.client_of(self.urls("ws"))
    }

    fn client_of(&self, urls: Vec<String>) -> Client {
        let spec = Arc::clone(&self.chain.lock().unwrap().spec);
        Client::new(spec, urls).unwrap().with_attempt(SHORT)
    }

    fn add(&self, amount: u64) -> Vec<u8> {
        self.chain.lock().unwrap().operation(&json!({ "add": amount }))
    }

    /// All transactions, in the order of the chain.
    fn executed(&self) -> Vec<Transaction> {
        let chain = self.chain.lock().unwrap();
        let reader = chain.reader();
        let head = reader.head().unwrap().statement.height.0;
        let block = |height| reader.block(Height(height)).unwrap().unwrap().transactions;
        (1..=head).flat_map(block).collect()
    }

    fn seen(&self) -> Vec<(usize, Transaction)> {
        self.seen.lock().unwrap().clone()
    }
}

async fn play(
    id: usize,
    manner: Manner,
    mut submissions: tokio::sync::mpsc::Receiver<Submission>,
    chain: Arc<Mutex<Chain>>,
    events: broadcast::Sender<LedgerEvent>,
    seen: Arc<Mutex<Vec<(usize, Transaction)>>>,
) {
    while let Some(Submission { transaction, answer }) = submissions.recv().await {
        seen.lock().unwrap().push((id, transaction.clone()));
        let mut chain = chain.lock().unwrap();
        match &manner {
            Manner::Refusing(refused) => {
                let _ = answer.send(Err(refused.clone()));
            }
            Manner::Forgetful => {
                let _ = answer.send(Ok(daruma_rpc_server::Accepted::Pending));
            }
            Manner::Mute => drop(chain.execute(vec![transaction])),
            Manner::Honest => {
                let admitted = chain.admit(&transaction);
                let accepted = admitted.is_ok();
                let _ = answer.send(admitted);
                if accepted {
                    let done = chain.execute(vec![transaction]);
                    let transactions = Arc::clone(&done.names);
                    let (header, hash) = (done.header, done.statement.block);
                    let _ = events.send(LedgerEvent::Executed { header, hash, transactions });
                    let certificate = chain.attest(done.statement, &[0, 3]);
                    chain.store(&certificate);
                    let transactions = done.names;
                    let _ = events.send(LedgerEvent::Attested { certificate, transactions });
                }
            }
        }
    }
}

fn account() -> Account {
    Account::new(key(50))
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn value(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Executed { reply } => u64::from_le_bytes(reply.as_slice().try_into().unwrap()),
        Outcome::Aborted { .. } | Outcome::Superseded { .. } => panic!("{outcome:?}"),
    }
}

#[tokio::test]
async fn an_operation_is_confirmed_over_a_websocket_and_over_http() {
    let cluster = Cluster::of(&[Manner::Honest, Manner::Honest]).await;
    for (scheme, total) in [("ws", 5), ("http", 10)] {
        let client = cluster.client_of(cluster.urls(scheme));
        let confirmed = client.submit_and_wait(&account(), cluster.add(5), LONG).await.unwrap();
        assert_eq!(value(&confirmed.outcome), total);
    }
    assert_eq!(cluster.seen().len(), 2);
}

#[tokio::test]
async fn an_abort_is_an_outcome_and_no_error() {
    let cluster = Cluster::of(&[Manner::Honest]).await;
    let down = cluster.chain.lock().unwrap().operation(&json!({ "subtract": 1 }));
    let confirmed = cluster.client().submit_and_wait(&account(), down, LONG).await.unwrap();
    assert!(matches!(confirmed.outcome, Outcome::Aborted { code: 102, .. }));
}

#[tokio::test]
async fn two_hundred_operations_are_executed_in_order_and_each_once() {
    let cluster = Cluster::of(&[Manner::Honest, Manner::Honest]).await;
    let account = account();
    let operations = (1..=200).map(|amount| cluster.add(amount)).collect();
    let results = cluster.client().submit_ordered(&account, operations, LONG).await;
    let mut total = 0;
    for (amount, result) in (1..=200).zip(&results) {
        total += amount;
        assert_eq!(value(&result.as_ref().unwrap().outcome), total);
    }
    let executed = cluster.executed();
    assert_eq!(executed.len(), 200);
    assert!(executed.is_sorted_by(|a, b| a.nonce < b.nonce));
    assert!(executed.iter().all(|transaction| transaction.client == account.public_key()));
}

#[tokio::test]
async fn a_dead_node_and_a_forgetful_one_are_passed_over_with_the_same_bytes() {
    let cluster = Cluster::of(&[Manner::Forgetful, Manner::Honest]).await;
    let mut urls = vec![format!("ws://{}", nobody().await)];
    urls.extend(cluster.urls("ws"));
    let client = cluster.client_of(urls);
    client.submit_and_wait(&account(), cluster.add(5), LONG).await.unwrap();
    let seen = cluster.seen();
    assert_eq!(seen.iter().map(|(node, _)| *node).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(seen[0].1, seen[1].1);
}

#[tokio::test]
async fn what_a_node_executed_without_an_answer_is_found_and_not_executed_again() {
    let cluster = Cluster::of(&[Manner::Mute, Manner::Honest]).await;
    let (client, adding) = (cluster.client(), cluster.add(5));
    let waiting =
        tokio::spawn(async move { client.submit_and_wait(&account(), adding, LONG).await });
    // The attestations of the block come only now, from elsewhere.
    while cluster.executed().is_empty() {
        tokio::task::yield_now().await;
    }
    cluster.chain.lock().unwrap().attest_head(&[1, 2]);
    let confirmed = waiting.await.unwrap().unwrap();
    assert_eq!(value(&confirmed.outcome), 5);
    assert_eq!(cluster.executed().len(), 1);
}

/// A node in between that changes what an honest one answers.
async fn forger(honest: String, spoil: fn(&mut Value)) -> (String, ServerHandle) {
    let mut module = RpcModule::new((honest, spoil));
    module
        .register_async_method("tx_submitAndWait", |params, context, _| async move {
            let client = HttpClientBuilder::new().build(&context.0).unwrap();
            let params: Vec<Value> = params.parse().unwrap();
            let mut answer: Value = client.request("tx_submitAndWait", params).await.unwrap();
            (context.1)(&mut answer);
            answer
        })
        .unwrap();
    let server = ServerBuilder::new().build("127.0.0.1:0").await.unwrap();
    (format!("ws://{}", server.local_addr().unwrap()), server.start(module))
}

#[tokio::test]
async fn a_forged_answer_is_not_believed_and_the_next_node_is_asked() {
    let spoilers: [fn(&mut Value); 5] = [
        |answer| answer["receipt"]["outcome"]["reply"] = json!("0xff00000000000000"),
        |answer| answer["receipt"]["outcome"] = json!({ "kind": "superseded", "lastNonce": 7 }),
        |answer| answer["proof"]["attestations"]["signers"] = json!([0, 1]),
        |answer| answer["proof"] = Value::Null,
        |answer| answer["state"] = json!("unknown state"),
    ];
    for spoil in spoilers {
        let cluster = Cluster::of(&[Manner::Honest]).await;
        let (forged, _running) = forger(cluster.urls("http").remove(0), spoil).await;
        let client = cluster.client_of(vec![forged, cluster.urls("ws").remove(0)]);
        let confirmed = client.submit_and_wait(&account(), cluster.add(5), LONG).await.unwrap();
        assert_eq!(value(&confirmed.outcome), 5);
        assert_eq!(cluster.executed().len(), 1);
    }
}

/// Executes a transaction of the account's key with a nonce in the far future.
fn leap(cluster: &Cluster) -> u64 {
    let mut chain = cluster.chain.lock().unwrap();
    let nonce = 1 << 60;
    let leap = chain.add(50, nonce, 1);
    chain.execute(vec![leap]);
    nonce
}

#[tokio::test]
async fn a_superseded_operation_is_signed_again_when_two_of_four_replicas_say_so() {
    let liar = Manner::Refusing(Refused::StaleNonce { last: u64::MAX });
    for manners in [[Manner::Honest, Manner::Honest], [liar, Manner::Honest]] {
        let cluster = Cluster::of(&manners).await;
        let last = leap(&cluster);
        let operations = vec![cluster.add(5), cluster.add(6)];
        let client = cluster.client();
        let results = client.submit_ordered(&account(), operations, LONG).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        let executed = cluster.executed();
        assert_eq!(executed.len(), 3);
        // Above the true nonce, and not at the end of all nonces, where a liar wants it.
        assert!(executed[1..].iter().all(|t| t.nonce > last && t.nonce < u64::MAX / 2));
    }
}

#[tokio::test]
async fn one_liar_does_not_make_the_client_sign_again() {
    for word in [Refused::StaleNonce { last: u64::MAX }, Refused::BadSignature] {
        let cluster = Cluster::of(&[Manner::Refusing(word), Manner::Honest, Manner::Honest]).await;
        cluster.client().submit_and_wait(&account(), cluster.add(5), LONG).await.unwrap();
        let seen = cluster.seen();
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].1, seen[1].1);
    }
}

#[tokio::test]
async fn with_one_url_a_superseded_operation_is_not_signed_again() {
    let cluster = Cluster::of(&[Manner::Honest]).await;
    leap(&cluster);
    let result = cluster.client().submit_and_wait(&account(), cluster.add(5), LONG).await;
    assert!(
        matches!(result, Err(ClientError::PerhapsSuperseded { said: 1, needed: 2, .. })),
        "{result:?}"
    );
    assert_eq!(cluster.seen().len(), 1);
}

#[tokio::test]
async fn what_two_nodes_refuse_is_refused() {
    let cluster = Cluster::of(&[Manner::Honest, Manner::Honest, Manner::Honest]).await;
    let client = cluster.client();
    let results = client.submit_ordered(&account(), vec![vec![7], cluster.add(5)], LONG).await;
    let Err(ClientError::Refused { failure, .. }) = &results[0] else {
        panic!("{results:?}");
    };
    assert_eq!(failure.data.kind.code(), 1001);
    assert!(results[1].is_ok());
}

#[tokio::test]
async fn a_full_pool_is_asked_again_until_the_deadline() {
    let full = Manner::Refusing(Refused::PoolFull { retry_after_ms: 1 });
    let cluster = Cluster::of(&[full]).await;
    let result = cluster.client().submit_and_wait(&account(), cluster.add(5), SHORT).await;
    assert!(matches!(result, Err(ClientError::Deadline { .. })), "{result:?}");
    let seen = cluster.seen();
    assert!(seen.len() > 1 && seen.iter().all(|(_, transaction)| *transaction == seen[0].1));
}

#[tokio::test]
async fn after_the_deadline_the_rest_is_not_sent() {
    let cluster = Cluster::of(&[Manner::Forgetful]).await;
    let operations = (0..65).map(|_| cluster.add(1)).collect();
    let results = cluster.client().submit_ordered(&account(), operations, SHORT).await;
    assert!(results[..64].iter().all(|r| matches!(r, Err(ClientError::Deadline { .. }))));
    assert!(matches!(results[64], Err(ClientError::NotSent)));
}

#[tokio::test]
async fn an_operation_that_is_too_long_is_not_sent_and_the_others_are() {
    let cluster = Cluster::of(&[Manner::Honest]).await;
    let operations = vec![vec![0; 65], cluster.add(5)];
    let results = cluster.client().submit_ordered(&account(), operations, LONG).await;
    assert!(matches!(results[0], Err(ClientError::TooLarge { found: 65, max: 64 })));
    assert!(results[1].is_ok());
    assert_eq!(cluster.seen().len(), 1);
}

#[tokio::test]
async fn a_transaction_is_handed_to_one_node_or_to_all() {
    let cluster = Cluster::of(&[Manner::Forgetful, Manner::Forgetful]).await;
    let transaction = cluster.chain.lock().unwrap().add(50, 1, 1);
    let client = cluster.client();
    client.submit(&transaction).await.unwrap();
    assert_eq!(cluster.seen().len(), 1);
    let all = client.submit_to_all(&transaction).await;
    assert!(all.len() == 2 && all.iter().all(Result::is_ok));
    assert_eq!(cluster.seen().len(), 3);
}

#[tokio::test]
async fn a_question_is_answered_by_the_first_node_that_answers() {
    use daruma_rpc_api::NodeApiClient;
    let cluster = Cluster::of(&[Manner::Honest]).await;
    let urls = vec![format!("ws://{}", nobody().await), cluster.urls("ws").remove(0)];
    let client = cluster.client_of(urls);
    let status = client.ask(async |node| node.node_status().await).await.unwrap();
    assert_eq!(status.node, "r0");
    let read = client
        .ask(async |node| node.request::<Confirmation, _>("tx_get", [json!("0x00")]).await)
        .await;
    assert!(matches!(read, Err(ClientError::NoAnswer(_))), "{read:?}");
}

#[test]
fn urls_must_be_distinct_and_of_a_known_scheme() {
    let spec = Arc::clone(&Chain::new().lock().unwrap().spec);
    let with = |urls: &[&str]| Client::new(Arc::clone(&spec), urls.iter().copied());
    assert!(with(&["ws://a:1", "http://b:1"]).is_ok());
    for bad in [&[][..], &["a:1"], &["wss://a:1"], &["ws://"], &["ws://a:1", "http://a:1"]] {
        assert!(matches!(with(bad), Err(ClientError::Url { .. })), "{bad:?}");
    }
}
