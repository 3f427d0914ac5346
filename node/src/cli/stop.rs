//! When a command that runs on is to stop.

use std::io::Read;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::CliError;

/// Waits for an interrupt (Ctrl-C), a termination signal or a hang-up, or for the end of the parent.
pub(crate) struct Stop {
    signals: [Signal; 3],
    parent: Option<oneshot::Receiver<()>>,
}

impl Stop {
    /// From now on, signals do not end the process by themselves. With `parent`, the end of the standard
    /// input counts as one: the parent holds the other end, and however it ends, the system closes it.
    pub(crate) fn new(parent: bool) -> Result<Self, CliError> {
        let listen = |kind| signal(kind).map_err(|e| CliError::failed(format!("signals: {e}")));
        Ok(Self {
            signals: [
                listen(SignalKind::interrupt())?,
                listen(SignalKind::terminate())?,
                listen(SignalKind::hangup())?,
            ],
            parent: parent.then(parent_end),
        })
    }

    /// Returns when it is time, saying why. It may be called again, for the next signal.
    pub(crate) async fn requested(&mut self) -> &'static str {
        let [interrupt, terminate, hangup] = &mut self.signals;
        let parent = async {
            match &mut self.parent {
                // Its sender is dropped, or sends, when the parent has ended.
                Some(end) => drop(end.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => "interrupt",
            _ = terminate.recv() => "termination signal",
            _ = hangup.recv() => "hang-up",
            () = parent => {
                self.parent = None;
                "the parent process has ended"
            }
        }
    }
}

fn parent_end() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    // A thread of its own, because a blocked read would keep the runtime from stopping.
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut ignored = [0; 64];
        while matches!(input.read(&mut ignored), Ok(1..)) {}
        let _ = sender.send(());
    });
    receiver
}
