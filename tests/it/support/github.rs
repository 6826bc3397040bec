//! GitHub's API for releases, at `https://api.github.com`: see `github.py`. `https://github.com` is the lab's git server.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::address::GITHUB;
use crate::support::command::Command;
use crate::support::git_server::TOKEN;
use crate::support::lab::Lab;
use crate::support::namespace::Namespace;

pub fn configure(namespace: &Namespace) {
    namespace.write("github/server.py", include_str!("github.py"));
    namespace.write("github/releases.json", "[]");
}

pub fn command(namespace: &Namespace) -> Command {
    let folder = namespace.folder();
    namespace
        .command("python3")
        .arg(folder.join("github/server.py"))
        .arg(GITHUB)
        .arg(folder.join("tls/cert.pem"))
        .arg(folder.join("tls/key.pem"))
        .arg(folder.join("github"))
        .arg(TOKEN)
        .arg(folder.join("git"))
}

/// All releases, drafts too.
pub fn releases(lab: &Lab) -> Vec<Value> {
    let text = fs::read_to_string(lab.folder().join("github/releases.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The file of an asset.
pub fn asset(lab: &Lab, name: &str) -> PathBuf {
    lab.folder().join("github").join(name)
}

/// Changes are taken again, after somebody made the mark that refuses them.
pub fn accepts(lab: &Lab) {
    fs::remove_file(lab.folder().join("github/refuses")).unwrap();
}
