//! HTTP around JSON-RPC: probes, limits, and who is kept out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use daruma_rpc_server::Config;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Node, status};

/// A POST over a connection of its own, for tasks that do not hold the node.
pub(crate) async fn post_to(address: SocketAddr, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn readiness_follows_the_status_and_liveness_does_not() {
    let node = Node::start().await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    assert_eq!(node.http(&get("/livez"), "").await, (200, "live\n".into()));
    assert_eq!(node.http(&get("/readyz"), "").await, (200, "ready\n".into()));
    let mut unwell = status();
    unwell.not_ready = vec!["view change".into(), "3 heights behind".into()];
    node.status.send_replace(Arc::new(unwell));
    let (code, text) = node.http(&get("/readyz"), "").await;
    assert_eq!((code, text.as_str()), (503, "not ready\nview change\n3 heights behind\n"));
    assert_eq!(node.http(&get("/livez"), "").await.0, 200);
    assert_eq!(
        node.call("node_health", json!([])).await.unwrap(),
        json!({ "live": true, "ready": false, "reasons": ["view change", "3 heights behind"] })
    );
    assert_eq!(node.http(&get("/"), "").await.0, 404);
}

#[tokio::test]
async fn pages_of_other_sites_are_kept_out() {
    let config = Config { allowed_hosts: vec!["node.example".into()], ..Config::default() };
    let node = Node::with(config).await;
    let body = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"node_health\"}";
    let length = body.len();
    for (lines, code) in [
        ("Host: node.example:80\r\n", 200),
        ("Host: evil.example\r\n", 403),
        ("Host: localhost\r\nHost: evil.example\r\n", 403),
        ("", 403),
        ("Host: localhost\r\nOrigin: http://evil.example\r\n", 403),
    ] {
        let head = format!(
            "POST / HTTP/1.1\r\n{lines}Content-Type: application/json\r\nContent-Length: {length}\r\n"
        );
        assert_eq!(node.http(&head, body).await.0, code, "{lines}");
    }
}

#[tokio::test]
async fn a_request_over_four_mib_and_a_batch_over_256_are_refused() {
    let node = Node::start().await;
    let (code, _) = node.post(&" ".repeat(4 * 1024 * 1024 + 1)).await;
    assert_eq!(code, 413);
    let call = |id| json!({ "jsonrpc": "2.0", "id": id, "method": "node_health" });
    let batch = |calls: usize| Value::from((0..calls).map(call).collect::<Vec<_>>()).to_string();
    let answer: Value = serde_json::from_str(&node.post(&batch(256)).await.1).unwrap();
    assert_eq!(answer.as_array().unwrap().len(), 256);
    let answer: Value = serde_json::from_str(&node.post(&batch(257)).await.1).unwrap();
    assert_eq!(answer["error"]["code"], -32010);
}

#[tokio::test]
async fn a_connection_without_a_request_and_one_without_its_body_are_closed() {
    let short = Duration::from_millis(20);
    let node =
        Node::with(Config { head_wait_max: short, body_wait_max: short, ..Config::default() })
            .await;
    let mut answer = Vec::new();
    let mut silent = TcpStream::connect(node.server.address()).await.unwrap();
    silent.read_to_end(&mut answer).await.unwrap();

    let mut slow = TcpStream::connect(node.server.address()).await.unwrap();
    let head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{";
    slow.write_all(head).await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");

    let mut idle = TcpStream::connect(node.server.address()).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    // It ends: a connection that has been answered must not stay for ever either.
    idle.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_connection_too_many_is_turned_away_and_one_that_ends_makes_room() {
    let node = Node::with(Config { connections_max: 1, ..Config::default() }).await;
    let mut first = TcpStream::connect(node.server.address()).await.unwrap();
    first.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();
    let mut second = TcpStream::connect(node.server.address()).await.unwrap();
    assert_eq!(second.read(&mut byte).await.unwrap_or(0), 0);
    drop(first);
    loop {
        let mut third = TcpStream::connect(node.server.address()).await.unwrap();
        let asked = third.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        if asked.is_ok() && third.read(&mut byte).await.is_ok_and(|read| read == 1) {
            break;
        }
    }
}

#[tokio::test]
async fn a_server_that_stops_closes_its_connections_and_its_port() {
    let node = Node::start().await;
    let address = node.server.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    node.call("node_health", json!([])).await.unwrap();
    node.server.stop().await;
    let mut answer = Vec::new();
    idle.read_to_end(&mut answer).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
