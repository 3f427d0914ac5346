//! Each method when all is well.

use serde_json::{Value, json};

use daruma_rpc_api::{BlockJson, CertificateJson, HeaderJson, TxFound};
use daruma_rpc_client::verify::Proof;
use daruma_types::{Certificate, Ed25519, Header, Outcome};

use crate::harness::{Node, hex, tx};

/// A node with two blocks: two additions, and one that aborts.
async fn two_blocks() -> (Node, Vec<daruma_types::Transaction>) {
    let node = Node::start().await;
    let transactions = {
        let chain = node.chain();
        let down = chain.operation(&json!({ "subtract": 1000 }));
        let down = daruma_types::Transaction::sign(chain.id(), &crate::harness::key(51), 1, down);
        vec![chain.add(50, 1, 3), chain.add(50, 1 << 60, 4), down]
    };
    let first = node.execute(transactions[..2].to_vec());
    node.say_attested(&first, &[0, 2]);
    node.execute(transactions[2..].to_vec());
    (node, transactions)
}

#[tokio::test]
async fn a_submitted_transaction_is_pending_then_executed_and_a_repeat_is_no_error() {
    let mut node = Node::start().await;
    let transaction = node.chain().add(50, 1, 3);
    let name = transaction.hash(node.chain().id());
    assert_eq!(node.call("tx_status", json!([hex(name)])).await.unwrap()["state"], "unknown");

    for _ in 0..2 {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tx_submit",
                           "params": { "tx": tx(&transaction) } });
        let body = body.to_string();
        let server = node.server.address();
        let call = tokio::spawn(async move { crate::gate::post_to(server, &body).await });
        assert_eq!(node.admit_next().await, transaction);
        let answer: Value = serde_json::from_str(&call.await.unwrap().1).unwrap();
        assert_eq!(answer["result"], json!({ "hash": hex(name), "state": "pending" }));
        let status = node.call("tx_status", json!([hex(name)])).await.unwrap();
        assert_eq!(status, json!({ "state": "pending" }));
    }

    node.execute(vec![transaction.clone()]);
    // Nobody takes this submission: the ledger has the answer.
    let again = node.call("tx_submit", json!([tx(&transaction)])).await.unwrap();
    assert_eq!(again, json!({ "hash": hex(name), "state": "executed" }));
    let status = node.call("tx_status", json!([hex(name)])).await.unwrap();
    assert_eq!(status, json!({ "state": "executed", "height": 1, "index": 0 }));
}

#[tokio::test]
async fn an_aborted_transaction_is_failed_with_the_automatons_code() {
    let (node, transactions) = two_blocks().await;
    let name = transactions[2].hash(node.chain().id());
    let status = node.call("tx_status", json!([hex(name)])).await.unwrap();
    assert_eq!(status, json!({ "state": "failed", "height": 2, "index": 0, "code": 102 }));
}

#[tokio::test]
async fn a_found_transaction_comes_with_json_receipt_and_a_proof_that_holds() {
    let (node, transactions) = two_blocks().await;
    let committee = node.chain().spec.committee();
    let name = transactions[1].hash(committee.chain());
    let plain = node.call("tx_get", json!({ "hash": hex(name) })).await.unwrap();
    assert_eq!(plain["proof"], Value::Null);
    assert_eq!(plain["tx"], tx(&transactions[1]));
    assert_eq!(plain["tx"]["nonce"], "1152921504606846976");
    assert_eq!(plain["operationJson"], json!({ "add": 4 }));
    assert_eq!(
        plain["receipt"],
        json!({ "transaction": hex(name), "height": 1, "index": 1,
                "outcome": { "kind": "executed", "reply": "0x0700000000000000",
                             "replyJson": { "value": 7 } } })
    );
    let proved = node.call("tx_get", json!([hex(name), true])).await.unwrap();
    let found: TxFound = serde_json::from_value(proved).unwrap();
    let proof = Proof::from_json(&found.receipt, &found.proof.unwrap()).unwrap();
    let confirmed = proof.verify(&committee, &transactions[1]).unwrap();
    assert!(matches!(confirmed.outcome, Outcome::Executed { .. }));
    assert!(proof.verify(&committee, &transactions[0]).is_err());
}

#[tokio::test]
async fn blocks_headers_and_certificates_are_found_by_each_selector() {
    let (node, transactions) = two_blocks().await;
    let chain = node.chain().id();
    let first = node.call("chain_getBlock", json!([1, true])).await.unwrap();
    assert_eq!(first["transactions"], json!([tx(&transactions[0]), tx(&transactions[1])]));
    let names = node.call("chain_getBlock", json!(["earliest"])).await.unwrap();
    let expected = json!([hex(transactions[0].hash(chain)), hex(transactions[1].hash(chain))]);
    assert_eq!(names["transactions"], expected);
    let block: BlockJson = serde_json::from_value(names).unwrap();
    let header = Header::try_from(&block.header).unwrap();
    let certificate = Certificate::try_from(&block.certificate).unwrap();
    certificate.verify(&node.chain().spec.committee(), &Ed25519).unwrap();
    assert_eq!(certificate.hash, header.hash());

    let by_hash = json!([hex(header.hash())]);
    let found: HeaderJson =
        serde_json::from_value(node.call("chain_getHeader", by_hash.clone()).await.unwrap())
            .unwrap();
    assert_eq!(found, block.header);
    let found: CertificateJson =
        serde_json::from_value(node.call("chain_getCertificate", by_hash).await.unwrap()).unwrap();
    assert_eq!(found, block.certificate);
    let latest = node.call("chain_getHeader", json!(["latest"])).await.unwrap();
    assert_eq!((&latest["height"], &latest["parent"]), (&json!(2), &hex(header.hash())));
}

#[tokio::test]
async fn the_automaton_is_described_and_asked() {
    let (node, _) = two_blocks().await;
    assert_eq!(
        node.call("app_info", json!([])).await.unwrap(),
        json!({ "name": "counter", "version": 1, "parameters": {}, "queryPaths": ["value"],
                "operationBytesMax": 64 })
    );
    let answer = node.call("app_query", json!(["value"])).await.unwrap();
    let status = node.call("node_status", json!([])).await.unwrap();
    assert_eq!(
        answer,
        json!({ "value": { "value": 7 }, "height": 2, "stateRoot": status["stateRoot"] })
    );
}

#[tokio::test]
async fn the_node_tells_where_it_stands() {
    let (node, _) = two_blocks().await;
    let latest = node.call("chain_getHeader", json!(["latest"])).await.unwrap();
    let mut status = node.call("node_status", json!([])).await.unwrap();
    assert!(status["stateRoot"].take().as_str().unwrap().starts_with("0x"));
    assert_eq!(
        status,
        json!({ "chainId": hex(node.chain().id().0), "chain": "test", "node": "r0", "nodeId": 0,
                "version": "0.1.0", "height": 2, "blockHash": latest["hash"], "stateRoot": null,
                "view": 5, "phase": 0, "primary": "r1", "behind": 3, "peersConnected": 2,
                "pending": 12, "heals": 0 })
    );
    let peers = node.call("net_peers", json!([])).await.unwrap();
    assert_eq!(peers.as_array().unwrap().len(), 3);
    assert_eq!(peers[2]["name"], "r3");
    assert_eq!(peers[2]["connected"], false);
    assert_eq!(peers[2]["dropped"], "1152921504606846976");
}

#[tokio::test]
async fn the_engines_state_is_shown() {
    let node = Node::start().await;
    let state = node.call("consensus_state", json!([])).await.unwrap();
    assert_eq!(
        state,
        json!({ "view": 5, "phase": 0, "primary": "r1", "reports": [], "ballot": 5,
                "active": true, "head": 8, "headHash": format!("0x{}", "08".repeat(32)),
                "executed": 7, "attested": 6, "prepared": [5, 9],
                "slots": [{ "height": 9, "block": "0000abcd", "prepares": [0, 1, 2],
                            "commits": [0] }],
                "monitor": { "status": "noService", "suspects": true, "demands": [1] },
                "detector": { "beats": [0, 1, 2, 3], "beatsMax": 10, "stalled": 4,
                              "stalledMax": 20, "watched": 2 },
                "links": [{ "peer": 1, "sending": 6, "receiving": 7 }], "repairs": 1,
                "turnedAway": { "unknownKeys": 9 } })
    );
}

#[tokio::test]
async fn all_methods_are_listed_and_no_other() {
    let node = Node::start().await;
    let list = node.call("rpc_methods", json!([])).await.unwrap();
    assert_eq!(
        list["methods"],
        json!([
            "app_info",
            "app_query",
            "chain_getBlock",
            "chain_getCertificate",
            "chain_getHeader",
            "chain_subscribeHeads",
            "chain_unsubscribeHeads",
            "consensus_healLog",
            "consensus_state",
            "net_peers",
            "node_backup",
            "node_health",
            "node_scrub",
            "node_status",
            "rpc_methods",
            "tx_get",
            "tx_status",
            "tx_submit",
            "tx_submitAndWait"
        ])
    );
}

#[tokio::test]
async fn the_scrubber_is_shown_paused_and_resumed() {
    let node = Node::start().await;
    for (asked, paused) in [(json!([]), false), (json!([true]), true), (json!([false]), false)] {
        let said = node.call("node_scrub", asked).await.unwrap();
        assert_eq!((&said["paused"], &said["pass"]), (&json!(paused), &json!(2)));
    }
    let status = node.call("node_status", json!([])).await.unwrap();
    assert_eq!(status["scrub"]["pass"], 2);
}

#[tokio::test]
async fn the_heal_log_is_given_newest_first_in_pages_and_the_status_counts_it() {
    let node = Node::start().await;
    let empty = node.call("consensus_healLog", json!([])).await.unwrap();
    assert_eq!(empty, json!({ "records": [], "earliest": 0, "next": 0 }));
    assert_eq!(node.call("node_status", json!([])).await.unwrap()["heals"], 0);
    node.chain().note_heals(5);

    let page = node.call("consensus_healLog", json!({ "limit": 2 })).await.unwrap();
    let numbers = |page: &Value| -> Vec<u64> {
        let records = page["records"].as_array().unwrap();
        records.iter().map(|record| record["sequence"].as_u64().unwrap()).collect()
    };
    assert_eq!((numbers(&page), &page["next"]), (vec![4, 3], &json!(5)));
    let older = node.call("consensus_healLog", json!([3, 1000])).await.unwrap();
    assert_eq!(numbers(&older), [2, 1, 0]);
    // Each names the one before it.
    let hash = |page: &Value, index: usize, name: &str| page["records"][index][name].clone();
    assert_eq!(hash(&page, 1, "previous"), hash(&older, 0, "hash"));
    assert_eq!(page["records"][0]["component"], "ledger");

    let status = node.call("node_status", json!([])).await.unwrap();
    assert_eq!((&status["heals"], &status["lastHealMs"]), (&json!(5), &json!(1004)));
    assert!(node.call("consensus_healLog", json!(["x"])).await.is_err());
}

#[tokio::test]
async fn a_backup_says_where_it_is_and_one_too_many_is_refused_definitely() {
    let node = Node::start().await;
    let made = node.call("node_backup", json!([])).await.unwrap();
    assert_eq!((&made["path"], &made["height"]), (&json!("/data/backups/7-1000"), &json!(7)));
    let refused = node.call("node_backup", json!([])).await.unwrap_err();
    assert_eq!((&refused["code"], &refused["data"]["definite"]), (&json!(4029), &json!(true)));
    assert_eq!(refused["message"], "there is one already");
}

#[tokio::test]
async fn the_manual_has_every_method_and_every_error() {
    let manual = include_str!("../../../../docs/rpc.md");
    let node = Node::start().await;
    let list = node.call("rpc_methods", json!([])).await.unwrap();
    for method in list["methods"].as_array().unwrap() {
        let heading = format!("### `{}`\n", method.as_str().unwrap());
        assert!(manual.contains(&heading), "{heading}");
    }
    assert_eq!(manual.matches("\n### `").count(), list["methods"].as_array().unwrap().len());
    let yes_no = |yes| if yes { "yes" } else { "no" };
    for kind in daruma_rpc_api::ErrorKind::ALL {
        let (definite, retryable) = (yes_no(kind.definite()), yes_no(kind.retryable()));
        let row = format!("| {} | {kind:?} | {definite} | {retryable} |", kind.code());
        assert!(manual.contains(&row), "{row}");
    }
}
