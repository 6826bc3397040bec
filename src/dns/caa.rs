//! Whether CAA records let a CA issue (RFC 8659, RFC 8657). No I/O.

use std::fmt;

use crate::model::name::DnsName;

/// How control of names is proven here, as `validationmethods` calls it (RFC 8657 section 4).
const METHOD: &str = "dns-01";

/// Flags that make a property critical: bit 0 (RFC 8659 section 4.1), and the one that is mistaken
/// for it often enough for Boulder to count it: <https://github.com/letsencrypt/boulder/blob/main/va/caa.go>.
const CRITICAL: u8 = 128 | 1;

/// Property tags that a CA knows; any other that is critical forbids to issue (RFC 8659 section 4.1).
///
/// `issuemail` (RFC 9495) is about S/MIME, `contactemail` and `contactphone` (CA/Browser Forum
/// Baseline Requirements, appendix A) about other methods of validation.
const KNOWN: [&str; 6] = [
    "issue",
    "issuewild",
    "iodef",
    "issuemail",
    "contactemail",
    "contactphone",
];

/// A CAA record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Property {
    pub(crate) flags: u8,
    /// Lower case.
    pub(crate) tag: String,
    pub(crate) value: String,
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} \"{}\"", self.flags, self.tag, self.value)
    }
}

impl Property {
    /// The value that would let this account alone; none if it names an account already.
    pub(crate) fn pinned_to(&self, account: &str) -> Option<String> {
        let value = IssueValue::parse(&self.value)?;
        let is_open = value.parameter("accounturi").is_empty();
        is_open.then(|| {
            format!(
                "{}; accounturi={account}",
                self.value.trim_end_matches([';', ' '])
            )
        })
    }
}

/// The CAA records of one name; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordSet {
    /// Where they are: the name that was asked for, or the end of the CNAMEs that begin there.
    pub(crate) at: DnsName,
    pub(crate) properties: Vec<Property>,
}

/// A CA, and who asks it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Authority<'a> {
    /// Names that stand for the CA: `caaIdentities` of its directory (RFC 8555 section 7.1.1).
    pub(crate) identities: &'a [String],
    /// URL of the account that orders; without one no `accounturi` is met.
    pub(crate) account: Option<&'a str>,
}

/// Why a CA may not issue, and what would let it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct Forbidden {
    pub(crate) why: String,
    /// Where the records are that forbid it.
    pub(crate) at: DnsName,
    pub(crate) remedy: Remedy,
}

/// What lets the CA issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// A CAA record of this tag and value, beside those that are there.
    Add { tag: &'static str, value: String },
    /// This record has to go.
    Remove(Property),
}

/// Decides as the CA does (RFC 8659 section 4): the record that lets it issue, none where no record
/// says anything, or why it may not.
///
/// `relevant`: the first record set that is not empty on the way from the name up.
pub(crate) fn allows<'r>(
    relevant: Option<&'r RecordSet>,
    is_wildcard: bool,
    authority: &Authority<'_>,
) -> Result<Option<&'r Property>, Forbidden> {
    let Some(RecordSet { at, properties }) = relevant else {
        return Ok(None);
    };
    let unknown = |property: &&Property| {
        property.flags & CRITICAL != 0 && !KNOWN.contains(&property.tag.as_str())
    };
    if let Some(property) = properties.iter().find(unknown) {
        return Err(Forbidden {
            why: format!(
                "CAA record `{property}` at `{at}` is critical, but of a kind that CAs do not know"
            ),
            at: at.clone(),
            remedy: Remedy::Remove(property.clone()),
        });
    }
    let (tag, deciding) = deciding(properties, is_wildcard);
    if deciding.is_empty() {
        return Ok(None);
    }
    let judged = deciding
        .iter()
        .map(|property| (*property, judge(&property.value, authority)));
    let judged: Vec<_> = judged.collect();
    let good = judged.iter().find(|(_, judgement)| *judgement == Ok(()));
    match good {
        Some((property, _)) => Ok(Some(property)),
        None => Err(forbidden(at, tag, &judged, authority)),
    }
}

/// `issuewild` decides for wildcards, where there is any; otherwise `issue` (RFC 8659 section 4.3).
fn deciding(properties: &[Property], is_wildcard: bool) -> (&'static str, Vec<&Property>) {
    let of = |tag: &str| -> Vec<_> {
        let tagged = properties.iter().filter(|property| property.tag == tag);
        tagged.collect()
    };
    let wild = of("issuewild");
    if is_wildcard && !wild.is_empty() {
        ("issuewild", wild)
    } else {
        ("issue", of("issue"))
    }
}

/// Why a record does not let the CA issue; the more it has in common with us, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Flaw {
    /// It names no CA, or another, or cannot be read.
    Authority,
    /// It does not name the method.
    Method,
    /// It names another account.
    Account,
}

fn judge(value: &str, authority: &Authority<'_>) -> Result<(), Flaw> {
    let value = IssueValue::parse(value).ok_or(Flaw::Authority)?;
    let mut identities = authority.identities.iter();
    if !identities.any(|identity| identity.eq_ignore_ascii_case(value.domain)) {
        return Err(Flaw::Authority);
    }
    match value.parameter("accounturi").as_slice() {
        [] => {}
        [uri] if Some(*uri) == authority.account => {}
        _ => return Err(Flaw::Account),
    }
    match value.parameter("validationmethods").as_slice() {
        [] => Ok(()),
        [methods] if methods.split(',').any(|method| method.trim() == METHOD) => Ok(()),
        _ => Err(Flaw::Method),
    }
}

fn forbidden(
    at: &DnsName,
    tag: &'static str,
    judged: &[(&Property, Result<(), Flaw>)],
    authority: &Authority<'_>,
) -> Forbidden {
    let flawed = judged
        .iter()
        .filter_map(|(property, judgement)| Some((judgement.err()?, *property)));
    let nearest = flawed.max_by_key(|(flaw, _)| *flaw);
    let ours = authority.identities.first().map_or("", String::as_str);
    let (why, value) = match nearest {
        Some((Flaw::Account, property)) => (
            match authority.account {
                Some(account) => format!(
                    "CAA record `{property}` at `{at}` is for another account than ours, `{account}`"
                ),
                None => format!(
                    "CAA record `{property}` at `{at}` is for an account, and ours has yet to be registered"
                ),
            },
            match authority.account {
                Some(account) => format!("{ours}; accounturi={account}"),
                None => ours.to_owned(),
            },
        ),
        Some((Flaw::Method, property)) => (
            format!("CAA record `{property}` at `{at}` does not name `{METHOD}`"),
            format!("{ours}; validationmethods={METHOD}"),
        ),
        _ => {
            let records: Vec<_> = judged
                .iter()
                .map(|(property, _)| format!("`{property}`"))
                .collect();
            let (which, name) = match records.len() {
                1 => ("record", "names"),
                _ => ("records", "name"),
            };
            let records = records.join(", ");
            (
                format!("CAA {which} {records} at `{at}` {name} other CAs than `{ours}`"),
                ours.to_owned(),
            )
        }
    };
    Forbidden {
        why,
        at: at.clone(),
        remedy: Remedy::Add { tag, value },
    }
}

/// The value of `issue` and `issuewild` (RFC 8659 section 4.2).
struct IssueValue<'a> {
    /// Empty: nobody may issue.
    domain: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> IssueValue<'a> {
    /// None for what does not follow the grammar: it lets nobody issue.
    fn parse(text: &'a str) -> Option<Self> {
        let (domain, rest) = text.split_once(';').unwrap_or((text, ""));
        let parameters = rest.split(';').map(str::trim);
        let parameters = parameters.filter(|parameter| !parameter.is_empty());
        let parameters = parameters.map(|parameter| {
            let (tag, value) = parameter.split_once('=')?;
            Some((tag.trim(), value.trim()))
        });
        Some(Self {
            domain: domain.trim(),
            parameters: parameters.collect::<Option<_>>()?,
        })
    }

    /// All values of a parameter. More than one can never be met (RFC 8657 section 3).
    fn parameter(&self, name: &str) -> Vec<&'a str> {
        let named = self
            .parameters
            .iter()
            .filter(|(tag, _)| tag.eq_ignore_ascii_case(name));
        named.map(|(_, value)| *value).collect()
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    const ACCOUNT: &str = "https://ca.test/acct/1";

    /// Records as in a zone file: flags, tag, value, separated by a space.
    fn set(records: &[&str]) -> RecordSet {
        let property = |record: &&str| {
            let mut words = record.splitn(3, ' ');
            Property {
                flags: words.next().unwrap().parse().unwrap(),
                tag: words.next().unwrap().to_owned(),
                value: words.next().unwrap().to_owned(),
            }
        };
        RecordSet {
            at: "example.test".parse().unwrap(),
            properties: records.iter().map(property).collect(),
        }
    }

    /// The record that allows, `-` for none, or the message.
    fn verdict(records: &[&str], is_wildcard: bool) -> String {
        let identities = ["ca.test".to_owned(), "alias.test".to_owned()];
        let authority = Authority {
            identities: &identities,
            account: Some(ACCOUNT),
        };
        let set = set(records);
        match allows(Some(&set), is_wildcard, &authority) {
            Ok(Some(property)) => property.to_string(),
            Ok(None) => "-".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    fn remedy(records: &[&str], is_wildcard: bool) -> Remedy {
        let authority = Authority {
            identities: &["ca.test".to_owned()],
            account: Some(ACCOUNT),
        };
        let set = set(records);
        allows(Some(&set), is_wildcard, &authority)
            .unwrap_err()
            .remedy
    }

    #[test]
    fn where_nothing_is_said_everybody_may_issue() {
        let authority = Authority {
            identities: &["ca.test".to_owned()],
            account: None,
        };
        assert_eq!(allows(None, true, &authority), Ok(None));
        for records in [
            &["0 iodef mailto:x@y.test"][..],
            &["0 issuewild ;"],
            &["0 tbs something"],
            &["128 iodef mailto:x@y.test", "128 issuemail ;"],
        ] {
            assert_eq!(verdict(records, false), "-", "{records:?}");
        }
    }

    #[test]
    fn the_record_that_names_the_ca_allows() {
        for record in [
            "0 issue ca.test",
            "128 issue ca.test",
            "0 issue CA.Test",
            "0 issue  alias.test ;",
            "0 issue ca.test; policy=ev; x=",
            "0 issue ca.test;accounturi=https://ca.test/acct/1",
            "0 issue ca.test; validationmethods=http-01,dns-01",
            "0 issue ca.test; AccountURI = https://ca.test/acct/1 ; validationmethods=dns-01",
        ] {
            let shown = verdict(&["0 issue other.test", record], false);
            let (flags, value) = record.split_once(" issue ").unwrap();
            assert_eq!(shown, format!("{flags} issue \"{value}\""));
            assert_eq!(verdict(&[record], true), shown, "for a wildcard as well");
        }
    }

    #[test]
    fn wildcards_have_their_own_records() {
        let records = ["0 issue other.test", "0 issuewild ca.test"];
        assert_eq!(verdict(&records, true), "0 issuewild \"ca.test\"");
        assert_eq!(
            verdict(&records, false),
            "CAA record `0 issue \"other.test\"` at `example.test` names other CAs than `ca.test`"
        );
        let records = ["0 issue ca.test", "0 issuewild ;"];
        assert_eq!(verdict(&records, false), "0 issue \"ca.test\"");
        assert_eq!(
            verdict(&records, true),
            "CAA record `0 issuewild \";\"` at `example.test` names other CAs than `ca.test`"
        );
        assert_eq!(
            remedy(&records, true),
            Remedy::Add {
                tag: "issuewild",
                value: "ca.test".into()
            }
        );
    }

    #[test]
    fn others_records_forbid() {
        for (records, shown) in [
            (
                &["0 issue ;"][..],
                "record `0 issue \";\"` at `example.test` names",
            ),
            (
                &["0 issue ca.test; nonsense"],
                "record `0 issue \"ca.test; nonsense\"` at `example.test` names",
            ),
            (
                &["0 issue xca.test"],
                "record `0 issue \"xca.test\"` at `example.test` names",
            ),
            (
                &["0 issue a.test", "0 issue b.test"],
                "records `0 issue \"a.test\"`, `0 issue \"b.test\"` at `example.test` name",
            ),
        ] {
            assert_eq!(
                verdict(records, false),
                format!("CAA {shown} other CAs than `ca.test`")
            );
        }
        assert_eq!(
            remedy(&["0 issue ;"], true),
            Remedy::Add {
                tag: "issue",
                value: "ca.test".into()
            }
        );
    }

    #[test]
    fn another_account_and_another_method_are_told() {
        for accounts in [
            "accounturi=https://ca.test/acct/2",
            "accounturi=https://ca.test/acct/1; accounturi=https://ca.test/acct/1",
        ] {
            let record = format!("0 issue ca.test; {accounts}");
            let records = ["0 issue other.test", record.as_str()];
            assert_eq!(
                verdict(&records, false),
                format!(
                    "CAA record `0 issue \"ca.test; {accounts}\"` at `example.test` is for another \
                     account than ours, `{ACCOUNT}`"
                )
            );
            assert_eq!(
                remedy(&records, false),
                Remedy::Add {
                    tag: "issue",
                    value: format!("ca.test; accounturi={ACCOUNT}")
                }
            );
        }
        let records = ["0 issue ca.test; validationmethods=http-01"];
        assert_eq!(
            verdict(&records, false),
            "CAA record `0 issue \"ca.test; validationmethods=http-01\"` at `example.test` does not \
             name `dns-01`"
        );
        assert_eq!(
            remedy(&records, false),
            Remedy::Add {
                tag: "issue",
                value: "ca.test; validationmethods=dns-01".into()
            }
        );
    }

    #[test]
    fn who_has_no_account_yet_meets_no_account() {
        let authority = Authority {
            identities: &["ca.test".to_owned()],
            account: None,
        };
        let set = set(&["0 issue ca.test; accounturi=https://ca.test/acct/1"]);
        let error = allows(Some(&set), false, &authority).unwrap_err();
        assert_eq!(
            error.to_string(),
            "CAA record `0 issue \"ca.test; accounturi=https://ca.test/acct/1\"` at `example.test` is for an \
             account, and ours has yet to be registered"
        );
    }

    #[test]
    fn a_critical_property_that_is_unknown_forbids() {
        for flags in [128, 1, 129] {
            let record = format!("{flags} tbs something");
            let records = ["0 issue ca.test", record.as_str()];
            assert_eq!(
                verdict(&records, false),
                format!(
                    "CAA record `{flags} tbs \"something\"` at `example.test` is critical, but of a \
                     kind that CAs do not know"
                )
            );
            assert!(matches!(remedy(&records, false), Remedy::Remove(_)));
        }
    }
}
