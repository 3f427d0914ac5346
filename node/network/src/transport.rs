//! The smallest transport that does the job: TCP, noise, yamux (DESIGN 11, "Transport").

use std::time::Duration;

use libp2p::core::Transport as _;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{PeerId, noise, tcp};

use crate::muxer::BoundedYamux;

pub(crate) type Transport = Boxed<(PeerId, StreamMuxerBox)>;

/// `handshake_timeout` covers connecting, noise and yamux together.
pub(crate) fn transport(
    keypair: &Keypair,
    handshake_timeout: Duration,
) -> Result<Transport, noise::Error> {
    // Frames are batched before they are written, so waiting for more would only add delay.
    let tcp = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true));
    Ok(tcp
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(keypair)?)
        .multiplex(BoundedYamux::new())
        .timeout(handshake_timeout)
        .boxed())
}
