//! `chain_subscribeHeads`.

use daruma_rpc_api::{ChainApiClient, HeadEvent, Number};
use jsonrpsee::core::client::{Error, Subscription};
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};

use crate::harness::Node;

async fn client(node: &Node) -> WsClient {
    let url = format!("ws://{}", node.server.address());
    WsClientBuilder::new().build(url).await.unwrap()
}

async fn next(heads: &mut Subscription<HeadEvent>) -> u64 {
    match heads.next().await.unwrap().unwrap() {
        HeadEvent::Head { cursor, header } => {
            assert_eq!(cursor, header.height);
            cursor.0
        }
        HeadEvent::Truncated { truncated, cursor } => {
            panic!("truncated {truncated:?} above {cursor:?}")
        }
        HeadEvent::Lagged { lagged, cursor } => panic!("lagged {lagged:?} up to {cursor:?}"),
    }
}

#[tokio::test]
async fn each_executed_block_is_told_once_and_in_order() {
    let node = Node::start().await;
    node.execute(vec![]);
    let client = client(&node).await;
    let mut heads = client.subscribe_heads(None).await.unwrap();
    for height in 2..=5 {
        node.execute(vec![]);
        assert_eq!(next(&mut heads).await, height);
    }
}

#[tokio::test]
async fn a_subscriber_with_a_cursor_gets_what_came_after_it_and_then_goes_on() {
    let node = Node::start().await;
    for _ in 1..=200 {
        node.execute(vec![]);
        // So that the server, which shares this thread, can follow.
        tokio::task::yield_now().await;
    }
    let client = client(&node).await;
    let mut heads = client.subscribe_heads(Some(Number(3))).await.unwrap();
    for height in 4..=200 {
        assert_eq!(next(&mut heads).await, height);
    }
    node.execute(vec![]);
    assert_eq!(next(&mut heads).await, 201);
}

#[tokio::test]
async fn a_live_subscriber_far_behind_is_told_what_is_left_out_and_can_have_it_replayed() {
    let node = Node::start().await;
    let client = client(&node).await;
    let mut heads = client.subscribe_heads(None).await.unwrap();
    // 1,100 blocks before the server gets to run: more than a live subscriber may be behind.
    for _ in 1..=1100 {
        node.execute(vec![]);
    }
    let event = heads.next().await.unwrap().unwrap();
    assert_eq!(event, HeadEvent::Lagged { lagged: Number(1100), cursor: Number(1100) });
    node.execute(vec![]);
    assert_eq!(next(&mut heads).await, 1101);
    let mut replay = client.subscribe_heads(Some(Number(0))).await.unwrap();
    for height in 1..=1101 {
        assert_eq!(next(&mut replay).await, height);
    }
}

#[tokio::test]
async fn a_subscriber_is_told_that_blocks_it_had_were_given_up_and_gets_those_that_follow() {
    let node = Node::start().await;
    let client = client(&node).await;
    let mut heads = client.subscribe_heads(None).await.unwrap();
    let done: Vec<_> = (0..3).map(|_| node.execute(vec![])).collect();
    for height in 1..=3 {
        assert_eq!(next(&mut heads).await, height);
    }
    node.say_truncated(3, 1);
    let event = heads.next().await.unwrap().unwrap();
    assert_eq!(event, HeadEvent::Truncated { truncated: Number(2), cursor: Number(1) });
    for (height, done) in (2..).zip(&done[1..]) {
        node.say_executed(done);
        assert_eq!(next(&mut heads).await, height);
    }
}

#[tokio::test]
async fn a_cursor_above_the_head_is_refused() {
    let node = Node::start().await;
    let client = client(&node).await;
    let refused = client.subscribe_heads(Some(Number(1))).await;
    assert!(matches!(refused, Err(Error::Call(object)) if object.code() == 2002));
}

#[tokio::test]
async fn a_connection_has_16_subscriptions_and_no_more() {
    let node = Node::start().await;
    let client = client(&node).await;
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(client.subscribe_heads(None).await.unwrap());
    }
    assert!(client.subscribe_heads(None).await.is_err());
    held.pop().unwrap().unsubscribe().await.unwrap();
    client.subscribe_heads(None).await.unwrap();
}
