//! Who is let in, and which connection of a peer is the one in use.
//!
//! The rule, the same at both ends whatever the order of events: a connection that the lower id dialled
//! beats one that the higher id dialled; of two dialled by the same side, the newer wins. A dialler only
//! dials when it has no connection, so a newer one from the same side proves that the older is dead
//! there, and a restarted replica is not kept out by what its former self left behind.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::{
    ConnectionClosed, ConnectionEstablished, DialFailure, ListenFailure,
};
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, ListenError, NetworkBehaviour,
    THandlerInEvent, ToSwarm,
};

use crate::events::EventSender;
use crate::frames::StreamEnd;
use crate::handler::{LinkHandler, LinkReport, Protocols};
use crate::limits::{
    CONNECTIONS_PER_PEER_MAX, PENALTY, PENDING_INBOUND_MAX, PENDING_INBOUND_PER_ADDRESS_MAX,
    REFUSAL_LOG_INTERVAL,
};
use crate::log_gate::LogGate;
use crate::peers::{Peer, Peers};

/// What the task that owns the swarm is told. `peer` is an index into [`Peers`].
#[derive(Debug)]
pub(crate) enum Note {
    /// A connection is in use now, perhaps in the place of another; its streams are not open yet.
    Linked { peer: usize },
    /// Its streams are open.
    Ready { peer: usize },
    /// The connection in use is gone after this long.
    Unlinked { peer: usize, lasted: Duration, why: String },
    /// A dial failed.
    DialFailed { peer: usize, why: String },
}

/// Why a connection is refused. The remote only sees that it is closed.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("its key is not in the chainspec")]
    UnknownKey,
    #[error("too many connections are in their handshake; at most {0} are allowed")]
    TooManyPending(usize),
    #[error("it has {0} connections already")]
    TooManyConnections(usize),
    #[error("the connection that the lower id dialled is in use")]
    Outranked,
    #[error("it broke the protocol less than {0:?} ago")]
    Penalty(Duration),
}

struct Link {
    id: ConnectionId,
    /// Whether the lower id of the pair dialled it.
    by_lower: bool,
    since: Instant,
    end: Option<String>,
}

#[derive(Default)]
struct PeerLinks {
    links: Vec<Link>,
    /// The one in use.
    current: Option<ConnectionId>,
    refused_until: Option<Instant>,
}

impl PeerLinks {
    fn current(&self) -> Option<&Link> {
        self.links.iter().find(|link| Some(link.id) == self.current)
    }

    fn admits(&self, by_lower: bool, now: Instant) -> Result<(), Refusal> {
        if self.refused_until.is_some_and(|until| now < until) {
            return Err(Refusal::Penalty(PENALTY));
        }
        if self.links.len() >= CONNECTIONS_PER_PEER_MAX {
            return Err(Refusal::TooManyConnections(self.links.len()));
        }
        if !by_lower && self.current().is_some_and(|current| current.by_lower) {
            return Err(Refusal::Outranked);
        }
        Ok(())
    }
}

type Action = ToSwarm<Note, Infallible>;

pub(crate) struct Links {
    peers: Arc<Peers>,
    events: EventSender,
    protocols: Protocols,
    /// Inbound connections before the end of their handshake.
    pending: HashMap<ConnectionId, Option<IpAddr>>,
    /// By index into `peers`.
    links: Vec<PeerLinks>,
    actions: VecDeque<Action>,
    log_gate: LogGate,
}

impl Links {
    pub(crate) fn new(peers: Arc<Peers>, events: EventSender, protocols: Protocols) -> Self {
        Self {
            links: peers.all().iter().map(|_| PeerLinks::default()).collect(),
            peers,
            events,
            protocols,
            pending: HashMap::new(),
            actions: VecDeque::new(),
            log_gate: LogGate::new(REFUSAL_LOG_INTERVAL),
        }
    }

    /// Closes what connections `peer` has, because the consumer cannot make sense of its frames.
    pub(crate) fn disconnect_for_garbage(&mut self, peer: usize) {
        let ids: Vec<ConnectionId> =
            self.links.get(peer).into_iter().flat_map(|of| &of.links).map(|link| link.id).collect();
        for id in ids {
            self.on_end(peer, id, &StreamEnd::Garbage);
        }
    }

    fn refuse(&mut self, refusal: Refusal, remote: &Multiaddr) -> ConnectionDenied {
        let counters = &self.peers.counters;
        match refusal {
            Refusal::UnknownKey => counters.refused_unknown_keys.add(1),
            Refusal::TooManyPending(_)
            | Refusal::TooManyConnections(_)
            | Refusal::Outranked
            | Refusal::Penalty(_) => counters.refused_connections.add(1),
        }
        if let Some(held_back) = self.log_gate.open(Instant::now()) {
            tracing::warn!(%remote, %refusal, held_back, "connection refused");
        }
        ConnectionDenied::new(refusal)
    }

    /// Decides on an authenticated connection.
    fn admit(
        &mut self,
        key: &PeerId,
        remote: &Multiaddr,
        dialled_here: bool,
    ) -> Result<LinkHandler, ConnectionDenied> {
        let Some((index, peer)) = self.peers.by_key(key) else {
            return Err(self.refuse(Refusal::UnknownKey, remote));
        };
        let by_lower = dialled_by_lower(&self.peers, peer, dialled_here);
        let peer = peer.clone();
        let admitted = match self.links.get(index) {
            Some(links) => links.admits(by_lower, Instant::now()),
            None => Err(Refusal::UnknownKey),
        };
        admitted.map_err(|refusal| self.refuse(refusal, remote))?;
        let settings = self.peers.settings.clone();
        // Whatever was in use is being replaced: this is established as soon as we return.
        let number = peer.new_connection();
        Ok(LinkHandler::new(peer, number, settings, self.events.clone(), self.protocols.clone()))
    }

    fn on_established(&mut self, event: &ConnectionEstablished<'_>) {
        let Some((index, peer)) = self.peers.by_key(&event.peer_id) else { return };
        let by_lower = dialled_by_lower(&self.peers, peer, event.endpoint.is_dialer());
        let Some(links) = self.links.get_mut(index) else { return };
        let replaced = links.current.replace(event.connection_id);
        links.links.push(Link {
            id: event.connection_id,
            by_lower,
            since: Instant::now(),
            end: None,
        });
        if let Some(id) = replaced {
            tracing::debug!(peer = %peer.id, "a newer connection replaces the one in use");
            self.actions.push_back(close(event.peer_id, id));
        }
        self.actions.push_back(ToSwarm::GenerateEvent(Note::Linked { peer: index }));
    }

    fn on_closed(&mut self, event: &ConnectionClosed<'_>) {
        let Some((index, _)) = self.peers.by_key(&event.peer_id) else { return };
        let Some(links) = self.links.get_mut(index) else { return };
        let Some(at) = links.links.iter().position(|link| link.id == event.connection_id) else {
            return;
        };
        let link = links.links.swap_remove(at);
        if links.current != Some(link.id) {
            return;
        }
        links.current = None;
        let cause = event.cause.map(ToString::to_string);
        let why = link.end.or(cause).unwrap_or_else(|| "closed here".into());
        let lasted = link.since.elapsed();
        self.actions.push_back(ToSwarm::GenerateEvent(Note::Unlinked { peer: index, lasted, why }));
    }

    fn on_end(&mut self, index: usize, id: ConnectionId, end: &StreamEnd) {
        let Some(peer) = self.peers.all().get(index) else { return };
        let Some(links) = self.links.get_mut(index) else { return };
        if let Some(link) = links.links.iter_mut().find(|link| link.id == id) {
            link.end = Some(end.to_string());
        }
        if end.is_violation() {
            links.refused_until = Instant::now().checked_add(PENALTY);
            tracing::warn!(peer = %peer.id, why = %end, "a peer broke the protocol");
        }
        let counters = &self.peers.counters;
        match end {
            StreamEnd::Oversized { .. } => counters.oversized_frames.add(1),
            StreamEnd::SecondStream(_) => counters.repeated_streams.add(1),
            StreamEnd::OtherChain => counters.other_chains.add(1),
            StreamEnd::Garbage => counters.garbage_frames.add(1),
            StreamEnd::Closed
            | StreamEnd::Failed(_)
            | StreamEnd::Silent(_)
            | StreamEnd::Stuck(_)
            | StreamEnd::SlowFrame(_)
            | StreamEnd::NoStreams(_)
            | StreamEnd::Replaced
            | StreamEnd::Stopped => {}
        }
        self.actions.push_back(close(peer.key, id));
    }

    fn on_dial_failure(&mut self, event: &DialFailure<'_>) {
        let Some((peer, _)) = event.peer_id.and_then(|key| self.peers.by_key(&key)) else { return };
        let why = event.error.to_string();
        self.actions.push_back(ToSwarm::GenerateEvent(Note::DialFailed { peer, why }));
    }

    fn on_listen_failure(&mut self, event: &ListenFailure<'_>) {
        self.pending.remove(&event.connection_id);
        if !matches!(event.error, ListenError::Denied { .. }) {
            self.peers.counters.failed_handshakes.add(1);
        }
    }
}

fn dialled_by_lower(peers: &Peers, peer: &Peer, dialled_here: bool) -> bool {
    dialled_here == (peers.own < peer.id)
}

const fn close(peer_id: PeerId, id: ConnectionId) -> Action {
    ToSwarm::CloseConnection { peer_id, connection: CloseConnection::One(id) }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum that is open to additions; only these two hold an IP address"
)]
fn ip_address(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(IpAddr::V6(ip)),
        _ => None,
    })
}

impl NetworkBehaviour for Links {
    type ConnectionHandler = LinkHandler;
    type ToSwarm = Note;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let address = ip_address(remote);
        let from_there = self.pending.values().filter(|from| **from == address).count();
        for (found, allowed) in [
            (self.pending.len(), PENDING_INBOUND_MAX),
            (from_there, PENDING_INBOUND_PER_ADDRESS_MAX),
        ] {
            if found >= allowed {
                return Err(self.refuse(Refusal::TooManyPending(allowed), remote));
            }
        }
        self.pending.insert(id, address);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<LinkHandler, ConnectionDenied> {
        self.pending.remove(&id);
        self.admit(&peer, remote, false)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<LinkHandler, ConnectionDenied> {
        self.admit(&peer, remote, true)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum that is open to additions; the others do not concern us"
    )]
    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(event) => self.on_established(&event),
            FromSwarm::ConnectionClosed(event) => self.on_closed(&event),
            FromSwarm::DialFailure(event) => self.on_dial_failure(&event),
            FromSwarm::ListenFailure(event) => self.on_listen_failure(&event),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, key: PeerId, id: ConnectionId, report: LinkReport) {
        let Some((peer, _)) = self.peers.by_key(&key) else { return };
        match report {
            LinkReport::Ready => {
                if self.links.get(peer).is_some_and(|links| links.current == Some(id)) {
                    self.actions.push_back(ToSwarm::GenerateEvent(Note::Ready { peer }));
                }
            }
            LinkReport::Ended(end) => self.on_end(peer, id, &end),
        }
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Note, THandlerInEvent<Self>>> {
        // No waker is kept: whatever adds an action is called by the swarm, which polls this next, or by
        // the task that owns the swarm, which polls that next.
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}
