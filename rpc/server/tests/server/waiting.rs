//! `tx_submitAndWait`.

use daruma_rpc_api::Confirmation;
use daruma_rpc_client::verify::Proof;
use daruma_types::{Hash, Outcome, Transaction};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::harness::{EVENTS, Node, hex, tx};

/// Calls, and returns once the node has taken the transaction up.
async fn submit_and_wait(
    node: &mut Node,
    transaction: &Transaction,
    timeout_ms: u64,
) -> JoinHandle<Value> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tx_submitAndWait",
                       "params": [tx(transaction), timeout_ms] });
    let (address, body) = (node.server.address(), body.to_string());
    let call = tokio::spawn(async move {
        let (_, answer) = crate::gate::post_to(address, &body).await;
        serde_json::from_str::<Value>(&answer).unwrap()["result"].take()
    });
    node.admit_next().await;
    call
}

fn confirmed(node: &Node, answer: Value, transaction: &Transaction) -> (Hash, Outcome) {
    let confirmation: Confirmation = serde_json::from_value(answer).unwrap();
    let committee = node.chain().spec.committee();
    let confirmed = Proof::read(&confirmation).unwrap().verify(&committee, transaction).unwrap();
    assert_eq!(confirmation.hash.0, confirmed.hash);
    (confirmed.statement.block, confirmed.outcome)
}

#[tokio::test]
async fn the_answer_comes_with_the_second_attestation_and_its_proof_holds() {
    let mut node = Node::start().await;
    let first = node.chain().add(50, 1, 3);
    let second = node.chain().add(50, 2, 4);
    let one = submit_and_wait(&mut node, &first, 60_000).await;
    let two = submit_and_wait(&mut node, &second, 60_000).await;
    let done = node.execute(vec![first.clone(), second.clone()]);
    node.say_attested(&done, &[1]);
    node.say_attested(&done, &[1, 3]);
    let answer = one.await.unwrap();
    assert_eq!(answer["receipt"]["outcome"]["replyJson"], json!({ "value": 3 }));
    assert_eq!(answer["proof"]["attestations"]["signers"], json!([1, 3]));
    assert_eq!(confirmed(&node, answer, &first).0, done.statement.block);
    assert_eq!(confirmed(&node, two.await.unwrap(), &second).0, done.statement.block);
}

#[tokio::test]
async fn when_the_time_is_up_the_result_is_pending() {
    let mut node = Node::start().await;
    let transaction = node.chain().add(50, 1, 3);
    let name = transaction.hash(node.chain().id());
    let call = submit_and_wait(&mut node, &transaction, 1).await;
    assert_eq!(call.await.unwrap(), json!({ "hash": hex(name), "state": "pending" }));
}

#[tokio::test]
async fn one_that_is_executed_and_attested_already_is_answered_without_the_node() {
    let node = Node::start().await;
    let transaction = node.chain().add(50, 1, 3);
    let done = node.execute(vec![transaction.clone()]);
    node.say_attested(&done, &[0, 1]);
    let answer = node.call("tx_submitAndWait", json!([tx(&transaction)])).await.unwrap();
    confirmed(&node, answer, &transaction);
}

#[tokio::test]
async fn attestations_that_come_before_the_execution_here_count() {
    let mut node = Node::start().await;
    let transaction = node.chain().add(50, 1, 3);
    let call = submit_and_wait(&mut node, &transaction, 60_000).await;
    // The server hears of the block only after the attestations.
    let done = node.chain().execute(vec![transaction.clone()]);
    node.say_attested(&done, &[0, 1]);
    node.say_executed(&done);
    confirmed(&node, call.await.unwrap(), &transaction);
}

#[tokio::test]
async fn attestations_of_another_result_confirm_nothing() {
    let mut node = Node::start().await;
    let transaction = node.chain().add(50, 1, 3);
    let call = submit_and_wait(&mut node, &transaction, 60_000).await;
    let done = node.execute(vec![transaction.clone()]);
    let mut other = done.clone();
    other.statement.receipts_root = Hash([9; 32]);
    node.say_attested(&other, &[0, 1]);
    node.say_attested(&done, &[2, 3]);
    let answer = call.await.unwrap();
    assert_eq!(answer["proof"]["attestations"]["signers"], json!([2, 3]));
}

#[tokio::test]
async fn a_server_that_missed_events_asks_the_ledger_for_all_who_wait() {
    let mut node = Node::start().await;
    let transaction = node.chain().add(50, 1, 3);
    let call = submit_and_wait(&mut node, &transaction, 60_000).await;
    // More at once than the channel holds, so the first are lost. This thread does not give way
    // in between: the server's tasks run on it too.
    let done = node.execute(vec![transaction.clone()]);
    node.say_attested(&done, &[0, 1]);
    node.store_certificate(&done, &[0, 1]);
    for _ in 0..EVENTS {
        node.execute(vec![]);
    }
    confirmed(&node, call.await.unwrap(), &transaction);
}

#[tokio::test]
async fn the_first_place_counts_for_a_transaction_that_stands_in_two_blocks() {
    let node = Node::start().await;
    let transaction = node.chain().add(50, 1, 3);
    let first = node.execute(vec![transaction.clone()]);
    let second = node.execute(vec![transaction.clone()]);
    node.say_attested(&second, &[0, 1]);
    node.say_attested(&first, &[0, 1]);
    let answer = node.call("tx_submitAndWait", json!([tx(&transaction)])).await.unwrap();
    let (block, outcome) = confirmed(&node, answer, &transaction);
    assert_eq!(block, first.statement.block);
    assert!(matches!(outcome, Outcome::Executed { .. }));
}

#[tokio::test]
async fn the_calls_of_a_batch_reach_the_node_in_order_and_wait_side_by_side() {
    let mut node = Node::start().await;
    let transactions: Vec<_> = (1..=100).map(|nonce| node.chain().add(50, nonce, 1)).collect();
    let calls = transactions.iter().enumerate().map(|(id, transaction)| {
        json!({ "jsonrpc": "2.0", "id": id, "method": "tx_submitAndWait",
                "params": [tx(transaction), 60_000] })
    });
    let body = Value::from(calls.collect::<Vec<_>>()).to_string();
    let address = node.server.address();
    let call = tokio::spawn(async move { crate::gate::post_to(address, &body).await });
    let mut taken = Vec::new();
    for _ in &transactions {
        taken.push(node.admit_next().await);
    }
    assert_eq!(taken, transactions);
    let done = node.execute(taken);
    node.say_attested(&done, &[0, 1]);
    let answers: Value = serde_json::from_str(&call.await.unwrap().1).unwrap();
    for (id, transaction) in transactions.iter().enumerate() {
        assert_eq!(answers[id]["id"], id);
        confirmed(&node, answers[id]["result"].clone(), transaction);
    }
}
