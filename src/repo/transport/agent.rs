//! An ssh-agent with one key, for a child `ssh`: the key itself stays in this process.
//!
//! The two requests of the protocol that a login needs, and no signature of anything else: the key may also be one
//! that signs commits.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use ssh_key::Algorithm;

use crate::model::hint::Hint;
use crate::repo::agent_wire::{
    self, FAILURE, IDENTITIES_ANSWER, REQUEST_IDENTITIES, RSA_SHA2_512, SIGN_REQUEST,
    SIGN_RESPONSE, is_login, split, string,
};
use crate::repo::ssh_key::SshKey;

/// A socket that signs as long as this process lives.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(super) socket: PathBuf,
}

impl Agent {
    /// Listens in a folder that only this user can enter.
    pub(crate) fn start(key: SshKey, folder: &Path) -> Result<Self> {
        let socket = folder.join("agent");
        let listener = UnixListener::bind(&socket)
            .with_context(|| format!("cannot listen at `{}`", socket.display()))
            .hint(
                || "ssh gets the key in GIT_CERTS_SSH_KEY from there: a shorter TMPDIR may help",
            )?;
        let key = Arc::new(key);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let key = Arc::clone(&key);
                // An ssh that is gone needs no answer.
                thread::spawn(move || serve(&key, stream));
            }
        });
        Ok(Self { socket })
    }
}

fn serve(key: &SshKey, mut stream: UnixStream) -> io::Result<()> {
    loop {
        let request = agent_wire::read(&mut stream)?;
        let answer = answer(key, &request).unwrap_or_else(|| vec![FAILURE]);
        agent_wire::write(&mut stream, &answer)?;
    }
}

/// None for what is not supported.
fn answer(key: &SshKey, request: &[u8]) -> Option<Vec<u8>> {
    let public = key.public().to_bytes().ok()?;
    match request.split_first()? {
        (&REQUEST_IDENTITIES, _) => {
            let one = 1_u32.to_be_bytes();
            Some(
                [
                    &[IDENTITIES_ANSWER],
                    &one[..],
                    &string(&public),
                    &string(b"git-certs"),
                ]
                .concat(),
            )
        }
        (&SIGN_REQUEST, rest) => {
            let (wanted, rest) = split(rest)?;
            let (data, flags) = split(rest)?;
            let flags = u32::from_be_bytes(flags.try_into().ok()?);
            let is_rsa = matches!(key.public().algorithm(), Algorithm::Rsa { .. });
            let is_wrong = wanted != public || !is_login(data);
            if is_wrong || is_rsa && flags & RSA_SHA2_512 == 0 {
                return None;
            }
            let signature = Vec::try_from(key.sign(data).ok()?).ok()?;
            Some([&[SIGN_RESPONSE], &string(&signature)[..]].concat())
        }
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests are not confined")]
mod tests {
    use std::fs;
    use std::process::Command;

    use pretty_assertions::assert_eq;
    use ssh_key::{HashAlg, SshSig};

    use super::*;
    use crate::model::secret::Secret;
    use crate::repo::git::{People, Workspace};
    use crate::repo::servers::{Lab, SshServer, access, remote};
    use crate::repo::transport::{Fault, RemoteError};

    #[test]
    fn a_real_sshd_lets_every_kind_of_key_in() {
        let lab = Lab::new();
        let ssh = SshServer::start(&lab);
        let root = lab.path("");
        let root = root.display();
        let command = |hosts: &str| {
            format!(
                "ssh -F /dev/null -o IdentityFile=none -o UserKnownHostsFile={root}{hosts} -o GlobalKnownHostsFile=/dev/null"
            )
        };
        for kind in ["ed25519", "ecdsa", "rsa"] {
            let file = lab.path(kind);
            let words = ["-q", "-t", kind, "-N", "", "-f"];
            let made = Command::new("ssh-keygen").args(words).arg(&file).status();
            assert!(made.unwrap().success());
            let text = Secret::new(fs::read(&file).unwrap());
            fs::remove_file(&file).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let agent = Agent::start(SshKey::parse(&text).unwrap(), folder.path()).unwrap();
            let agent = Arc::new(agent);
            let open = |hosts: &str, into: &str| {
                let mut access = access(None, Some(&command(hosts)));
                access.ssh.agent = Some(Arc::clone(&agent));
                let remote = remote(&ssh.address("certs.git"), access);
                let people = People::find(|_| None, None).unwrap();
                Workspace::clone(&remote, &lab.path(&format!("{into}-{kind}")), people)
            };
            let fault = |hosts: &str, into: &str| {
                let error = open(hosts, into).err().unwrap();
                error.downcast_ref::<RemoteError>().unwrap().fault
            };
            // Known to the agent, but not to the server.
            assert_eq!(
                fault("known_hosts", "refused"),
                Fault::LoginRefused,
                "{kind}"
            );
            let public = lab.text(&format!("{kind}.pub"));
            lab.write("authorized_keys", &public);
            assert_eq!(fault("wrong_hosts", "changed"), Fault::HostKeyChanged);
            assert_eq!(fault("no_hosts", "unknown"), Fault::HostKeyUnknown);
            let workspace = open("known_hosts", "clone").unwrap();
            workspace.prove_push().unwrap();
        }
    }

    /// Whoever runs the server could log in elsewhere with it.
    #[test]
    fn the_agent_is_not_lent_to_the_server() {
        let lab = Lab::new();
        let ssh = SshServer::start(&lab);
        let root = lab.path("");
        let root = root.display();
        let key = Secret::new(fs::read(lab.path("key")).unwrap());
        let public = lab.text("key.pub");
        let seen = "echo ${SSH_AUTH_SOCK-no agent} >forwarded; eval $SSH_ORIGINAL_COMMAND";
        lab.write(
            "authorized_keys",
            &format!("command=\"cd {root}; {seen}\" {public}"),
        );
        lab.write("config", "Host *\nForwardAgent yes\n");
        let command = format!(
            "ssh -F {root}config -o IdentityFile=none -o UserKnownHostsFile={root}known_hosts"
        );
        let folder = tempfile::tempdir().unwrap();
        let agent = Agent::start(SshKey::parse(&key).unwrap(), folder.path()).unwrap();
        let mut access = access(None, Some(&command));
        access.ssh.agent = Some(Arc::new(agent));
        let remote = remote(&ssh.address("certs.git"), access);
        let people = People::find(|_| None, None).unwrap();
        Workspace::clone(&remote, &lab.path("clone"), people).unwrap();
        assert_eq!(lab.text("forwarded"), "no agent\n");
    }

    #[test]
    fn other_requests_and_other_keys_fail() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let words = ["-q", "-t", "ed25519", "-N", "", "-f"];
        let made = Command::new("ssh-keygen").args(words).arg(&file).status();
        assert!(made.unwrap().success());
        let key = SshKey::parse(&Secret::new(fs::read(&file).unwrap())).unwrap();
        // Keys can be neither added nor removed.
        for kind in [17, 18, 19, 27] {
            assert_eq!(answer(&key, &[kind]), None);
        }
        let request = [
            &[SIGN_REQUEST][..],
            &string(b"other"),
            &string(b"data"),
            &[0; 4],
        ]
        .concat();
        assert_eq!(answer(&key, &request), None);
        assert_eq!(answer(&key, &request[..9]), None);
        let public = key.public().to_bytes().unwrap();
        let signed = |data: &[u8]| {
            let request = [&string(&public)[..], &string(data), &[0; 4]].concat();
            answer(&key, &[&[SIGN_REQUEST], &request[..]].concat()).is_some()
        };
        let login = |service: &[u8]| {
            let words = [service, b"publickey"].map(string).concat();
            [&string(b"session")[..], &[50], &string(b"git"), &words].concat()
        };
        assert!(signed(&login(b"ssh-connection")));
        assert!(!signed(&login(b"ssh-userauth")));
        assert!(!signed(b"data"));
        let commit = SshSig::signed_data("git", HashAlg::Sha512, b"tree 1").unwrap();
        assert!(!signed(&commit));
        assert_eq!(answer(&key, &[]), None);
        let too_long = folder.path().join("x".repeat(120));
        fs::create_dir(&too_long).unwrap();
        let error = Agent::start(key, &too_long).unwrap_err();
        let explained = crate::model::hint::explain(&error);
        let shown = too_long.display();
        assert_eq!(explained.what, format!("cannot listen at `{shown}/agent`"));
        assert_eq!(
            explained.hints,
            ["ssh gets the key in GIT_CERTS_SSH_KEY from there: a shorter TMPDIR may help"]
        );
    }
}
