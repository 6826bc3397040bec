//! Git servers: lighttpd with `git http-backend`, and sshd. Bare repositories live in `/srv`, as seen inside.
//! lighttpd also has files that everybody may read, below `/releases/`.

use std::path::PathBuf;

use crate::support::address::GIT;
use crate::support::command::Command;
use crate::support::namespace::{Namespace, program};

/// What a client must show over HTTP, as the password; any of [`USERS`] will do.
pub const TOKEN: &str = "lab-token";
/// User names under which forges take tokens.
pub const USERS: [&str; 4] = ["git", "gitlab-ci-token", "oauth2", "x-access-token"];

/// Makes an empty bare repository that all servers offer, and returns its folder.
pub fn make_repository(namespace: &Namespace, name: &str) -> PathBuf {
    let folder = namespace.folder().join(format!("git/{name}.git"));
    let git = |args: &[&str]| namespace.command("git").args(args.to_vec());
    git(&["init", "--quiet", "--bare", "--initial-branch=main"])
        .arg(&folder)
        .succeed();
    for (name, value) in [
        ("http.receivepack", "true"),
        ("uploadpack.allowAnySHA1InWant", "true"),
    ] {
        git(&["config", name, value]).folder(&folder).succeed();
    }
    folder
}

/// The folder of what lighttpd has below `/releases/`.
pub fn releases(namespace: &Namespace) -> PathBuf {
    namespace.folder().join("releases")
}

/// Writes lighttpd's configuration: plain HTTP on port 80, HTTPS on 443.
pub fn configure_http(namespace: &Namespace) {
    let folder = namespace.folder().display();
    let users: String = USERS.map(|user| format!("{user}:{TOKEN}\n")).concat();
    namespace.write("lighttpd/users", users);
    namespace.write("lighttpd/uploads/.keep", "");
    let exec_path = namespace.command("git").arg("--exec-path").succeed().stdout;
    let exec_path = exec_path.trim();
    let path = crate::support::namespace::PATH;
    namespace.write(
        "lighttpd/lighttpd.conf",
        format!(
            r#"
server.modules = ("mod_auth", "mod_authn_file", "mod_alias", "mod_setenv", "mod_cgi", "mod_openssl")
server.bind = "{GIT}"
server.port = 80
server.document-root = "{folder}/git"
server.upload-dirs = ("{folder}/lighttpd/uploads")
$SERVER["socket"] == "{GIT}:443" {{
    ssl.engine = "enable"
    ssl.pemfile = "{folder}/tls/cert.pem"
    ssl.privkey = "{folder}/tls/key.pem"
}}
auth.backend = "plain"
auth.backend.plain.userfile = "{folder}/lighttpd/users"
$HTTP["url"] =~ "^/releases/" {{
    alias.url = ("/releases/" => "{folder}/releases/")
}} else {{
    auth.require = ("" => ("method" => "basic", "realm" => "git", "require" => "valid-user"))
    alias.url = ("/" => "{exec_path}/git-http-backend/")
    cgi.assign = ("" => "")
}}
setenv.set-environment = ("GIT_PROJECT_ROOT" => "{folder}/git", "GIT_HTTP_EXPORT_ALL" => "1", "PATH" => "{path}")
"#
        ),
    );
}

pub fn http_command(namespace: &Namespace) -> Command {
    namespace
        .command("lighttpd")
        .args(["-D", "-f"])
        .arg(namespace.folder().join("lighttpd/lighttpd.conf"))
}

/// Writes sshd's configuration, host key, and the client's key and known hosts in the lab's home.
pub fn configure_ssh(namespace: &Namespace) {
    let folder = namespace.folder();
    for key in ["home/.ssh/id_ed25519", "sshd/host_key"] {
        namespace.write(key, "");
        std::fs::remove_file(folder.join(key)).unwrap();
        namespace
            .command("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f"])
            .arg(folder.join(key))
            .succeed();
    }
    let public = |key: &str| std::fs::read_to_string(folder.join(key)).unwrap();
    let git = program("git");
    let git = git.display();
    namespace.write(
        "sshd/authorized_keys",
        format!(
            r#"restrict,command="{git} shell -c \"$SSH_ORIGINAL_COMMAND\"" {}"#,
            public("home/.ssh/id_ed25519.pub")
        ),
    );
    namespace.write(
        "home/.ssh/known_hosts",
        format!("git.test {}", public("sshd/host_key.pub")),
    );
    let folder = folder.display();
    namespace.write(
        "sshd/sshd_config",
        format!(
            "ListenAddress {GIT}:22
HostKey {folder}/sshd/host_key
PidFile none
AuthorizedKeysFile {folder}/sshd/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
AllowUsers git
"
        ),
    );
}

pub fn ssh_command(namespace: &Namespace) -> Command {
    namespace
        .command("sshd")
        .args(["-D", "-e", "-f"])
        .arg(namespace.folder().join("sshd/sshd_config"))
}
