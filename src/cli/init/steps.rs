//! What `init` has made, and what is left to do. Pure.

use std::path::Path;

use crate::cli::init::answers::Identity;
use crate::repo::starter::{Ci, Dns, Start};

/// What was made.
pub(super) struct Done<'d> {
    pub(super) start: &'d Start,
    pub(super) written: &'d [&'static str],
    /// What was there.
    pub(super) kept: &'d [&'static str],
    /// What was given for one of these files, by its path.
    pub(super) given: &'d [(&'static str, &'static str)],
    pub(super) identity: Option<&'d Identity>,
    /// The file of an identity that was asked for, and not made.
    pub(super) needless: Option<&'d Path>,
    pub(super) has_git: bool,
}

/// A line for each file, and a line for each step.
pub(super) fn text(done: &Done<'_>) -> String {
    let mut lines: Vec<_> = done
        .identity
        .iter()
        .map(|identity| {
            let verb = if identity.is_new { "wrote" } else { "use  " };
            let file = shown(&identity.file);
            format!("{verb} {file} (keep a copy: it opens every key)")
        })
        .collect();
    lines.extend(done.written.iter().map(|path| format!("wrote {path}")));
    lines.extend(done.kept.iter().map(|path| {
        let given = done.given.iter().filter(|(of, _)| of == path);
        let given: Vec<_> = given.map(|(_, what)| *what).collect();
        match given.as_slice() {
            [] => format!("left  {path}, which was there"),
            _ => format!(
                "left  {path}, which was there; not put in: {}",
                given.join(", ")
            ),
        }
    }));
    lines.extend(done.needless.iter().map(|file| {
        format!(
            "no identity was made in {}: .age-recipients was there",
            shown(file)
        )
    }));
    if !done.written.is_empty() {
        lines.push("\nNext:".to_owned());
        lines.extend(steps(done).into_iter().map(|step| format!("- {step}")));
    }
    lines.join("\n") + "\n"
}

fn steps(done: &Done<'_>) -> Vec<String> {
    let Start { dns, ci, .. } = done.start;
    let mut steps = Vec::new();
    if !done.start.agreed && done.written.contains(&"git-certs.toml") {
        steps.push("agree to the CA's terms of service in git-certs.toml".to_owned());
    }
    let look = match dns {
        Dns::Url(_) | Dns::Ssh(_) => {
            "`make check plan`, with the DNSControl repository beside this one, looks at it, and changes nothing"
        }
        Dns::Here | Dns::Folder(_) => "`make check plan` looks at it, and changes nothing",
    };
    let commit = "`git add --all`, `git commit`, and push";
    steps.push(if done.has_git {
        commit.to_owned()
    } else {
        format!("`git init`, {commit}")
    });
    steps.push(look.to_owned());
    steps.push("`git config diff.crt.textconv \"openssl x509 -noout -text -in\"` makes certificates readable in `git diff`".to_owned());
    let file = done
        .identity
        .map_or_else(|| "IDENTITY_FILE".to_owned(), |one| shown(&one.file));
    match ci {
        Ci::GitHub => {
            steps.push(format!(
                "`gh secret set AGE_KEY < {file}` lets CI open the account key"
            ));
            steps.extend(access(dns, GITHUB));
            steps.push("what creds.json names with `$`: as secrets, and below `env:` in .github/workflows/renew.yml".to_owned());
        }
        Ci::GitLab => {
            steps.push(format!(
                "`grep AGE-SECRET-KEY {file} | glab variable set GIT_CERTS_AGE_KEY --masked --protected` lets CI open the account key"
            ));
            steps.push("GIT_CERTS_TOKEN: a token that may push to this repository, as a masked and protected variable".to_owned());
            steps.extend(access(dns, GITLAB));
            steps.push("what creds.json names with `$`: as variables, too".to_owned());
            steps.push("put the image and a schedule in place: .gitlab-ci.yml, and Build > Pipeline schedules".to_owned());
        }
        Ci::None => steps.push(format!(
            "`GIT_CERTS_AGE_KEY_FILE={file} make renew` issues, commits and pushes"
        )),
    }
    steps
}

/// What lets CI read the DNSControl repository: over HTTP, then over SSH.
type Access = (&'static [&'static str], &'static [&'static str]);

const GITHUB: Access = (
    &["`gh secret set DNS_REPO_TOKEN`: a token that may read the DNSControl repository"],
    &[
        "`gh secret set DNS_REPO_SSH_KEY < KEY_FILE`: an SSH key without a passphrase that may read the DNSControl repository",
        "`gh variable set DNS_REPO_KNOWN_HOSTS`: the line of its server in known_hosts",
    ],
);

const GITLAB: Access = (
    &["GIT_CERTS_DNS_TOKEN: one that may read the DNSControl repository"],
    &[
        "`glab variable set GIT_CERTS_SSH_KEY --protected < KEY_FILE`: an SSH key without a passphrase that may read the DNSControl repository; GitLab masks no value of several lines",
        "DNS_REPO_KNOWN_HOSTS: the line of its server in known_hosts",
    ],
);

fn access(dns: &Dns, (over_http, over_ssh): Access) -> impl Iterator<Item = String> {
    let steps = match dns {
        Dns::Url(_) => over_http,
        Dns::Ssh(_) => over_ssh,
        Dns::Here | Dns::Folder(_) => &[],
    };
    steps.iter().map(|step| (*step).to_owned())
}

/// A path as a shell takes it.
fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    match shlex::try_quote(&text) {
        Ok(quoted) => quoted.into_owned(),
        Err(_) => text,
    }
}
