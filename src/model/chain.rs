//! What a certificate chain says: parsed once, checked before it is stored.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use crate::model::certificate::KeyType;
use crate::model::name::Identifier;
use crate::model::renewal::CertificateId;

/// What is known of a leaf certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) identifiers: BTreeSet<Identifier>,
    pub(crate) not_before: OffsetDateTime,
    pub(crate) not_after: OffsetDateTime,
    /// The number in upper-case hexadecimal, two digits a byte, as `openssl x509 -serial` prints it.
    pub(crate) serial: String,
    /// Common name of the issuer, or its whole name where it has none.
    pub(crate) issuer: String,
    /// None for a kind of key that this program does not make.
    pub(crate) key_type: Option<KeyType>,
    /// `SubjectPublicKeyInfo`, DER.
    pub(crate) public_key: Vec<u8>,
    /// None where the certificate does not name its issuer's key.
    pub(crate) id: Option<CertificateId>,
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
        Ok(Self::with(certificate, identifiers(certificate)?))
    }

    fn with(certificate: &X509Certificate<'_>, identifiers: BTreeSet<Identifier>) -> Self {
        let validity = certificate.validity();
        Self {
            identifiers,
            not_before: validity.not_before.to_datetime(),
            not_after: validity.not_after.to_datetime(),
            serial: hex_upper(&certificate.serial.to_bytes_be()),
            issuer: issuer(certificate),
            key_type: key_type(certificate.public_key()),
            public_key: certificate.public_key().raw.to_vec(),
            id: id(certificate),
        }
    }

    /// Whole lifetime.
    pub(crate) fn lifetime(&self) -> time::Duration {
        self.not_after - self.not_before
    }
}

/// A certificate that somebody else shows, whatever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Names that are no DNS names are left out.
    pub(crate) leaf: Leaf,
    /// Issuer and subject are the same.
    pub(crate) is_self_issued: bool,
    /// The issuer's organization.
    pub(crate) organization: Option<String>,
}

impl Seen {
    /// Reads a certificate, DER.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self> {
        let (_, certificate) = X509Certificate::from_der(der)
            .map_err(|_| anyhow!("what it shows is no certificate that can be read"))?;
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.map(|names| names.value.general_names.iter());
        let identifiers = names.into_iter().flatten().filter_map(|name| match name {
            GeneralName::DNSName(text) => text.parse().ok(),
            _ => None,
        });
        let organization = certificate.issuer().iter_organization().next();
        let organization = organization.and_then(|name| name.as_str().ok());
        Ok(Self {
            leaf: Leaf::with(&certificate, identifiers.collect()),
            is_self_issued: certificate.issuer() == certificate.subject(),
            organization: organization.map(str::to_owned),
        })
    }
}

/// The first certificate of a PEM chain, DER.
pub(crate) fn leaf_der(chain: &[u8]) -> Result<Vec<u8>> {
    let first = blocks(chain)?.into_iter().next();
    first
        .map(|pem| pem.contents)
        .ok_or_else(|| anyhow!("no certificate in PEM form"))
}

/// A certificate in both of its forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) der: Vec<u8>,
    pub(crate) pem: String,
}

/// The certificates of a PEM chain, one by one.
pub(crate) fn parts(chain: &[u8]) -> Result<Vec<Part>> {
    let parts = blocks(chain)?.into_iter().map(|block| Part {
        pem: encoded(&block),
        der: block.contents,
    });
    Ok(parts.collect())
}

/// How many certificates are in a PEM text.
pub(crate) fn count(chain: &[u8]) -> usize {
    blocks(chain).map_or(0, |blocks| blocks.len())
}

/// The certificates of a PEM text, each written in the same way, and nothing else that is in it.
pub(crate) fn certificates(chain: &[u8]) -> Result<String> {
    Ok(blocks(chain)?.iter().map(encoded).collect())
}

/// Whether a PEM chain's first certificate wants OCSP stapled (RFC 7633).
pub(crate) fn must_staple(chain: &[u8]) -> bool {
    const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";
    let Ok(blocks) = blocks(chain) else {
        return false;
    };
    let first = blocks.first().and_then(|block| parse(block).ok());
    first.is_some_and(|certificate| {
        let mut extensions = certificate.extensions().iter();
        extensions.any(|extension| extension.oid.to_id_string() == TLS_FEATURE)
    })
}

/// More certificates are no chain that a server would send.
const LONGEST: usize = 10;

/// Checks what the CA answered before it is stored.
///
/// The chain must parse, be signed link by link, have an issuer after the leaf, match `public_key`
/// (`SubjectPublicKeyInfo`, DER), cover exactly `wanted`, and be valid at `now`. Peers store what
/// they get; an empty body or a certificate for another key would end up on servers.
pub(crate) fn check(
    chain: &str,
    wanted: &BTreeSet<&Identifier>,
    public_key: &[u8],
    now: OffsetDateTime,
) -> Result<Checked> {
    let unreadable = "the CA answered with a chain that cannot be read";
    let blocks = blocks(chain.as_bytes()).context(unreadable)?;
    let certificates = blocks.iter().map(parse).collect::<Result<Vec<_>>>();
    let certificates = certificates.context(unreadable)?;
    let Some((first, issuers)) = certificates.split_first() else {
        bail!("the CA answered without a certificate");
    };
    ensure!(
        issuers.len() < LONGEST,
        "the CA answered with a chain of more than {LONGEST} certificates"
    );
    ensure!(
        !issuers.is_empty(),
        "the CA answered with a certificate but without its issuer"
    );
    let leaf = Leaf::read(first).context(unreadable)?;
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
    Ok(Checked {
        leaf,
        pem: blocks.iter().map(encoded).collect(),
    })
}

/// Whether an issuer in the chain, or the root above it, has this common name.
pub(crate) fn leads_to(chain: &str, common_name: &str) -> bool {
    let Ok(blocks) = blocks(chain.as_bytes()) else {
        return false;
    };
    let is_it = |name: &X509Name<'_>| {
        let mut names = name.iter_common_name();
        names.any(|name| name.as_str() == Ok(common_name))
    };
    let mut certificates = blocks.iter().filter_map(|block| parse(block).ok());
    certificates.any(|certificate| is_it(certificate.issuer()))
}

/// What is to be stored of a chain: its certificates and nothing else that came with them.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) leaf: Leaf,
    /// Leaf first.
    pub(crate) pem: String,
}

/// A certificate as PEM (RFC 7468): lines of 64 characters.
fn encoded(block: &Pem) -> String {
    let text = STANDARD.encode(&block.contents);
    let lines: String = text
        .as_bytes()
        .chunks(64)
        .map(|line| format!("{}\n", String::from_utf8_lossy(line)))
        .collect();
    format!("-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n")
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

fn id(certificate: &X509Certificate<'_>) -> Option<CertificateId> {
    let key =
        certificate
            .iter_extensions()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(issuer) => issuer.key_identifier.as_ref(),
                _ => None,
            })?;
    Some(CertificateId::new(key.0, certificate.raw_serial()))
}

/// The kind of a public key (`SubjectPublicKeyInfo`, DER); none for one that this program does not make.
pub(crate) fn key_type_of(public_key: &[u8]) -> Option<KeyType> {
    let (_, public_key) = SubjectPublicKeyInfo::from_der(public_key).ok()?;
    key_type(&public_key)
}

fn key_type(public_key: &SubjectPublicKeyInfo<'_>) -> Option<KeyType> {
    match public_key.parsed().ok()? {
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

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa,
        KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, PublicKeyData, SerialNumber,
    };
    use time::macros::datetime;

    use super::*;

    type Ca = CertifiedIssuer<'static, KeyPair>;

    const NAMES: [&str; 2] = ["*.a.test", "a.test"];
    const NOW: OffsetDateTime = datetime!(2026-11-23 10:00:00 UTC);
    const FROM: OffsetDateTime = datetime!(2026-11-01 00:00:00 UTC);
    const UNTIL: OffsetDateTime = datetime!(2027-01-30 00:00:00 UTC);

    fn ca_params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    fn root(name: &str) -> Ca {
        Ca::self_signed(ca_params(name), KeyPair::generate().unwrap()).unwrap()
    }

    fn intermediate(name: &str, root: &Ca) -> Ca {
        Ca::signed_by(ca_params(name), KeyPair::generate().unwrap(), root).unwrap()
    }

    /// A certificate for `NAMES`, valid at `NOW`.
    fn leaf(key: &KeyPair, issuer: &Ca) -> String {
        let mut params = CertificateParams::new(NAMES.map(str::to_owned)).unwrap();
        params.not_before = FROM;
        params.not_after = UNTIL;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "a.test");
        params.serial_number = Some(SerialNumber::from_slice(&[0x8a, 0x0b, 0x01]));
        params.signed_by(key, issuer).unwrap().pem()
    }

    fn check_at(chain: &str, names: &[&str], key: &KeyPair, now: OffsetDateTime) -> Result<Leaf> {
        let names = names
            .iter()
            .map(|name| Identifier::from_str(name).unwrap())
            .collect::<Vec<_>>();
        let names = names.iter().collect();
        check(chain, &names, &key.subject_public_key_info(), now).map(|checked| checked.leaf)
    }

    fn refused(chain: &str, names: &[&str], key: &KeyPair, now: OffsetDateTime) -> String {
        format!("{:#}", check_at(chain, names, key, now).unwrap_err())
    }

    #[test]
    fn a_good_chain_is_read() {
        let root = root("Root");
        let middle = intermediate("Middle", &root);
        let key = KeyPair::generate().unwrap();
        let leaf = leaf(&key, &middle);
        let with_blank_lines = format!("{leaf}\n{}\n{}", middle.pem(), root.pem());
        for chain in [&with_blank_lines, &format!("{leaf}{}", middle.pem())] {
            let read = check_at(chain, &NAMES, &key, NOW).unwrap();
            assert_eq!(read.issuer, "Middle");
            // DER puts a zero before a number that begins with a one bit.
            assert_eq!(read.serial, "8A0B01");
            assert_eq!((read.not_before, read.not_after), (FROM, UNTIL));
            assert_eq!(read.lifetime(), time::Duration::days(90));
            assert_eq!(read.key_type, Some(KeyType::P256));
            assert_eq!(read, Leaf::from_pem(chain.as_bytes()).unwrap());
        }
    }

    #[test]
    fn kinds_of_keys_are_told_apart() {
        let root = root("Root");
        for (algorithm, key_type) in [
            (&PKCS_RSA_SHA256, KeyType::Rsa2048),
            (&PKCS_ECDSA_P384_SHA384, KeyType::P384),
        ] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let chain = format!("{}{}", leaf(&key, &root), root.pem());
            let read = check_at(&chain, &NAMES, &key, NOW).unwrap();
            assert_eq!(read.key_type, Some(key_type));
        }
    }

    #[test]
    fn what_is_no_chain_is_refused() {
        let root = root("Root");
        let key = KeyPair::generate().unwrap();
        let refused = |chain: &str| refused(chain, &NAMES, &key, NOW);
        for nothing in ["", "<html>sorry</html>", &key.public_key_pem()] {
            assert_eq!(refused(nothing), "the CA answered without a certificate");
        }
        let leaf = leaf(&key, &root);
        assert_eq!(
            refused(&leaf),
            "the CA answered with a certificate but without its issuer"
        );
        let garbage = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n";
        let chain = format!("{leaf}{}", root.pem());
        let unreadable = "the CA answered with a chain that cannot be read: ";
        for cut in [leaf.len() / 2, leaf.len() + 40, chain.len() - 40] {
            assert_eq!(
                refused(&chain[..cut]),
                format!("{unreadable}bad PEM: incomplete PEM")
            );
        }
        for broken in [garbage, &format!("{leaf}{garbage}")] {
            let text = refused(broken);
            let start = format!("{unreadable}cannot parse a certificate: ");
            assert!(text.starts_with(&start), "{text}");
        }
    }

    #[test]
    fn a_chain_for_something_else_is_refused() {
        let root = root("Root");
        let key = KeyPair::generate().unwrap();
        let chain = format!("{}{}", leaf(&key, &root), root.pem());
        let other = KeyPair::generate().unwrap();
        assert_eq!(
            refused(&chain, &NAMES, &other, NOW),
            "the CA answered with a certificate for another key"
        );
        for names in [&["a.test"][..], &["*.a.test", "a.test", "b.test"]] {
            assert_eq!(
                refused(&chain, names, &key, NOW),
                "the CA answered with a certificate for other names: *.a.test, a.test"
            );
        }
    }

    #[test]
    fn a_chain_for_another_time_is_refused() {
        let root = root("Root");
        let key = KeyPair::generate().unwrap();
        let chain = format!("{}{}", leaf(&key, &root), root.pem());
        let text = "the CA answered with a certificate that is not valid now: \
                    from 2026-11-01 to 2027-01-30";
        let second = time::Duration::seconds(1);
        assert_eq!(refused(&chain, &NAMES, &key, FROM - second), text);
        check_at(&chain, &NAMES, &key, FROM).unwrap();
        check_at(&chain, &NAMES, &key, UNTIL - second).unwrap();
        assert_eq!(refused(&chain, &NAMES, &key, UNTIL), text);
    }

    #[test]
    fn every_link_must_be_signed() {
        let (root, impostor) = (root("Root"), root("Root"));
        let middle = intermediate("Middle", &root);
        let key = KeyPair::generate().unwrap();
        let leaf = leaf(&key, &middle);
        assert_eq!(
            refused(&format!("{leaf}{}", root.pem()), &NAMES, &key, NOW),
            "the CA answered with a broken chain: `CN=Root` did not sign `CN=a.test`: \
             signature verification error"
        );
        assert_eq!(
            refused(
                &format!("{leaf}{}{}", middle.pem(), impostor.pem()),
                &NAMES,
                &key,
                NOW
            ),
            "the CA answered with a broken chain: `CN=Root` did not sign `CN=Middle`: \
             signature verification error"
        );
    }

    #[test]
    fn what_others_show_is_read_as_far_as_it_goes() {
        let mut authority = ca_params("E7");
        let name = &mut authority.distinguished_name;
        name.push(DnType::OrganizationName, "Let's Encrypt");
        let authority = Ca::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let own = Seen::from_der(authority.der()).unwrap();
        assert!(own.is_self_issued);
        let names = ["a.test", "192.0.2.1"].map(str::to_owned);
        let params = CertificateParams::new(names).unwrap();
        let key = KeyPair::generate().unwrap();
        let shown = params.signed_by(&key, &authority).unwrap();
        let seen = Seen::from_der(shown.der()).unwrap();
        assert_eq!(list(&seen.leaf.identifiers), "a.test");
        assert_eq!(seen.organization.as_deref(), Some("Let's Encrypt"));
        assert!(!seen.is_self_issued);
        // A certificate of ours has no such name.
        assert!(Leaf::from_pem(shown.pem().as_bytes()).is_err());
        assert_eq!(
            Seen::from_der(b"x").unwrap_err().to_string(),
            "what it shows is no certificate that can be read"
        );
    }
}
