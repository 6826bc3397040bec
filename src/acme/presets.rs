//! Which CA: the names and addresses that `--acme` takes.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// A CA whose address is known.
struct Preset {
    /// What `--acme` takes; the first is the name that messages use.
    names: &'static [&'static str],
    url: &'static str,
    /// The vendor's page on external account binding, where it is needed.
    eab_page: Option<&'static str>,
}

/// Every CA that has a name here, with the page that its address is from.
const PRESETS: &[Preset] = &[
    // https://letsencrypt.org/docs/acme-protocol-updates/: everybody trusts it.
    Preset {
        names: &["live", "letsencrypt"],
        url: "https://acme-v02.api.letsencrypt.org/directory",
        eab_page: None,
    },
    // https://letsencrypt.org/docs/staging-environment/: the same software, generous limits,
    // certificates that nobody trusts.
    Preset {
        names: &["staging", "letsencrypt-staging"],
        url: "https://acme-staging-v02.api.letsencrypt.org/directory",
        eab_page: None,
    },
    // https://zerossl.com/documentation/acme/
    Preset {
        names: &["zerossl"],
        url: "https://acme.zerossl.com/v2/DV90",
        eab_page: Some("https://zerossl.com/documentation/acme/generate-eab-credentials/"),
    },
    // https://docs.cloud.google.com/certificate-manager/docs/public-ca-tutorial
    Preset {
        names: &["google"],
        url: "https://dv.acme-v02.api.pki.goog/directory",
        eab_page: Some(GOOGLE_EAB),
    },
    // The same page, "staging": its binding keys come from the staging API.
    Preset {
        names: &["google-staging"],
        url: "https://dv.acme-v02.test-api.pki.goog/directory",
        eab_page: Some(GOOGLE_EAB),
    },
    // https://www.ssl.com/guide/ssl-tls-certificate-issuance-and-revocation-with-acme/: one
    // directory issues for RSA keys, the other for ECDSA keys; RSA is our default too.
    Preset {
        names: &["sslcom", "sslcom-rsa"],
        url: "https://acme.ssl.com/sslcom-dv-rsa",
        eab_page: Some(SSLCOM_EAB),
    },
    Preset {
        names: &["sslcom-ecc"],
        url: "https://acme.ssl.com/sslcom-dv-ecc",
        eab_page: Some(SSLCOM_EAB),
    },
    // https://guide.actalis.com/ssl-certificate/acme.aspx
    Preset {
        names: &["actalis"],
        url: "https://acme-api.actalis.com/acme/directory",
        eab_page: Some("https://guide.actalis.com/ssl-certificate/acme.aspx"),
    },
];

const GOOGLE_EAB: &str =
    "https://docs.cloud.google.com/certificate-manager/docs/public-ca-tutorial";

const SSLCOM_EAB: &str =
    "https://www.ssl.com/guide/ssl-tls-certificate-issuance-and-revocation-with-acme/";

/// What to do about a text that is no CA, or a URL that leads elsewhere.
pub(crate) const WHAT_ACME_TAKES: &str = "`--acme` takes `live`, `staging`, `zerossl`, `google`, \
     `google-staging`, `sslcom`, `sslcom-ecc`, `actalis`, or the URL of a CA's ACME directory";

/// Directory URL of a CA (RFC 8555 section 7.1.1).
///
/// Read from the name of a preset, such as `live` and `staging`, or a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    url: Url,
}

/// Why a text names no CA.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadDirectory {
    #[error("`{0}` is neither the name of a CA nor the URL of an ACME directory")]
    Unknown(String),
    #[error("`{0}` is not an https:// URL")]
    Insecure(String),
    #[error("the URL of an ACME directory cannot hold a user name or password")]
    Credentials,
}

impl Directory {
    /// The CA at a host, where it has one directory alone that is known here.
    pub(crate) fn at_host(host: &str) -> Option<Self> {
        let all = PRESETS.iter().filter_map(|preset| preset.url.parse().ok());
        let mut there = all.filter(|directory: &Self| directory.host() == host);
        let first = there.next();
        first.filter(|_| there.next().is_none())
    }

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

    /// The name of the CA, where it has one here.
    pub(crate) fn name(&self) -> Option<&'static str> {
        self.preset()?.names.first().copied()
    }

    /// The vendor's page on external account binding, where the CA is known to want it.
    pub(super) fn eab_page(&self) -> Option<&'static str> {
        self.preset()?.eab_page
    }

    fn preset(&self) -> Option<&'static Preset> {
        PRESETS.iter().find(|preset| preset.url == self.url())
    }
}

impl FromStr for Directory {
    type Err = BadDirectory;

    fn from_str(text: &str) -> Result<Self, BadDirectory> {
        let preset = PRESETS.iter().find(|preset| preset.names.contains(&text));
        let address = preset.map_or(text, |preset| preset.url);
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
    fn every_name_is_known_again_by_its_url() {
        for preset in PRESETS {
            for name in preset.names {
                let directory: Directory = name.parse().unwrap();
                assert_eq!(directory.url(), preset.url);
                assert_eq!(directory.name(), preset.names.first().copied());
                assert_eq!(directory.eab_page(), preset.eab_page);
            }
            let main = format!("`{}`", preset.names[0]);
            assert!(WHAT_ACME_TAKES.contains(&main), "{main}");
        }
        let own: Directory = "https://ca.example/dir".parse().unwrap();
        assert_eq!((own.name(), own.eab_page()), (None, None));
    }

    #[test]
    fn what_is_no_directory_is_refused() {
        assert_eq!(
            error("prod"),
            "`prod` is neither the name of a CA nor the URL of an ACME directory"
        );
        assert_eq!(
            error("https://"),
            "`https://` is neither the name of a CA nor the URL of an ACME directory"
        );
        assert_eq!(
            error("localhost:14000"),
            "`localhost:14000` is neither the name of a CA nor the URL of an ACME directory"
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
