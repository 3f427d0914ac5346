//! A peer with a right key that speaks libp2p by hand, and can put anything on a stream.

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::poll_fn;
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt as _, SubstreamBox};
use libp2p::core::transport::{DialOpts, PortUse, Transport as _};
use libp2p::core::upgrade::Version;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::identity::{Keypair, ed25519};
use libp2p::multiaddr::Protocol;
use libp2p::{noise, tcp, yamux};

use crate::cluster::{CHAIN, seed, within};

pub(crate) struct Raw {
    streams: Vec<SubstreamBox>,
    driver: tokio::task::JoinHandle<()>,
}

impl Raw {
    /// Connects with the key of replica `id` and opens `lanes` (`"votes"`, `"bulk"`).
    pub(crate) async fn connect(id: u16, to: SocketAddr, lanes: &[&str]) -> Self {
        let mut seed = *seed(id);
        let secret = ed25519::SecretKey::try_from_bytes(&mut seed).unwrap();
        let keypair = Keypair::from(ed25519::Keypair::from(secret));
        let mut transport = tcp::tokio::Transport::new(tcp::Config::new())
            .upgrade(Version::V1)
            .authenticate(noise::Config::new(&keypair).unwrap())
            .multiplex(yamux::Config::default())
            .boxed();
        let address = Multiaddr::from(to.ip()).with(Protocol::Tcp(to.port()));
        let how = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let (_, mut muxer) = within(transport.dial(address, how).unwrap()).await.unwrap();
        let mut streams = Vec::new();
        for _ in lanes {
            streams.push(within(opened(&mut muxer)).await);
        }
        let driver = tokio::spawn(async move {
            let _ = poll_fn(|cx| muxer.poll_unpin(cx)).await;
        });
        for (stream, lane) in streams.iter_mut().zip(lanes) {
            within(agree(stream, lane)).await;
        }
        Self { streams, driver }
    }

    /// Writes to the stream opened as the `index`th.
    pub(crate) async fn write(&mut self, index: usize, bytes: &[u8]) {
        // An error says that the other side is done with us already.
        let stream = &mut self.streams[index];
        let _ = within(async {
            stream.write_all(bytes).await?;
            stream.flush().await
        })
        .await;
    }

    /// Waits until the other side closes the connection.
    pub(crate) async fn closed(self) {
        within(self.driver).await.unwrap();
    }
}

/// The sides take turns at saying what they speak; each message has its length in front.
async fn agree(stream: &mut SubstreamBox, lane: &str) {
    let lines = ["/multistream/1.0.0\n".to_string(), format!("{}\n", protocol(lane))];
    let mut hello = Vec::new();
    for line in &lines {
        hello.push(u8::try_from(line.len()).unwrap());
        hello.extend_from_slice(line.as_bytes());
    }
    stream.write_all(&hello).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = vec![0; hello.len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, hello);
}

fn protocol(lane: &str) -> String {
    format!("/daruma/{}/{lane}/1", hex::encode(CHAIN))
}

async fn opened(muxer: &mut StreamMuxerBox) -> SubstreamBox {
    poll_fn(|cx| {
        let _ = muxer.poll_unpin(cx);
        muxer.poll_outbound_unpin(cx)
    })
    .await
    .unwrap()
}

/// Connections that are opened and say nothing.
pub(crate) async fn silent(count: usize, to: SocketAddr) -> Vec<tokio::net::TcpStream> {
    let mut open = Vec::new();
    for _ in 0..count {
        let stream = tokio::net::TcpStream::connect(to);
        open.push(tokio::time::timeout(Duration::from_secs(5), stream).await.unwrap().unwrap());
    }
    open
}
