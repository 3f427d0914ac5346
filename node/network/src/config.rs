//! What a replica's network is told at start, and why it may refuse.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use daruma_types::{Lane, ReplicaId};
use libp2p::PeerId;
use libp2p::identity::{Keypair, ed25519};
use zeroize::Zeroizing;

use crate::limits::{FRAME_BYTES_MAX, REPLICAS_MAX, VOTES_FRAME_BYTES_MAX};

/// What [`crate::Network::start`] needs.
pub struct NetworkConfig {
    /// The chain id. It is part of the stream protocols' names, so that a replica of another chain gets
    /// no stream even when the same transport keys are used there.
    pub chain: [u8; 32],
    /// This replica.
    pub own: ReplicaId,
    /// Seed of this replica's Ed25519 transport key. Not the consensus key (DESIGN 11, "Who").
    pub key_seed: Zeroizing<[u8; 32]>,
    /// Where to listen. Port 0 lets the operating system choose, see
    /// [`crate::Network::listen_address`].
    pub listen: SocketAddr,
    /// All other replicas of the chainspec.
    pub peers: Vec<PeerConfig>,
    /// Bounds and times.
    pub settings: NetworkSettings,
}

/// Another replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerConfig {
    /// Its place in the chainspec.
    pub id: ReplicaId,
    /// Its Ed25519 transport public key, from the chainspec.
    pub transport_key: [u8; 32],
    /// `host:port`; a host name is resolved at each dial.
    pub address: String,
}

/// Bounds of one lane, per peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneSettings {
    /// Frames waiting to be sent to one peer. When full, the oldest is dropped.
    pub queue_frames_max: usize,
    /// Bytes waiting to be sent to one peer. When full, the oldest frames are dropped.
    pub queue_bytes_max: usize,
    /// Frames of one peer waiting for the consumer. When full, that peer's stream is not read.
    pub receive_frames_max: usize,
    /// Bytes of one peer waiting for the consumer. When full, that peer's stream is not read.
    pub receive_bytes_max: usize,
}

/// Bounds and times of the network. The defaults suit replicas in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSettings {
    /// Bounds of the votes lane.
    pub votes: LaneSettings,
    /// Bounds of the bulk lane.
    pub bulk: LaneSettings,
    /// Connecting, encryption and multiplexer together must be done within this, and the streams within
    /// as much again.
    pub handshake_timeout: Duration,
    /// A stream on which nothing was sent for this long carries an empty frame, so that the other side
    /// knows that the connection lives. Well below `idle_timeout`.
    pub keep_alive: Duration,
    /// A connection from which nothing arrives for this long is closed.
    pub idle_timeout: Duration,
    /// A frame whose length was read must be complete within this.
    pub frame_timeout: Duration,
    /// A connection to which nothing can be written for this long is closed: the peer does not read.
    pub write_timeout: Duration,
    /// Delay before the first redial. Doubled with each failure.
    pub redial_min: Duration,
    /// Longest delay between redials.
    pub redial_max: Duration,
    /// The replica with the higher id of a pair leaves dialling to the other for this long.
    pub dial_grace: Duration,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self {
            votes: LaneSettings {
                queue_frames_max: 1024,
                queue_bytes_max: 4 * 1024 * 1024,
                receive_frames_max: 512,
                receive_bytes_max: 2 * 1024 * 1024,
            },
            bulk: LaneSettings {
                queue_frames_max: 1024,
                queue_bytes_max: 16 * 1024 * 1024,
                receive_frames_max: 256,
                receive_bytes_max: 8 * 1024 * 1024,
            },
            handshake_timeout: Duration::from_secs(3),
            keep_alive: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(5),
            frame_timeout: Duration::from_secs(20),
            write_timeout: Duration::from_secs(10),
            redial_min: Duration::from_millis(50),
            redial_max: Duration::from_secs(1),
            dial_grace: Duration::from_secs(3),
        }
    }
}

impl NetworkSettings {
    /// The bounds of `lane`.
    #[must_use]
    pub const fn lane(&self, lane: Lane) -> &LaneSettings {
        match lane {
            Lane::Votes => &self.votes,
            Lane::Bulk => &self.bulk,
        }
    }

    fn check(&self) -> Result<(), NetworkError> {
        for lane in [Lane::Votes, Lane::Bulk] {
            let found = self.lane(lane);
            let frame = frame_bytes_max(lane);
            let fits = |bytes: usize| bytes >= frame && u32::try_from(bytes).is_ok();
            if !fits(found.queue_bytes_max) || !fits(found.receive_bytes_max) {
                return Err(NetworkError::Settings(
                    "a lane's byte bounds must hold its largest frame and fit 32 bits",
                ));
            }
            let counted = |frames: usize| (1..=1 << 16).contains(&frames);
            if !counted(found.queue_frames_max) || !counted(found.receive_frames_max) {
                return Err(NetworkError::Settings("a lane's frame bounds must be 1 to 65536"));
            }
        }
        let times = [
            self.handshake_timeout,
            self.keep_alive,
            self.idle_timeout,
            self.frame_timeout,
            self.write_timeout,
            self.redial_min,
        ];
        if times.iter().any(Duration::is_zero) {
            return Err(NetworkError::Settings("no time may be zero, except dial_grace"));
        }
        if self.keep_alive.saturating_mul(2) > self.idle_timeout {
            return Err(NetworkError::Settings("idle_timeout must be at least twice keep_alive"));
        }
        if self.redial_min > self.redial_max {
            return Err(NetworkError::Settings("redial_min must not exceed redial_max"));
        }
        Ok(())
    }
}

/// Bytes of the largest frame that `lane` carries.
#[must_use]
pub const fn frame_bytes_max(lane: Lane) -> usize {
    match lane {
        Lane::Votes => VOTES_FRAME_BYTES_MAX,
        Lane::Bulk => FRAME_BYTES_MAX,
    }
}

/// The Ed25519 public key that belongs to a transport key's seed: what the chainspec lists.
#[must_use]
pub fn transport_public_key(seed: &Zeroizing<[u8; 32]>) -> [u8; 32] {
    ed25519::Keypair::from(secret_key(seed)).public().to_bytes()
}

fn secret_key(seed: &Zeroizing<[u8; 32]>) -> ed25519::SecretKey {
    // The library clears the bytes that it is given.
    let mut bytes = Zeroizing::new(**seed);
    #[expect(clippy::expect_used, reason = "the only error is a length other than 32")]
    ed25519::SecretKey::try_from_bytes(&mut *bytes).expect("32 bytes are an Ed25519 seed")
}

/// Why a network does not start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// More peers than a chain has.
    #[error("{found} peers are configured; a chain has at most {REPLICAS_MAX} replicas")]
    TooManyPeers {
        /// Peers found.
        found: usize,
    },
    /// The list of peers names this replica.
    #[error("the list of peers names {0}, which is this replica")]
    OwnReplica(ReplicaId),
    /// The list of peers names a replica twice.
    #[error("the list of peers names {0} twice")]
    RepeatedReplica(ReplicaId),
    /// A transport key is no Ed25519 public key.
    #[error("the transport key of {0} is not an Ed25519 public key")]
    InvalidKey(ReplicaId),
    /// Two replicas, this one included, have one transport key.
    #[error("the transport key of {0} belongs to another replica already")]
    RepeatedKey(ReplicaId),
    /// A setting is out of its range.
    #[error("network settings: {0}")]
    Settings(&'static str),
    /// The transport key cannot sign the handshake.
    #[error("the transport key cannot be used")]
    Key(#[source] libp2p::noise::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
}

/// A checked configuration, with keys in the library's form.
pub(crate) struct Checked {
    pub(crate) keypair: Keypair,
    pub(crate) peers: Vec<(PeerConfig, PeerId)>,
}

impl NetworkConfig {
    pub(crate) fn check(&self) -> Result<Checked, NetworkError> {
        self.settings.check()?;
        if self.peers.len() >= REPLICAS_MAX {
            return Err(NetworkError::TooManyPeers { found: self.peers.len() });
        }
        let keypair = Keypair::from(ed25519::Keypair::from(secret_key(&self.key_seed)));
        let mut keys = HashSet::from([keypair.public().to_peer_id()]);
        let mut ids = HashSet::new();
        let mut peers = Vec::with_capacity(self.peers.len());
        for peer in &self.peers {
            if peer.id == self.own {
                return Err(NetworkError::OwnReplica(peer.id));
            }
            if !ids.insert(peer.id) {
                return Err(NetworkError::RepeatedReplica(peer.id));
            }
            let key = ed25519::PublicKey::try_from_bytes(&peer.transport_key)
                .map_err(|_| NetworkError::InvalidKey(peer.id))?;
            let peer_id = PeerId::from(libp2p::identity::PublicKey::from(key));
            if !keys.insert(peer_id) {
                return Err(NetworkError::RepeatedKey(peer.id));
            }
            peers.push((peer.clone(), peer_id));
        }
        Ok(Checked { keypair, peers })
    }
}
