//! One connection: opens a stream per lane for our own sending, accepts one per lane for the peer's, and
//! runs the tasks on them. The first of them to end is reported, and the connection is closed for it.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use daruma_types::Lane;
use futures::FutureExt as _;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::handler::{
    ConnectionEvent, ConnectionHandler, ConnectionHandlerEvent, DialUpgradeError,
    FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{Stream, StreamProtocol, StreamUpgradeError, SubstreamProtocol};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep};

use crate::config::NetworkSettings;
use crate::events::EventSender;
use crate::frames::StreamEnd;
use crate::peers::Peer;
use crate::streams::{receive_frames, send_frames};

/// The name of a lane's stream protocol on one chain.
#[derive(Debug, Clone)]
pub(crate) struct LaneProtocol {
    lane: Lane,
    name: StreamProtocol,
}

impl AsRef<str> for LaneProtocol {
    fn as_ref(&self) -> &str {
        self.name.as_ref()
    }
}

/// Both lanes' stream protocols on one chain.
#[derive(Debug, Clone)]
pub(crate) struct Protocols {
    votes: LaneProtocol,
    bulk: LaneProtocol,
}

impl Protocols {
    pub(crate) fn of_chain(chain: &[u8; 32]) -> Self {
        let named = |lane, word| {
            let name = format!("/daruma/{}/{word}/1", hex::encode(chain));
            #[expect(clippy::expect_used, reason = "the only error is a missing first slash")]
            let name = StreamProtocol::try_from_owned(name).expect("the name begins with a slash");
            LaneProtocol { lane, name }
        };
        Self { votes: named(Lane::Votes, "votes"), bulk: named(Lane::Bulk, "bulk") }
    }

    fn one(&self, lane: Lane) -> Offer {
        match lane {
            Lane::Votes => Offer([Some(self.votes.clone()), None]),
            Lane::Bulk => Offer([None, Some(self.bulk.clone())]),
        }
    }

    fn both(&self) -> Offer {
        Offer([Some(self.votes.clone()), Some(self.bulk.clone())])
    }
}

/// The lanes that a new stream may turn out to be. An array, since the library asks for it at each poll.
pub(crate) struct Offer([Option<LaneProtocol>; 2]);

impl UpgradeInfo for Offer {
    type Info = LaneProtocol;
    type InfoIter = std::iter::Flatten<std::array::IntoIter<Option<LaneProtocol>, 2>>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter().flatten()
    }
}

impl InboundUpgrade<Stream> for Offer {
    type Output = (Lane, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, agreed: LaneProtocol) -> Self::Future {
        ready(Ok((agreed.lane, stream)))
    }
}

impl OutboundUpgrade<Stream> for Offer {
    type Output = (Lane, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, agreed: LaneProtocol) -> Self::Future {
        ready(Ok((agreed.lane, stream)))
    }
}

/// What a connection reports, each at most once.
#[derive(Debug)]
pub(crate) enum LinkReport {
    /// Both streams to the peer are open: it is on our chain, and frames reach it.
    Ready,
    /// The connection is of no use any more.
    Ended(StreamEnd),
}

pub(crate) struct LinkHandler {
    peer: Arc<Peer>,
    /// See [`Peer::new_connection`].
    number: u64,
    settings: NetworkSettings,
    events: EventSender,
    protocols: Protocols,
    /// Streams still to be asked for.
    to_open: Vec<Lane>,
    opened: Vec<Lane>,
    accepted: Vec<Lane>,
    /// The tasks of all streams; they end with this connection.
    tasks: JoinSet<StreamEnd>,
    /// When all four streams must be open.
    deadline: Pin<Box<Sleep>>,
    ended: Option<StreamEnd>,
    reported_ready: bool,
    reported_end: bool,
}

impl LinkHandler {
    pub(crate) fn new(
        peer: Arc<Peer>,
        number: u64,
        settings: NetworkSettings,
        events: EventSender,
        protocols: Protocols,
    ) -> Self {
        let deadline = Box::pin(sleep(settings.handshake_timeout));
        Self {
            peer,
            number,
            settings,
            events,
            protocols,
            to_open: vec![Lane::Bulk, Lane::Votes],
            opened: Vec::new(),
            accepted: Vec::new(),
            tasks: JoinSet::new(),
            deadline,
            ended: None,
            reported_ready: false,
            reported_end: false,
        }
    }

    fn end(&mut self, end: StreamEnd) {
        self.ended.get_or_insert(end);
    }

    fn run(&mut self, task: impl Future<Output = Result<Infallible, StreamEnd>> + Send + 'static) {
        self.tasks.spawn(task.map(|end| match end {
            Ok(never) => match never {},
            Err(end) => end,
        }));
    }

    fn on_opened(&mut self, lane: Lane, stream: Stream) {
        self.opened.push(lane);
        let settings = self.settings.clone();
        self.run(send_frames(stream, self.peer.clone(), self.number, lane, settings));
    }

    fn on_accepted(&mut self, lane: Lane, stream: Stream) {
        if self.accepted.contains(&lane) {
            return self.end(StreamEnd::SecondStream(lane));
        }
        self.accepted.push(lane);
        let events = self.events.clone();
        self.run(receive_frames(stream, self.peer.clone(), lane, self.settings.clone(), events));
    }

    /// Looks at the tasks and the deadline.
    fn poll_end(&mut self, cx: &mut Context<'_>) {
        match self.tasks.poll_join_next(cx) {
            Poll::Ready(Some(Ok(end))) => self.end(end),
            Poll::Ready(Some(Err(error))) => {
                self.end(StreamEnd::Failed(std::io::Error::other(error)));
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        let complete = self.opened.len() == 2 && self.accepted.len() == 2;
        if !complete && self.deadline.as_mut().poll(cx).is_ready() {
            self.end(StreamEnd::NoStreams(self.settings.handshake_timeout));
        }
    }
}

impl ConnectionHandler for LinkHandler {
    type FromBehaviour = Infallible;
    type ToBehaviour = LinkReport;
    type InboundProtocol = Offer;
    type OutboundProtocol = Offer;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Offer> {
        SubstreamProtocol::new(self.protocols.both(), ())
            .with_timeout(self.settings.handshake_timeout)
    }

    fn connection_keep_alive(&self) -> bool {
        // We close it ourselves.
        true
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Offer, (), LinkReport>> {
        if let Some(lane) = self.to_open.pop() {
            let protocol = SubstreamProtocol::new(self.protocols.one(lane), ())
                .with_timeout(self.settings.handshake_timeout);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        if self.reported_end {
            return Poll::Pending;
        }
        if self.ended.is_none() {
            self.poll_end(cx);
        }
        if let Some(end) = self.ended.take() {
            self.reported_end = true;
            self.tasks.abort_all();
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(LinkReport::Ended(end)));
        }
        if self.opened.len() == 2 && !self.reported_ready {
            self.reported_ready = true;
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(LinkReport::Ready));
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum that is open to additions; the others do not concern us"
    )]
    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Offer, Offer>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (lane, stream),
                ..
            }) => self.on_accepted(lane, stream),
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (lane, stream),
                ..
            }) => self.on_opened(lane, stream),
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, .. }) => {
                self.end(match error {
                    StreamUpgradeError::NegotiationFailed => StreamEnd::OtherChain,
                    StreamUpgradeError::Timeout => {
                        StreamEnd::NoStreams(self.settings.handshake_timeout)
                    }
                    StreamUpgradeError::Io(error) => StreamEnd::Failed(error),
                    StreamUpgradeError::Apply(never) => match never {},
                });
            }
            _ => {}
        }
    }
}
