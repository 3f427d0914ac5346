//! Threads of a driver that panic go on, with what they held in memory made again.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use daruma_driver::{Driver, DriverError, DriverEvent, DriverParts, ScrubSettings, Submission};
use daruma_engine::{ChainLimits, Context, LocalLimits};
use daruma_ledger::{Depth, Ledger, Trust};
use daruma_network::{Network, NetworkConfig, NetworkSettings};
use daruma_no_op::NoOp;
use daruma_store::{MemoryStore, Store};
use daruma_types::{
    ChainId, Committee, Ed25519, Hash, PublicKey, Replica, ReplicaId, SecretKey, Signature, Signer,
    Transaction, Verifier,
};
use zeroize::Zeroizing;

const CHAIN: ChainId = ChainId(Hash([1; 32]));

/// A key that panics at some of its uses: on the engine's thread to sign, on the executor to verify.
struct Fails {
    key: SecretKey,
    /// Panics to come.
    left: AtomicU32,
}

impl Fails {
    fn new() -> Arc<Self> {
        Arc::new(Self { key: key(), left: AtomicU32::new(0) })
    }

    fn fail(&self) {
        let take = |left: u32| left.checked_sub(1);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            panic!("told to");
        }
    }
}

impl Signer for Fails {
    fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    fn sign(&self, content: &[u8]) -> Signature {
        self.fail();
        self.key.sign(content)
    }
}

impl Verifier for Fails {
    fn verify(&self, key: &PublicKey, content: &[u8], signature: &Signature) -> bool {
        self.fail();
        Ed25519.verify(key, content, signature)
    }
}

fn key() -> SecretKey {
    SecretKey::from_bytes(&[1; 32])
}

/// A chain of one replica, which is its own quorum.
async fn start(signer: Arc<Fails>, verifier: Arc<Fails>) -> (Driver, Arc<MemoryStore>) {
    let replica = Replica { name: "r0".into(), key: key().public_key() };
    let committee = Arc::new(Committee::new(CHAIN, 0, vec![replica]).unwrap());
    let store = Arc::new(MemoryStore::new());
    let trust = Trust { committee: committee.clone(), verifier };
    let shared: Arc<dyn Store> = store.clone();
    let (ledger, _) = Ledger::open(shared, Arc::new(NoOp), trust, Depth::Recent).unwrap();
    let (network, events) = Network::start(NetworkConfig {
        chain: CHAIN.0.0,
        own: ReplicaId(0),
        key_seed: Zeroizing::new([2; 32]),
        listen: "127.0.0.1:0".parse().unwrap(),
        peers: Vec::new(),
        settings: NetworkSettings::default(),
    })
    .await
    .unwrap();
    let chain = ChainLimits {
        operation_bytes_max: 1000,
        block_bytes_max: 100_000,
        block_transactions_max: 100,
        window: 8,
    };
    let local = LocalLimits::default();
    let verifier = Arc::new(Ed25519);
    let context = Context { committee, own: ReplicaId(0), signer, verifier, chain, local };
    let driver = Driver::start(DriverParts {
        context,
        store: store.clone(),
        ledger,
        automaton: Arc::new(NoOp),
        network,
        events,
        tick: Duration::from_millis(10),
        snapshots: None,
        scrub: ScrubSettings { enabled: false, rows_per_second: 1000, pause: Duration::ZERO },
    })
    .unwrap();
    (driver, store)
}

/// Submits until a block with it is executed: what a thread held when it panicked is to be sent again.
async fn serve(driver: &Driver, nonce: u64) {
    let client = SecretKey::from_bytes(&[9; 32]);
    let transaction = Transaction::sign(CHAIN, &client, nonce, nonce.to_be_bytes().into());
    let name = transaction.hash(CHAIN);
    let mut events = driver.subscribe();
    let served = async {
        loop {
            let transaction = transaction.clone();
            let submission = Submission { transaction, answer: Box::new(|_| {}) };
            driver.submissions().send(submission).await.unwrap();
            let wait = Duration::from_millis(200);
            while let Ok(event) = tokio::time::timeout(wait, events.recv()).await {
                if let Ok(DriverEvent::Executed { transactions, .. }) = event
                    && transactions.contains(&name)
                {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), served).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_serves_again_after_its_engine_and_its_executor_panicked_and_tells_it() {
    let (signer, verifier) = (Fails::new(), Fails::new());
    let (driver, store) = start(signer.clone(), verifier.clone()).await;
    serve(&driver, 1).await;
    assert_eq!(driver.supervisor().restarted(), []);
    signer.left.store(1, Ordering::Relaxed);
    serve(&driver, 2).await;
    assert_eq!(driver.supervisor().restarted(), [("engine", 1)]);
    verifier.left.store(1, Ordering::Relaxed);
    serve(&driver, 3).await;
    assert_eq!(driver.supervisor().restarted(), [("engine", 1), ("executor", 1)]);
    assert_eq!(driver.counters().rebuilt.load(Ordering::Relaxed), 0, "nothing was contradicted");
    driver.shutdown().await.unwrap();
    let heals = store.heals_before(None, usize::MAX).unwrap();
    let panics = heals.iter().filter(|r| r.heal.cause.ends_with("thread panicked"));
    assert_eq!(panics.filter(|r| r.heal.evidence == "told to").count(), 2, "{heals:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_panics_again_and_again_ends_the_driver_with_an_error_that_names_it() {
    let signer = Fails::new();
    let (mut driver, _) = start(signer.clone(), Fails::new()).await;
    serve(&driver, 1).await;
    signer.left.store(u32::MAX, Ordering::Relaxed);
    let submissions = driver.submissions().clone();
    // Each makes the engine sign; one that it held when it panicked is gone with its memory.
    let asking = tokio::spawn(async move {
        for nonce in 2.. {
            let transaction = Transaction::sign(CHAIN, &key(), nonce, vec![1]);
            let submission = Submission { transaction, answer: Box::new(|_| {}) };
            if submissions.send(submission).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let ended = tokio::time::timeout(Duration::from_secs(60), driver.ended()).await.unwrap();
    asking.abort();
    assert!(matches!(ended, Err(DriverError::Panicked("engine"))), "{ended:?}");
}
