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
    // Whoever asked waits for the answer.
    let answered = move || drop(sender.send(work()));
    // Work that is not taken is dropped, and its sender with it.
    drop(thread.send(Box::new(answered)));
    let ended =
        |_| io::Error::other("a thread that is not confined ended early, or cannot be started");
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

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn work_is_done_by_another_thread_and_its_end_waited_for() {
        let here = thread::current().id();
        open().unwrap();
        assert!(outside(move || thread::current().id() != here).unwrap());
        // One may ask for another.
        assert_eq!(outside(|| outside(|| 1).unwrap() + 1).unwrap(), 2);
        let error = outside(|| assert_eq!(1, 2)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a thread that is not confined ended early, or cannot be started"
        );
        assert_eq!(outside(|| 3).unwrap(), 3);
        let missing = spawn(Command::new("/missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
