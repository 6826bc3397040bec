//! Real git servers for the tests of this room: sshd, and lighttpd with `git http-backend`.
#![expect(clippy::disallowed_methods, reason = "tests are not confined")]

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::{EnterGuard, Runtime};

use crate::model::secret::Secret;
use crate::net::http::Http;
use crate::net::ports::{free_port, started};
use crate::repo::address::Address;
use crate::repo::files;
use crate::repo::transport::{Access, Configured, Remote, Ssh, Token};

/// Token that the HTTP server takes, for both user names.
pub(crate) const TOKEN: &str = "lab-token";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// What HTTP needs around it.
pub(crate) fn runtime() -> EnterGuard<'static> {
    RUNTIME.enter()
}

/// A folder with a bare repository `certs.git`, whose one commit holds certs.json.
pub(crate) struct Lab {
    folder: TempDir,
    _runtime: EnterGuard<'static>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let lab = Self {
            folder: tempfile::tempdir().unwrap(),
            _runtime: runtime(),
        };
        lab.git(".", &["init", "-q", "--bare", "-b", "main", "certs.git"]);
        lab.git("certs.git", &["config", "http.receivepack", "true"]);
        lab.git(".", &["clone", "-q", "certs.git", "first"]);
        lab.write("first/certs.json", "[]\n");
        lab.write("first/certificates/old/old.crt", "old\n");
        lab.git("first", &["add", "."]);
        lab.git("first", &["commit", "-q", "-m", "one"]);
        lab.write("first/README", "two\n");
        lab.git("first", &["add", "."]);
        lab.git("first", &["commit", "-q", "-m", "two"]);
        lab.git("first", &["push", "-q", "origin", "HEAD:main"]);
        lab
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        files::replace(&self.path(path), text.as_bytes(), 0o644).unwrap();
    }

    pub(crate) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// Runs git in a folder of the lab and returns what it printed.
    pub(crate) fn git(&self, below: &str, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(self.path(below))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Lab")
            .env("GIT_AUTHOR_EMAIL", "lab@x.test")
            .env("GIT_COMMITTER_NAME", "Lab")
            .env("GIT_COMMITTER_EMAIL", "lab@x.test")
            .output()
            .expect("git is needed");
        assert!(
            output.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Installs a hook in `certs.git`.
    pub(crate) fn hook(&self, name: &str, script: &str) {
        let path = self.path(&format!("certs.git/hooks/{name}"));
        files::replace(&path, format!("#!/bin/sh\n{script}\n").as_bytes(), 0o755).unwrap();
    }

    /// `certs.git` by path.
    pub(crate) fn local(&self) -> Remote {
        remote(self.path("certs.git").to_str().unwrap(), access(None, None))
    }
}

/// A way in; `ssh` is the value of `GIT_SSH_COMMAND`.
pub(crate) fn access(token: Option<&str>, ssh: Option<&str>) -> Access {
    let token = token.map(|token| Arc::new(Token::new(Secret::from(token.to_owned()))));
    Access {
        token,
        http: Http::new(None).unwrap(),
        ssh: Ssh::new(ssh.map(str::to_owned), None, false),
        configured: Configured::new(Vec::new()),
    }
}

pub(crate) fn remote(address: &str, access: Access) -> Remote {
    Remote {
        address: Arc::new(Address::parse(address).unwrap()),
        branch: None,
        access,
    }
}

/// A child that is killed on drop and whose log is shown when it does not start.
struct Server {
    child: Child,
}

impl Server {
    /// The log if it does not listen.
    fn start(command: &mut Command, log: &Path, port: u16) -> Result<Self, String> {
        let file = fs::File::create(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} is needed: {error}"));
        let mut server = Self { child };
        let deadline = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = server.child.try_wait().unwrap();
            if ended.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(log).unwrap_or_default();
                return Err(format!(
                    "{command:?} does not listen (ended: {ended:?}): {log}"
                ));
            }
            sleep(Duration::from_millis(10));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// lighttpd with `git http-backend`: users `x-access-token` and `gitlab-ci-token`.
pub(crate) struct HttpServer {
    _server: Server,
    pub(crate) port: u16,
}

impl HttpServer {
    pub(crate) fn start(lab: &Lab) -> Self {
        started(|| Self::attempt(lab))
    }

    fn attempt(lab: &Lab) -> Result<Self, String> {
        let port = free_port();
        let backend = lab.git(".", &["--exec-path"]);
        let root = lab.path("");
        let root = root.to_str().unwrap();
        lab.write(
            "users",
            &format!("x-access-token:{TOKEN}\ngitlab-ci-token:{TOKEN}\n"),
        );
        let mut config = String::new();
        for line in [
            "server.modules = (\"mod_redirect\",\"mod_auth\",\"mod_authn_file\",\"mod_alias\",\"mod_setenv\",\"mod_cgi\")".to_owned(),
            "server.bind = \"127.0.0.1\"".to_owned(),
            format!("server.port = {port}"),
            format!("server.document-root = \"{root}\""),
            format!("server.upload-dirs = (\"{root}\")"),
            "auth.backend = \"plain\"".to_owned(),
            format!("auth.backend.plain.userfile = \"{root}/users\""),
            "auth.require = (\"\" => (\"method\"=>\"basic\",\"realm\"=>\"git\",\"require\"=>\"valid-user\"))".to_owned(),
            "url.redirect = (\"^/moved/(.*)$\" => \"/certs.git/$1\", \"^/elsewhere/(.*)$\" => \"http://localhost:1/$1\")".to_owned(),
            format!("alias.url = (\"/\" => \"{backend}/git-http-backend/\")"),
            "cgi.assign = (\"\" => \"\")".to_owned(),
            format!("setenv.set-environment = (\"GIT_PROJECT_ROOT\"=>\"{root}\",\"GIT_HTTP_EXPORT_ALL\"=>\"1\")"),
        ] {
            writeln!(config, "{line}").unwrap();
        }
        lab.write("lighttpd.conf", &config);
        let mut command = Command::new("lighttpd");
        command.arg("-D").arg("-f").arg(lab.path("lighttpd.conf"));
        Ok(Self {
            _server: Server::start(&mut command, &lab.path("lighttpd.log"), port)?,
            port,
        })
    }

    pub(crate) fn remote(&self, path: &str, token: Option<&str>) -> Remote {
        let address = format!("http://127.0.0.1:{}/{path}", self.port);
        remote(&address, access(token, None))
    }
}

/// sshd as an ordinary child, with its own host key and one key that may log in.
pub(crate) struct SshServer {
    _server: Server,
    pub(crate) port: u16,
    user: String,
    root: PathBuf,
}

impl SshServer {
    pub(crate) fn start(lab: &Lab) -> Self {
        for key in ["host", "key", "other"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(lab.path(key))
                .status();
            assert!(made.expect("ssh-keygen is needed").success());
        }
        fs::copy(lab.path("key.pub"), lab.path("authorized_keys")).unwrap();
        // Root's sshd wants its folder for privilege separation.
        let _ = fs::create_dir_all("/run/sshd");
        started(|| Self::attempt(lab))
    }

    fn attempt(lab: &Lab) -> Result<Self, String> {
        let port = free_port();
        let public = lab.text("host.pub");
        lab.write("known_hosts", &format!("[127.0.0.1]:{port} {public}"));
        let other = lab.text("other.pub");
        lab.write("wrong_hosts", &format!("[127.0.0.1]:{port} {other}"));
        let root = lab.path("");
        let shown = root.display();
        lab.write(
            "sshd_config",
            &format!(
                "ListenAddress 127.0.0.1:{port}\nHostKey {shown}host\nPidFile none\n\
                 AuthorizedKeysFile {shown}authorized_keys\nPermitRootLogin prohibit-password\n\
                 PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n\
                 StrictModes no\nPrintMotd no\n"
            ),
        );
        let mut command = Command::new("/usr/sbin/sshd");
        command
            .args(["-D", "-e", "-f"])
            .arg(lab.path("sshd_config"));
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        Ok(Self {
            _server: Server::start(&mut command, &lab.path("sshd.log"), port)?,
            port,
            user: String::from_utf8(user).unwrap().trim().to_owned(),
            root,
        })
    }

    pub(crate) fn address(&self, path: &str) -> String {
        let root = self.root.display();
        format!("ssh://{}@127.0.0.1:{}{root}{path}", self.user, self.port)
    }

    /// The value of `GIT_SSH_COMMAND` for a key and a file of known hosts.
    pub(crate) fn command(&self, key: &str, hosts: &str) -> String {
        let root = self.root.display();
        format!(
            "ssh -F /dev/null -i {root}{key} -o IdentitiesOnly=yes -o IdentityAgent=none \
             -o UserKnownHostsFile={root}{hosts} -o GlobalKnownHostsFile=/dev/null"
        )
    }

    pub(crate) fn remote(&self, path: &str) -> Remote {
        let command = self.command("key", "known_hosts");
        remote(&self.address(path), access(None, Some(&command)))
    }
}
