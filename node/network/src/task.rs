//! The one task that owns the swarm: it dials, keeps each peer's state, and tells the consumer. It never
//! waits for the consumer, for a name server or for a peer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use daruma_types::ReplicaId;
use futures::StreamExt as _;
use libp2p::Swarm;
use libp2p::core::Multiaddr;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::behaviour::{Links, Note};
use crate::dialler::Dialler;
use crate::events::{Event, EventSender};
use crate::limits::{LINK_LOG_INTERVAL, RESOLVED_ADDRESSES_MAX};
use crate::log_gate::LogGate;
use crate::peers::Peers;

/// What handles ask of the task.
#[derive(Debug)]
pub(crate) enum Command {
    /// The consumer got garbage from this peer.
    Garbage(ReplicaId),
    /// Close everything.
    Stop,
}

/// What the consumer was told of a peer, and what is so.
#[derive(Debug, Clone, Copy, Default)]
struct Announced {
    /// Counts connections whose streams were opened; `None` without one.
    current: Option<u64>,
    told: Option<u64>,
    connections: u64,
}

impl Announced {
    fn connected(&mut self) {
        self.connections = self.connections.saturating_add(1);
        self.current = Some(self.connections);
    }

    /// The next thing to tell, and what holds once it is told.
    fn next(self, peer: ReplicaId) -> Option<(Event, Option<u64>)> {
        if self.current == self.told {
            None
        } else if self.told.is_some() {
            Some((Event::Disconnected(peer), None))
        } else {
            Some((Event::Connected(peer), self.current))
        }
    }
}

/// A peer that comes and goes all the time does not fill the log.
struct LogGates {
    connected: LogGate,
    disconnected: LogGate,
}

impl LogGates {
    const fn new() -> Self {
        Self {
            connected: LogGate::new(LINK_LOG_INTERVAL),
            disconnected: LogGate::new(LINK_LOG_INTERVAL),
        }
    }
}

type Resolved = (usize, io::Result<Vec<SocketAddr>>);

pub(crate) struct Task {
    swarm: Swarm<Links>,
    peers: Arc<Peers>,
    events: EventSender,
    commands: mpsc::Receiver<Command>,
    /// By index into `peers`, as are the next two.
    diallers: Vec<Dialler>,
    announced: Vec<Announced>,
    log_gates: Vec<LogGates>,
    /// At most one for each peer.
    resolving: JoinSet<Resolved>,
}

impl Task {
    pub(crate) fn new(
        swarm: Swarm<Links>,
        peers: Arc<Peers>,
        events: EventSender,
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        let now = Instant::now();
        let diallers = peers
            .all()
            .iter()
            .map(|peer| Dialler::new(peers.own < peer.id, &peers.settings, now))
            .collect();
        let announced = vec![Announced::default(); peers.all().len()];
        let log_gates = peers.all().iter().map(|_| LogGates::new()).collect();
        let resolving = JoinSet::new();
        Self { swarm, peers, events, commands, diallers, announced, log_gates, resolving }
    }

    /// Runs until it is told to stop, or the consumer is gone.
    pub(crate) async fn run(mut self) {
        let events = self.events.clone();
        let mut handles = true;
        loop {
            let now = Instant::now();
            self.begin_dials(now);
            let next_dial = self.diallers.iter().filter_map(Dialler::next).min();
            let wait = next_dial.map_or(Duration::MAX, |next| next.saturating_duration_since(now));
            let news = self
                .announced
                .iter()
                .zip(self.peers.all())
                .enumerate()
                .find_map(|(index, (announced, peer))| Some((index, announced.next(peer.id)?)));
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                room = events.room(), if news.is_some() => {
                    let (Some(room), Some((index, (event, told)))) = (room, news) else { return };
                    room.send(event);
                    if let Some(announced) = self.announced.get_mut(index) {
                        announced.told = told;
                    }
                }
                Some(resolved) = self.resolving.join_next() => {
                    if let Ok((peer, addresses)) = resolved {
                        self.on_resolved(peer, addresses);
                    }
                }
                command = self.commands.recv(), if handles => match command {
                    Some(Command::Garbage(id)) => self.on_garbage(id),
                    Some(Command::Stop) => return,
                    // The last handle is gone: the network goes on for the consumer of events.
                    None => handles = false,
                },
                () = events.closed() => return,
                () = tokio::time::sleep(wait), if next_dial.is_some() => {}
            }
        }
    }

    fn begin_dials(&mut self, now: Instant) {
        let limit = self.peers.settings.handshake_timeout;
        for (index, dialler) in self.diallers.iter_mut().enumerate() {
            if !dialler.begin(now) {
                continue;
            }
            let Some(peer) = self.peers.all().get(index) else { continue };
            let address = peer.address.clone();
            self.resolving.spawn(async move { (index, resolve(address, limit).await) });
        }
    }

    fn on_resolved(&mut self, index: usize, addresses: io::Result<Vec<SocketAddr>>) {
        let Some(peer) = self.peers.all().get(index) else { return };
        match addresses {
            Ok(addresses) => {
                let options = DialOpts::peer_id(peer.key)
                    .condition(PeerCondition::Always)
                    .addresses(addresses.into_iter().map(multiaddr).collect())
                    .allocate_new_port()
                    .build();
                // A failure also reaches us as a note, like one that takes longer.
                let _ = self.swarm.dial(options);
            }
            Err(error) => self.dial_failed(index, format!("cannot resolve the address: {error}")),
        }
    }

    fn dial_failed(&mut self, index: usize, why: String) {
        let Some(peer) = self.peers.all().get(index) else { return };
        tracing::debug!(peer = %peer.id, %why, "dial failed");
        peer.failed(why);
        if let Some(dialler) = self.diallers.get_mut(index) {
            dialler.failed(Instant::now(), rand::random());
        }
    }

    fn on_garbage(&mut self, id: ReplicaId) {
        if let Some((index, _)) = self.peers.by_id(id) {
            self.swarm.behaviour_mut().disconnect_for_garbage(index);
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum that is open to additions; our behaviour reports the others"
    )]
    fn on_swarm_event(&mut self, event: SwarmEvent<Note>) {
        match event {
            SwarmEvent::Behaviour(note) => self.on_note(note),
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "cannot accept connections for a moment");
            }
            SwarmEvent::ListenerClosed { reason, .. } => {
                tracing::error!(?reason, "no more connections are accepted");
            }
            _ => {}
        }
    }

    fn on_note(&mut self, note: Note) {
        let index = match note {
            Note::Linked { peer }
            | Note::Ready { peer }
            | Note::Unlinked { peer, .. }
            | Note::DialFailed { peer, .. } => peer,
        };
        let (Some(peer), Some(dialler), Some(announced), Some(gates)) = (
            self.peers.all().get(index),
            self.diallers.get_mut(index),
            self.announced.get_mut(index),
            self.log_gates.get_mut(index),
        ) else {
            return;
        };
        let now = Instant::now();
        match note {
            Note::Linked { .. } => {
                dialler.linked();
                announced.current = None;
                peer.disconnected();
            }
            Note::Ready { .. } => {
                if let Some(held_back) = gates.connected.open(now) {
                    tracing::info!(peer = %peer.id, held_back, "connected");
                }
                announced.connected();
                peer.connected();
            }
            Note::Unlinked { lasted, why, .. } => {
                announced.current = None;
                if let Some(held_back) = gates.disconnected.open(now) {
                    tracing::info!(peer = %peer.id, ?lasted, %why, held_back, "disconnected");
                }
                peer.disconnected();
                peer.failed(why);
                dialler.unlinked(now, lasted, rand::random());
            }
            Note::DialFailed { why, .. } => self.dial_failed(index, why),
        }
    }
}

/// The addresses that `address`, a `host:port`, stands for now.
async fn resolve(address: String, limit: Duration) -> io::Result<Vec<SocketAddr>> {
    if let Ok(literal) = address.parse() {
        return Ok(vec![literal]);
    }
    let found = timeout(limit, tokio::net::lookup_host(address)).await??;
    Ok(found.take(RESOLVED_ADDRESSES_MAX).collect())
}

/// In the library's form.
pub(crate) fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: ReplicaId = ReplicaId(2);

    /// Tells all there is to tell.
    fn told(announced: &mut Announced) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some((event, told)) = announced.next(PEER) {
            events.push(event);
            announced.told = told;
        }
        events
    }

    #[test]
    fn a_replaced_connection_is_told_as_lost_and_found() {
        let mut announced = Announced::default();
        assert_eq!(told(&mut announced), []);
        announced.connected();
        assert_eq!(told(&mut announced), [Event::Connected(PEER)]);
        announced.connected();
        assert_eq!(told(&mut announced), [Event::Disconnected(PEER), Event::Connected(PEER)]);
        announced.current = None;
        assert_eq!(told(&mut announced), [Event::Disconnected(PEER)]);
    }

    #[test]
    fn a_connection_that_is_gone_before_the_consumer_looked_is_never_told() {
        let mut announced = Announced::default();
        announced.connected();
        announced.current = None;
        assert_eq!(told(&mut announced), []);
    }

    #[tokio::test]
    async fn addresses_are_literal_or_names_and_nonsense_is_an_error() {
        let limit = Duration::from_secs(3);
        let literal = resolve("127.0.0.1:80".into(), limit).await.unwrap();
        assert_eq!(literal, ["127.0.0.1:80".parse().unwrap()]);
        let named = resolve("localhost:80".into(), limit).await.unwrap();
        assert!(named.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
        assert!(resolve("no port".into(), limit).await.is_err());
    }
}
