//! One entry of certs.json: the certificate that it asks for, or everything that is wrong with it.

use std::collections::BTreeSet;

use anyhow::{Context, Error, Result, anyhow};
use serde_json::{Map, Value};

use crate::model::certificate::{CertificateName, KeySource, KeyType, Profile, Wanted};
use crate::model::chain::list;
use crate::model::endpoint::Endpoint;
use crate::model::hint::{Hint, with_hint};
use crate::model::name::Identifier;
use crate::model::request::SigningRequest;
use crate::repo::certs_json::{Defaults, EXAMPLE, FIELDS, MAX_NAMES, MAX_NAMES_BY_PROFILE, Read};
use crate::repo::recipients;

/// Something wrong, and with which field or item of its list.
pub(super) struct Found {
    pub(super) field: Option<String>,
    pub(super) item: Option<usize>,
    pub(super) error: Error,
}

/// Reads the fields of an entry, and notes what is wrong.
pub(super) struct Reader<'e> {
    fields: &'e Map<String, Value>,
    pub(super) found: Vec<Found>,
}

/// The fields of an entry.
pub(super) fn fields(entry: &Value) -> Result<&Map<String, Value>> {
    match entry {
        Value::Object(fields) => Ok(fields),
        _ => Err(anyhow!("it is not an object")).hint(|| EXAMPLE),
    }
}

/// The name of an entry.
pub(super) fn name(fields: &Map<String, Value>) -> Result<CertificateName> {
    let name = text(fields, "cert_name")?
        .ok_or_else(|| with_hint(anyhow!("it has no `cert_name`"), EXAMPLE))?;
    name.parse()
        .hint(|| "a name is a letter, then letters, digits, `-` and `_`: it becomes a folder")
}

/// What is accepted and has no effect: the field, what to say, and what to do.
pub(super) fn warnings(fields: &Map<String, Value>) -> Vec<(String, String, &'static str)> {
    let is_known = |field: &&String| FIELDS.iter().any(|known| known.eq_ignore_ascii_case(field));
    let unknown = fields.keys().filter(|field| !is_known(field));
    let mut warnings: Vec<_> = unknown
        .map(|field| {
            let what = format!("has an unknown field `{field}`");
            (field.clone(), what, "correct its name, or leave it out")
        })
        .collect();
    if flag(fields, "must_staple").is_ok_and(|wanted| wanted) {
        let what = "asks for `must_staple`, which no public CA issues any more";
        warnings.push(("must_staple".to_owned(), what.to_owned(), "leave it out"));
    }
    warnings
}

impl<'e> Reader<'e> {
    pub(super) fn new(fields: &'e Map<String, Value>) -> Self {
        Self {
            fields,
            found: Vec::new(),
        }
    }

    /// The certificate, and for each of its identifiers the position in `names`; these are empty where a request has
    /// the names. If something is wrong, which is in `found` then, the rest is there.
    pub(super) fn certificate(
        &mut self,
        name: CertificateName,
        defaults: &Defaults,
        read: &Read<'_>,
    ) -> (Wanted, Vec<usize>) {
        let profile = self.profile(defaults);
        let preferred_chain = self.text("preferred_chain");
        self.flag("must_staple");
        let key_source = self.key_source(read);
        let (identifiers, items) = self.identifiers(&key_source, profile.as_ref());
        let key_type = key_type(self.fields, defaults.key_type);
        let wanted = Wanted {
            key_type: self.keep("key_type", key_type).unwrap_or(defaults.key_type),
            acme: self.text("acme"),
            recipients: self.recipients(),
            preferred_chain: preferred_chain.or_else(|| defaults.preferred_chain.clone()),
            key_source,
            identifiers,
            profile,
            name,
        };
        (wanted, items)
    }

    fn keep<T>(&mut self, field: &str, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.note(field, None, error);
                None
            }
        }
    }

    fn note(&mut self, field: &str, item: Option<usize>, error: Error) {
        self.found.push(Found {
            field: Some(field.to_owned()),
            item,
            error,
        });
    }

    fn text(&mut self, field: &str) -> Option<String> {
        let text = text(self.fields, field);
        self.keep(field, text).flatten().map(str::to_owned)
    }

    fn flag(&mut self, field: &str) -> bool {
        let flag = flag(self.fields, field);
        self.keep(field, flag).unwrap_or_default()
    }

    fn profile(&mut self, defaults: &Defaults) -> Option<Profile> {
        match (
            self.text("preferred_profile"),
            self.text("required_profile"),
        ) {
            (Some(_), Some(name)) => {
                self.note(
                    "required_profile",
                    None,
                    with_hint(
                        anyhow!("it has both a `preferred_profile` and a `required_profile`"),
                        "a preferred one may be missing at the CA, a required one may not: leave one out",
                    ),
                );
                Some(Profile::Required(name))
            }
            (Some(name), None) => Some(Profile::Preferred(name)),
            (None, Some(name)) => Some(Profile::Required(name)),
            (None, None) => defaults.profile.clone(),
        }
    }

    fn key_source(&mut self, read: &Read<'_>) -> KeySource {
        match (self.text("csr"), self.flag("reuse_key")) {
            (Some(_), true) => {
                self.note(
                    "reuse_key",
                    None,
                    with_hint(
                        anyhow!("it has both a `csr` and `reuse_key`"),
                        "the key of a `csr` is not here: leave `reuse_key` out",
                    ),
                );
                KeySource::Kept
            }
            (Some(path), false) => {
                let request = self.keep("csr", request(&path, read));
                request.map_or(KeySource::New, KeySource::Request)
            }
            (None, true) => KeySource::Kept,
            (None, false) => KeySource::New,
        }
    }

    /// The names, and their positions in the list.
    fn identifiers(
        &mut self,
        source: &KeySource,
        profile: Option<&Profile>,
    ) -> (Vec<Identifier>, Vec<usize>) {
        let given = field(self.fields, "names").filter(|given| !given.is_null());
        if given.is_none() {
            match source {
                KeySource::Request(request) => {
                    let names: Vec<_> = request.identifiers.iter().cloned().collect();
                    self.keep("csr", fitting(names.len(), profile));
                    return (names, Vec::new());
                }
                // What is wrong with the request has been noted.
                _ if field(self.fields, "csr").is_some_and(|csr| !csr.is_null()) => {
                    return (Vec::new(), Vec::new());
                }
                _ => {}
            }
        }
        let names = match given {
            Some(Value::Array(names)) => names.as_slice(),
            None => &[],
            Some(_) => {
                let error = with_hint(anyhow!("`names` is not a list"), EXAMPLE);
                self.note("names", None, error);
                return (Vec::new(), Vec::new());
            }
        };
        let (mut identifiers, mut items) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for (item, name) in names.iter().enumerate() {
            match identifier(name) {
                Ok(name) => {
                    if seen.insert(name.clone()) {
                        identifiers.push(name);
                        items.push(item);
                    }
                }
                Err(error) => self.note("names", Some(item), error),
            }
        }
        let mut found = self.found.iter();
        if !found.any(|found| found.field.as_deref() == Some("names")) {
            self.keep("names", fitting(identifiers.len(), profile));
            if let KeySource::Request(request) = source
                && request.identifiers.iter().collect::<BTreeSet<_>>()
                    != identifiers.iter().collect()
            {
                let error = with_hint(
                    anyhow!(
                        "its `csr` is for other names: {}",
                        list(&request.identifiers)
                    ),
                    "leave `names` out, or make another request",
                );
                self.note("csr", None, error);
            }
        }
        (identifiers, items)
    }

    /// Where servers show the certificate; none if it does not say so.
    pub(super) fn endpoints(&mut self) -> Option<Vec<Endpoint>> {
        let texts = texts(self.fields, "endpoints");
        let texts = self.keep("endpoints", texts).flatten()?;
        let mut endpoints = Vec::new();
        for (item, text) in texts.into_iter().enumerate() {
            let endpoint = text.parse::<Endpoint>();
            let endpoint = endpoint.context("cannot use its `endpoints`").hint(
                || "an endpoint looks like `www.example.com:443`, `192.0.2.1:8443` or `[2001:db8::1]:443`",
            );
            match endpoint {
                Ok(endpoint) => endpoints.push(endpoint),
                Err(error) => self.note("endpoints", Some(item), error),
            }
        }
        Some(endpoints)
    }

    /// The lines of a recipients file.
    fn recipients(&mut self) -> Option<String> {
        let texts = texts(self.fields, "recipients");
        let text = self.keep("recipients", texts).flatten()?.join("\n");
        for fault in recipients::faults(&text, "recipients") {
            let item = fault.line.map(|line| line - 1);
            self.note("recipients", item, fault.error);
        }
        Some(text)
    }
}

/// Positions in `names` of names that stand there before.
pub(super) fn doubled(fields: &Map<String, Value>) -> Vec<(usize, Identifier)> {
    let Some(Value::Array(names)) = field(fields, "names") else {
        return Vec::new();
    };
    let mut seen = BTreeSet::new();
    let identifiers = names.iter().map(identifier).enumerate();
    let good = identifiers.filter_map(|(item, name)| Some((item, name.ok()?)));
    good.filter(|(_, name)| !seen.insert(name.clone()))
        .collect()
}

fn identifier(name: &Value) -> Result<Identifier> {
    let Value::String(name) = name else {
        return Err(anyhow!("`names` holds something that is no text: {name}")).hint(|| EXAMPLE);
    };
    name.parse()
        .hint(|| "names look like `www.example.com` or `*.example.com`, of letters, digits and `-`")
}

fn request(path: &str, read: &Read<'_>) -> Result<SigningRequest> {
    let bytes = read(path)?
        .ok_or_else(|| anyhow!("there is no `{path}` in the cert repository"))
        .hint(|| "`csr` is the path of a certificate signing request, from the root of the repository")?;
    SigningRequest::parse(&bytes).with_context(|| format!("cannot use the `csr` `{path}`"))
}

/// Refuses more names than a certificate can have.
fn fitting(names: usize, profile: Option<&Profile>) -> Result<()> {
    let by_profile = MAX_NAMES_BY_PROFILE
        .iter()
        .find(|(name, _)| profile.is_some_and(|profile| profile.name() == *name));
    match (names, by_profile) {
        (0, _) => Err(anyhow!("it has no `names`")).hint(|| EXAMPLE),
        (many, Some((name, most))) if many > *most => Err(anyhow!(
            "it has {many} names; a certificate of the profile `{name}` holds at most {most}"
        ))
        .hint(|| "make several certificates of it, or choose another profile"),
        (..=MAX_NAMES, _) => Ok(()),
        (many, _) => Err(anyhow!(
            "it has {many} names; a certificate holds at most {MAX_NAMES}"
        ))
        .hint(|| "make two certificates of it"),
    }
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
