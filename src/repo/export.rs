//! What servers read of a certificate: its files with the key in the clear, by format.
//!
//! The one place where a private key leaves memory, at the user's command ([`folder`]).

pub(crate) mod folder;
mod kubernetes;
pub(crate) mod pending;
mod pkcs12;
mod servers;
pub(crate) mod stored;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use x509_parser::pem::parse_x509_pem;

use crate::model::certificate::CertificateName;
use crate::model::chain::Part;
use crate::model::hint::with_hint;
use crate::model::secret::Secret;

/// Which files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Pem,
    Haproxy,
    Pkcs12,
    Pkcs12Legacy,
    Kubernetes,
    Nginx,
    Apache,
}

/// A certificate with its key in the clear.
#[derive(Debug)]
pub(crate) struct Bundle {
    pub(crate) name: CertificateName,
    /// Leaf first.
    pub(crate) chain: Vec<Part>,
    /// PKCS#8, PEM.
    pub(crate) key: Secret,
    /// PKCS#8, DER.
    pub(crate) key_der: Secret,
}

/// What a format needs to know besides the certificate.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) format: Format,
    /// Of PKCS#12 files.
    pub(crate) password: Option<Secret>,
    /// Of Kubernetes' Secrets.
    pub(crate) namespace: Option<String>,
    /// The folder that configurations of servers name.
    pub(crate) installed_in: Option<PathBuf>,
}

/// A file to be written.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) content: Secret,
}

impl Bundle {
    /// Every certificate, leaf first.
    fn full_chain(&self) -> String {
        self.chain.iter().map(|part| part.pem.as_str()).collect()
    }

    /// Every certificate but the leaf.
    fn issuers(&self) -> String {
        let issuers = self.chain.iter().skip(1);
        issuers.map(|part| part.pem.as_str()).collect()
    }

    /// The leaf alone.
    fn leaf(&self) -> &str {
        self.chain.first().map_or("", |part| part.pem.as_str())
    }

    /// Every certificate, then the key.
    fn chain_and_key(&self) -> Secret {
        let chain = self.full_chain();
        Secret::new([chain.as_bytes(), self.key.expose()].concat())
    }

    fn key(&self) -> Secret {
        Secret::new(self.key.expose().to_vec())
    }
}

/// DER of a PKCS#8 key in PEM form; none if it is in another form.
pub(crate) fn pkcs8(key: &Secret) -> Option<Secret> {
    let (_, block) = parse_x509_pem(key.expose()).ok()?;
    let der = Secret::new(block.contents);
    (block.label == "PRIVATE KEY").then_some(der)
}

/// The files of all certificates.
pub(crate) fn files(bundles: &[Bundle], options: &Options) -> Result<Vec<File>> {
    let mut all = Vec::new();
    let mut whose = BTreeMap::new();
    for bundle in bundles {
        for file in files_of(bundle, options)? {
            // Names that differ here can be the same in Kubernetes.
            if let Some(other) = whose.insert(file.name.clone(), &bundle.name) {
                return Err(with_hint(
                    anyhow!(
                        "certificates `{other}` and `{}` both become `{}`",
                        bundle.name,
                        file.name
                    ),
                    "export them one by one, to folders of their own",
                ));
            }
            all.push(file);
        }
    }
    Ok(all)
}

fn files_of(bundle: &Bundle, options: &Options) -> Result<Vec<File>> {
    let file = |end: &str, content: Secret| File {
        name: format!("{}.{end}", bundle.name),
        content,
    };
    let pair = || {
        [
            file("crt", bundle.full_chain().into()),
            file("key", bundle.key()),
        ]
    };
    let server = |configuration: String| {
        let files = pair().into_iter();
        files.chain([file("conf", configuration.into())]).collect()
    };
    Ok(match options.format {
        Format::Pem => {
            let parts = [
                file("cert.pem", bundle.leaf().to_owned().into()),
                file("chain.pem", bundle.issuers().into()),
            ];
            pair().into_iter().chain(parts).collect()
        }
        Format::Haproxy => vec![file("pem", bundle.chain_and_key())],
        Format::Pkcs12 | Format::Pkcs12Legacy => {
            vec![file("p12", in_pkcs12(bundle, options)?)]
        }
        Format::Kubernetes => {
            let name = kubernetes::name(&bundle.name);
            vec![File {
                content: kubernetes::secret(bundle, &name, options.namespace.as_deref())?,
                name: format!("{name}.yaml"),
            }]
        }
        Format::Nginx => server(servers::nginx(&bundle.name, options)?),
        Format::Apache => server(servers::apache(&bundle.name, options)?),
    })
}

/// All certificates in one text or file, for a pipe.
pub(crate) fn in_one(bundles: &[Bundle], options: &Options) -> Result<Secret> {
    let mut all = Vec::new();
    for bundle in bundles {
        match options.format {
            Format::Pem | Format::Haproxy => all.extend(bundle.chain_and_key().expose()),
            Format::Kubernetes => {
                for file in files_of(bundle, options)? {
                    all.extend(b"---\n");
                    all.extend(file.content.expose());
                }
            }
            Format::Pkcs12 | Format::Pkcs12Legacy if bundles.len() == 1 => {
                all.extend(in_pkcs12(bundle, options)?.expose());
            }
            Format::Pkcs12 | Format::Pkcs12Legacy => {
                return Err(with_hint(
                    anyhow!(
                        "a PKCS#12 file holds one certificate, and these are {}",
                        bundles.len()
                    ),
                    "write them to a folder with `--to`",
                ));
            }
            Format::Nginx | Format::Apache => {
                return Err(with_hint(
                    anyhow!("certificate, key and configuration are three files"),
                    "write them to a folder with `--to`",
                ));
            }
        }
    }
    Ok(Secret::new(all))
}

fn in_pkcs12(bundle: &Bundle, options: &Options) -> Result<Secret> {
    let password = options.password.as_ref().ok_or_else(|| {
        with_hint(
            anyhow!("a PKCS#12 file needs a password"),
            "name a file that holds it with `--password-file`, or set GIT_CERTS_EXPORT_PASSWORD",
        )
    })?;
    let way = match options.format {
        Format::Pkcs12Legacy => pkcs12::Way::Legacy,
        _ => pkcs12::Way::Modern,
    };
    pkcs12::encode(bundle, password, way)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn bundle(name: &str) -> Bundle {
        Bundle {
            name: name.parse().unwrap(),
            chain: Vec::new(),
            key: "key".to_owned().into(),
            key_der: "key".to_owned().into(),
        }
    }

    #[test]
    fn names_that_become_the_same_are_an_error() {
        let options = Options {
            format: Format::Kubernetes,
            password: None,
            namespace: None,
            installed_in: None,
        };
        let error = files(&[bundle("a_b"), bundle("A-b-")], &options).unwrap_err();
        assert_eq!(
            error.to_string(),
            "certificates `a_b` and `A-b-` both become `a-b.yaml`"
        );
        let both = files(&[bundle("a_b"), bundle("a-c_")], &options).unwrap();
        let names: Vec<_> = both.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a-b.yaml", "a-c.yaml"]);
    }

    #[test]
    fn only_pkcs8_is_told() {
        let pem = |label: &str| {
            Secret::from(format!(
                "-----BEGIN {label}-----\nAAEC\n-----END {label}-----\n"
            ))
        };
        let der = pkcs8(&pem("PRIVATE KEY")).map(|der| der.expose().to_vec());
        assert_eq!(der, Some(vec![0, 1, 2]));
        assert!(pkcs8(&pem("EC PRIVATE KEY")).is_none());
        assert!(pkcs8(&Secret::from("hello".to_owned())).is_none());
    }
}
