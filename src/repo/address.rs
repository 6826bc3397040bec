//! Where a repository is: URL, scp-like address or path, with the credentials split off.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use url::{Host, Url};

use crate::model::hint::{Hint, with_hint};
use crate::model::secret::Secret;

/// Address of a repository as git understands it.
pub(crate) struct Address {
    pub(crate) place: Place,
    /// User of the URL, for the login over HTTP.
    pub(crate) user: Option<String>,
    /// Password of the URL: a token that a CI system wrote into it.
    pub(crate) password: Option<Arc<Secret>>,
    /// What messages show: no password, no user over HTTP, no query.
    shown: String,
}

/// The three ways to a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Without user, password, query and final `/`.
    Http(Url),
    Ssh(SshPlace),
    /// Absolute.
    Local(PathBuf),
}

/// A repository behind a child `ssh`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SshPlace {
    pub(crate) user: Option<String>,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// As the server sees it: absolute, or relative to the home directory.
    pub(crate) path: String,
}

impl Address {
    /// Reads `https://`, `http://` (loopback only), `ssh://`, `file://`, `[user@]host:path`, or a path.
    ///
    /// Errors never repeat the text: it may hold a token.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.contains("://") {
            return Self::from_url(text);
        }
        match scp_like(text) {
            Some(place) => Self::ssh(place),
            None => Self::local(Path::new(text), text.to_owned()),
        }
    }

    /// Host of an HTTP address, to which a token may go, with its port if that is no usual one;
    /// none for the others.
    pub(crate) fn host(&self) -> Option<String> {
        match &self.place {
            Place::Http(url) => url.host_str().map(|host| match url.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            }),
            Place::Ssh(_) | Place::Local(_) => None,
        }
    }

    fn from_url(text: &str) -> Result<Self> {
        let url = Url::parse(text).context("cannot parse the URL of the repository")?;
        match url.scheme() {
            "https" => Self::http(&url),
            "http" if is_loopback(&url) => Self::http(&url),
            "http" => Err(with_hint(
                anyhow!("`{}` is not encrypted", bare(&url)),
                "use `https://` or `ssh://`; plain `http://` is for loopback addresses only",
            )),
            "ssh" | "git+ssh" | "ssh+git" => Self::ssh(SshPlace {
                user: Some(decoded(url.username())?).filter(|user| !user.is_empty()),
                host: url.host_str().unwrap_or_default().replace(['[', ']'], ""),
                port: url.port(),
                path: ssh_path(&decoded(url.path())?),
            }),
            "file" => {
                let path = url
                    .to_file_path()
                    .map_err(|()| anyhow!("`{}` is not the URL of a local folder", bare(&url)))?;
                Self::local(&path, bare(&url).to_string())
            }
            scheme => Err(with_hint(
                anyhow!("cannot reach a repository by `{scheme}://`"),
                "use `https://`, `ssh://`, `file://` or a path",
            )),
        }
    }

    fn http(url: &Url) -> Result<Self> {
        let user = Some(decoded(url.username())?).filter(|user| !user.is_empty());
        let password = url.password().map(decoded).transpose()?;
        let bare = bare(url);
        Ok(Self {
            user,
            password: password.map(Secret::from).map(Arc::new),
            shown: bare.to_string(),
            place: Place::Http(bare),
        })
    }

    fn ssh(place: SshPlace) -> Result<Self> {
        // A leading `-` would be an option of ssh or of git on the other side.
        if place.host.is_empty() || place.host.starts_with('-') {
            bail!("the address of the repository has no host name");
        }
        if place.path.is_empty() || place.path.starts_with('-') {
            bail!(
                "the address of the repository on `{}` has no path",
                place.host
            );
        }
        if place
            .user
            .as_ref()
            .is_some_and(|user| user.starts_with('-'))
        {
            bail!(
                "the address of the repository on `{}` has no valid user",
                place.host
            );
        }
        Ok(Self {
            user: None,
            password: None,
            shown: place.to_string(),
            place: Place::Ssh(place),
        })
    }

    fn local(path: &Path, shown: String) -> Result<Self> {
        if shown.is_empty() {
            bail!("the address of the repository is empty");
        }
        let path = std::path::absolute(path)
            .with_context(|| format!("cannot find `{shown}`"))
            .hint(|| "give an absolute path")?;
        Ok(Self {
            place: Place::Local(path),
            user: None,
            password: None,
            shown,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.shown)
    }
}

impl fmt::Display for SshPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ssh://")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        let slash = if self.path.starts_with('/') { "" } else { "/" };
        write!(f, "{slash}{}", self.path)
    }
}

/// `[user@]host:path`, where no `/` comes before the first `:` (git's rule). `[host:port]:path` too.
fn scp_like(text: &str) -> Option<SshPlace> {
    let (user, rest) = match text.split_once('@') {
        Some((user, rest)) if !user.contains(['/', ':']) => (Some(user.to_owned()), rest),
        _ => (None, text),
    };
    let (host, port, path) = if let Some(bracketed) = rest.strip_prefix('[') {
        let (inside, path) = bracketed.split_once("]:")?;
        match inside.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, port.parse().ok(), path),
            _ => (inside, None, path),
        }
    } else {
        let (host, path) = rest.split_once(':')?;
        (host, None, path)
    };
    if host.is_empty() || host.contains('/') {
        return None;
    }
    Some(SshPlace {
        user,
        host: host.to_owned(),
        port,
        path: path.to_owned(),
    })
}

/// `/~user/x` means `~user/x`: the server's shell-less home notation.
fn ssh_path(path: &str) -> String {
    match path.strip_prefix("/~") {
        Some(rest) => format!("~{rest}"),
        None => path.to_owned(),
    }
}

fn bare(url: &Url) -> Url {
    let mut bare = url.clone();
    // Both fail for URLs without a host only, and those have neither.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    bare.set_query(None);
    bare.set_fragment(None);
    let path = bare.path().trim_end_matches('/').to_owned();
    bare.set_path(&path);
    bare
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Percent-decoding (RFC 3986 section 2.1).
fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            bail!("the URL of the repository has a bad `%` sequence");
        };
        bytes.push(u8::try_from(high * 16 + low)?);
    }
    let text = String::from_utf8(bytes).context("the URL of the repository is not UTF-8")?;
    // A line feed in a user's name would tell a credential helper of another host (CVE-2020-5260).
    if text.contains(char::is_control) {
        bail!("the URL of the repository has a control character");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::hint::explain;

    fn ssh(text: &str) -> SshPlace {
        match Address::parse(text).unwrap().place {
            Place::Ssh(place) => place,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn credentials_are_split_off_and_never_shown() {
        let address = Address::parse("https://ci:t%40p@git.test/a/certs.git/?x=y").unwrap();
        assert_eq!(address.user.as_deref(), Some("ci"));
        assert_eq!(address.password.as_ref().unwrap().expose(), b"t@p");
        assert_eq!(address.to_string(), "https://git.test/a/certs.git");
        assert_eq!(
            format!("{address:?}"),
            "Address(https://git.test/a/certs.git)"
        );
    }

    #[test]
    fn ssh_addresses() {
        assert_eq!(
            ssh("ssh://git@git.test:2222/srv/a%20b.git"),
            SshPlace {
                user: Some("git".into()),
                host: "git.test".into(),
                port: Some(2222),
                path: "/srv/a b.git".into(),
            }
        );
        assert_eq!(ssh("ssh://git.test/~me/x").path, "~me/x");
        assert_eq!(
            ssh("git@git.test:me/x.git").to_string(),
            "ssh://git@git.test/me/x.git"
        );
        assert_eq!(ssh("[::1]:x.git").host, "::1");
        assert_eq!(ssh("me@[git.test:2222]:x.git").port, Some(2222));
    }

    #[test]
    fn paths() {
        let place = |text: &str| Address::parse(text).unwrap().place;
        assert_eq!(place("/srv/a:b"), Place::Local("/srv/a:b".into()));
        assert_eq!(place("file:///srv/a%20b"), Place::Local("/srv/a b".into()));
        let here = std::env::current_dir().unwrap();
        assert_eq!(place("certs"), Place::Local(here.join("certs")));
    }

    #[test]
    fn what_is_no_address() {
        let error = |text: &str| {
            let explained = explain(&Address::parse(text).unwrap_err());
            (explained.what, explained.hints.join("; "))
        };
        assert_eq!(
            error("http://ci:secret@git.test/x"),
            (
                "`http://git.test/x` is not encrypted".into(),
                "use `https://` or `ssh://`; plain `http://` is for loopback addresses only".into()
            )
        );
        assert_eq!(
            error("git://git.test/x"),
            (
                "cannot reach a repository by `git://`".into(),
                "use `https://`, `ssh://`, `file://` or a path".into()
            )
        );
        assert_eq!(
            error("https://ci:secret@").0,
            "cannot parse the URL of the repository"
        );
        for hidden in ["https://a%0ahost=b@git.test/x", "https://a:b%00@git.test/x"] {
            assert_eq!(
                error(hidden).0,
                "the URL of the repository has a control character"
            );
        }
        assert_eq!(
            error("https://%ff@git.test/x").0,
            "the URL of the repository is not UTF-8"
        );
        assert_eq!(error("").0, "the address of the repository is empty");
        assert_eq!(
            error("ssh://-oProxyCommand=x/y").0,
            "the address of the repository has no host name"
        );
        assert_eq!(
            error("git.test:-x").0,
            "the address of the repository on `git.test` has no path"
        );
        assert!(Address::parse("http://[::1]:8080/x").is_ok());
        assert!(Address::parse("http://localhost/x").is_ok());
    }
}
