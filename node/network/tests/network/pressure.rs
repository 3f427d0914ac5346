//! Full queues and slow consumers.

use std::time::Duration;

use daruma_network::{Event, Lane, LaneSettings};

use crate::cluster::{Cluster, eventually};

fn numbered(number: u32) -> Vec<u8> {
    let mut frame = number.to_le_bytes().to_vec();
    frame.resize(1024, 0);
    frame
}

fn number(frame: &[u8]) -> u32 {
    u32::from_le_bytes(frame[..4].try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_drops_the_oldest_and_the_newest_arrive_when_the_peer_comes() {
    let mut cluster = Cluster::of(2);
    cluster.settings.votes.queue_frames_max = 10;
    let node = cluster.start(0).await;
    for sent in 0..25 {
        node.send(1, Lane::Votes, numbered(sent));
    }
    let status = node.status(1);
    assert_eq!((status.queued_frames, status.dropped_frames), (10, 15));
    assert_eq!(status.queued_bytes, 10 * 1024);

    let mut peer = cluster.start(1).await;
    for expected in 15..25 {
        assert_eq!(number(&peer.frame().await.2), expected);
    }
    eventually(|| node.status(1).sent_frames == 10).await;
    assert_eq!(node.status(1).dropped_frames, 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_consumer_holds_up_its_own_bulk_but_not_votes_or_others_and_loses_nothing() {
    const COUNT: u32 = 40_000;
    let mut cluster = Cluster::of(3);
    cluster.settings.bulk = LaneSettings {
        queue_frames_max: 65_536,
        queue_bytes_max: 64 * 1024 * 1024,
        receive_frames_max: 32,
        receive_bytes_max: 4 * 1024 * 1024,
    };
    cluster.settings.write_timeout = Duration::from_secs(120);
    let mut slow = cluster.start(1).await;
    let fast = cluster.start(0).await;
    let other = cluster.start(2).await;
    slow.connected(vec![0, 2]).await;
    for sent in 0..COUNT {
        fast.send(1, Lane::Bulk, numbered(sent));
    }
    // 40 MB are more than all buffers on the way hold.
    eventually(|| slow.status(0).received_frames == 32).await;
    assert!(fast.status(1).queued_frames > 0);

    // Votes of the same peer, and bulk of another, still come through.
    fast.send(1, Lane::Votes, "vote");
    other.send(1, Lane::Bulk, "from another");
    eventually(|| slow.status(0).received_frames == 33).await;
    eventually(|| slow.status(2).received_frames == 1).await;
    assert_eq!(slow.frame().await.2, "vote");

    let mut next = 0;
    let mut from_another = false;
    while next < COUNT {
        // Never more than its share waits, however much there is to come.
        let received = slow.status(0).received_frames;
        assert!(received <= 1 + u64::from(next) + 32, "{received} received, {next} taken");
        let frame = slow.frame().await.2;
        if frame == "from another" {
            from_another = true;
        } else {
            assert_eq!(number(&frame), next);
            next += 1;
        }
    }
    assert!(from_another);
    assert_eq!((fast.status(1).dropped_frames, fast.status(1).reconnects), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_takes_what_is_sent_is_disconnected() {
    let mut cluster = Cluster::of(2);
    cluster.settings.bulk.receive_frames_max = 4;
    cluster.settings.write_timeout = Duration::from_millis(300);
    let mut node = cluster.start(0).await;
    let _never_taken = cluster.start(1).await;
    node.connected(vec![1]).await;
    let end = loop {
        for sent in 0..100 {
            node.send(1, Lane::Bulk, vec![sent; 64 * 1024]);
        }
        match node.events.try_recv() {
            Some(Event::Disconnected(_)) => break node.status(1).last_error.unwrap(),
            Some(_) | None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    assert_eq!(end, "nothing could be written for 300ms: the peer does not read");
}
