//! Being asked to stop: SIGINT, SIGTERM, SIGHUP.

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Knows whether the run was asked to stop. Clones know the same.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Listens for signals from now on; they no longer end the process.
    pub(crate) fn on_signals() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        let mut signals = [
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ];
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            loop {
                let [interrupt, terminate, hangup] = &mut signals;
                any_of(interrupt, terminate, hangup).await;
                if sender.send(true).is_err() {
                    return;
                }
            }
        });
        Ok(Self(receiver))
    }

    /// Whether a signal came.
    pub(crate) fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Ends when a signal comes.
    pub(crate) async fn requested(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn any_of(interrupt: &mut Signal, terminate: &mut Signal, hangup: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}
