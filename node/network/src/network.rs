//! Starting the network, and the handle to it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use bytes::Bytes;
use daruma_types::{Lane, ReplicaId};
use futures::StreamExt as _;
use libp2p::core::transport::TransportError;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{self, SwarmEvent};
use libp2p::{Multiaddr, Swarm};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::behaviour::Links;
use crate::config::{NetworkConfig, NetworkError, frame_bytes_max};
use crate::events::{self, Events};
use crate::handler::Protocols;
use crate::limits::{COMMANDS_MAX, LISTEN_WAIT, STREAMS_PER_CONNECTION_MAX};
use crate::peers::{NetworkCounters, Peer, PeerStatus, Peers};
use crate::task::{Command, Task, multiaddr};
use crate::transport::transport;

/// A handle to the running network. Clones are handles to the same one.
#[derive(Clone)]
pub struct Network {
    peers: Arc<Peers>,
    commands: mpsc::Sender<Command>,
    /// Closed when the task has ended.
    stopped: watch::Receiver<()>,
    listen_address: SocketAddr,
}

impl Network {
    /// Listens, and begins to dial all peers, for ever. Must be called in a Tokio runtime, whose task
    /// then owns the connections until [`Self::shutdown`] or until the [`Events`] are dropped.
    ///
    /// # Errors
    /// When the configuration contradicts itself or the address cannot be listened on.
    pub async fn start(config: NetworkConfig) -> Result<(Self, Events), NetworkError> {
        let checked = config.check()?;
        let settings = config.settings.clone();
        let transport =
            transport(&checked.keypair, settings.handshake_timeout).map_err(NetworkError::Key)?;
        let peers = Arc::new(Peers::new(config.own, settings, &checked));
        let (sender, events) = events::channel(peers.all().len(), &peers.settings);
        let protocols = Protocols::of_chain(&config.chain);
        let links = Links::new(peers.clone(), sender.clone(), protocols);
        let swarm_config = swarm::Config::with_tokio_executor()
            .with_max_negotiating_inbound_streams(STREAMS_PER_CONNECTION_MAX)
            .with_idle_connection_timeout(peers.settings.idle_timeout);
        let own_key = checked.keypair.public().to_peer_id();
        let mut swarm = Swarm::new(transport, links, own_key, swarm_config);
        let listen_address = listen(&mut swarm, config.listen).await?;
        tracing::info!(own = %config.own, %listen_address, "listening for replicas");

        let (commands, received) = mpsc::channel(COMMANDS_MAX);
        let (running, stopped) = watch::channel(());
        let task = Task::new(swarm, peers.clone(), sender, received);
        tokio::spawn(async move {
            task.run().await;
            drop(running);
        });
        Ok((Self { peers, commands, stopped, listen_address }, events))
    }

    /// Queues `frame` for `peer`. Never waits and never fails: when the queue is full the oldest frame in
    /// it is dropped and counted, whether the peer is connected or not. A frame that is empty or larger
    /// than the lane allows is dropped and counted, one to an unknown replica is dropped.
    pub fn send(&self, peer: ReplicaId, lane: Lane, frame: Bytes) {
        if let Some((_, peer)) = self.peers.by_id(peer) {
            send(peer, lane, frame);
        }
    }

    /// [`Self::send`] to every peer; the bytes are shared, not copied.
    pub fn broadcast(&self, lane: Lane, frame: &Bytes) {
        for peer in self.peers.all() {
            send(peer, lane, frame.clone());
        }
    }

    /// To be called when a frame of `peer` cannot be decoded: no correct replica sends such a frame, so
    /// its connection is closed, it is refused for a moment, and it is counted.
    pub fn report_garbage(&self, peer: ReplicaId) {
        // When there are too many reports already, the peer is about to be disconnected.
        let _ = self.commands.try_send(Command::Garbage(peer));
    }

    /// How the connection to each peer is, in the order of the configuration.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.peers.status()
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counters(&self) -> NetworkCounters {
        self.peers.counters()
    }

    /// Where the network listens: the address of the configuration with the port in use.
    #[must_use]
    pub const fn listen_address(&self) -> SocketAddr {
        self.listen_address
    }

    /// Closes all connections and stops listening; returns when that is done. Frames that wait are not
    /// sent.
    pub async fn shutdown(&self) {
        // An error means that it has stopped already.
        let _ = self.commands.send(Command::Stop).await;
        let _ = self.stopped.clone().changed().await;
    }
}

fn send(peer: &Peer, lane: Lane, frame: Bytes) {
    if frame.is_empty() || frame.len() > frame_bytes_max(lane) {
        tracing::error!(peer = %peer.id, ?lane, bytes = frame.len(), "not a frame that can be sent");
        peer.dropped_frames.add(1);
        return;
    }
    peer.dropped_frames.add(peer.lane(lane).queue.push(frame));
}

async fn listen(swarm: &mut Swarm<Links>, address: SocketAddr) -> Result<SocketAddr, NetworkError> {
    let failed = |source| NetworkError::Listen { address, source };
    if address.port() != 0 {
        // The library sets SO_REUSEPORT, with which a second process would silently take a part of the
        // connections. Without it, an address in use is an error.
        drop(TcpListener::bind(address).map_err(failed)?);
    }
    swarm.listen_on(multiaddr(address)).map_err(|error| match error {
        TransportError::Other(error) => failed(error),
        TransportError::MultiaddrNotSupported(_) => {
            failed(io::Error::from(io::ErrorKind::Unsupported))
        }
    })?;
    if address.port() != 0 {
        return Ok(address);
    }
    let port = timeout(LISTEN_WAIT, async {
        loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await
                && let Some(port) = tcp_port(&address)
            {
                return port;
            }
        }
    });
    let port = port.await.map_err(|elapsed| failed(elapsed.into()))?;
    Ok(SocketAddr::new(address.ip(), port))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum that is open to additions; only this one holds a TCP port"
)]
fn tcp_port(address: &Multiaddr) -> Option<u16> {
    address.iter().find_map(|part| match part {
        Protocol::Tcp(port) => Some(port),
        _ => None,
    })
}
