//! What a server lacks, and how that is said.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

use hickory_proto::op::ResponseCode;

use crate::dns::exchange::Unanswered;
use crate::dns::lookup::DNS_PORT;
use crate::model::name::DnsName;

/// Values that a message shows of a name that has others.
const SHOWN_VALUES: usize = 3;

/// A server address or a resolver that lacks something. Prints as
/// `ns2.example.com (192.0.2.2) does not answer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Laggard {
    pub(crate) server: DnsName,
    /// None of a resolver that is asked over HTTPS.
    pub(crate) address: Option<SocketAddr>,
    /// What it did last; where several names are missing, for the first of them.
    pub(crate) problem: Problem,
    /// Number of names that are not complete there.
    pub(crate) names: usize,
}

impl Laggard {
    /// Name and address.
    pub(crate) fn who(&self) -> String {
        match self.address {
            None => format!("{} (over HTTPS)", self.server),
            Some(address) => who(&self.server, address),
        }
    }
}

/// Name and address of a server: `ns2.example.com (192.0.2.2)`, with the port if it is not 53.
pub(super) fn who(server: &DnsName, address: SocketAddr) -> String {
    if address.port() != DNS_PORT {
        format!("{server} ({address})")
    } else if address.ip().to_string() == server.as_str() {
        // A server that the user named by its address.
        server.to_string()
    } else {
        format!("{server} ({})", address.ip())
    }
}

impl fmt::Display for Laggard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.who(), self.problem)
    }
}

/// What a server said instead of the values. Prints as the predicate of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// No answer that could be read.
    Unanswered(Unanswered),
    /// A response code other than NOERROR and NXDOMAIN.
    Code(ResponseCode),
    /// An answer without the AA bit: it does not serve the zone.
    NotAuthoritative,
    /// The name is an alias, so that no TXT record can stand there. Lower case, no final dot.
    Alias(String),
    /// The name has no CNAME.
    NoAlias,
    /// NXDOMAIN.
    NoName,
    /// The name has no TXT record.
    NoTxt,
    /// Some values are missing; others may be there.
    Lacks {
        missing: BTreeSet<String>,
        found: BTreeSet<String>,
    },
    /// A recursive resolver goes on saying this for so many seconds.
    Cached(Box<Self>, u64),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered(why) => why.fmt(f),
            Self::Code(ResponseCode::Refused) => f.write_str("answers REFUSED"),
            Self::Code(ResponseCode::ServFail) => f.write_str("answers SERVFAIL"),
            Self::Code(code) => write!(f, "answers with code {}", u16::from(*code)),
            Self::NotAuthoritative => f.write_str("is not authoritative for it"),
            Self::Alias(target) => write!(f, "has a CNAME to `{target}` there"),
            Self::NoAlias => f.write_str("has no CNAME there"),
            Self::NoName => f.write_str("does not know the name (NXDOMAIN)"),
            Self::NoTxt => f.write_str("has no TXT record there"),
            Self::Lacks { missing, found } => {
                write!(f, "lacks {} (it has {})", quoted(missing), quoted(found))
            }
            Self::Cached(problem, seconds) => {
                write!(f, "{problem}, and keeps that for {seconds} s")
            }
        }
    }
}

fn quoted(values: &BTreeSet<String>) -> String {
    let first = values.iter().take(SHOWN_VALUES);
    let shown: Vec<_> = first
        .map(|value| format!("`{}`", value.escape_debug()))
        .collect();
    let text = shown.join(", ");
    match values.len().saturating_sub(shown.len()) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// A name that was not complete on every server at the deadline, or cannot become so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotSeen {
    pub(crate) name: DnsName,
    /// In the order of addresses. Empty if there was nobody to ask.
    pub(crate) laggards: Vec<Laggard>,
}

impl NotSeen {
    /// The target, if every server says that the name is the same CNAME.
    pub(crate) fn alias(&self) -> Option<&str> {
        let mut targets = self.laggards.iter().map(|laggard| match &laggard.problem {
            Problem::Alias(target) => Some(target.as_str()),
            _ => None,
        });
        let first = targets.next()??;
        targets.all(|other| other == Some(first)).then_some(first)
    }
}

impl fmt::Display for NotSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        if let Some(target) = self.alias() {
            return write!(
                f,
                "`{name}` is a CNAME to `{target}`: it cannot have a TXT record"
            );
        }
        if self.laggards.is_empty() {
            return write!(f, "`{name}` has no name server that can be asked");
        }
        let over_https = self
            .laggards
            .iter()
            .all(|laggard| laggard.address.is_none());
        let place = if over_https {
            "seen by every resolver"
        } else {
            "on every name server"
        };
        write!(f, "`{name}` is not {place}: ")?;
        for (index, laggard) in self.laggards.iter().enumerate() {
            let semicolon = if index == 0 { "" } else { "; " };
            write!(f, "{semicolon}{laggard}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NotSeen {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_port_is_not_shown() {
        let laggard = |address: &str| Laggard {
            server: "ns2.example.com".parse().unwrap(),
            address: Some(address.parse().unwrap()),
            problem: Problem::Unanswered(Unanswered::Silent),
            names: 1,
        };
        let error = NotSeen {
            name: "_acme-challenge.example.com".parse().unwrap(),
            laggards: vec![laggard("192.0.2.2:53"), laggard("[2001:db8::2]:53")],
        };
        assert_eq!(
            error.to_string(),
            "`_acme-challenge.example.com` is not on every name server: ns2.example.com (192.0.2.2) does not answer; ns2.example.com (2001:db8::2) does not answer"
        );
    }
}
