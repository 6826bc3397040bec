//! Which CA: the names and addresses that `--acme` takes.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// Let's Encrypt, as everybody trusts it.
const LIVE: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Let's Encrypt's test CA: the same software, generous limits, certificates that nobody trusts.
const STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// Directory URL of a CA (RFC 8555 section 7.1.1).
///
/// Read from `live`, `letsencrypt` (the same), `staging`, or a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    url: Url,
}

/// Why a text names no CA.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadDirectory {
    #[error("`{0}` is neither `live` nor `staging` nor the URL of an ACME directory")]
    Unknown(String),
    #[error("`{0}` is not an https:// URL")]
    Insecure(String),
    #[error("the URL of an ACME directory cannot hold a user name or password")]
    Credentials,
}

impl Directory {
    /// The URL as a text.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Host and, where it is not 443, port: get-certs' name for the account's folder.
    pub(crate) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Whether `url` is of the same CA: of the same host and port.
    pub(crate) fn is_of_same_ca(&self, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| url.origin() == self.url.origin())
    }
}

impl FromStr for Directory {
    type Err = BadDirectory;

    fn from_str(text: &str) -> Result<Self, BadDirectory> {
        let address = match text {
            "live" | "letsencrypt" => LIVE,
            "staging" => STAGING,
            other => other,
        };
        let url = Url::parse(address).map_err(|_| BadDirectory::Unknown(text.to_owned()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadDirectory::Credentials);
        }
        match url.scheme() {
            "https" => Ok(Self { url }),
            "http" => Err(BadDirectory::Insecure(text.to_owned())),
            _ => Err(BadDirectory::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<Directory>().unwrap_err().to_string()
    }

    #[test]
    fn names_and_urls_become_directories() {
        let host = |text: &str| text.parse::<Directory>().unwrap().host();
        assert_eq!(
            "live".parse::<Directory>().unwrap(),
            "letsencrypt".parse().unwrap()
        );
        assert_eq!(host("live"), "acme-v02.api.letsencrypt.org");
        assert_eq!(host("staging"), "acme-staging-v02.api.letsencrypt.org");
        assert_eq!(host("https://localhost:14000/dir"), "localhost:14000");
        assert_eq!(host("https://CA.example:443/x/directory"), "ca.example");
        assert_eq!(host("https://[::1]:14000/dir"), "[::1]:14000");
    }

    #[test]
    fn what_is_no_directory_is_refused() {
        assert_eq!(
            error("prod"),
            "`prod` is neither `live` nor `staging` nor the URL of an ACME directory"
        );
        assert_eq!(
            error("https://"),
            "`https://` is neither `live` nor `staging` nor the URL of an ACME directory"
        );
        assert_eq!(
            error("localhost:14000"),
            "`localhost:14000` is neither `live` nor `staging` nor the URL of an ACME directory"
        );
        assert_eq!(
            error("http://localhost:14000/dir"),
            "`http://localhost:14000/dir` is not an https:// URL"
        );
        assert_eq!(
            error("https://me:hunter2@ca.example/dir"),
            "the URL of an ACME directory cannot hold a user name or password"
        );
    }
}
