//! A network namespace with processes, mounts and addresses of its own.
//!
//! It ends with the test process, however that ends: see `namespace.sh`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdin, Stdio};
use std::sync::OnceLock;

use rustix::process::{getgid, getuid};
use tempfile::TempDir;

use crate::support::address;
use crate::support::command::Command;

/// How this machine lets us make a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// We are root.
    Root,
    /// The kernel lets ordinary users make user namespaces.
    User,
    /// It does not (Ubuntu 24.04), but sudo asks no password.
    Sudo,
}

/// The namespace and the folder that holds its state.
#[derive(Debug)]
pub struct Namespace {
    init: Child,
    /// Open as long as the namespace shall live.
    lifeline: Option<ChildStdin>,
    /// Words that bring a command inside, as the user who runs the tests.
    enter: Vec<OsString>,
    /// Words that bring it inside with power over the network.
    enter_as_root: Vec<OsString>,
    folder: TempDir,
}

impl Namespace {
    /// Makes a namespace with the lab's addresses on its loopback interface.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("git-certs-lab-")
            .tempdir()
            .unwrap();
        write_etc(folder.path());
        for name in ["git", "home/.ssh", "tmp", "log", "output"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let privilege = privilege();
        let mut words = unshare(privilege);
        words.extend(["bash", "-c", include_str!("namespace.sh"), "lab"].map(OsString::from));
        words.push(folder.path().into());
        words.extend(address::ALL.map(OsString::from));

        let mut init = process::Command::new(&words[0])
            .args(&words[1..])
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lifeline = init.stdin.take();
        let mut line = String::new();
        let read = BufReader::new(init.stdout.take().unwrap()).read_line(&mut line);
        if !matches!(read, Ok(1..)) {
            let mut stderr = String::new();
            init.stderr
                .take()
                .unwrap()
                .read_to_string(&mut stderr)
                .unwrap();
            panic!("the lab has no network namespace ({privilege:?}): {stderr}{NAMESPACE_HINT}");
        }
        Self {
            init,
            lifeline,
            enter: enter(privilege, line.trim()),
            enter_as_root: enter_as_root(privilege, line.trim()),
            folder,
        }
    }

    /// The folder of this lab's files, gone with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A command that will run inside, in an empty environment.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        Command::new(&self.enter, self.folder(), program.as_ref())
    }

    /// The same with power over the namespace's network.
    pub fn command_as_root(&self, program: impl AsRef<OsStr>) -> Command {
        Command::new(&self.enter_as_root, self.folder(), program.as_ref())
    }

    /// The same for a server that a security profile may keep from the lab's folder: runs a copy.
    pub fn unconfined(&self, name: &str) -> Command {
        program(name);
        self.command(format!("/run/unconfined/{name}"))
    }

    /// Writes a file below the folder, and the folders above it.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        self.init.wait().unwrap();
    }
}

/// Where programs are looked for, inside and before: ordinary users' PATH often lacks `sbin`.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The path of a program that the lab needs.
pub fn program(name: &str) -> PathBuf {
    PATH.split(':')
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("`{name}` is not installed\nhint: run `make test-deps`"))
}

const NAMESPACE_HINT: &str = "\
hint: run the tests as root, or where ordinary users may make user namespaces, or allow `sudo -n`; \
in a container, add `--privileged`";

/// Finds out once what the kernel allows.
pub fn privilege() -> Privilege {
    static FOUND: OnceLock<Privilege> = OnceLock::new();
    *FOUND.get_or_init(|| {
        for name in ["unshare", "nsenter", "ip", "bash", "mount"] {
            program(name);
        }
        if getuid().is_root() {
            return Privilege::Root;
        }
        // Where user namespaces are restricted they may be made, but give no power.
        let allows = |privilege| {
            let words = unshare(privilege);
            process::Command::new(&words[0])
                .args(&words[1..])
                .args(["ip", "link", "set", "lo", "up"])
                .stdin(Stdio::null())
                .output()
                .is_ok_and(|output| output.status.success())
        };
        [Privilege::User, Privilege::Sudo]
            .into_iter()
            .find(|privilege| allows(*privilege))
            .unwrap_or_else(|| panic!("the lab cannot make a network namespace\n{NAMESPACE_HINT}"))
    })
}

fn unshare(privilege: Privilege) -> Vec<OsString> {
    let before: &[&str] = match privilege {
        Privilege::Root => &["unshare"],
        Privilege::User => &["unshare", "--user", "--map-root-user"],
        Privilege::Sudo => &["sudo", "-n", "unshare"],
    };
    let namespaces = ["--net", "--mount", "--pid", "--uts", "--fork", "--"];
    before
        .iter()
        .chain(&namespaces)
        .map(OsString::from)
        .collect()
}

/// Inside, everything runs with the ids of the user who runs the tests. For an ordinary user that takes a
/// second user namespace: in the first one the only user is root, and sshd refuses to serve as a root that
/// cannot become anybody else.
fn enter(privilege: Privilege, pid: &str) -> Vec<OsString> {
    let (user, group) = (getuid(), getgid());
    let line = match privilege {
        Privilege::Root => format!("nsenter --target {pid} --net --mount --pid --uts --"),
        Privilege::User => format!(
            "nsenter --target {pid} --user --preserve-credentials --net --mount --pid --uts -- \
             unshare --user --map-user={user} --map-group={group} --"
        ),
        Privilege::Sudo => format!(
            "sudo -n nsenter --target {pid} --net --mount --pid --uts -- \
             setpriv --reuid={user} --regid={group} --clear-groups --"
        ),
    };
    line.split_whitespace().map(OsString::from).collect()
}

/// The same as the namespace's own root.
fn enter_as_root(privilege: Privilege, pid: &str) -> Vec<OsString> {
    let (before, user) = match privilege {
        Privilege::Root => ("", ""),
        Privilege::User => ("", " --user --preserve-credentials"),
        Privilege::Sudo => ("sudo -n ", ""),
    };
    let line = format!("{before}nsenter --target {pid}{user} --net --mount --pid --uts --");
    line.split_whitespace().map(OsString::from).collect()
}

/// The files of /etc that would let the machine's settings in.
fn write_etc(folder: &Path) {
    let etc = folder.join("etc");
    fs::create_dir(&etc).unwrap();
    let (user, group) = (getuid(), getgid());
    let home = folder.join("home");
    let home = home.display();
    let files = [
        (
            "resolv.conf",
            format!(
                "nameserver {}\noptions timeout:2 attempts:2\n",
                address::RESOLVER
            ),
        ),
        (
            "hosts",
            format!(
                "127.0.0.1 localhost lab\n{} acme.test\n{} faulty.test\n{} git.test github.com\n{} api.github.com uploads.github.com\n{} vault.test\n{} one.doh.test two.doh.test\n",
                address::PEBBLE,
                address::FAULTS,
                address::GIT,
                address::GITHUB,
                address::VAULT,
                address::RESOLVER
            ),
        ),
        (
            "passwd",
            format!(
                "git:x:{user}:{group}:the lab:{home}:/bin/sh\n\
                 root:x:0:0:root:{home}:/bin/sh\n\
                 sshd:x:65534:65534:sshd:/run/sshd:/usr/sbin/nologin\n"
            ),
        ),
        ("group", format!("git:x:{group}:\nnogroup:x:65534:\n")),
        ("nsswitch.conf", "hosts: files dns\n".to_owned()),
        ("ssh_config", String::new()),
    ];
    for (name, text) in files {
        fs::write(etc.join(name), text).unwrap();
    }
}
