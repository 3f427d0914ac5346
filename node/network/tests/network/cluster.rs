//! Replicas of one chain in this process.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use daruma_network::{
    Event, Events, Lane, Network, NetworkConfig, NetworkSettings, PeerConfig, PeerStatus,
    transport_public_key,
};
use daruma_types::ReplicaId;
use zeroize::Zeroizing;

pub(crate) const CHAIN: [u8; 32] = [7; 32];

/// Long enough for a loaded machine; only a failing test waits for it.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn seed(id: u16) -> Zeroizing<[u8; 32]> {
    let mut seed = [1; 32];
    seed[..2].copy_from_slice(&id.to_le_bytes());
    Zeroizing::new(seed)
}

/// An address that nobody listens on at the moment.
pub(crate) fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Awaits what must happen.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, what).await.expect("it must happen in time")
}

/// Awaits a state that no event announces.
pub(crate) async fn eventually(mut holds: impl FnMut() -> bool) {
    within(async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Addresses of replicas `0..n`.
pub(crate) struct Cluster {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) settings: NetworkSettings,
}

impl Cluster {
    pub(crate) fn of(replicas: usize) -> Self {
        let addresses = (0..replicas).map(|_| free_address()).collect();
        Self { addresses, settings: NetworkSettings::default() }
    }

    pub(crate) fn config(&self, own: u16) -> NetworkConfig {
        let peers = (0u16..)
            .zip(&self.addresses)
            .filter(|(id, _)| *id != own)
            .map(|(id, address)| PeerConfig {
                id: ReplicaId(id),
                transport_key: transport_public_key(&seed(id)),
                address: address.to_string(),
            })
            .collect();
        NetworkConfig {
            chain: CHAIN,
            own: ReplicaId(own),
            key_seed: seed(own),
            listen: self.addresses[usize::from(own)],
            peers,
            settings: self.settings.clone(),
        }
    }

    pub(crate) async fn start(&self, own: u16) -> Node {
        Node::start(self.config(own)).await
    }
}

pub(crate) struct Node {
    pub(crate) network: Network,
    pub(crate) events: Events,
}

impl Node {
    pub(crate) async fn start(config: NetworkConfig) -> Self {
        let (network, events) = Network::start(config).await.unwrap();
        Self { network, events }
    }

    pub(crate) async fn event(&mut self) -> Event {
        within(self.events.recv()).await.unwrap()
    }

    /// The next frame, whatever comes before it.
    pub(crate) async fn frame(&mut self) -> (ReplicaId, Lane, Bytes) {
        loop {
            match self.event().await {
                Event::Frame { from, lane, frame } => return (from, lane, frame),
                Event::Connected(_) | Event::Disconnected(_) => {}
            }
        }
    }

    /// Awaits the events that say that these replicas are connected; frames are thrown away.
    pub(crate) async fn connected(&mut self, mut ids: Vec<u16>) {
        while !ids.is_empty() {
            if let Event::Connected(ReplicaId(id)) = self.event().await {
                ids.retain(|wanted| *wanted != id);
            }
        }
    }

    pub(crate) async fn disconnected(&mut self, id: u16) {
        while self.event().await != Event::Disconnected(ReplicaId(id)) {}
    }

    pub(crate) fn status(&self, id: u16) -> PeerStatus {
        let mut all = self.network.peers().into_iter();
        all.find(|peer| peer.id == ReplicaId(id)).unwrap()
    }

    pub(crate) fn send(&self, to: u16, lane: Lane, frame: impl Into<Bytes>) {
        self.network.send(ReplicaId(to), lane, frame.into());
    }
}
