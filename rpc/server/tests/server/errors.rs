//! Each error, with its code and data.

use daruma_rpc_server::{Config, Refused, Submission};
use daruma_types::{ChainId, Hash, Transaction};
use serde_json::{Value, json};

use crate::harness::{Node, QUEUE, hex, key, tx};

/// The error that `params` give while the node admits as it should.
async fn refusal(node: &mut Node, transaction: &Transaction) -> Value {
    let params = json!([tx(transaction)]);
    let address = node.server.address();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tx_submit", "params": params });
    let body = body.to_string();
    let call = tokio::spawn(async move { crate::gate::post_to(address, &body).await });
    node.admit_next().await;
    let answer: Value = serde_json::from_str(&call.await.unwrap().1).unwrap();
    answer["error"].clone()
}

#[tokio::test]
async fn what_is_no_json_rpc_is_answered_with_the_standard_codes() {
    let node = Node::start().await;
    for (body, code) in [
        ("{", -32700),
        ("[{]", -32700),
        ("{\"jsonrpc\":\"2.0\",\"id\":1}", -32600),
        ("[]", -32600),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tx_steal\"}", -32601),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tx_status\"}", -32602),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tx_status\",\"params\":[7]}", -32602),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tx_status\",\"params\":[\"0x00\"]}", -32602),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"chain_subscribeHeads\"}", -32603),
    ] {
        let (_, answer) = node.post(body).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["error"]["code"], code, "{body}: {answer}");
    }
}

#[tokio::test]
async fn a_transaction_of_wrong_form_is_refused_with_what_is_wrong() {
    let node = Node::start().await;
    let good = tx(&node.chain().add(50, 1, 1));
    for (field, value, said) in [
        ("nonce", json!(-1), "a whole number"),
        ("nonce", json!("x"), "decimal digits"),
        ("client", json!("0x11"), "64 hex digits"),
        ("operation", json!("11"), "0x and an even number"),
        ("signature", Value::Null, "a signature"),
        ("fee", json!(1), "unknown field `fee`"),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        let error = node.call("tx_submit", json!([bad])).await.unwrap_err();
        assert_eq!(error["code"], -32602);
        assert!(error["data"].as_str().unwrap().contains(said), "{field}: {error}");
    }
}

#[tokio::test]
async fn a_wrong_signature_another_chain_and_a_malformed_operation_are_refused_for_good() {
    let mut node = Node::start().await;
    let good = node.chain().add(50, 1, 1);
    let mut forged = good.clone();
    forged.signature.0[3] ^= 1;
    let other = ChainId(Hash([9; 32]));
    let elsewhere = Transaction::sign(other, &key(50), 1, good.operation);
    let nonsense = Transaction::sign(node.chain().id(), &key(50), 1, vec![7]);
    for (bad, code, kind) in [
        (forged, 1002, "TxBadSignature"),
        (elsewhere, 1002, "TxBadSignature"),
        (nonsense, 1001, "TxMalformed"),
    ] {
        let error = refusal(&mut node, &bad).await;
        assert_eq!(error["code"], code);
        assert_eq!(error["data"], json!({ "kind": kind, "definite": true, "retryable": false }));
    }
}

#[tokio::test]
async fn an_operation_of_64_bytes_reaches_the_node_and_one_of_65_does_not() {
    let mut node = Node::start().await;
    let chain = node.chain().id();
    let fits = Transaction::sign(chain, &key(50), 1, vec![0; 64]);
    assert_eq!(refusal(&mut node, &fits).await["code"], 1001);
    let long = Transaction::sign(chain, &key(50), 1, vec![0; 65]);
    for method in ["tx_submit", "tx_submitAndWait"] {
        let error = node.call(method, json!([tx(&long)])).await.unwrap_err();
        assert_eq!((&error["code"], &error["data"]["max"]), (&json!(1007), &json!(64)));
    }
}

#[tokio::test]
async fn a_used_up_nonce_is_refused_with_the_last_one() {
    let mut node = Node::start().await;
    let last = node.chain().add(50, 1 << 60, 1);
    node.execute(vec![last]);
    let stale = node.chain().add(50, 7, 1);
    let error = refusal(&mut node, &stale).await;
    assert_eq!(error["code"], 1008);
    assert_eq!(
        error["data"],
        json!({ "kind": "TxExpired", "definite": true, "retryable": false,
                "lastNonce": "1152921504606846976" })
    );
}

#[tokio::test]
async fn a_nonce_used_up_by_the_transaction_itself_is_no_error() {
    let mut node = Node::start().await;
    let transaction = node.chain().add(50, 1, 1);
    let address = node.server.address();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tx_submit",
                       "params": [tx(&transaction)] });
    let body = body.to_string();
    let call = tokio::spawn(async move { crate::gate::post_to(address, &body).await });
    let submission = node.submissions.recv().await.unwrap();
    // Between the server's look at the ledger and the node's, the transaction is executed.
    node.execute(vec![transaction]);
    submission.answer.send(Err(Refused::StaleNonce { last: 1 })).unwrap();
    let answer: Value = serde_json::from_str(&call.await.unwrap().1).unwrap();
    assert_eq!(answer["result"]["state"], "executed");
}

#[tokio::test]
async fn a_nodes_refusals_keep_their_meaning() {
    let mut node = Node::start().await;
    let transaction = node.chain().add(50, 1, 1);
    for (refused, code, data) in [
        (
            Refused::Rejected { code: 107, reason: "no".into() },
            1003,
            json!({ "kind": "TxRejected", "definite": true, "retryable": false, "code": 107,
                    "log": "no" }),
        ),
        (
            Refused::PoolFull { retry_after_ms: 40 },
            1006,
            json!({ "kind": "PoolFull", "definite": true, "retryable": true, "retryAfterMs": 40 }),
        ),
        (
            Refused::ClientQueueFull { max: 9, retry_after_ms: 50 },
            1006,
            json!({ "kind": "PoolFull", "definite": true, "retryable": true, "retryAfterMs": 50,
                    "max": 9 }),
        ),
        (
            Refused::NotReady { reason: "view change".into() },
            3001,
            json!({ "kind": "Stabilizing", "definite": true, "retryable": true,
                    "retryAfterMs": 100 }),
        ),
    ] {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tx_submit",
                           "params": [tx(&transaction)] });
        let (address, body) = (node.server.address(), body.to_string());
        let call = tokio::spawn(async move { crate::gate::post_to(address, &body).await });
        let Submission { answer, .. } = node.submissions.recv().await.unwrap();
        answer.send(Err(refused)).unwrap();
        let answer: Value = serde_json::from_str(&call.await.unwrap().1).unwrap();
        assert_eq!((&answer["error"]["code"], &answer["error"]["data"]), (&json!(code), &data));
    }
}

#[tokio::test]
async fn when_the_submission_queue_is_full_the_newest_is_refused_at_once() {
    let mut node = Node::start().await;
    let transaction = node.chain().add(50, 1, 1);
    // Two batches fill the queue; nobody takes them.
    let call = |id| {
        json!({ "jsonrpc": "2.0", "id": id, "method": "tx_submit",
                            "params": [tx(&transaction)] })
    };
    let batch = Value::from((0..QUEUE / 2).map(call).collect::<Vec<_>>()).to_string();
    let address = node.server.address();
    let mut batches = Vec::new();
    for _ in 0..2 {
        let batch = batch.clone();
        batches.push(tokio::spawn(async move { crate::gate::post_to(address, &batch).await }));
    }
    let mut held = Vec::new();
    while held.len() < QUEUE {
        held.push(node.submissions.recv().await.unwrap());
    }
    // All are held now; as many again fill the queue itself, and one more is too many.
    for _ in 0..2 {
        let batch = batch.clone();
        batches.push(tokio::spawn(async move { crate::gate::post_to(address, &batch).await }));
    }
    while node.submissions.len() < QUEUE {
        tokio::task::yield_now().await;
    }
    let error = node.call("tx_submit", json!([tx(&transaction)])).await.unwrap_err();
    assert_eq!(error["code"], 1006);
    assert_eq!(error["data"]["retryAfterMs"], 100);
    batches.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_what_is_not_yet_is_in_the_future() {
    let node = Node::start().await;
    let nobody = hex(Hash([9; 32]));
    for (method, params, code) in [
        ("tx_get", json!([nobody]), 2001),
        ("chain_getBlock", json!([nobody]), 2001),
        ("chain_getBlock", json!([0]), 2001),
        ("chain_getHeader", json!(["latest"]), 2001),
        ("chain_getCertificate", json!([1]), 2002),
    ] {
        let error = node.call(method, params).await.unwrap_err();
        assert_eq!(error["code"], code, "{method}");
    }
    let error = node.call("chain_getHeader", json!([5])).await.unwrap_err();
    assert_eq!(
        error["data"],
        json!({ "kind": "HeightInFuture", "definite": true, "retryable": true, "latest": 0 })
    );
}

#[tokio::test]
async fn a_proof_needs_two_attestations_and_with_one_it_is_unavailable() {
    let node = Node::start().await;
    let transaction = node.chain().add(50, 1, 1);
    let name = hex(transaction.hash(node.chain().id()));
    let done = node.execute(vec![transaction]);
    node.say_attested(&done, &[2]);
    let error = node.call("tx_get", json!([name, true])).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]["retryable"]), (&json!(2004), &json!(true)));
}

#[tokio::test]
async fn an_unknown_query_names_those_there_are() {
    let node = Node::start().await;
    let error = node.call("app_query", json!(["balance"])).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]["paths"]), (&json!(5002), &json!(["value"])));
}

#[tokio::test]
async fn calls_over_the_bound_are_refused_and_the_next_is_answered_when_one_ends() {
    let mut node = Node::with(Config { calls_max: 1, ..Config::default() }).await;
    let transaction = node.chain().add(50, 1, 1);
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tx_submit",
                       "params": [tx(&transaction)] });
    let (address, body) = (node.server.address(), body.to_string());
    let call = tokio::spawn(async move { crate::gate::post_to(address, &body).await });
    let submission = node.submissions.recv().await.unwrap();
    let error = node.call("node_health", json!([])).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]["retryAfterMs"]), (&json!(4029), &json!(100)));
    drop(submission);
    let answer: Value = serde_json::from_str(&call.await.unwrap().1).unwrap();
    assert_eq!(answer["error"]["code"], -32603, "the node gave no answer: nothing is certain");
    assert_eq!(answer["error"]["data"]["definite"], false);
    node.call("node_health", json!([])).await.unwrap();
}
