//! Who is not let in, and who is thrown out.

use std::time::Duration;

use daruma_network::{Event, Lane, limits, transport_public_key};
use daruma_types::ReplicaId;

use crate::cluster::{Cluster, Node, eventually, seed};
use crate::raw::{Raw, silent};

/// Sends from 2 to 1 and back, and awaits both.
async fn exchange(one: &mut Node, two: &mut Node) {
    two.send(1, Lane::Votes, "there");
    assert_eq!(one.frame().await.2, "there");
    one.send(2, Lane::Bulk, "back");
    assert_eq!(two.frame().await.2, "back");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_refused_before_any_stream_and_counted() {
    let cluster = Cluster::of(3);
    let mut one = cluster.start(1).await;
    let mut two = cluster.start(2).await;
    one.connected(vec![2]).await;
    two.connected(vec![1]).await;
    let mut config = cluster.config(0);
    config.key_seed = seed(1000);
    let stranger = Node::start(config).await;
    eventually(|| one.network.counters().refused_unknown_keys >= 2).await;
    exchange(&mut one, &mut two).await;
    assert!(!one.status(0).connected && !stranger.status(1).connected);
    assert_eq!(stranger.network.counters().sent_frames, 0);
    assert_eq!(one.network.counters().failed_handshakes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_not_who_is_expected_at_an_address_gets_nothing() {
    let cluster = Cluster::of(2);
    let mut config = cluster.config(0);
    config.peers[0].transport_key = transport_public_key(&seed(1000));
    let fooled = Node::start(config).await;
    let _other = cluster.start(1).await;
    eventually(|| fooled.status(1).last_error.is_some_and(|why| why.contains("peer ID"))).await;
    assert!(!fooled.status(1).connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_another_chain_gets_no_stream() {
    let cluster = Cluster::of(2);
    let here = cluster.start(1).await;
    let mut config = cluster.config(0);
    config.chain = [8; 32];
    let mut there = Node::start(config).await;
    there.send(1, Lane::Votes, "lost");
    eventually(|| {
        here.network.counters().other_chains + there.network.counters().other_chains >= 3
    })
    .await;
    assert!(there.events.try_recv().is_none());
    assert_eq!(here.network.counters().received_frames, 0);
    assert_eq!(there.network.counters().sent_frames, 0);
    assert!(!here.status(0).connected && !there.status(1).connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_peer_that_sends_garbage_is_thrown_out_and_counted_while_others_go_on() {
    let cluster = Cluster::of(3);
    let mut one = cluster.start(1).await;
    let mut two = cluster.start(2).await;
    one.connected(vec![2]).await;
    two.connected(vec![1]).await;

    let too_long = u32::try_from(limits::VOTES_FRAME_BYTES_MAX + 1).unwrap().to_le_bytes();
    // A generator of bytes; the first four are a length of over 4 MiB.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let random: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8 | 0x80
    })
    .take(100_000)
    .collect();
    for (lane, garbage) in [("votes", &too_long[..]), ("bulk", &random)] {
        let before = one.network.counters();
        let mut raw = Raw::connect(0, cluster.addresses[1], &[lane]).await;
        raw.write(0, garbage).await;
        raw.closed().await;
        eventually(|| one.network.counters().oversized_frames == before.oversized_frames + 1).await;
        exchange(&mut one, &mut two).await;
        // It is not even let in for a while.
        tokio::time::sleep(limits::PENALTY).await;
    }
    assert_eq!(one.status(2).reconnects, 0);
    assert_eq!(one.network.counters().received_frames, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn good_frames_before_garbage_are_delivered_as_the_known_peers() {
    let cluster = Cluster::of(2);
    let mut one = cluster.start(1).await;
    let mut raw = Raw::connect(0, cluster.addresses[1], &["votes", "bulk"]).await;
    raw.write(1, b"\x00\x00\x00\x00\x02\x00\x00\x00hi").await;
    let (from, lane, frame) = one.frame().await;
    assert_eq!((from, lane, &frame[..]), (ReplicaId(0), Lane::Bulk, &b"hi"[..]));
    raw.write(1, &[0xff; 4]).await;
    raw.closed().await;
    eventually(|| one.network.counters().oversized_frames == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_stream_for_a_lane_is_a_violation() {
    let cluster = Cluster::of(2);
    let one = cluster.start(1).await;
    let raw = Raw::connect(0, cluster.addresses[1], &["votes", "votes"]).await;
    raw.closed().await;
    eventually(|| one.network.counters().repeated_streams == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_opens_no_streams_is_thrown_out() {
    let mut cluster = Cluster::of(2);
    cluster.settings.handshake_timeout = Duration::from_millis(400);
    let one = cluster.start(1).await;
    Raw::connect(0, cluster.addresses[1], &[]).await.closed().await;
    eventually(|| one.status(0).last_error.is_some()).await;
    assert_eq!(one.status(0).last_error.unwrap(), "the streams were not open within 400ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn reported_garbage_disconnects_the_peer_and_it_may_come_back_later() {
    let cluster = Cluster::of(2);
    let mut zero = cluster.start(0).await;
    let mut one = cluster.start(1).await;
    zero.connected(vec![1]).await;
    one.connected(vec![0]).await;
    one.network.report_garbage(ReplicaId(0));
    assert_eq!(one.event().await, Event::Disconnected(ReplicaId(0)));
    assert_eq!(one.network.counters().garbage_frames, 1);
    assert_eq!(one.status(0).last_error.unwrap(), "its frames were garbage");
    zero.disconnected(1).await;
    one.connected(vec![0]).await;
    zero.connected(vec![1]).await;
    assert!(one.network.counters().refused_connections >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_never_finish_their_handshake_are_bounded_and_given_up() {
    let mut cluster = Cluster::of(2);
    cluster.settings.handshake_timeout = Duration::from_secs(1);
    let mut one = cluster.start(1).await;
    let surplus = 20;
    let most = limits::PENDING_INBOUND_PER_ADDRESS_MAX;
    let _open = silent(most + surplus, cluster.addresses[1]).await;
    eventually(|| one.network.counters().refused_connections == surplus as u64).await;
    eventually(|| one.network.counters().failed_handshakes == most as u64).await;
    let _zero = cluster.start(0).await;
    one.connected(vec![0]).await;
}
