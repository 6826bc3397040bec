//! What `init` has to know: from flags, or asked for on a terminal.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use url::Url;

use crate::cli::init::{Init, System};
use crate::model::certificate::CertificateName;
use crate::model::hint::{Hint, with_hint};
use crate::model::name::Identifier;
use crate::repo::address::{Address, Place};
use crate::repo::certs_json::CERTS_JSON;
use crate::repo::layout::RECIPIENTS;
use crate::repo::recipients;
use crate::repo::starter::{Ci, Dns, MAKEFILE, SETTINGS, Start};
use crate::report::questions::Questions;

/// The DNS repository is this one where it has it.
pub(super) const DNSCONFIG: &str = "dnsconfig.js";

/// Where people keep identities.
const IDENTITY: &str = "~/.config/age/key.txt";

/// What is to be made.
pub(super) struct Answers {
    pub(super) start: Start,
    pub(super) new_identity: Option<PathBuf>,
    pub(super) makes_repository: bool,
}

/// Answers as they were given or typed.
struct Given<'a> {
    arguments: &'a Init,
    /// Files that need no answers any more.
    there: &'a BTreeSet<&'static str>,
    ask: Option<&'a Questions>,
    /// Flags without which nothing can be made, where nobody can be asked.
    missing: Vec<&'static str>,
}

impl Answers {
    /// `there`: files that are there; what only they need is not asked for.
    pub(super) fn collect(
        arguments: &Init,
        there: &BTreeSet<&'static str>,
        has_git: bool,
        questions: &Questions,
    ) -> Result<Self> {
        let is_terminal = std::io::stdin().is_terminal();
        let mut given = Given {
            arguments,
            there,
            ask: is_terminal.then_some(questions),
            missing: Vec::new(),
        };
        let certificate = given.certificate()?;
        let dns = given.dns()?;
        let ci = given.ci()?;
        let (recipients, new_identity) = given.recipients()?;
        let is_new = !there.contains(SETTINGS);
        let agreed = arguments.agree_tos;
        let terms = "Do you agree to the terms of service of Let's Encrypt (https://letsencrypt.org/repository/)?";
        let agreed = match agreed {
            Some(agreed) => agreed,
            None => is_new && given.yes(terms),
        };
        let git = "The folder is in no git repository. Make one of it?";
        let makes_repository = arguments.makes_repository || (!has_git && given.yes(git));
        if !given.missing.is_empty() {
            return Err(anyhow!("`init` has to know more: {}", given.missing.join(", ")))
                .hint(|| "give them, or run it on a terminal, where it asks; `git-certs init -h` explains them");
        }
        refuse_folder_in_ci(&dns, ci)?;
        Ok(Self {
            start: Start {
                certificate,
                recipients,
                dns,
                ci,
                email: arguments.email.clone(),
                agreed,
            },
            new_identity,
            makes_repository,
        })
    }
}

impl Given<'_> {
    fn certificate(&mut self) -> Result<Option<(CertificateName, Vec<Identifier>)>> {
        if self.there.contains(CERTS_JSON) {
            return Ok(None);
        }
        let mut names = self.arguments.names.clone();
        if names.is_empty() {
            let question = "DNS names of the first certificate, with blanks between them:";
            let typed = self.ask(question, "the DNS names of the first certificate");
            let words = typed.iter().flat_map(|typed| typed.split([' ', ',']));
            names.extend(words.filter(|word| !word.is_empty()).map(str::to_owned));
        }
        let names = names.iter().map(|name| name.parse::<Identifier>());
        let names = names
            .collect::<Result<Vec<_>, _>>()
            .context("cannot make the first certificate")
            .hint(|| "names look like `www.example.com` or `*.example.com`, of letters, digits and `-`")?;
        let Some(first) = names.first() else {
            return Ok(None);
        };
        let name = match &self.arguments.name {
            Some(name) => name.clone(),
            None => certificate_name(first),
        };
        let name = name.parse().context("`--name` names no certificate").hint(
            || "a name is a letter, then letters, digits, `-` and `_`: it becomes a folder",
        )?;
        Ok(Some((name, names)))
    }

    fn dns(&mut self) -> Result<Dns> {
        let is_known = self.there.contains(SETTINGS) && self.there.contains(MAKEFILE);
        let place = match &self.arguments.dns_repo {
            Some(place) => place.clone(),
            None if is_known || self.there.contains(DNSCONFIG) => return Ok(Dns::Here),
            None => {
                let question =
                    "DNSControl repository: its URL, or a folder, `.` if it is this one:";
                let typed = self.ask(question, "`--dns-repo`");
                typed.unwrap_or_else(|| ".".to_owned())
            }
        };
        dns(&place, &self.arguments.here())
    }

    fn ci(&mut self) -> Result<Ci> {
        let has_ci = |ci: Ci| ci.paths().iter().any(|path| self.there.contains(path));
        let known = [Ci::GitHub, Ci::GitLab].into_iter().find(|ci| has_ci(*ci));
        match (self.arguments.ci, known) {
            (Some(System::Github), _) => Ok(Ci::GitHub),
            (Some(System::Gitlab), _) => Ok(Ci::GitLab),
            (Some(System::None), _) => Ok(Ci::None),
            (None, Some(known)) => Ok(known),
            (None, None) => {
                let question = "Who runs git-certs at night: `github`, `gitlab` or `none`?";
                let typed = self.ask(question, "`--ci`");
                match typed.as_deref() {
                    Some("github") => Ok(Ci::GitHub),
                    Some("gitlab") => Ok(Ci::GitLab),
                    None | Some("none") => Ok(Ci::None),
                    Some(other) => Err(anyhow!("`{other}` is not `github`, `gitlab` or `none`")),
                }
            }
        }
    }

    fn recipients(&mut self) -> Result<(Vec<String>, Option<PathBuf>)> {
        if self.there.contains(RECIPIENTS) {
            return Ok((Vec::new(), None));
        }
        let mut recipients = self.arguments.recipient.clone();
        let mut identity = self.arguments.new_identity.clone();
        if recipients.is_empty() && identity.is_none() {
            let question = "Who can open private keys: `age1...`, an SSH public key, or nothing to make an age identity:";
            let typed = self.ask(question, "`--recipient` or `--new-identity`");
            match typed.as_deref() {
                None => {}
                Some("") => identity = Some(self.identity_file()),
                Some(recipient) => recipients.push(recipient.to_owned()),
            }
        }
        for recipient in &recipients {
            recipients::canonical(recipient)?;
        }
        Ok((recipients, identity))
    }

    fn identity_file(&mut self) -> PathBuf {
        let question = format!("File for the identity, not in this repository [{IDENTITY}]:");
        let typed = self.ask(&question, "`--new-identity`");
        let typed = typed.filter(|typed| !typed.is_empty());
        let typed = typed.unwrap_or_else(|| IDENTITY.to_owned());
        // A shell would have done it.
        match (typed.strip_prefix("~/"), std::env::home_dir()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => typed.into(),
        }
    }

    /// What is typed; none where nobody can be asked, so that the flag is missing.
    fn ask(&mut self, question: &str, flag: &'static str) -> Option<String> {
        let typed = self.ask.and_then(|ask| ask.text(question));
        if typed.is_none() {
            self.missing.push(flag);
        }
        typed.map(|typed| typed.trim().to_owned())
    }

    fn yes(&self, question: &str) -> bool {
        let typed = self
            .ask
            .and_then(|ask| ask.text(&format!("{question} [yes/no]")));
        typed.is_some_and(|typed| ["y", "yes"].contains(&typed.trim()))
    }
}

/// `*.example.com` becomes `example-com`.
fn certificate_name(name: &Identifier) -> String {
    let name = name.base().as_str().replace('.', "-");
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        name
    } else {
        format!("cert-{name}")
    }
}

fn dns(place: &str, folder: &Path) -> Result<Dns> {
    if place == "." {
        return Ok(Dns::Here);
    }
    let path = Path::new(place);
    if path.is_dir() {
        let is_here = path.canonicalize()? == folder.canonicalize()?;
        return Ok(if is_here {
            Dns::Here
        } else {
            Dns::Folder(place.to_owned())
        });
    }
    let address = Address::parse(place).ok();
    let is_http = |address: &Address| matches!(address.place, Place::Http(_));
    let has_password = Url::parse(place).is_ok_and(|url| url.password().is_some());
    // A user alone may be a token.
    let has_user = address
        .as_ref()
        .is_some_and(|address| is_http(address) && address.user.is_some());
    if has_password || has_user {
        return Err(anyhow!(
            "the URL of `--dns-repo` holds a login, which would be committed"
        ))
        .hint(|| "leave it out: CI gets a token as a secret");
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/@%+".contains(c);
    let is_remote = address.is_some_and(|address| !matches!(address.place, Place::Local(_)));
    if is_remote && place.chars().all(is_plain) {
        return Ok(Dns::Url(place.to_owned()));
    }
    Err(with_hint(
        anyhow!("`{place}` is neither a folder nor the URL of a repository"),
        "a URL looks like `https://github.com/example/dns`, `ssh://git@example.com/dns` or `git@example.com:dns`",
    ))
}

fn refuse_folder_in_ci(dns: &Dns, ci: Ci) -> Result<()> {
    match (dns, ci) {
        (Dns::Folder(folder), Ci::GitHub | Ci::GitLab) => Err(anyhow!(
            "CI does not have the folder `{folder}`"
        ))
        .hint(
            || "give the URL of the DNSControl repository; the Makefile expects it beside this one",
        ),
        _ => Ok(()),
    }
}
