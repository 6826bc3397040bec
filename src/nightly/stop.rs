//! Being asked to stop: SIGINT, SIGTERM, SIGHUP.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::model::kill;

/// A signal came before the work was done.
#[derive(Debug, thiserror::Error)]
#[error("stopped by a signal")]
pub(super) struct Stopped;

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
                kill::heard();
            }
        });
        Ok(Self(receiver))
    }

    /// Does the work unless a signal comes first; then the work is dropped.
    pub(crate) async fn ends<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.ends_after(Duration::ZERO, work).await
    }

    /// The same, but the work has `grace` to come to its end.
    pub(crate) async fn ends_after<T>(
        &self,
        grace: Duration,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let over = async {
            self.requested().await;
            // A timer takes a moment even for no time at all.
            if !grace.is_zero() {
                tokio::time::sleep(grace).await;
            }
        };
        tokio::select! {
            // What is done is done.
            biased;
            result = work => result,
            () = over => Err(Stopped.into()),
        }
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
