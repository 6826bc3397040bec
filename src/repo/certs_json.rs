//! certs.json: the list of certificates, as get-certs read it.

mod entry;
mod places;
mod schema_tests;

use std::collections::BTreeMap;
#[cfg(feature = "fuzzing")]
use std::collections::BTreeSet;

use anyhow::{Context, Error, Result, anyhow};
use serde_json::{Map, Value};

use crate::model::certificate::{CertificateName, KeyType, Profile, Wanted};
use crate::model::endpoint::Endpoint;
use crate::model::hint::{Hint, with_hint};
use crate::model::name::Identifier;
use crate::repo::certs_json::entry::Reader;

pub(crate) use crate::repo::certs_json::places::{At, Places};

/// The list of certificates, at the root of the cert repository.
pub(crate) const CERTS_JSON: &str = "certs.json";

/// Most names of one certificate: Let's Encrypt's limit, and get-certs'.
const MAX_NAMES: usize = 100;

/// Most names of one certificate by Let's Encrypt's profiles: <https://letsencrypt.org/docs/profiles/>.
const MAX_NAMES_BY_PROFILE: [(&str, usize); 2] = [("tlsserver", 25), ("shortlived", 25)];

/// Fields of a certificate. get-certs compared them without regard to case.
const FIELDS: [&str; 13] = [
    "cert_name",
    "names",
    "use_ecc",
    "must_staple",
    "key_type",
    "reuse_key",
    "csr",
    "acme",
    "preferred_profile",
    "required_profile",
    "preferred_chain",
    "recipients",
    "endpoints",
];

/// What the file looks like.
const EXAMPLE: &str = r#"write [{"cert_name": "www", "names": ["www.example.com"]}]"#;

/// What certs.json asks for.
#[derive(Debug)]
pub(crate) struct Listed {
    /// In the order of the file.
    pub(crate) wanted: Vec<Wanted>,
    /// Where servers show the certificate, for those that say so: a run does not care.
    pub(crate) endpoints: BTreeMap<CertificateName, Vec<Endpoint>>,
    /// What is accepted but has no effect.
    pub(crate) warnings: Vec<String>,
}

/// Reads a file of the cert repository.
pub(crate) type Read<'a> = dyn Fn(&str) -> Result<Option<Vec<u8>>> + 'a;

/// What holds for certificates that say nothing of it.
#[derive(Clone, Debug)]
pub(crate) struct Defaults {
    pub(crate) key_type: KeyType,
    pub(crate) profile: Option<Profile>,
    pub(crate) preferred_chain: Option<String>,
}

impl Default for Defaults {
    /// get-certs' key type, and whatever the CA chooses.
    fn default() -> Self {
        Self {
            key_type: KeyType::Rsa2048,
            profile: None,
            preferred_chain: None,
        }
    }
}

/// Something wrong with the list.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) at: At,
    /// The certificate, where the entry has a name.
    pub(crate) of: Option<CertificateName>,
    pub(crate) error: Error,
}

/// Something that is accepted, and is likely not what was meant.
#[derive(Debug)]
pub(crate) struct Remark {
    pub(crate) at: At,
    /// The certificate, where the entry has a name.
    pub(crate) of: Option<CertificateName>,
    pub(crate) what: String,
    pub(crate) hint: &'static str,
}

/// A certificate that the list asks for, and where.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// Where the entry has no name that can be used, `entry-` and its number stands for it.
    pub(crate) wanted: Wanted,
    /// The name, where the entry has one.
    pub(crate) of: Option<CertificateName>,
    pub(crate) entry: usize,
    /// For each of its identifiers the position in `names`; empty where a request has them.
    pub(crate) items: Vec<usize>,
    /// Where servers show it, if it says so.
    pub(crate) endpoints: Option<Vec<Endpoint>>,
    /// Whether nothing is wrong with it; otherwise it is what the rest would be.
    pub(crate) is_right: bool,
}

/// Everything that there is to say of a list.
#[derive(Debug, Default)]
pub(crate) struct Examined {
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) remarks: Vec<Remark>,
}

/// Reads certs.json; `origin` is its name, for messages.
///
/// `read` gives the file at a path of the cert repository, for `csr`. Names become canonical; duplicates
/// within a certificate are dropped.
pub(crate) fn parse(
    bytes: &[u8],
    origin: &str,
    defaults: &Defaults,
    read: &Read<'_>,
) -> Result<Listed> {
    let examined = examine(&entries(bytes, origin)?, defaults, read);
    if let Some(problem) = examined.problems.into_iter().next() {
        return Err(problem.in_file(origin));
    }
    let remarks = examined.remarks.into_iter();
    let endpoints = examined.certificates.iter().filter_map(|certificate| {
        let endpoints = certificate.endpoints.clone()?;
        Some((certificate.wanted.name.clone(), endpoints))
    });
    let endpoints = endpoints.collect();
    let certificates = examined.certificates.into_iter();
    Ok(Listed {
        endpoints,
        wanted: certificates.map(|certificate| certificate.wanted).collect(),
        warnings: remarks
            .map(|remark| format!("{} {}", remark.subject(), remark.what))
            .collect(),
    })
}

/// The entries of the list, at least one.
pub(crate) fn entries(bytes: &[u8], origin: &str) -> Result<Vec<Value>> {
    let text = without_mark(bytes);
    if text.trim_ascii().is_empty() {
        return Err(anyhow!("`{origin}` is empty")).hint(|| EXAMPLE);
    }
    let value: Value = serde_json::from_slice(text)
        .with_context(|| format!("`{origin}` is not JSON"))
        .hint(|| "comments and trailing commas are not allowed in this file")?;
    let Value::Array(entries) = value else {
        return Err(anyhow!("`{origin}` is not a list")).hint(|| EXAMPLE);
    };
    if entries.is_empty() {
        return Err(anyhow!("`{origin}` lists no certificate")).hint(|| EXAMPLE);
    }
    Ok(entries)
}

/// The text without a byte order mark.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Everything that is wrong with the entries, in their order, and the certificates that they name.
pub(crate) fn examine(entries: &[Value], defaults: &Defaults, read: &Read<'_>) -> Examined {
    let mut examined = Examined::default();
    let mut seen = BTreeMap::new();
    for (position, value) in entries.iter().enumerate() {
        let before = examined.problems.len();
        let about_name = |error| Problem {
            at: At::field(position, "cert_name"),
            of: None,
            error,
        };
        let fields = match entry::fields(value) {
            Ok(fields) => fields,
            Err(error) => {
                examined.problems.push(about_name(error));
                continue;
            }
        };
        let name = match entry::name(fields) {
            Ok(name) => Some(name),
            Err(error) => {
                examined.problems.push(about_name(error));
                None
            }
        };
        let first = name
            .as_ref()
            .map(|name| (name, *seen.entry(name.clone()).or_insert(position)));
        if let Some((name, first)) = first
            && first < position
        {
            let error = anyhow!("entry {} has the name `{name}` already", first + 1);
            let hint = "each certificate needs a `cert_name` of its own";
            examined.problems.push(about_name(with_hint(error, hint)));
        }
        examined.add((position, name, before), fields, (defaults, read));
    }
    examined
}

impl Examined {
    /// What an entry asks for, and everything that is wrong with it but for its name. There were `before` problems
    /// before it.
    fn add(
        &mut self,
        (entry, name, before): (usize, Option<CertificateName>, usize),
        fields: &Map<String, Value>,
        (defaults, read): (&Defaults, &Read<'_>),
    ) {
        let remarks = entry::warnings(fields).into_iter();
        let remarks = remarks.map(|(field, what, hint)| Remark {
            at: At::field(entry, &field),
            of: name.clone(),
            what,
            hint,
        });
        self.remarks.extend(remarks);
        let mut reader = Reader::new(fields);
        let endpoints = reader.endpoints();
        let called = name.clone();
        let called = called.unwrap_or_else(|| CertificateName::of_entry(entry + 1));
        let (wanted, items) = reader.certificate(called, defaults, read);
        let problems = reader.found.into_iter().map(|found| Problem {
            at: At {
                entry: Some(entry),
                field: found.field,
                item: found.item,
            },
            of: name.clone(),
            error: found.error,
        });
        self.problems.extend(problems);
        self.certificates.push(Certificate {
            wanted,
            of: name,
            entry,
            items,
            endpoints,
            is_right: self.problems.len() == before,
        });
    }
}

/// Names that stand in the list of a certificate before: where, and which.
pub(crate) fn doubled(entries: &[Value]) -> Vec<(At, Identifier)> {
    let mut all = Vec::new();
    for (position, value) in entries.iter().enumerate() {
        let fields = value.as_object().into_iter();
        for (item, name) in fields.flat_map(entry::doubled) {
            let at = At {
                item: Some(item),
                ..At::field(position, "names")
            };
            all.push((at, name));
        }
    }
    all
}

/// What is spoken of: the certificate, or else the entry.
fn subject(of: Option<&CertificateName>, entry: Option<usize>) -> String {
    match of {
        Some(name) => format!("certificate `{name}`"),
        None => format!("entry {}", entry.map_or(0, |entry| entry + 1)),
    }
}

impl Certificate {
    pub(crate) fn subject(&self) -> String {
        subject(self.of.as_ref(), Some(self.entry))
    }
}

impl Remark {
    pub(crate) fn subject(&self) -> String {
        subject(self.of.as_ref(), self.at.entry)
    }
}

impl Problem {
    pub(crate) fn subject(&self) -> String {
        subject(self.of.as_ref(), self.at.entry)
    }

    /// The error with what it is about, for those who do not see where it is.
    fn in_file(self, origin: &str) -> Error {
        let what = format!("cannot use {} of `{origin}`", self.subject());
        self.error.context(what)
    }
}

/// Reads what a fuzzer makes: what is accepted keeps the promises that the rest builds on.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let Ok(listed) = parse(bytes, "certs.json", &Defaults::default(), &|_| Ok(None)) else {
        return;
    };
    let names: BTreeSet<_> = listed.wanted.iter().map(|wanted| &wanted.name).collect();
    assert!(!names.is_empty() && names.len() == listed.wanted.len());
    for wanted in &listed.wanted {
        // It becomes a folder.
        let name = wanted.name.as_str();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        assert!(!name.is_empty() && name.bytes().all(is_plain), "{name:?}");
        assert!((1..=MAX_NAMES).contains(&wanted.identifiers.len()));
        for identifier in &wanted.identifiers {
            let again: Result<Identifier, _> = identifier.as_str().parse();
            assert_eq!(again.as_ref(), Ok(identifier));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::certificate::KeySource;
    use crate::model::hint::explain;

    fn list(text: &str) -> Result<Listed> {
        parse(
            text.as_bytes(),
            "certs.json",
            &Defaults::default(),
            &|path| Ok((path == "web.csr").then(csr)),
        )
    }

    /// A request for `b.example` and `a.example`.
    fn csr() -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = ["b.example", "a.example"].map(str::to_owned);
        let params = rcgen::CertificateParams::new(names).unwrap();
        let request = params.serialize_request(&key).unwrap();
        request.pem().unwrap().into_bytes()
    }

    fn failure(text: &str) -> String {
        let explained = explain(&list(text).unwrap_err());
        let mut lines = vec![explained.what];
        lines.extend(explained.causes);
        lines.join(": ")
    }

    #[test]
    fn what_get_certs_read_is_read() {
        let listed = list(
            r#"[{"cert_name": "a", "names": ["WWW.Example.com", "www.example.com.", "bücher.example"]},
                {"Cert_Name": "b", "NAMES": ["*.b.example"], "use_ecc": true, "must_staple": true, "x": 1},
                {"cert_name": "c", "names": ["c.example"], "key_type": "p384"}]"#,
        )
        .unwrap();
        let [a, b, c] = listed.wanted.as_slice() else {
            panic!("{listed:?}");
        };
        let names: Vec<_> = a.identifiers.iter().map(Identifier::as_str).collect();
        assert_eq!(names, ["www.example.com", "xn--bcher-kva.example"]);
        assert_eq!(
            (a.key_type, b.key_type, c.key_type),
            (KeyType::Rsa2048, KeyType::P256, KeyType::P384)
        );
        assert_eq!(
            listed.warnings,
            [
                "certificate `b` has an unknown field `x`",
                "certificate `b` asks for `must_staple`, which no public CA issues any more"
            ]
        );
    }

    #[test]
    fn profiles_and_chains_are_those_of_the_certificate_or_the_defaults() {
        let defaults = Defaults {
            profile: Some(Profile::Preferred("classic".to_owned())),
            preferred_chain: Some("Root X1".to_owned()),
            ..Defaults::default()
        };
        let text = r#"[{"cert_name": "a", "names": ["a.example"]},
            {"cert_name": "b", "names": ["b.example"], "required_profile": "shortlived", "preferred_chain": "Root X2"},
            {"cert_name": "c", "names": ["c.example"], "preferred_profile": "tlsserver"}]"#;
        let listed = parse(text.as_bytes(), "certs.json", &defaults, &|_| Ok(None)).unwrap();
        let chosen: Vec<_> = listed
            .wanted
            .iter()
            .map(|wanted| {
                (
                    wanted.profile.clone().unwrap(),
                    wanted.preferred_chain.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            chosen,
            [
                (Profile::Preferred("classic".to_owned()), Some("Root X1")),
                (Profile::Required("shortlived".to_owned()), Some("Root X2")),
                (Profile::Preferred("tlsserver".to_owned()), Some("Root X1")),
            ]
        );
        assert_eq!(
            failure(
                r#"[{"cert_name": "a", "names": ["a.example"], "required_profile": "a", "preferred_profile": "b"}]"#
            ),
            "cannot use certificate `a` of `certs.json`: it has both a `preferred_profile` and a `required_profile`"
        );
    }

    #[test]
    fn keys_can_be_kept_or_be_elsewhere() {
        let listed = list(
            r#"[{"cert_name": "a", "names": ["a.example"], "reuse_key": true},
                {"cert_name": "b", "csr": "web.csr"},
                {"cert_name": "c", "csr": "web.csr", "names": ["b.example", "A.example"]}]"#,
        )
        .unwrap();
        let [a, b, c] = listed.wanted.as_slice() else {
            panic!("{listed:?}");
        };
        assert_eq!(a.key_source, KeySource::Kept);
        assert_eq!(
            b.identifiers
                .iter()
                .map(Identifier::as_str)
                .collect::<Vec<_>>(),
            ["a.example", "b.example"]
        );
        assert!(
            matches!(&c.key_source, KeySource::Request(request) if request.identifiers.len() == 2)
        );
        let certificate = |fields: &str| failure(&format!(r#"[{{"cert_name": "a", {fields}}}]"#));
        let about = "cannot use certificate `a` of `certs.json`: ";
        for (fields, why) in [
            (
                r#""csr": "x.csr""#,
                "there is no `x.csr` in the cert repository",
            ),
            (
                r#""csr": "web.csr", "reuse_key": true"#,
                "it has both a `csr` and `reuse_key`",
            ),
            (
                r#""csr": "web.csr", "names": ["a.example"]"#,
                "its `csr` is for other names: a.example, b.example",
            ),
        ] {
            assert_eq!(certificate(fields), format!("{about}{why}"));
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        assert_eq!(
            failure("[{]"),
            "`certs.json` is not JSON: key must be a string at line 1 column 3"
        );
        assert_eq!(failure("{}"), "`certs.json` is not a list");
        assert_eq!(failure("[]"), "`certs.json` lists no certificate");
        assert_eq!(
            failure("[1]"),
            "cannot use entry 1 of `certs.json`: it is not an object"
        );
        assert_eq!(
            failure("[{}]"),
            "cannot use entry 1 of `certs.json`: it has no `cert_name`"
        );
        for name in ["../x", "a/b", "", "1a", "a.b"] {
            let text = format!(r#"[{{"cert_name": "{name}", "names": ["a.example"]}}]"#);
            assert_eq!(
                failure(&text),
                format!("cannot use entry 1 of `certs.json`: `{name}` is not a certificate name")
            );
        }
        let one = r#"{"cert_name": "a", "names": ["a.example"]}"#;
        assert_eq!(
            failure(&format!("[{one},{one}]")),
            "cannot use entry 2 of `certs.json`: entry 1 has the name `a` already"
        );
        assert_eq!(
            failure(r#"[{"cert_name": "a", "names": ["a b"]}]"#),
            "cannot use certificate `a` of `certs.json`: `a b` is not a DNS name"
        );
        assert_eq!(
            failure(r#"[{"cert_name": "a", "names": ["a.example"], "use_ecc": "yes"}]"#),
            "cannot use certificate `a` of `certs.json`: `use_ecc` is not `true` or `false`"
        );
        assert_eq!(
            failure(r#"[{"cert_name": "a", "names": ["a.example"], "key_type": "p521"}]"#),
            "cannot use certificate `a` of `certs.json`: `key_type` `p521` is not known"
        );
    }

    #[test]
    fn recipients_are_lines_of_a_list() {
        let with = |recipients: &str| {
            list(&format!(
                r#"[{{"cert_name": "a", "names": ["a.example"], "recipients": {recipients}}}]"#
            ))
        };
        let [one, two] = [(); 2].map(|()| age::x25519::Identity::generate().to_public());
        let listed = with(&format!(r#"["{one}", "{two}"]"#)).unwrap();
        let lines = format!("{one}\n{two}");
        assert_eq!(listed.wanted[0].recipients, Some(lines));
        assert!(listed.warnings.is_empty());
        assert_eq!(with("null").unwrap().wanted[0].recipients, None);
        let failure = |recipients| format!("{:#}", with(recipients).unwrap_err());
        let about = "cannot use certificate `a` of `certs.json`: ";
        for wrong in [r#""age1""#, "[1]"] {
            assert_eq!(
                failure(wrong),
                format!("{about}`recipients` is not a list of texts")
            );
        }
        assert_eq!(
            failure("[]"),
            format!("{about}`recipients` has no recipient")
        );
        assert_eq!(
            failure(r#"["bob"]"#),
            format!("{about}`recipients` line 1 is not a recipient: it is of no known kind")
        );
    }

    #[test]
    fn endpoints_are_those_of_the_certificates_that_say_so() {
        let with = |endpoints: &str| {
            list(&format!(
                r#"[{{"cert_name": "a", "names": ["a.example"], "endpoints": {endpoints}}}]"#
            ))
        };
        let listed = with(r#"["a.example:8443", "[2001:DB8::1]:443"]"#).unwrap();
        let name: CertificateName = "a".parse().unwrap();
        let shown: Vec<_> = listed.endpoints[&name]
            .iter()
            .map(Endpoint::to_string)
            .collect();
        assert_eq!(shown, ["a.example:8443", "[2001:db8::1]:443"]);
        assert!(listed.warnings.is_empty());
        assert_eq!(with("[]").unwrap().endpoints[&name], []);
        assert!(with("null").unwrap().endpoints.is_empty());
        let failure = |endpoints| format!("{:#}", with(endpoints).unwrap_err());
        let about = "cannot use certificate `a` of `certs.json`: ";
        assert_eq!(
            failure(r#""a.example:443""#),
            format!("{about}`endpoints` is not a list of texts")
        );
        assert_eq!(
            failure(r#"["a.example"]"#),
            format!("{about}cannot use its `endpoints`: `a.example` is not a host and a port")
        );
    }

    #[test]
    fn there_are_1_to_100_names() {
        let with = |count: usize| {
            let names: Vec<_> = (0..count).map(|n| format!(r#""n{n}.example""#)).collect();
            list(&format!(
                r#"[{{"cert_name": "a", "names": [{}]}}]"#,
                names.join(",")
            ))
        };
        assert_eq!(with(100).unwrap().wanted[0].identifiers.len(), 100);
        assert_eq!(
            format!("{:#}", with(101).unwrap_err()),
            "cannot use certificate `a` of `certs.json`: it has 101 names; a certificate holds at most 100"
        );
        let profiled = |count: usize| {
            let names: Vec<_> = (0..count).map(|n| format!(r#""n{n}.example""#)).collect();
            list(&format!(
                r#"[{{"cert_name": "a", "names": [{}], "preferred_profile": "tlsserver"}}]"#,
                names.join(",")
            ))
        };
        assert_eq!(profiled(25).unwrap().wanted[0].identifiers.len(), 25);
        assert_eq!(
            format!("{:#}", profiled(26).unwrap_err()),
            "cannot use certificate `a` of `certs.json`: it has 26 names; \
             a certificate of the profile `tlsserver` holds at most 25"
        );
        assert_eq!(
            format!("{:#}", with(0).unwrap_err()),
            "cannot use certificate `a` of `certs.json`: it has no `names`"
        );
    }
}
