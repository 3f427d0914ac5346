//! Connecting, reconnecting, and what arrives.

use std::time::Duration;

use bytes::Bytes;
use daruma_network::{Event, Lane, limits};
use daruma_types::ReplicaId;

use crate::cluster::{Cluster, Node, eventually, free_address};
use crate::proxy::Proxy;

/// The `number`th frame of a lane, of a length that depends on it.
fn numbered(number: u32) -> Bytes {
    let mut frame = number.to_le_bytes().to_vec();
    frame.resize(4 + (number as usize * 37) % 3000, 0xab);
    Bytes::from(frame)
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_arrive_whole_and_in_order_on_both_lanes_in_both_directions() {
    const COUNT: u32 = 800;
    let cluster = Cluster::of(2);
    let (mut zero, mut one) = (cluster.start(0).await, cluster.start(1).await);
    zero.connected(vec![1]).await;
    one.connected(vec![0]).await;
    for (to, node) in [(1, &zero), (0, &one)] {
        for number in 0..COUNT {
            node.send(to, Lane::Votes, numbered(number));
            node.send(to, Lane::Bulk, numbered(number));
        }
    }
    for (other, node) in [(1, &mut zero), (0, &mut one)] {
        let mut next = [0, 0];
        while next != [COUNT, COUNT] {
            let (from, lane, frame) = node.frame().await;
            let next = &mut next[usize::from(lane == Lane::Bulk)];
            assert_eq!((from, &frame), (ReplicaId(other), &numbered(*next)), "on {lane:?}");
            *next += 1;
        }
        assert_eq!(node.status(other).dropped_frames, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_frames_arrive_and_larger_ones_are_not_sent() {
    let cluster = Cluster::of(2);
    let mut nodes = [cluster.start(0).await, cluster.start(1).await];
    let lanes =
        [(Lane::Votes, limits::VOTES_FRAME_BYTES_MAX), (Lane::Bulk, limits::FRAME_BYTES_MAX)];
    for (lane, largest) in lanes {
        nodes[0].send(1, lane, vec![1; largest + 1]);
        nodes[0].send(1, lane, Bytes::new());
        nodes[0].send(1, lane, vec![2; largest]);
    }
    let mut found = Vec::new();
    for _ in lanes {
        let (_, lane, frame) = nodes[1].frame().await;
        assert!(frame.iter().all(|byte| *byte == 2));
        found.push((lane, frame.len()));
    }
    found.sort_by_key(|(_, length)| *length);
    assert_eq!(found, lanes);
    assert_eq!(nodes[0].status(1).dropped_frames, 4);
    eventually(|| nodes[0].network.counters().sent_frames == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_replicas_started_one_by_one_in_mixed_order_all_find_each_other() {
    let cluster = Cluster::of(4);
    let mut nodes: Vec<(u16, Node)> = Vec::new();
    for id in [2, 0, 3, 1] {
        let mut node = cluster.start(id).await;
        // Those that are there connect while the others are absent.
        let present: Vec<u16> = nodes.iter().map(|(id, _)| *id).collect();
        node.connected(present).await;
        for (_, earlier) in &mut nodes {
            earlier.connected(vec![id]).await;
        }
        nodes.push((id, node));
    }
    for (id, node) in &nodes {
        node.network.broadcast(Lane::Votes, &Bytes::from(vec![*id as u8 + 1]));
    }
    for (_, node) in &mut nodes {
        let mut senders = Vec::new();
        for _ in 0..3 {
            let (ReplicaId(from), _, frame) = node.frame().await;
            assert_eq!(frame[0], from as u8 + 1);
            senders.push(from);
        }
        senders.sort_unstable();
        senders.dedup();
        assert_eq!(senders.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_stops_and_starts_again_is_connected_again_whichever_side_dials() {
    let cluster = Cluster::of(3);
    let mut stays = cluster.start(1).await;
    for restarts in [0, 2] {
        let first = cluster.start(restarts).await;
        stays.connected(vec![restarts]).await;
        first.network.shutdown().await;
        drop(first);
        stays.disconnected(restarts).await;
        assert!(!stays.status(restarts).connected);

        let mut again = cluster.start(restarts).await;
        stays.connected(vec![restarts]).await;
        again.connected(vec![1]).await;
        stays.send(restarts, Lane::Votes, "welcome back");
        assert_eq!(again.frame().await.2, "welcome back");
        let status = stays.status(restarts);
        assert!(status.connected && status.last_error.is_some());
        assert_eq!(status.reconnects, 1);
        again.network.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_vanishes_without_a_word_is_noticed_by_both_sides() {
    let mut cluster = Cluster::of(2);
    cluster.settings.keep_alive = Duration::from_millis(100);
    cluster.settings.idle_timeout = Duration::from_millis(500);
    let mut listens = cluster.start(1).await;
    let proxy = Proxy::to(cluster.addresses[1]).await;
    let mut config = cluster.config(0);
    config.peers[0].address = proxy.address.to_string();
    let mut dials = Node::start(config).await;
    dials.connected(vec![1]).await;
    listens.connected(vec![0]).await;

    let _open_but_silent = proxy.cut().await;
    dials.disconnected(1).await;
    listens.disconnected(0).await;
    assert_eq!(listens.status(0).last_error.unwrap(), "nothing was received for 500ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn keep_alives_hold_a_connection_on_which_nothing_is_sent() {
    let mut cluster = Cluster::of(2);
    cluster.settings.keep_alive = Duration::from_millis(100);
    cluster.settings.idle_timeout = Duration::from_millis(800);
    let mut nodes = [cluster.start(0).await, cluster.start(1).await];
    nodes[0].connected(vec![1]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    nodes[0].send(1, Lane::Bulk, "still here");
    assert_eq!(nodes[1].frame().await.2, "still here");
    assert_eq!(nodes[0].status(1).reconnects, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_dialler_pushes_out_the_connection_that_its_former_self_left_open() {
    let mut cluster = Cluster::of(2);
    // Silence alone would take far longer than the test may.
    cluster.settings.idle_timeout = Duration::from_secs(120);
    let mut listens = cluster.start(1).await;
    let proxy = Proxy::to(cluster.addresses[1]).await;
    let mut config = cluster.config(0);
    config.peers[0].address = proxy.address.to_string();
    let mut former = Node::start(config).await;
    former.connected(vec![1]).await;
    listens.connected(vec![0]).await;
    let _open_but_silent = proxy.cut().await;
    former.network.shutdown().await;

    let mut again = cluster.start(0).await;
    assert_eq!(listens.event().await, Event::Disconnected(ReplicaId(0)));
    assert_eq!(listens.event().await, Event::Connected(ReplicaId(0)));
    again.send(1, Lane::Votes, "new");
    assert_eq!(listens.frame().await.2, "new");
    listens.send(0, Lane::Votes, "hello");
    assert_eq!(again.frame().await.2, "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_the_lower_id_cannot_reach_dials_by_itself_after_its_grace() {
    let mut cluster = Cluster::of(2);
    cluster.settings.dial_grace = Duration::from_millis(200);
    let mut config = cluster.config(0);
    config.peers[0].address = free_address().to_string();
    let mut lower = Node::start(config).await;
    let mut higher = cluster.start(1).await;
    lower.connected(vec![1]).await;
    higher.connected(vec![0]).await;
    lower.send(1, Lane::Votes, "down");
    assert_eq!(higher.frame().await.2, "down");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_that_dial_each_other_at_once_settle_on_one_connection() {
    let mut cluster = Cluster::of(2);
    cluster.settings.dial_grace = Duration::ZERO;
    let (mut lower, mut higher) = tokio::join!(cluster.start(0), cluster.start(1));
    lower.connected(vec![1]).await;
    higher.connected(vec![0]).await;
    // Two connections at first are fine. Once a hundred answers came in one go, it has settled.
    let mut in_a_row = 0;
    let mut number = 0u32;
    while in_a_row < 100 {
        let before = (lower.status(1).reconnects, higher.status(0).reconnects);
        number += 1;
        lower.send(1, Lane::Votes, numbered(number));
        let echoed = tokio::time::timeout(Duration::from_millis(500), async {
            while higher.frame().await.2 != numbered(number) {}
            higher.send(0, Lane::Bulk, numbered(number));
            while lower.frame().await.2 != numbered(number) {}
        });
        let same = echoed.await.is_ok()
            && before == (lower.status(1).reconnects, higher.status(0).reconnects);
        in_a_row = if same { in_a_row + 1 } else { 0 };
        assert!(number < 1000, "it never settles");
    }
    assert!(lower.status(1).reconnects <= 1 && higher.status(0).reconnects <= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_an_error_and_port_0_is_reported_as_the_one_in_use() {
    let mut cluster = Cluster::of(1);
    cluster.addresses[0].set_port(0);
    let node = cluster.start(0).await;
    let address = node.network.listen_address();
    assert_ne!(address.port(), 0);
    cluster.addresses[0] = address;
    let second = daruma_network::Network::start(cluster.config(0)).await;
    assert_eq!(second.err().unwrap().to_string(), format!("cannot listen on {address}"));
    node.network.shutdown().await;
    let _again = cluster.start(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_stops_when_its_events_are_dropped() {
    let cluster = Cluster::of(2);
    let mut stays = cluster.start(0).await;
    let goes = cluster.start(1).await;
    stays.connected(vec![1]).await;
    let handle = goes.network.clone();
    drop(goes);
    stays.disconnected(1).await;
    handle.shutdown().await;
    eventually(|| !stays.status(1).connected).await;
}
