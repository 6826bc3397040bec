//! Logins for HTTP that git's configuration has: headers by URL, and credential helpers.

use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use git2::Config;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::model::hint::Hint;
use crate::model::known;
use crate::model::outside::spawn;
use crate::model::secret::{Secret, is_own_variable};
use crate::repo::talk::talk;
use crate::repo::transport::child;

/// Most that is read of a login, bytes. Tokens have some thousand.
const LARGEST_LOGIN: u64 = 1 << 20;

/// What git's configuration says of logins. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Configured {
    /// From the environment; counts after the files.
    environment: Arc<Vec<(String, Secret)>>,
    headers: Arc<Vec<Header>>,
    /// Whether a credential helper is configured.
    has_helper: bool,
    /// Whether the user chose this server, so that a helper may be asked for a login.
    pub(crate) may_ask: bool,
    /// The folder that helpers are looked up from.
    folder: Option<PathBuf>,
    /// What a helper has given.
    given: Arc<Mutex<Option<Given>>>,
}

/// A header for the servers that a URL stands for.
struct Header {
    url: Url,
    name: HeaderName,
    /// None takes earlier ones back.
    value: Option<HeaderValue>,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}", self.name, self.url)
    }
}

/// A login that a helper has given.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) user: String,
    pub(super) password: Arc<Secret>,
    /// The helper knows that it is good.
    approved: bool,
}

impl Configured {
    /// With what the environment has; [`Self::read`] adds what the files have.
    pub(crate) fn new(environment: Vec<(String, Secret)>) -> Self {
        Self {
            environment: Arc::new(environment),
            headers: Arc::default(),
            has_helper: false,
            may_ask: true,
            folder: None,
            given: Arc::default(),
        }
    }

    /// Takes in `http.<url>.extraHeader` and whether there are credential helpers.
    pub(super) fn read(mut self, config: &Config, folder: Option<PathBuf>) -> Result<Self> {
        let mut headers = Vec::new();
        let mut entries = config.entries(Some("^(http|credential)\\."))?;
        while let Some(entry) = entries.next() {
            let entry = entry?;
            if let (Ok(key), Ok(value)) = (entry.name(), entry.value()) {
                self.has_helper |= is_helper(key);
                headers.extend(Header::parse(key, value)?);
            }
        }
        for (key, value) in self.environment.iter() {
            self.has_helper |= is_helper(key);
            if let Some(value) = value.expose_str() {
                headers.extend(Header::parse(key, value)?);
            }
        }
        self.headers = Arc::new(headers);
        self.folder = folder;
        Ok(self)
    }

    /// The headers for a server.
    pub(super) fn headers(&self, url: &Url, user: Option<&str>) -> HeaderMap {
        let mut all = HeaderMap::new();
        for header in self
            .headers
            .iter()
            .filter(|header| header.is_for(url, user))
        {
            match &header.value {
                Some(value) => drop(all.append(&header.name, value.clone())),
                None => all.clear(),
            }
        }
        all
    }

    /// What a helper has given.
    pub(super) fn given(&self) -> Option<Given> {
        self.lock().clone()
    }

    /// Asks the helpers for a login, as git does when a server wants one. False: there is none.
    pub(super) fn ask(&self, url: &Url, user: Option<&str>) -> Result<bool> {
        if !self.has_helper || !self.may_ask {
            return Ok(false);
        }
        let Some(said) = self.helper("fill", &described(url, user, None))? else {
            return Ok(false);
        };
        let said = said.expose_str().unwrap_or_default();
        let field = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::to_owned)
        };
        let given = match (field("username="), field("password=")) {
            (Some(user), Some(password)) => Given {
                user,
                password: Arc::new(Secret::from(password)),
                approved: false,
            },
            _ => return Ok(false),
        };
        *self.lock() = Some(given);
        Ok(true)
    }

    /// Tells the helpers, once, that the server took what they gave.
    pub(super) fn approve(&self, url: &Url) -> Result<()> {
        let given = match self.lock().as_mut() {
            Some(given) if !given.approved => {
                given.approved = true;
                given.clone()
            }
            _ => return Ok(()),
        };
        self.tell("approve", url, &given)
    }

    /// Tells the helpers that the server refuses what they gave.
    pub(super) fn reject(&self, url: &Url) -> Result<()> {
        let given = self.lock().take();
        given.map_or(Ok(()), |given| self.tell("reject", url, &given))
    }

    fn tell(&self, what: &str, url: &Url, given: &Given) -> Result<()> {
        let password = given.password.expose_str();
        self.helper(what, &described(url, Some(&given.user), password))
            .map(drop)
    }

    /// Runs `git credential`; none if it fails, because no helper knows a login.
    fn helper(&self, what: &str, input: &Secret) -> Result<Option<Secret>> {
        let mut command = Command::new("git");
        child::without_secrets(&mut command, |name, value| {
            is_own_variable(name) && name != "GITHUB_TOKEN" || child::is_key(value)
        });
        command
            .args(["credential", what])
            .current_dir(self.folder.clone().unwrap_or_else(|| PathBuf::from("/")))
            // Nobody is there to answer.
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = spawn(command)
            .context("cannot run `git`")
            .hint(|| "git's credential helpers are run through git: install it, or give a token (GIT_CERTS_TOKEN)")?;
        let (said, _) = talk(&mut child, input.expose(), LARGEST_LOGIN);
        let status = child.wait().context("cannot wait for `git`")?;
        let said = said
            .with_context(|| format!("cannot read what `git credential {what}` prints"))
            .hint(|| "`git config --show-origin --get-all credential.helper` names the helper that gives it")?;
        Ok(status.success().then(|| Secret::new(said)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Given>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `git credential` reads (git-credential(1)).
fn described(url: &Url, user: Option<&str>, password: Option<&str>) -> Secret {
    let host = url.host_str().unwrap_or_default();
    let host = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let mut text = format!("protocol={}\nhost={host}\n", url.scheme());
    text += &format!("path={}\n", url.path().trim_start_matches('/'));
    for (name, value) in [("username", user), ("password", password)] {
        if let Some(value) = value {
            text += &format!("{name}={value}\n");
        }
    }
    Secret::from(text + "\n")
}

fn is_helper(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.starts_with("credential.") && key.ends_with(".helper")
}

impl Header {
    /// None for other keys, and for headers that would go to any server.
    fn parse(key: &str, value: &str) -> Result<Option<Self>> {
        let is = |part: &str, word: &str| part.eq_ignore_ascii_case(word);
        let Some((section, rest)) = key.split_once('.') else {
            return Ok(None);
        };
        let Some((url, name)) = rest.rsplit_once('.') else {
            return Ok(None);
        };
        if !is(section, "http") || !is(name, "extraheader") {
            return Ok(None);
        }
        let Ok(url) = Url::parse(url) else {
            return Ok(None);
        };
        let header = || -> Result<(HeaderName, Option<HeaderValue>)> {
            if value.is_empty() {
                return Ok((AUTHORIZATION, None));
            }
            let (name, value) = value.split_once(':').context("it has no colon")?;
            // After the name of the scheme: `basic`, `bearer`.
            known::remember(value.rsplit(' ').next().unwrap_or_default().as_bytes());
            let mut value = HeaderValue::from_str(value.trim())?;
            value.set_sensitive(true);
            Ok((HeaderName::from_bytes(name.trim().as_bytes())?, Some(value)))
        };
        let (name, value) = header()
            .with_context(|| format!("`http.{url}.extraHeader` of git's configuration is no header"))
            .hint(|| "it has a name, a colon and a value: `git config --show-origin --get-all` says where it stands")?;
        Ok(Some(Self { url, name, value }))
    }

    /// Whether it may go to a server (git-config(1), `http.<url>.*`).
    fn is_for(&self, url: &Url, user: Option<&str>) -> bool {
        let ours = &self.url;
        let folder = ours.path().trim_end_matches('/');
        let below = url.path().strip_prefix(folder);
        ours.scheme() == url.scheme()
            && ours.port_or_known_default() == url.port_or_known_default()
            && is_host(
                ours.host_str().unwrap_or_default(),
                url.host_str().unwrap_or_default(),
            )
            && (ours.username().is_empty() || Some(ours.username()) == user)
            && below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    }
}

/// Whether a host is meant: `*` stands for one label.
fn is_host(pattern: &str, host: &str) -> bool {
    let (pattern, host): (Vec<_>, Vec<_>) =
        (pattern.split('.').collect(), host.split('.').collect());
    let mut pairs = pattern.iter().zip(&host);
    pattern.len() == host.len() && pairs.all(|(part, label)| *part == "*" || part == label)
}

#[cfg(test)]
mod tests;
