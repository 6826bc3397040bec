//! What the user wants to happen outside of the workspace: programs that are started, files in other places.
//!
//! The process is confined ([`crate::model::confinement`]), and what a thread may not do, the programs that it starts
//! may not do either. One thread was there before, and is as free as the user: it does this work.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread;

use tokio::runtime::Handle;

type Work = Box<dyn FnOnce() + Send>;

/// Takes the work to the free thread. None as long as nothing is confined.
static OUTSIDE: OnceLock<Sender<Work>> = OnceLock::new();

/// Starts the free thread. To be called before the process is confined.
pub(crate) fn open() -> io::Result<()> {
    let (sender, receiver) = mpsc::channel::<Work>();
    thread::Builder::new()
        .name("outside".to_owned())
        .spawn(move || {
            for work in receiver {
                // Each on a thread of its own: a plugin of age may wait for somebody to touch a key. One that
                // cannot be started drops its work, which whoever waits for it notices.
                drop(thread::Builder::new().spawn(work));
            }
        })?;
    // Only the first is ever asked.
    let _ = OUTSIDE.set(sender);
    Ok(())
}

/// Does `work` outside, and waits for its end.
///
/// Fails only where no thread can be started.
pub(crate) fn outside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let Some(thread) = OUTSIDE.get() else {
        return Ok(work());
    };
    let (sender, receiver) = mpsc::channel();
    let work = move || {
        // Whoever asked waits for the answer.
        let _ = sender.send(work());
    };
    let ended = |_| io::Error::other("a thread of ours ended early");
    thread
        .send(Box::new(work))
        .map_err(|_| io::Error::other("the thread that starts programs has ended"))?;
    receiver.recv().map_err(ended)
}

/// Starts a program.
pub(crate) fn spawn(mut command: Command) -> io::Result<Child> {
    #[expect(clippy::disallowed_methods, reason = "it is what this file is for")]
    outside(move || command.spawn())?
}

/// Starts a program that is waited for with others. Panics outside of a runtime.
pub(crate) fn spawn_async(
    mut command: tokio::process::Command,
) -> io::Result<tokio::process::Child> {
    let runtime = Handle::current();
    #[expect(clippy::disallowed_methods, reason = "it is what this file is for")]
    outside(move || {
        let _entered = runtime.enter();
        command.spawn()
    })?
}
