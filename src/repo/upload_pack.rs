//! Fetches one branch (gitprotocol-pack(5), version 0): one request, one pack, nothing negotiated.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use git2::{Oid, Repository};

use crate::model::file;
use crate::model::hint::with_hint;
use crate::repo::files;
use crate::repo::journal::reference::Reference;
use crate::repo::pkt::{self, SideBand};
use crate::repo::sizes;
use crate::repo::transport::{AGENT, Advertisement, Connection, Remote, Service};

/// Prefix of branches.
pub(crate) const HEADS: &str = "refs/heads/";

/// Names that are tried where HEAD does not say which branch it stands for.
const USUAL_BRANCHES: [&str; 2] = ["main", "master"];

/// File of a repository that lists the commits whose parents it does not have.
const SHALLOW_FILE: &str = "shallow";

/// How much history is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The tip alone, where the server can.
    Tip,
    /// Everything down to what is here.
    All,
}

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// Without `refs/heads/`.
    pub(crate) branch: String,
    pub(crate) tip: Oid,
    /// Whether a run has a journal on the server.
    pub(crate) has_journal: bool,
}

/// Brings the tip of a branch into the object database of `into`; no reference is changed.
///
/// `have` are commits that are here already. The repository must be opened anew to see a changed
/// `shallow` file.
pub(crate) fn fetch(
    remote: &Remote,
    into: &Repository,
    have: &[Oid],
    depth: Depth,
) -> Result<Fetched> {
    let mut open = Connection::open(remote, Service::UploadPack)?;
    let fetched = choose(remote, &open.advertisement)?;
    if into.odb()?.exists(fetched.tip) {
        open.finish()?;
        return Ok(fetched);
    }
    let mut shallow = Shallow::load(into)?;
    let tip_only = depth == Depth::Tip && open.advertisement.can("shallow");
    let request = request(&open.advertisement, fetched.tip, (have, &shallow), tip_only);
    open.send(request)?;
    received(open, remote, into, (&mut shallow, tip_only))?;
    shallow.save(into.path())?;
    Ok(fetched)
}

/// Brings a branch with its whole history into a repository that has a part of it.
///
/// The repository must be opened anew to see that nothing is missing any more.
pub(crate) fn fetch_whole(remote: &Remote, into: &Repository) -> Result<Fetched> {
    let mut open = Connection::open(remote, Service::UploadPack)?;
    let fetched = choose(remote, &open.advertisement)?;
    // As if nothing were here: the server must not take what is cut off for known.
    let mut nothing = Shallow::default();
    let request = request(&open.advertisement, fetched.tip, (&[], &nothing), false);
    open.send(request)?;
    received(open, remote, into, (&mut nothing, false))?;
    files::remove(&into.path().join(SHALLOW_FILE))?;
    Ok(fetched)
}

/// Brings one commit into the object database of `into`.
///
/// Servers give what a reference is at; many give what a reference leads to as well.
pub(crate) fn fetch_commit(
    remote: &Remote,
    into: &Repository,
    id: Oid,
    depth: Depth,
) -> Result<()> {
    let mut open = Connection::open(remote, Service::UploadPack)?;
    let mut shallow = Shallow::load(into)?;
    let tip_only = depth == Depth::Tip && open.advertisement.can("shallow");
    let request = request(&open.advertisement, id, (&[], &shallow), tip_only);
    open.send(request)?;
    received(open, remote, into, (&mut shallow, tip_only))?;
    shallow.save(into.path())
}

/// Takes what was asked for, to the end of the connection.
fn received(
    mut open: Connection,
    remote: &Remote,
    into: &Repository,
    (shallow, tip_only): (&mut Shallow, bool),
) -> Result<()> {
    match receive(&mut open, into, shallow, tip_only) {
        Ok(()) => {
            open.finish()?;
            // In a repository of the user's there may be millions of objects.
            if tip_only {
                sizes::check_all(into)?;
            }
            Ok(())
        }
        Err(Trouble::Wire(error)) => Err(open.broken(error)),
        Err(Trouble::Here(error)) => {
            Err(error.context(format!("cannot store what `{remote}` sent")))
        }
    }
}

/// The branch asked for, or the one that HEAD stands for.
fn choose(remote: &Remote, has: &Advertisement) -> Result<Fetched> {
    let find = |branch: &str| {
        let tip = has.references.get(&format!("{HEADS}{branch}"))?;
        Some(Fetched {
            branch: branch.to_owned(),
            tip: *tip,
            has_journal: has
                .references
                .keys()
                .any(|name| Reference::parse(name).is_some()),
        })
    };
    if has.references.is_empty() {
        return Err(with_hint(
            anyhow!("`{remote}` is empty"),
            "push a first commit, with `certs.json` for certificates",
        ));
    }
    if let Some(branch) = &remote.branch {
        return find(branch).ok_or_else(|| {
            with_hint(
                anyhow!("`{remote}` has no branch `{branch}`"),
                format!("it has {}", branches(has)),
            )
        });
    }
    let named = has.head().and_then(|head| head.strip_prefix(HEADS));
    let head = has.references.get("HEAD");
    named
        .and_then(find)
        .or_else(|| {
            let same = |found: &Fetched| Some(&found.tip) == head;
            USUAL_BRANCHES
                .iter()
                .filter_map(|name| find(name))
                .find(same)
        })
        .ok_or_else(|| {
            with_hint(
                anyhow!("HEAD of `{remote}` stands for no branch"),
                format!("name the branch with `--branch`; it has {}", branches(has)),
            )
        })
}

/// For a hint: the first few branches.
fn branches(has: &Advertisement) -> String {
    let names = has.references.keys();
    let mut names = names.filter_map(|name| name.strip_prefix(HEADS));
    let shown: Vec<_> = names
        .by_ref()
        .take(5)
        .map(|name| format!("`{name}`"))
        .collect();
    match (shown.is_empty(), names.count()) {
        (true, _) => "no branch".to_owned(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

fn request(
    has: &Advertisement,
    want: Oid,
    (have, shallow): (&[Oid], &Shallow),
    tip_only: bool,
) -> Vec<u8> {
    let mut wishes = String::new();
    for capability in ["side-band-64k", "ofs-delta", "no-progress"] {
        if has.can(capability) {
            wishes.push(' ');
            wishes.push_str(capability);
        }
    }
    let mut out = Vec::new();
    pkt::write(&mut out, &format!("want {want}{wishes} {AGENT}\n"));
    for id in &shallow.commits {
        pkt::write(&mut out, &format!("shallow {id}\n"));
    }
    if tip_only {
        pkt::write(&mut out, "deepen 1\n");
    }
    out.extend_from_slice(pkt::FLUSH);
    for id in have {
        pkt::write(&mut out, &format!("have {id}\n"));
    }
    pkt::write(&mut out, "done\n");
    out
}

/// Whose fault it is that a fetch failed.
enum Trouble {
    Wire(io::Error),
    Here(anyhow::Error),
}

fn receive(
    open: &mut Connection,
    into: &Repository,
    shallow: &mut Shallow,
    tip_only: bool,
) -> Result<(), Trouble> {
    if tip_only {
        while let Some(line) = pkt::read(open).map_err(Trouble::Wire)? {
            shallow.line(&pkt::text(&line)).map_err(Trouble::Wire)?;
        }
    }
    let answer = pkt::read(open).map_err(Trouble::Wire)?;
    let answer = answer.as_deref().map(pkt::text).unwrap_or_default();
    if let Some(said) = answer.strip_prefix("ERR ") {
        return Err(Trouble::Wire(io::Error::other(said.to_owned())));
    }
    if answer != "NAK" && !answer.starts_with("ACK ") {
        return Err(Trouble::Wire(pkt::invalid(
            "the answer has neither ACK nor NAK",
        )));
    }
    if open.advertisement.can("side-band-64k") {
        unpack(&mut SideBand::new(open), into)
    } else {
        unpack(open, into)
    }
}

fn unpack(from: &mut impl Read, into: &Repository) -> Result<(), Trouble> {
    let here = |error: git2::Error| Trouble::Here(error.into());
    let odb = into.odb().map_err(here)?;
    let mut pack = odb.packwriter().map_err(here)?;
    let mut buffer = vec![0; pkt::MAX_PACKET];
    loop {
        let count = from.read(&mut buffer).map_err(Trouble::Wire)?;
        let Some(part @ [_, ..]) = buffer.get(..count) else {
            break;
        };
        pack.write_all(part)
            .map_err(|error| Trouble::Here(error.into()))?;
    }
    pack.commit().map_err(here)?;
    Ok(())
}

/// The commits whose parents are not here.
#[derive(Default)]
struct Shallow {
    commits: BTreeSet<Oid>,
    changed: bool,
}

impl Shallow {
    fn load(repository: &Repository) -> Result<Self> {
        let path = repository.path().join(SHALLOW_FILE);
        let commits = match file::read_text(&path) {
            Ok(text) => text.lines().map(Oid::from_str).collect::<Result<_, _>>(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(error) => return Err(error).context("cannot read which commits are shallow"),
        };
        Ok(Self {
            commits: commits.context("cannot read which commits are shallow")?,
            changed: false,
        })
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        let bad = || pkt::invalid("the answer has a line that is not about shallow commits");
        if let Some(said) = line.strip_prefix("ERR ") {
            return Err(io::Error::other(said.to_owned()));
        }
        let (word, id) = line.split_once(' ').ok_or_else(bad)?;
        let id = Oid::from_str(id).map_err(|_| bad())?;
        self.changed |= match word {
            "shallow" => self.commits.insert(id),
            "unshallow" => self.commits.remove(&id),
            _ => return Err(bad()),
        };
        Ok(())
    }

    fn save(&self, folder: &Path) -> Result<()> {
        if !self.changed {
            return Ok(());
        }
        let mut text = String::new();
        for id in &self.commits {
            text.push_str(&id.to_string());
            text.push('\n');
        }
        files::replace(&folder.join(SHALLOW_FILE), text.as_bytes(), files::READABLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_what_the_protocol_says() {
        let id = |digit: &str| Oid::from_str(&digit.repeat(40)).unwrap();
        let shallow = Shallow {
            commits: BTreeSet::from([id("b")]),
            changed: false,
        };
        let made = request(
            &Advertisement::default(),
            id("a"),
            (&[id("b")], &shallow),
            true,
        );
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        assert_eq!(
            String::from_utf8(made).unwrap(),
            format!(
                "{:04x}want {a} {AGENT}\n0035shallow {b}\n000ddeepen 1\n00000032have {b}\n0009done\n",
                4 + 5 + 40 + 1 + AGENT.len() + 1
            )
        );
    }
}
