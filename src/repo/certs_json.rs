//! certs.json: the list of certificates, as get-certs read it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Error, Result, anyhow};
use serde_json::{Map, Value};

use crate::model::certificate::{CertificateName, KeySource, KeyType, Profile, Wanted};
use crate::model::chain::list;
use crate::model::endpoint::Endpoint;
use crate::model::hint::{Hint, with_hint};
use crate::model::name::Identifier;
use crate::model::request::SigningRequest;
use crate::repo::recipients::Recipients;

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
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
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
    let mut listed = Listed {
        wanted: Vec::new(),
        endpoints: BTreeMap::new(),
        warnings: Vec::new(),
    };
    let mut seen = BTreeSet::new();
    for (position, entry) in (1..).zip(entries) {
        let (name, fields) =
            named(&entry).with_context(|| format!("cannot use entry {position} of `{origin}`"))?;
        if !seen.insert(name.clone()) {
            return Err(anyhow!(
                "entry {position} of `{origin}` repeats the name `{name}`"
            ))
            .hint(|| "each certificate needs a `cert_name` of its own");
        }
        listed.warnings.extend(warnings(&name, fields));
        let about = format!("cannot use certificate `{name}` of `{origin}`");
        let endpoints = endpoints(fields).with_context(|| about.clone())?;
        listed
            .endpoints
            .extend(endpoints.map(|all| (name.clone(), all)));
        let wanted = certificate(name, fields, defaults, read).context(about)?;
        listed.wanted.push(wanted);
    }
    Ok(listed)
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

/// The name of an entry, and its fields.
fn named(entry: &Value) -> Result<(CertificateName, &Map<String, Value>)> {
    let Value::Object(fields) = entry else {
        return Err(anyhow!("it is not an object")).hint(|| EXAMPLE);
    };
    let name = text(fields, "cert_name")?
        .ok_or_else(|| with_hint(anyhow!("it has no `cert_name`"), EXAMPLE))?;
    let name = name
        .parse()
        .hint(|| "a name is a letter, then letters, digits, `-` and `_`: it becomes a folder")?;
    Ok((name, fields))
}

fn certificate(
    name: CertificateName,
    fields: &Map<String, Value>,
    defaults: &Defaults,
    read: &Read<'_>,
) -> Result<Wanted> {
    let profile = match (
        text(fields, "preferred_profile")?,
        text(fields, "required_profile")?,
    ) {
        (Some(_), Some(_)) => {
            return Err(anyhow!(
                "it has both a `preferred_profile` and a `required_profile`"
            ))
            .hint(|| "a preferred one may be missing at the CA, a required one may not: leave one out");
        }
        (Some(name), None) => Some(Profile::Preferred(name.to_owned())),
        (None, Some(name)) => Some(Profile::Required(name.to_owned())),
        (None, None) => defaults.profile.clone(),
    };
    let preferred_chain = text(fields, "preferred_chain")?.map(str::to_owned);
    flag(fields, "must_staple")?;
    let key_source = match (text(fields, "csr")?, flag(fields, "reuse_key")?) {
        (Some(_), true) => {
            return Err(anyhow!("it has both a `csr` and `reuse_key`"))
                .hint(|| "the key of a `csr` is not here: leave `reuse_key` out");
        }
        (Some(path), false) => KeySource::Request(request(path, read)?),
        (None, true) => KeySource::Kept,
        (None, false) => KeySource::New,
    };
    let identifiers = match (&key_source, field(fields, "names")) {
        (KeySource::Request(request), None | Some(Value::Null)) => fitting(
            request.identifiers.iter().cloned().collect(),
            profile.as_ref(),
        )?,
        _ => identifiers(fields, profile.as_ref())?,
    };
    if let KeySource::Request(request) = &key_source
        && request.identifiers.iter().collect::<BTreeSet<_>>() != identifiers.iter().collect()
    {
        return Err(anyhow!(
            "its `csr` is for other names: {}",
            list(&request.identifiers)
        ))
        .hint(|| "leave `names` out, or make another request");
    }
    Ok(Wanted {
        key_type: key_type(fields, defaults.key_type)?,
        key_source,
        acme: text(fields, "acme")?.map(str::to_owned),
        identifiers,
        profile,
        preferred_chain: preferred_chain.or_else(|| defaults.preferred_chain.clone()),
        recipients: recipients(fields)?,
        name,
    })
}

/// What is accepted and has no effect.
fn warnings(name: &CertificateName, fields: &Map<String, Value>) -> Vec<String> {
    let is_known = |field: &&String| FIELDS.iter().any(|known| known.eq_ignore_ascii_case(field));
    let unknown = fields.keys().filter(|field| !is_known(field));
    let mut warnings: Vec<_> = unknown
        .map(|field| format!("certificate `{name}` has an unknown field `{field}`"))
        .collect();
    if flag(fields, "must_staple").is_ok_and(|wanted| wanted) {
        warnings.push(format!(
            "certificate `{name}` asks for `must_staple`, which no public CA issues any more"
        ));
    }
    warnings
}

fn request(path: &str, read: &Read<'_>) -> Result<SigningRequest> {
    let bytes = read(path)?
        .ok_or_else(|| anyhow!("there is no `{path}` in the cert repository"))
        .hint(|| "`csr` is the path of a certificate signing request, from the root of the repository")?;
    SigningRequest::parse(&bytes).with_context(|| format!("cannot use the `csr` `{path}`"))
}

fn identifiers(entry: &Map<String, Value>, profile: Option<&Profile>) -> Result<Vec<Identifier>> {
    let names = match field(entry, "names") {
        Some(Value::Array(names)) => names.as_slice(),
        None | Some(Value::Null) => &[],
        Some(_) => return Err(anyhow!("`names` is not a list")).hint(|| EXAMPLE),
    };
    let mut identifiers: Vec<Identifier> = Vec::new();
    for name in names {
        let Value::String(name) = name else {
            return Err(anyhow!("`names` holds something that is no text: {name}"))
                .hint(|| EXAMPLE);
        };
        let identifier: Identifier = name.parse().hint(
            || "names look like `www.example.com` or `*.example.com`, of letters, digits and `-`",
        )?;
        if !identifiers.contains(&identifier) {
            identifiers.push(identifier);
        }
    }
    fitting(identifiers, profile)
}

/// Refuses more names than a certificate can have.
fn fitting(identifiers: Vec<Identifier>, profile: Option<&Profile>) -> Result<Vec<Identifier>> {
    let by_profile = MAX_NAMES_BY_PROFILE
        .iter()
        .find(|(name, _)| profile.is_some_and(|profile| profile.name() == *name));
    match (identifiers.len(), by_profile) {
        (0, _) => Err(anyhow!("it has no `names`")).hint(|| EXAMPLE),
        (many, Some((name, most))) if many > *most => Err(anyhow!(
            "it has {many} names; a certificate of the profile `{name}` holds at most {most}"
        ))
        .hint(|| "make several certificates of it, or choose another profile"),
        (..=MAX_NAMES, _) => Ok(identifiers),
        (many, _) => Err(anyhow!(
            "it has {many} names; a certificate holds at most {MAX_NAMES}"
        ))
        .hint(|| "make two certificates of it"),
    }
}

/// Where servers show the certificate.
fn endpoints(entry: &Map<String, Value>) -> Result<Option<Vec<Endpoint>>> {
    let Some(texts) = texts(entry, "endpoints")? else {
        return Ok(None);
    };
    let all = texts.into_iter().map(str::parse::<Endpoint>);
    let all = all.collect::<Result<_, _>>();
    all.context("cannot use its `endpoints`")
        .hint(|| "an endpoint looks like `www.example.com:443`, `192.0.2.1:8443` or `[2001:db8::1]:443`")
        .map(Some)
}

/// The lines of a recipients file.
fn recipients(entry: &Map<String, Value>) -> Result<Option<String>> {
    let Some(lines) = texts(entry, "recipients")? else {
        return Ok(None);
    };
    let text = lines.join("\n");
    Recipients::parse(&text, "recipients")?;
    Ok(Some(text))
}

fn key_type(entry: &Map<String, Value>, default: KeyType) -> Result<KeyType> {
    let ecc = flag(entry, "use_ecc")?;
    match text(entry, "key_type")? {
        Some(kind) => serde_json::from_value(kind.into())
            .map_err(|_| anyhow!("`key_type` `{kind}` is not known"))
            .hint(|| "use one of rsa2048, rsa3072, rsa4096, p256, p384"),
        None if ecc => Ok(KeyType::P256),
        None => Ok(default),
    }
}

fn field<'e>(entry: &'e Map<String, Value>, name: &str) -> Option<&'e Value> {
    entry.get(name).or_else(|| {
        entry
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

fn text<'e>(entry: &'e Map<String, Value>, name: &str) -> Result<Option<&'e str>> {
    match field(entry, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong_kind(name, "a text")),
    }
}

fn texts<'e>(entry: &'e Map<String, Value>, name: &str) -> Result<Option<Vec<&'e str>>> {
    let texts = match field(entry, name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(texts)) => texts.iter().map(Value::as_str).collect(),
        Some(_) => None,
    };
    texts
        .map(Some)
        .ok_or_else(|| wrong_kind(name, "a list of texts"))
}

fn flag(entry: &Map<String, Value>, name: &str) -> Result<bool> {
    match field(entry, name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(wrong_kind(name, "`true` or `false`")),
    }
}

fn wrong_kind(name: &str, right: &str) -> Error {
    anyhow!("`{name}` is not {right}")
}

#[cfg(test)]
mod tests {
    use super::*;
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
            "entry 2 of `certs.json` repeats the name `a`"
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
