//! Where a server with a certificate listens: what `endpoints` of certs.json has.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::model::name::DnsName;

/// The port of HTTPS.
const HTTPS_PORT: u16 = 443;

/// A host and a port that speaks TLS from the first byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

/// A name, all of whose addresses count, or one address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Host {
    Name(DnsName),
    Address(IpAddr),
}

/// A text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a host and a port")]
pub(crate) struct BadEndpoint(String);

impl Endpoint {
    /// Where browsers look for a name.
    pub(crate) fn https(name: DnsName) -> Self {
        Self {
            host: Host::Name(name),
            port: HTTPS_PORT,
        }
    }
}

impl FromStr for Endpoint {
    type Err = BadEndpoint;

    /// Reads `www.example.com:443`, `192.0.2.1:8443` and `[2001:db8::1]:443`.
    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        let bad = || BadEndpoint(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| is_number && *port > 0);
        let inner = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let host = match inner {
            Some(inner) => inner.parse().map(IpAddr::V6).map(Host::Address).ok(),
            None => host
                .parse()
                .map(|address| Host::Address(IpAddr::V4(address)))
                .ok()
                .or_else(|| name(host).map(Host::Name)),
        };
        Ok(Self {
            host: host.ok_or_else(bad)?,
            port: port.ok_or_else(bad)?,
        })
    }
}

/// A name that can have addresses: letters, digits, `-` and `_`.
fn name(text: &str) -> Option<DnsName> {
    let name: DnsName = text.parse().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_host = !name.as_str().is_empty() && name.as_str().bytes().all(is_plain);
    is_host.then_some(name)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match &self.host {
            Host::Name(name) => write!(f, "{name}:{port}"),
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}:{port}"),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_have_a_port() {
        for text in [
            "www.example.com:443",
            "localhost:8443",
            "192.0.2.1:25",
            "[2001:db8::1]:443",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        let unicode: Endpoint = "B\u{fc}cher.example:443".parse().unwrap();
        assert_eq!(unicode.to_string(), "xn--bcher-kva.example:443");
    }

    #[test]
    fn others_are_refused() {
        for text in [
            "",
            "www.example.com",
            "www.example.com:",
            "www.example.com:0",
            "www.example.com:+1",
            "www.example.com:65536",
            "https://www.example.com:443",
            "2001:db8::1:443",
            "[192.0.2.1]:443",
            "*.example.com:443",
            ":443",
            "a b:443",
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`{text}` is not a host and a port")
            );
        }
    }
}
