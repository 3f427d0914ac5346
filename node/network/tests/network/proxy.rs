//! A TCP relay that can stop relaying without closing: what a host that lost power looks like.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    relay: JoinHandle<Vec<(TcpStream, TcpStream)>>,
    cut: tokio::sync::watch::Sender<bool>,
}

impl Proxy {
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, mut is_cut) = tokio::sync::watch::channel(false);
        let relay = tokio::spawn(async move {
            let mut relays = JoinSet::new();
            loop {
                tokio::select! {
                    _ = is_cut.changed() => break,
                    arrival = listener.accept() => {
                        let (mut near, _) = arrival.unwrap();
                        let mut is_cut = is_cut.clone();
                        relays.spawn(async move {
                            let mut far = TcpStream::connect(target).await.unwrap();
                            tokio::select! {
                                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                                _ = is_cut.changed() => {}
                            }
                            (near, far)
                        });
                    }
                }
            }
            // From here on nobody is accepted, and the connections are open but silent.
            relays.join_all().await
        });
        Self { address, relay, cut }
    }

    /// Stops relaying; the connections stay open for as long as what is returned lives.
    pub(crate) async fn cut(self) -> Vec<(TcpStream, TcpStream)> {
        self.cut.send(true).unwrap();
        self.relay.await.unwrap()
    }
}
