//! Reaches a git server: over HTTP, a child `ssh`, or a child `git` for a path.
//!
//! One [`Connection`] is one conversation: the server advertises its references, gets one request
//! and gives one answer (protocol version 0, gitprotocol-pack(5), which every server speaks). It is
//! blocking: run it where blocking is allowed, inside a Tokio runtime for HTTP.

mod access;
mod agent;
mod child;
mod configured;
mod http;
mod limit;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use git2::Oid;

use crate::model::hint::{Hint, with_hint};
use crate::repo::address::{Address, Place};
use crate::repo::pkt;
pub(crate) use crate::repo::transport::access::{Access, Ssh, SshProgram, Token};
pub(crate) use crate::repo::transport::agent::Agent;
use crate::repo::transport::child::ChildWire;
pub(crate) use crate::repo::transport::configured::Configured;
use crate::repo::transport::http::HttpWire;
use crate::repo::transport::limit::{Allowance, Deadline, LARGEST_ANSWER, LONGEST, LONGEST_LIST};

/// How this program calls itself to git servers.
pub(crate) const AGENT: &str = concat!("agent=git-certs/", env!("CARGO_PKG_VERSION"));

/// A repository elsewhere, with what it takes to get in. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub(crate) address: Arc<Address>,
    /// None for the branch that the server's HEAD names.
    pub(crate) branch: Option<String>,
    pub(crate) access: Access,
}

/// What is asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Fetch.
    UploadPack,
    /// Push.
    ReceivePack,
}

impl Service {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }

    /// For messages: what the user wanted.
    fn verb(self) -> &'static str {
        match self {
            Self::UploadPack => "read",
            Self::ReceivePack => "push to",
        }
    }
}

/// Why a server could not be used; the server's or ssh's own words are the error's cause.
#[derive(Debug, thiserror::Error)]
#[error("cannot {} `{remote}`: {}", service.verb(), fault.words())]
pub(crate) struct RemoteError {
    pub(crate) fault: Fault,
    service: Service,
    remote: String,
}

/// Kinds of [`RemoteError`] that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    LoginAsked,
    LoginRefused,
    Forbidden,
    NotFound,
    /// The same of a path, which needs no login.
    NoRepository,
    HostKeyUnknown,
    HostKeyChanged,
    NoSuchHost,
    Unreachable,
    Untrusted,
    NotGit,
    TooLate,
    TooLarge,
    Broken,
}

impl Fault {
    fn words(self) -> &'static str {
        match self {
            Self::LoginAsked => "the server asks for a login",
            Self::LoginRefused => "the server does not accept the login",
            Self::Forbidden => "the server does not allow it",
            Self::NotFound => "there is no such repository, or it is hidden from this login",
            Self::NoRepository => "there is no git repository",
            Self::HostKeyUnknown => "the host key is not known",
            Self::HostKeyChanged => "the host key has changed",
            Self::NoSuchHost => "the host name does not resolve",
            Self::Unreachable => "the server cannot be reached",
            Self::Untrusted => "the server's certificate is not trusted",
            Self::NotGit => "the answer is not git's protocol",
            Self::TooLate => "the conversation takes too long",
            Self::TooLarge => "the answer is too large",
            Self::Broken => "the server ended the conversation",
        }
    }

    fn hint(self, service: Service) -> Option<&'static str> {
        Some(match (self, service) {
            (Self::LoginAsked, _) => {
                "give a token (GIT_CERTS_TOKEN, for the DNS repository GIT_CERTS_DNS_TOKEN), or an address by `ssh://`"
            }
            (Self::LoginRefused, _) => {
                "check that the token or the key is valid and belongs to this server"
            }
            (Self::Forbidden, Service::ReceivePack) => {
                "the token or key needs write access (GitHub: `permissions: contents: write`)"
            }
            (Self::Forbidden, Service::UploadPack) => "the token or key needs read access",
            (Self::NotFound, _) => "check the address, and that the token or key may see it",
            (Self::NoRepository, _) => {
                "check the path (a relative one starts at the current folder); `git init` makes a repository of a folder"
            }
            (Self::HostKeyUnknown, _) => {
                "check the fingerprint, then add the host key to `known_hosts` (`ssh-keyscan` prints it)"
            }
            (Self::HostKeyChanged, _) => {
                "ask whoever runs the server; only then replace the old key in `known_hosts`"
            }
            (Self::NoSuchHost, _) => "check the address",
            (Self::Untrusted, _) => "add the server's CA with `--ca-bundle`",
            (Self::NotGit, _) => "check the address: it should be the one that `git clone` takes",
            (Self::Unreachable, _) => {
                "check the address, and that this machine reaches it: a firewall, a proxy"
            }
            (Self::TooLate, _) => {
                "try `git ls-remote` by hand: ssh, a proxy or the server may wait for something"
            }
            (Self::TooLarge, _) => {
                "let git clone it, and work in that folder (`--dir`, `--dns-repo FOLDER`)"
            }
            (Self::Broken, _) => return None,
        })
    }
}

impl Remote {
    /// The error for `fault`, with `said` (the other side's own words) as its cause.
    fn error(&self, service: Service, fault: Fault, said: anyhow::Error) -> anyhow::Error {
        let fault = match (fault, &self.address.place) {
            (Fault::NotFound, Place::Local(_)) => Fault::NoRepository,
            (fault, _) => fault,
        };
        let cause = match fault.hint(service) {
            Some(hint) => with_hint(said, hint),
            None => said,
        };
        cause.context(RemoteError {
            fault,
            service,
            remote: self.to_string(),
        })
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// What a server has and can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Advertisement {
    /// Full names (`HEAD`, `refs/heads/main`), peeled tags left out.
    pub(crate) references: BTreeMap<String, Oid>,
    capabilities: Vec<String>,
}

impl Advertisement {
    /// Whether the server has the capability.
    pub(crate) fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|has| has == capability)
    }

    /// The reference that HEAD stands for.
    pub(crate) fn head(&self) -> Option<&str> {
        self.capabilities
            .iter()
            .find_map(|has| has.strip_prefix("symref=HEAD:"))
    }

    fn read(from: &mut impl Read, service: Service, stateless: bool) -> io::Result<Self> {
        let mut found = Self::default();
        let mut first = pkt::read(from)?;
        if stateless {
            let announced = first.as_deref().map(pkt::text);
            if announced.as_deref() != Some(&format!("# service={}", service.name())) {
                return Err(pkt::invalid("the answer does not announce the service"));
            }
            if pkt::read(from)?.is_some() {
                return Err(pkt::invalid("the announcement does not end"));
            }
            first = pkt::read(from)?;
        }
        while let Some(line) = first {
            found.line(&pkt::text(&line))?;
            first = pkt::read(from)?;
        }
        Ok(found)
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        if let Some(said) = line.strip_prefix("ERR ") {
            return Err(io::Error::other(pkt::tidy(said.as_bytes())));
        }
        let (line, capabilities) = line.split_once('\0').unwrap_or((line, ""));
        self.capabilities
            .extend(capabilities.split_whitespace().map(str::to_owned));
        if line.starts_with("version ") || line.starts_with("shallow ") {
            return Ok(());
        }
        let (id, name) = line
            .split_once(' ')
            .ok_or_else(|| pkt::invalid("the answer has a line that is no reference"))?;
        if name == "capabilities^{}" || name.ends_with("^{}") || id.len() != 40 {
            return Ok(());
        }
        let id = Oid::from_str(id).map_err(|_| pkt::invalid("the answer has a bad object id"))?;
        self.references.insert(name.to_owned(), id);
        Ok(())
    }
}

/// An open conversation with a server.
pub(crate) struct Connection {
    remote: Remote,
    service: Service,
    wire: Wire,
    allowance: Allowance,
    pub(crate) advertisement: Advertisement,
}

enum Wire {
    Http(HttpWire),
    Child(ChildWire),
}

impl Connection {
    /// Connects, logs in and reads what the server advertises.
    pub(crate) fn open(remote: &Remote, service: Service) -> Result<Self> {
        Self::open_within(LONGEST, remote, service)
    }

    fn open_within(limit: Duration, remote: &Remote, service: Service) -> Result<Self> {
        let until = Deadline::after(limit);
        let wire = match &remote.address.place {
            Place::Http(url) => Wire::Http(HttpWire::open(remote, url, service, until)?),
            Place::Ssh(place) => {
                Wire::Child(ChildWire::ssh(&remote.access.ssh, place, service, until)?)
            }
            Place::Local(path) => Wire::Child(ChildWire::local(path, service, until)?),
        };
        let stateless = matches!(wire, Wire::Http(_));
        let mut open = Self {
            remote: remote.clone(),
            service,
            wire,
            allowance: Allowance::of(LONGEST_LIST),
            advertisement: Advertisement::default(),
        };
        match Advertisement::read(&mut open, service, stateless) {
            Ok(advertisement) => open.advertisement = advertisement,
            Err(error) => return Err(open.broken(error)),
        }
        if open.advertisement.can("object-format=sha256") {
            return Err(anyhow!("`{remote}` is a SHA-256 repository")).hint(|| SHA256_HINT);
        }
        Ok(open)
    }

    /// Sends the one request; the answer is then read from this.
    pub(crate) fn send(&mut self, request: Vec<u8>) -> Result<()> {
        self.allowance = Allowance::of(LARGEST_ANSWER);
        match &mut self.wire {
            Wire::Http(wire) => wire.send(&self.remote, self.service, request),
            Wire::Child(wire) => {
                wire.send(request);
                Ok(())
            }
        }
    }

    /// Turns a failed read into an error that says why: what a child printed, or the fault itself.
    pub(crate) fn broken(self, error: io::Error) -> anyhow::Error {
        let (fault, said) = match self.wire {
            Wire::Child(wire) if error.kind() == io::ErrorKind::UnexpectedEof => wire.explain(),
            _ if error.kind() == io::ErrorKind::TimedOut => (Fault::TooLate, error.into()),
            _ if error.kind() == io::ErrorKind::FileTooLarge => (Fault::TooLarge, error.into()),
            _ if error.kind() == io::ErrorKind::InvalidData => (Fault::NotGit, error.into()),
            _ if error.kind() == io::ErrorKind::UnexpectedEof => {
                (Fault::Broken, anyhow!("the answer ended early"))
            }
            _ => (Fault::Broken, error.into()),
        };
        self.remote.error(self.service, fault, said)
    }

    /// Ends the conversation after the answer was read.
    pub(crate) fn finish(self) -> Result<()> {
        match self.wire {
            Wire::Http(_) => Ok(()),
            Wire::Child(wire) => wire
                .finish()
                .with_context(|| format!("cannot end the conversation with `{}`", self.remote)),
        }
    }
}

/// What to do about a repository with SHA-256 objects, which libgit2 cannot write yet.
pub(crate) const SHA256_HINT: &str =
    "use a repository with SHA-1 objects (`git init --object-format=sha1`)";

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.wire {
            Wire::Http(wire) => wire.read(buffer),
            Wire::Child(wire) => wire.read(buffer),
        }?;
        self.allowance.take(count)?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;
    use std::time::Instant;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::hint::explain;
    use crate::repo::servers::{access, remote, runtime};

    #[test]
    fn an_advertisement_is_read() {
        let id = "a".repeat(40);
        let mut bytes = Vec::new();
        pkt::write(&mut bytes, "# service=git-upload-pack\n");
        bytes.extend_from_slice(pkt::FLUSH);
        pkt::write(
            &mut bytes,
            &format!("{id} HEAD\0ofs-delta symref=HEAD:refs/heads/main\n"),
        );
        pkt::write(&mut bytes, &format!("{id} refs/tags/v1^{{}}\n"));
        bytes.extend_from_slice(pkt::FLUSH);
        let read = |service| Advertisement::read(&mut bytes.as_slice(), service, true);
        let found = read(Service::UploadPack).unwrap();
        assert_eq!(found.head(), Some("refs/heads/main"));
        assert!(found.can("ofs-delta") && !found.can("shallow"));
        assert_eq!(found.references.len(), 1);
        assert!(read(Service::ReceivePack).is_err());
    }

    fn said(error: &anyhow::Error) -> String {
        let explained = explain(error);
        let lines = [vec![explained.what], explained.causes, explained.hints].concat();
        lines.join("\n")
    }

    #[test]
    fn a_conversation_has_a_limit_of_time() {
        // Nobody says anything, and what the shell has started outlives it.
        let silent = remote("ssh://x.test/a", access(None, Some("sleep 60; :")));
        let began = Instant::now();
        let open = |remote, limit| {
            let open = Connection::open_within(limit, remote, Service::UploadPack);
            said(&open.err().unwrap())
        };
        let hint = "try `git ls-remote` by hand: ssh, a proxy or the server may wait for something";
        assert_eq!(
            open(&silent, Duration::from_secs(1)),
            format!(
                "cannot read `ssh://x.test/a`: the conversation takes too long\nno end after 1 s\n{hint}"
            )
        );

        // Something comes all the time, and no end.
        let _runtime = runtime();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/a", listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Nobody takes an answer to what was not asked yet.
            assert_ne!(stream.read(&mut [0; 4096]).unwrap(), 0);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            let line = "001e# service=git-upload-pack\n0000fff0";
            for byte in line.bytes().chain(std::iter::repeat(b'x')) {
                if stream.write_all(&[byte]).is_err() {
                    break;
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        let dripping = remote(&address, access(None, None));
        assert_eq!(
            open(&dripping, Duration::from_secs(5)),
            format!(
                "cannot read `{address}`: the conversation takes too long\nno end after 5 s\n{hint}"
            )
        );
        assert!(began.elapsed() < Duration::from_secs(40));
    }

    #[test]
    fn a_server_may_send_so_much() {
        let id = "a".repeat(40);
        let endless = format!("yes '003d{id} refs/heads/main'; :");
        let endless = remote("ssh://x.test/a", access(None, Some(&endless)));
        let error = Connection::open(&endless, Service::UploadPack)
            .err()
            .unwrap();
        assert_eq!(
            said(&error),
            "cannot read `ssh://x.test/a`: the answer is too large\nit has more than 64 MiB\n\
             let git clone it, and work in that folder (`--dir`, `--dns-repo FOLDER`)"
        );
    }
}
