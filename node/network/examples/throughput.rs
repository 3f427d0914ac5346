//! Two replicas in this process, one sends to the other as fast as it takes it. Reports what passes and
//! what CPU both sides together use (the feeder, which never rests, included); then how long one small
//! frame takes there and back.
//!
//! `cargo run --release -p daruma-network --example throughput -- [bytes per frame] [seconds] [votes|bulk]`

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use daruma_network::{
    Event, Events, Lane, Network, NetworkConfig, NetworkError, NetworkSettings, PeerConfig,
    transport_public_key,
};
use daruma_types::ReplicaId;
use zeroize::Zeroizing;

/// The sender queues as much again when less than this waits.
const QUEUE_LOW_BYTES: usize = 2 * 1024 * 1024;

/// Frames that go there and back, one after the other, in the second part.
const ROUND_TRIPS: u32 = 10_000;

async fn start(
    own: u16,
    peer: u16,
    peer_address: String,
) -> Result<(Network, Events), NetworkError> {
    let seed = |id: u16| Zeroizing::new([id as u8 + 1; 32]);
    Network::start(NetworkConfig {
        chain: [0; 32],
        own: ReplicaId(own),
        key_seed: seed(own),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        peers: vec![PeerConfig {
            id: ReplicaId(peer),
            transport_key: transport_public_key(&seed(peer)),
            address: peer_address,
        }],
        settings: NetworkSettings::default(),
    })
    .await
}

/// CPU time of this process, on Linux, in ticks of 10 ms.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

async fn next_vote(events: &mut Events) {
    while let Some(event) = events.recv().await {
        if matches!(event, Event::Frame { lane: Lane::Votes, ref frame, .. } if frame.len() == 200)
        {
            return;
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let length: usize = arguments.first().map_or(Ok(1024), |text| text.parse())?;
    let seconds: u64 = arguments.get(1).map_or(Ok(5), |text| text.parse())?;
    let lane = match arguments.get(2).map(String::as_str) {
        Some("votes") => Lane::Votes,
        _ => Lane::Bulk,
    };

    let (receiver, mut received) = start(1, 0, "127.0.0.1:1".into()).await?;
    let (sender, mut returned) = start(0, 1, receiver.listen_address().to_string()).await?;
    while received.recv().await != Some(Event::Connected(ReplicaId(0))) {}

    let feeder = tokio::spawn({
        let sender = sender.clone();
        let frame = Bytes::from(vec![7; length]);
        async move {
            loop {
                while sender
                    .peers()
                    .iter()
                    .all(|peer| peer.queued_bytes < QUEUE_LOW_BYTES && peer.queued_frames < 512)
                {
                    for _ in 0..QUEUE_LOW_BYTES.div_ceil(length).min(256) {
                        sender.send(ReplicaId(1), lane, frame.clone());
                    }
                }
                tokio::task::yield_now().await;
            }
        }
    });

    let (begin, cpu) = (Instant::now(), cpu_time());
    let mut frames = 0u64;
    let mut batch = Vec::new();
    while begin.elapsed() < Duration::from_secs(seconds) {
        received.recv_many(&mut batch, 256).await;
        frames += batch.len() as u64;
        batch.clear();
    }
    let (elapsed, cpu) = (begin.elapsed().as_secs_f64(), cpu_time() - cpu);
    feeder.abort();
    let _ = feeder.await;
    let frames_each_second = frames as f64 / elapsed;
    println!(
        "{length} bytes on {lane:?}: {frames_each_second:.0} frames/s, {:.1} MB/s, {:.2} CPUs, \
         {:.2} us CPU per frame (both sides), {} dropped",
        frames_each_second * length as f64 / 1e6,
        cpu.as_secs_f64() / elapsed,
        cpu.as_secs_f64() * 1e6 / frames as f64,
        sender.peers().iter().map(|peer| peer.dropped_frames).sum::<u64>(),
    );
    while sender.peers().iter().any(|peer| peer.queued_frames > 0) || received.try_recv().is_some()
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (begin, cpu) = (Instant::now(), cpu_time());
    for _ in 0..ROUND_TRIPS {
        sender.send(ReplicaId(1), Lane::Votes, Bytes::from_static(&[1; 200]));
        next_vote(&mut received).await;
        receiver.send(ReplicaId(0), Lane::Votes, Bytes::from_static(&[1; 200]));
        next_vote(&mut returned).await;
    }
    println!(
        "there and back: {:.0} us, {:.0} us CPU",
        begin.elapsed().as_secs_f64() * 1e6 / f64::from(ROUND_TRIPS),
        (cpu_time() - cpu).as_secs_f64() * 1e6 / f64::from(ROUND_TRIPS),
    );
    sender.shutdown().await;
    receiver.shutdown().await;
    Ok(())
}
