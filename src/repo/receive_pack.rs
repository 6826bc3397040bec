//! Pushes: a small client of the receive-pack protocol (gitprotocol-pack(5), "Pushing Data").
//!
//! libgit2's own push cannot say which value it expects a reference to have. This one does, so that
//! every update is a compare-and-swap, and it keeps the server's words as they are.

use std::collections::BTreeMap;
use std::io::{self, Read};

use anyhow::{Context, Result};
use git2::{Buf, Oid, Repository};

use crate::repo::pkt::{self, SideBand};
use crate::repo::transport::{AGENT, Connection, Remote, Service};

/// One reference to change from a value that it must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefUpdate {
    /// Full name, such as `refs/heads/main`.
    pub(crate) name: String,
    /// Value expected on the server; zero for "does not exist".
    pub(crate) old: Oid,
    /// New value; zero to delete.
    pub(crate) new: Oid,
}

/// The server's answer to a push.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Report {
    /// Why the objects could not be stored; none if they were.
    pub(crate) unpack: Option<String>,
    /// Each reference with the server's reason if it was refused.
    pub(crate) references: BTreeMap<String, Option<String>>,
    /// What hooks and the server printed (`remote: ...` in git), word for word.
    pub(crate) said: String,
}

impl Report {
    /// Why the update of `name` was refused; none if it was done.
    pub(crate) fn refused(&self, name: &str) -> Option<&str> {
        match (&self.unpack, self.references.get(name)) {
            (Some(reason), _) => Some(reason),
            (None, Some(reason)) => reason.as_deref(),
            (None, None) => Some("the server did not report on it"),
        }
    }
}

/// A conversation in which one push can be made, after looking at what the server has.
pub(crate) struct Push(Connection);

impl Push {
    /// Connects; `references` is then what the server has.
    pub(crate) fn open(remote: &Remote) -> Result<Self> {
        Ok(Self(Connection::open(remote, Service::ReceivePack)?))
    }

    /// The value that a reference has on the server.
    pub(crate) fn current(&self, name: &str) -> Option<Oid> {
        self.0.advertisement.references.get(name).copied()
    }

    /// All references that the server has.
    pub(crate) fn references(&self) -> impl Iterator<Item = (&str, Oid)> {
        let all = self.0.advertisement.references.iter();
        all.map(|(name, id)| (name.as_str(), *id))
    }

    /// Ends without a push.
    pub(crate) fn leave(self) -> Result<()> {
        self.0.finish()
    }

    /// Sends the updates with the objects that they need.
    ///
    /// `pack` may be empty if all updates delete. An `Err` means that it is not known what the
    /// server did.
    pub(crate) fn send(mut self, commands: &[RefUpdate], pack: &[u8]) -> Result<Report> {
        let side_band = self.0.advertisement.can("side-band-64k");
        let mut request = Vec::new();
        let mut wishes = String::from("\0 report-status");
        if side_band {
            wishes.push_str(" side-band-64k");
        }
        for command in commands {
            let RefUpdate { name, old, new } = command;
            let wishes = std::mem::take(&mut wishes);
            let agent = if wishes.is_empty() { "" } else { AGENT };
            pkt::write(
                &mut request,
                format!("{old} {new} {name}{wishes} {agent}").trim_end(),
            );
        }
        request.extend_from_slice(pkt::FLUSH);
        request.extend_from_slice(pack);
        self.0.send(request)?;
        let report = if side_band {
            let mut bands = SideBand::new(&mut self.0);
            let status = read_status(&mut bands);
            // Hooks that run after the update print after the report.
            let rest = io::copy(&mut bands, &mut io::sink());
            let said = bands.said();
            match status.and_then(|report| rest.map(|_| report)) {
                Ok(report) => Ok(Report { said, ..report }),
                Err(error) if said.is_empty() => Err(error),
                Err(error) => return Err(self.0.broken(error)).with_context(|| said),
            }
        } else {
            read_status(&mut self.0)
        };
        match report {
            Ok(report) => {
                // The report is what counts; a hook that fails after the update is the server's matter.
                let _ = self.0.finish();
                Ok(report)
            }
            Err(error) => Err(self.0.broken(error)),
        }
    }
}

/// Changes references on a server, each from the value that it must have.
pub(crate) fn push(remote: &Remote, commands: &[RefUpdate], pack: &[u8]) -> Result<Report> {
    Push::open(remote)?.send(commands, pack)
}

/// A pack with what `new` has and `old` has not.
pub(crate) fn pack(repository: &Repository, new: Oid, old: &[Oid]) -> Result<Vec<u8>> {
    let mut walk = repository.revwalk()?;
    walk.push(new)?;
    for id in old {
        walk.hide(*id)?;
    }
    let mut builder = repository.packbuilder()?;
    builder.insert_walk(&mut walk)?;
    let mut buffer = Buf::new();
    builder
        .write_buf(&mut buffer)
        .context("cannot pack the commits")?;
    Ok(buffer.to_vec())
}

fn read_status(from: &mut impl Read) -> io::Result<Report> {
    let mut report = Report::default();
    let first = pkt::read(from)?.ok_or_else(|| pkt::invalid("the report of the push is empty"))?;
    let first = pkt::text(&first);
    match first.strip_prefix("unpack ") {
        Some("ok") => {}
        Some(reason) => report.unpack = Some(reason.to_owned()),
        None => {
            return Err(pkt::invalid(
                "the report of the push does not begin with `unpack`",
            ));
        }
    }
    while let Some(line) = pkt::read(from)? {
        let line = pkt::text(&line);
        if let Some(name) = line.strip_prefix("ok ") {
            report.references.insert(name.to_owned(), None);
        } else if let Some((name, reason)) = line
            .strip_prefix("ng ")
            .and_then(|rest| rest.split_once(' '))
        {
            let reason = pkt::tidy(reason.as_bytes());
            report.references.insert(name.to_owned(), Some(reason));
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let mut bytes = Vec::new();
        pkt::write(&mut bytes, "unpack ok\n");
        pkt::write(&mut bytes, "ok refs/heads/a\n");
        pkt::write(&mut bytes, "ng refs/heads/b hook declined\n");
        bytes.extend_from_slice(pkt::FLUSH);
        let report = read_status(&mut bytes.as_slice()).unwrap();
        assert_eq!(report.refused("refs/heads/a"), None);
        assert_eq!(report.refused("refs/heads/b"), Some("hook declined"));
        assert_eq!(
            report.refused("refs/heads/c"),
            Some("the server did not report on it")
        );
        assert!(read_status(&mut &b"0000"[..]).is_err());

        let failed = read_status(&mut &b"0014unpack no space\n0000"[..]).unwrap();
        assert_eq!(failed.refused("refs/heads/a"), Some("no space"));
    }
}
