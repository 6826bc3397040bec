//! What a certificate chain says: parsed once, checked before it is stored.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow, bail, ensure};
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::X509Certificate;
use x509_parser::public_key::PublicKey;

use crate::model::certificate::KeyType;
use crate::model::name::Identifier;

/// What is known of a leaf certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) identifiers: BTreeSet<Identifier>,
    pub(crate) not_before: OffsetDateTime,
    pub(crate) not_after: OffsetDateTime,
    /// Upper-case hexadecimal, two digits a byte.
    pub(crate) serial: String,
    /// Common name of the issuer, or its whole name where it has none.
    pub(crate) issuer: String,
    /// None for a kind of key that this program does not make.
    pub(crate) key_type: Option<KeyType>,
    /// SubjectPublicKeyInfo, DER.
    pub(crate) public_key: Vec<u8>,
}

impl Leaf {
    /// Reads the first certificate of a PEM chain.
    pub(crate) fn from_pem(chain: &[u8]) -> Result<Self> {
        let pem = blocks(chain)?
            .into_iter()
            .next()
            .ok_or_else(|| anyhow!("no certificate in PEM form"))?;
        let certificate = parse(&pem)?;
        Self::read(&certificate)
    }

    fn read(certificate: &X509Certificate<'_>) -> Result<Self> {
        let validity = certificate.validity();
        Ok(Self {
            identifiers: identifiers(certificate)?,
            not_before: validity.not_before.to_datetime(),
            not_after: validity.not_after.to_datetime(),
            serial: hex_upper(certificate.raw_serial()),
            issuer: issuer(certificate),
            key_type: key_type(certificate),
            public_key: certificate.public_key().raw.to_vec(),
        })
    }

    /// Whole lifetime.
    pub(crate) fn lifetime(&self) -> time::Duration {
        self.not_after - self.not_before
    }
}

/// Checks what the CA answered before it is stored.
///
/// The chain must parse, be signed link by link, have an issuer after the leaf, match `public_key`
/// (SubjectPublicKeyInfo, DER), cover exactly `wanted`, and be valid at `now`. Peers store what
/// they get; an empty body or a certificate for another key would end up on servers.
pub(crate) fn check(
    chain: &str,
    wanted: &BTreeSet<&Identifier>,
    public_key: &[u8],
    now: OffsetDateTime,
) -> Result<Leaf> {
    let blocks = blocks(chain.as_bytes())?;
    let certificates = blocks.iter().map(parse).collect::<Result<Vec<_>>>()?;
    let Some((first, issuers)) = certificates.split_first() else {
        bail!("the CA answered without a certificate");
    };
    ensure!(
        !issuers.is_empty(),
        "the CA answered with a certificate but without its issuer"
    );
    let leaf = Leaf::read(first)?;
    ensure!(
        leaf.public_key == public_key,
        "the CA answered with a certificate for another key"
    );
    ensure!(
        leaf.identifiers.iter().collect::<BTreeSet<_>>() == *wanted,
        "the CA answered with a certificate for other names: {}",
        list(&leaf.identifiers)
    );
    ensure!(
        leaf.not_before <= now && now < leaf.not_after,
        "the CA answered with a certificate that is not valid now: from {} to {}",
        leaf.not_before.date(),
        leaf.not_after.date()
    );
    for (subject, issuer) in certificates.iter().zip(issuers) {
        subject
            .verify_signature(Some(issuer.public_key()))
            .with_context(|| {
                format!(
                    "the CA answered with a broken chain: `{}` did not sign `{}`",
                    issuer.subject(),
                    subject.subject()
                )
            })?;
    }
    Ok(leaf)
}

/// Names for a message: joined with `, `.
pub(crate) fn list<'a>(identifiers: impl IntoIterator<Item = &'a Identifier>) -> String {
    identifiers
        .into_iter()
        .map(Identifier::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

fn blocks(chain: &[u8]) -> Result<Vec<Pem>> {
    Pem::iter_from_buffer(chain)
        .map(|pem| pem.context("bad PEM"))
        .filter(|pem| pem.as_ref().map_or(true, |pem| pem.label == "CERTIFICATE"))
        .collect()
}

fn parse(pem: &Pem) -> Result<X509Certificate<'_>> {
    pem.parse_x509().context("cannot parse a certificate")
}

fn identifiers(certificate: &X509Certificate<'_>) -> Result<BTreeSet<Identifier>> {
    let names = certificate
        .subject_alternative_name()
        .context("cannot parse the names of a certificate")?;
    let Some(names) = names else {
        return Ok(BTreeSet::new());
    };
    names
        .value
        .general_names
        .iter()
        .map(|name| match name {
            GeneralName::DNSName(text) => {
                text.parse().with_context(|| format!("bad name `{text}`"))
            }
            other => bail!("the certificate has a name that is no DNS name: {other}"),
        })
        .collect()
}

fn issuer(certificate: &X509Certificate<'_>) -> String {
    let name = certificate.issuer();
    name.iter_common_name()
        .next()
        .and_then(|common_name| common_name.as_str().ok())
        .map_or_else(|| name.to_string(), str::to_owned)
}

fn key_type(certificate: &X509Certificate<'_>) -> Option<KeyType> {
    match certificate.public_key().parsed().ok()? {
        PublicKey::RSA(key) => match key.key_size() {
            2048 => Some(KeyType::Rsa2048),
            3072 => Some(KeyType::Rsa3072),
            4096 => Some(KeyType::Rsa4096),
            _ => None,
        },
        PublicKey::EC(point) => match point.key_size() {
            256 => Some(KeyType::P256),
            384 => Some(KeyType::P384),
            _ => None,
        },
        _ => None,
    }
}

fn hex_upper(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}
