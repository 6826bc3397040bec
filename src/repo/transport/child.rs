//! A child process as the way to a server: `ssh`, or `git` itself for a path.
//!
//! `git` is needed for paths because it alone runs the hooks of the repository, serves shallow
//! clones, and packs a big repository in a second rather than half a minute.

use std::ffi::OsString;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::model::hint::with_hint;
use crate::model::outside::spawn;
use crate::repo::address::SshPlace;
use crate::repo::pkt;
use crate::repo::transport::limit::Deadline;
use crate::repo::transport::{Fault, Service, Ssh, SshProgram};

/// What a child prints is kept up to here.
const MAX_WORDS: usize = 64 * 1024;

/// How long the last words of a child may take that has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Between two looks whether a child has ended, which it does in about as long.
const PAUSE: Duration = Duration::from_millis(1);

/// Variables that would lead a child `git` to another repository, another protocol version or
/// another language (`git rev-parse --local-env-vars`).
const MISLEADING: [&str; 16] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_PROTOCOL",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// One conversation with a child. It is killed on drop.
pub(super) struct ChildWire {
    child: Child,
    name: String,
    request: Option<ChildStdin>,
    answer: BufReader<ChildStdout>,
    words: Listener,
    until: Deadline,
}

impl ChildWire {
    /// Runs the service on the other side of an `ssh`.
    pub(super) fn ssh(
        ssh: &Ssh,
        place: &SshPlace,
        service: Service,
        until: Deadline,
    ) -> Result<Self> {
        let mut arguments: Vec<OsString> = Vec::new();
        if !ssh.interactive {
            arguments.extend(["-o".into(), "BatchMode=yes".into()]);
        }
        if let Some(agent) = &ssh.agent {
            let socket = agent.socket.display();
            arguments.extend(["-o".into(), format!("IdentityAgent={socket}").into()]);
            // Or ssh would pass over what only an agent has.
            arguments.extend(["-o".into(), "IdentitiesOnly=no".into()]);
            // Or the server could use the key as long as the connection lasts, if the user's own
            // configuration lets it use agents.
            arguments.extend(["-o".into(), "ForwardAgent=no".into()]);
        }
        if let Some(port) = place.port {
            arguments.extend(["-p".into(), port.to_string().into()]);
        }
        arguments.push(match &place.user {
            Some(user) => format!("{user}@{}", place.host).into(),
            None => place.host.clone().into(),
        });
        arguments.push(format!("{} {}", service.name(), quoted(&place.path)).into());
        let (mut command, name) = match &ssh.program {
            SshProgram::Default => (Command::new("ssh"), "ssh"),
            SshProgram::Program(program) => (Command::new(program), program.as_str()),
            SshProgram::Command(line) => {
                // As git does: the shell splits the command, and the arguments follow.
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("{line} \"$@\"")).arg(line);
                (shell, line.as_str())
            }
        };
        command.args(arguments);
        let need = "`ssh://` addresses need OpenSSH's client";
        Self::start(command, (name, need), until)
    }

    /// Runs the service on a local path.
    pub(super) fn local(path: &Path, service: Service, until: Deadline) -> Result<Self> {
        let mut command = Command::new("git");
        command
            .arg(service.name().trim_start_matches("git-"))
            .arg("--")
            .arg(path);
        let need = "repositories given by a path need git";
        Self::start(command, ("git", need), until)
    }

    fn start(mut command: Command, (name, need): (&str, &str), until: Deadline) -> Result<Self> {
        without_secrets(&mut command, is_secret);
        for (variable, value) in std::env::vars_os() {
            let value = value.to_string_lossy().to_lowercase();
            let variable = variable.to_string_lossy();
            if variable.starts_with("GIT_CONFIG_VALUE_") && value.contains("authorization:") {
                // Gone it would be an error, as it is counted.
                command.env(&*variable, "");
            }
        }
        command
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = spawn(command)
            .with_context(|| format!("cannot run `{name}`"))
            .map_err(|error| with_hint(error, need))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(request), Some(answer), Some(words)) = pipes else {
            return Err(anyhow!("cannot talk to `{name}`"));
        };
        Ok(Self {
            child,
            name: name.to_owned(),
            request: Some(request),
            answer: BufReader::new(answer),
            words: Listener::start(words),
            until,
        })
    }

    /// Sends the request from a thread of its own, so that neither side waits for the other.
    pub(super) fn send(&mut self, request: Vec<u8>) {
        if let Some(mut pipe) = self.request.take() {
            // A child that is gone shows in its answer, which ends early.
            std::thread::spawn(move || pipe.write_all(&request));
        }
    }

    /// Why the answer ended early, from what the child printed.
    pub(super) fn explain(mut self) -> (Fault, anyhow::Error) {
        self.request = None;
        let status = self.ended();
        let words = pkt::tidy(&self.words.heard());
        if words.is_empty() {
            let said = match status {
                Ok(status) => anyhow!("`{}` ended with {status}", self.name),
                Err(error) => error.into(),
            };
            return (Fault::Broken, said);
        }
        let (fault, hint) = classify(&words);
        let said = anyhow!(words);
        match hint {
            Some(hint) => (fault, with_hint(said, hint)),
            None => (fault, said),
        }
    }

    /// Waits for a good end.
    pub(super) fn finish(mut self) -> Result<()> {
        if let Some(mut pipe) = self.request.take() {
            // Nothing was asked for: a flush is the polite end.
            let _ = pipe.write_all(pkt::FLUSH);
        }
        let status = self.ended()?;
        ensure!(
            status.success(),
            "`{}` ended with {status}: {}",
            self.name,
            pkt::tidy(&self.words.heard())
        );
        Ok(())
    }

    /// Waits for its end.
    fn ended(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            sleep(self.until.left()?.min(PAUSE));
        }
    }

    /// Waits until there is something to read: a byte, or the end.
    fn wait(&self) -> io::Result<()> {
        loop {
            let left = Timespec::try_from(self.until.left()?).map_err(io::Error::other)?;
            let answer = self.answer.get_ref();
            let mut polled = [PollFd::new(answer, PollFlags::IN)];
            match poll(&mut polled, Some(&left)) {
                Ok(0) | Err(Errno::INTR) => {}
                result => return result.map(drop).map_err(io::Error::from),
            }
        }
    }
}

impl Read for ChildWire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.answer.buffer().is_empty() {
            self.wait()?;
        }
        self.answer.read(buffer)
    }
}

impl Drop for ChildWire {
    fn drop(&mut self) {
        // Both fail only where the child has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps the beginning of what the child prints and reads the rest away.
struct Listener {
    words: Arc<Mutex<Vec<u8>>>,
    /// Its sender is gone when there is no more to come.
    ended: Receiver<()>,
}

impl Listener {
    fn start(mut from: impl Read + Send + 'static) -> Self {
        let words = Arc::new(Mutex::new(Vec::new()));
        let (sender, ended) = mpsc::channel();
        let kept = Arc::clone(&words);
        std::thread::spawn(move || {
            let _sender: Sender<()> = sender;
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = MAX_WORDS.saturating_sub(kept.len());
                kept.extend(buffer.iter().take(count.min(room)));
            }
        });
        Self { words, ended }
    }

    /// What a child that has ended has printed. One of its own may live on, as a master of ssh does that
    /// keeps a connection for later, and has nothing to say.
    fn heard(&self) -> Vec<u8> {
        let _ = self.ended.recv_timeout(LAST_WORDS);
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        words.clone()
    }
}

/// Keeps variables from a child that would mislead it, and those that hold a secret.
pub(super) fn without_secrets(command: &mut Command, is_secret: impl Fn(&str, &str) -> bool) {
    for variable in MISLEADING {
        command.env_remove(variable);
    }
    for (variable, value) in std::env::vars_os() {
        if is_secret(&variable.to_string_lossy(), &value.to_string_lossy()) {
            command.env_remove(variable);
        }
    }
}

/// Whether a variable holds a key or a token, which no child needs.
///
/// Known by its name, or by the private key in it. Others stay: a command of the user's for ssh may
/// be written with any of them.
fn is_secret(variable: &str, value: &str) -> bool {
    const WORDS: [&str; 4] = ["TOKEN", "SECRET", "PASSWORD", "API_KEY"];
    variable.starts_with("GIT_CERTS_")
        || variable.starts_with("SOPS_AGE_KEY")
        || WORDS.iter().any(|word| variable.contains(word))
        || is_key(value)
}

/// Whether a value is a private key.
pub(super) fn is_key(value: &str) -> bool {
    value.contains("PRIVATE KEY") || value.contains("AGE-SECRET-KEY-")
}

/// In single quotes for the shell of the other side.
fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', "'\\''").replace('!', "'\\!'"))
}

fn classify(words: &str) -> (Fault, Option<&'static str>) {
    let has = |part: &str| words.contains(part);
    let fault = if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        Fault::HostKeyChanged
    } else if has("Host key verification failed") || has("host key is known for") {
        Fault::HostKeyUnknown
    } else if has("Could not resolve hostname") {
        Fault::NoSuchHost
    } else if has("Permission denied (") {
        Fault::LoginRefused
    } else if has("onnection refused") || has("onnection timed out") || has("No route to host") {
        Fault::Unreachable
    } else if has("marked as read only") || has("not allowed to push") {
        Fault::Forbidden
    } else if has("not appear to be a git repository") || has("epository not found") {
        Fault::NotFound
    } else {
        Fault::Broken
    };
    let hint = has("dubious ownership").then_some(
        "another user owns the repository: `git config --global --add safe.directory PATH`",
    );
    (fault, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_for_a_shell() {
        assert_eq!(quoted("/srv/it's !x"), r"'/srv/it'\''s '\!'x'");
    }

    #[test]
    fn keys_are_kept_from_children() {
        for variable in [
            "GIT_CERTS_AGE_KEY",
            "SOPS_AGE_KEY_FILE",
            "GITHUB_TOKEN",
            "CI_JOB_TOKEN",
        ] {
            assert!(is_secret(variable, "x"), "{variable}");
        }
        assert!(is_secret("DEPLOY", "-----BEGIN OPENSSH PRIVATE KEY-----"));
        assert!(is_secret("AGE", "AGE-SECRET-KEY-1ABC"));
        assert!(!is_secret("GIT_SSH_COMMAND", "ssh -i $DEPLOY_KEY"));
        assert!(!is_secret("DEPLOY_KEY", "/run/key"));
    }
}
