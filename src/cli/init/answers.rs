//! What `init` has to know: from flags, or asked for on a terminal.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use git2::Repository;
use url::Url;

use crate::cli::init::{Init, System, refuse_inside};
use crate::model::certificate::CertificateName;
use crate::model::hint::{Hint, with_hint};
use crate::model::name::Identifier;
use crate::repo::address::{Address, Place};
use crate::repo::certs_json::CERTS_JSON;
use crate::repo::identity;
use crate::repo::layout::RECIPIENTS;
use crate::repo::recipients;
use crate::repo::starter::{Ci, Dns, MAKEFILE, SETTINGS, Start};
use crate::report::questions::Questions;
use crate::report::terminal;

/// The DNS repository is this one where it has it.
pub(super) const DNSCONFIG: &str = "dnsconfig.js";

/// Where people keep identities.
const IDENTITY: &str = "~/.config/age/key.txt";

/// What is to be made.
pub(super) struct Answers {
    pub(super) start: Start,
    pub(super) identity: Option<Identity>,
    pub(super) makes_repository: bool,
}

/// The file of an identity that opens private keys.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) file: PathBuf,
    /// It is to be made.
    pub(super) is_new: bool,
}

/// Where it is to be made.
pub(super) struct Ground<'a> {
    /// Files that need no answers any more.
    pub(super) there: &'a BTreeSet<&'static str>,
    /// The one that the folder is in.
    pub(super) repository: Option<&'a Repository>,
}

/// Answers as they were given or typed.
struct Given<'a> {
    arguments: &'a Init,
    ground: &'a Ground<'a>,
    ask: Option<&'a Questions>,
    /// Flags without which nothing can be made, where nobody can be asked, or no longer (Ctrl-D).
    missing: Vec<&'static str>,
}

impl Answers {
    /// What only files need that are there is not asked for.
    pub(super) fn collect(
        arguments: &Init,
        ground: &Ground<'_>,
        questions: &Questions,
    ) -> Result<Self> {
        let is_terminal = std::io::stdin().is_terminal();
        let mut given = Given {
            arguments,
            ground,
            ask: is_terminal.then_some(questions),
            missing: Vec::new(),
        };
        refuse_no_address(arguments.email.as_deref())?;
        let certificate = given.certificate()?;
        let known = given.known_dns()?;
        let ci = given.ci(known.as_ref())?;
        let dns = known.or_else(|| given.dns(ci)).unwrap_or(Dns::Here);
        let (recipients, identity) = given.recipients()?;
        let is_new = !ground.there.contains(SETTINGS);
        let agreed = arguments.agree_tos;
        let terms = "Do you agree to the terms of service of Let's Encrypt (https://letsencrypt.org/repository/)?";
        let agreed = match agreed {
            Some(agreed) => agreed,
            None => is_new && given.yes(terms),
        };
        let git = "The folder is in no git repository. Make one of it?";
        let has_git = ground.repository.is_some();
        let makes_repository = arguments.makes_repository || (!has_git && given.yes(git));
        if !given.missing.is_empty() {
            return Err(anyhow!("`init` has to know more: {}", given.missing.join(", ")))
                .hint(|| "give them, or run it on a terminal, where it asks; `git-certs init -h` explains them");
        }
        Ok(Self {
            start: Start {
                certificate,
                recipients,
                dns,
                ci,
                email: arguments.email.clone(),
                agreed,
            },
            identity,
            makes_repository,
        })
    }
}

impl Given<'_> {
    fn certificate(&mut self) -> Result<Option<(CertificateName, Vec<Identifier>)>> {
        if self.ground.there.contains(CERTS_JSON) {
            return Ok(None);
        }
        let name = self.arguments.name.as_deref().map(str::parse);
        let name: Option<CertificateName> = name
            .transpose()
            .context("`--name` names no certificate")
            .hint(
                || "a name is a letter, then letters, digits, `-` and `_`: it becomes a folder",
            )?;
        let names = if self.arguments.names.is_empty() {
            let question = "DNS names of the first certificate, with blanks between them:";
            let flag = "the DNS names of the first certificate";
            self.answer(question, flag, &|typed| {
                let words = typed.split([' ', ',']).filter(|word| !word.is_empty());
                identifiers(words)
            })
        } else {
            let names = self.arguments.names.iter().map(String::as_str);
            Some(identifiers(names)?)
        };
        let Some(names) = names else {
            return Ok(None);
        };
        let name = match (name, names.first()) {
            (Some(name), _) => name,
            (None, Some(first)) => certificate_name(first).parse()?,
            (None, None) => return Ok(None),
        };
        Ok(Some((name, names)))
    }

    /// What is known of the DNS repository without a question.
    fn known_dns(&self) -> Result<Option<Dns>> {
        let there = self.ground.there;
        let is_known = there.contains(SETTINGS) && there.contains(MAKEFILE);
        match &self.arguments.dns_repo {
            Some(place) => dns(place, &self.arguments.here()).map(Some),
            None if is_known || there.contains(DNSCONFIG) => Ok(Some(Dns::Here)),
            None => Ok(None),
        }
    }

    fn dns(&mut self, ci: Ci) -> Option<Dns> {
        let question = "DNSControl repository: its URL, or a folder, `.` if it is this one:";
        let here = self.arguments.here();
        self.answer(question, "`--dns-repo`", &|typed| {
            let typed = if typed.is_empty() { "." } else { typed };
            let dns = dns(typed, &here)?;
            refuse_folder_in_ci(Some(&dns), ci)?;
            Ok(dns)
        })
    }

    /// `dns`: where it is known.
    fn ci(&mut self, dns: Option<&Dns>) -> Result<Ci> {
        let there = self.ground.there;
        let has_ci = |ci: Ci| ci.paths().iter().any(|path| there.contains(path));
        let known = [Ci::GitHub, Ci::GitLab].into_iter().find(|ci| has_ci(*ci));
        let known = match self.arguments.ci {
            Some(System::Github) => Some(Ci::GitHub),
            Some(System::Gitlab) => Some(Ci::GitLab),
            Some(System::None) => Some(Ci::None),
            None => known,
        };
        if let Some(ci) = known {
            refuse_folder_in_ci(dns, ci)?;
            return Ok(ci);
        }
        let question = "Who runs git-certs at night: `github`, `gitlab` or `none`?";
        let answer = self.answer(question, "`--ci`", &|typed| {
            let ci = match typed {
                "github" => Ci::GitHub,
                "gitlab" => Ci::GitLab,
                "none" => Ci::None,
                other => return Err(anyhow!("`{other}` is not `github`, `gitlab` or `none`")),
            };
            refuse_folder_in_ci(dns, ci)?;
            Ok(ci)
        });
        Ok(answer.unwrap_or(Ci::None))
    }

    fn recipients(&mut self) -> Result<(Vec<String>, Option<Identity>)> {
        if self.ground.there.contains(RECIPIENTS) {
            return Ok((Vec::new(), None));
        }
        let recipients = self.arguments.recipient.clone();
        for recipient in &recipients {
            recipients::canonical(recipient)?;
        }
        if let Some(file) = self.arguments.new_identity.clone() {
            refuse_inside(&file, &self.arguments.here(), self.ground.repository)?;
            return Ok((recipients, Some(Identity { file, is_new: true })));
        }
        if !recipients.is_empty() {
            return Ok((recipients, None));
        }
        let question = "Who can open private keys: `age1...`, an SSH public key, or nothing to make an age identity:";
        let flag = "`--recipient` or `--new-identity`";
        let typed = self.answer(question, flag, &|typed| {
            if !typed.is_empty() {
                recipients::canonical(typed)?;
            }
            Ok(typed.to_owned())
        });
        match typed {
            None => Ok((Vec::new(), None)),
            Some(typed) if typed.is_empty() => Ok(self.identity()),
            Some(recipient) => Ok((vec![recipient], None)),
        }
    }

    /// The recipient of an identity that is there, and the file of one that is there or is to be made.
    fn identity(&mut self) -> (Vec<String>, Option<Identity>) {
        let question = format!("File for the identity, not in this repository [{IDENTITY}]:");
        let (ask, here, ground) = (self.ask, self.arguments.here(), self.ground);
        let answer = self.answer(&question, "`--new-identity`", &|typed| {
            let typed = if typed.is_empty() { IDENTITY } else { typed };
            // A shell would have done it.
            let file = match (typed.strip_prefix("~/"), std::env::home_dir()) {
                (Some(rest), Some(home)) => home.join(rest),
                _ => PathBuf::from(typed),
            };
            refuse_inside(&file, &here, ground.repository)?;
            if !file.exists() {
                return Ok((Vec::new(), Identity { file, is_new: true }));
            }
            let use_it = format!("`{typed}` is there. Use the identity that it has?");
            if ask.and_then(|ask| yes(ask, &use_it)) != Some(true) {
                return Err(anyhow!("`{typed}` is there, and stays as it is"))
                    .hint(|| "name a file that is not there");
            }
            let recipient = identity::recipient(&file)?;
            let is_new = false;
            Ok((vec![recipient], Identity { file, is_new }))
        });
        answer.map_or((Vec::new(), None), |(recipients, identity)| {
            (recipients, Some(identity))
        })
    }

    /// What is typed, asked again with the reason until it can be used; none where nobody can be asked, so that the
    /// flag is missing.
    fn answer<T>(
        &mut self,
        question: &str,
        flag: &'static str,
        read: &dyn Fn(&str) -> Result<T>,
    ) -> Option<T> {
        let mut shown = question.to_owned();
        loop {
            let Some(typed) = self.ask.and_then(|ask| ask.text(&shown)) else {
                self.ask = None;
                self.missing.push(flag);
                return None;
            };
            match read(typed.trim()) {
                Ok(answer) => return Some(answer),
                Err(error) => shown = format!("{}{question}", terminal::describe(&error)),
            }
        }
    }

    /// Who cannot be asked, or no longer, does not agree.
    fn yes(&mut self, question: &str) -> bool {
        let answer = self.ask.and_then(|ask| yes(ask, question));
        if answer.is_none() {
            self.ask = None;
        }
        answer.unwrap_or_default()
    }
}

/// Nothing typed is a no; none where the terminal's end came.
fn yes(ask: &Questions, question: &str) -> Option<bool> {
    let question = format!("{question} [yes/no]");
    let mut shown = question.clone();
    loop {
        match ask.text(&shown)?.trim() {
            "y" | "yes" => return Some(true),
            "" | "n" | "no" => return Some(false),
            other => shown = format!("error: `{other}` is not `yes` or `no`\n{question}"),
        }
    }
}

/// Whatever else is wrong with it, the CA says.
fn refuse_no_address(email: Option<&str>) -> Result<()> {
    match email {
        Some(email) if !email.contains('@') => {
            Err(anyhow!("`--email` is not an address: `{email}`"))
                .hint(|| "an address looks like `ops@example.com`; leave it out to give none")
        }
        _ => Ok(()),
    }
}

fn identifiers<'n>(names: impl Iterator<Item = &'n str>) -> Result<Vec<Identifier>> {
    let names: Result<Vec<Identifier>, _> = names.map(str::parse).collect();
    let names = names
        .map_err(anyhow::Error::from)
        .and_then(|names| match names.as_slice() {
            [] => Err(anyhow!("it needs a name")),
            _ => Ok(names),
        });
    names
        .context("cannot make the first certificate")
        .hint(|| "names look like `www.example.com` or `*.example.com`, of letters, digits and `-`")
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
    if place.chars().all(is_plain) {
        match address.map(|address| address.place) {
            Some(Place::Http(_)) => return Ok(Dns::Url(place.to_owned())),
            Some(Place::Ssh(_)) => return Ok(Dns::Ssh(place.to_owned())),
            Some(Place::Local(_)) | None => {}
        }
    }
    Err(with_hint(
        anyhow!("`{place}` is neither a folder nor the URL of a repository"),
        "a URL looks like `https://github.com/example/dns`, `ssh://git@example.com/dns` or `git@example.com:dns`",
    ))
}

fn refuse_folder_in_ci(dns: Option<&Dns>, ci: Ci) -> Result<()> {
    match (dns, ci) {
        (Some(Dns::Folder(folder)), Ci::GitHub | Ci::GitLab) => Err(anyhow!(
            "CI does not have the folder `{folder}`"
        ))
        .hint(
            || "give the URL of the DNSControl repository; the Makefile expects it beside this one",
        ),
        _ => Ok(()),
    }
}
