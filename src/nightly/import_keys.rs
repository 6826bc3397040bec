//! Keys of another program: which of the files that may hold one do.

use anyhow::{Context, Error, Result, anyhow};

use crate::acme::key::CertificateKey;
use crate::model::hint::with_hint;
use crate::model::secret::Secret;
use crate::repo::import::KeyFile;

/// A key, and where it was found.
#[derive(Debug)]
pub(super) struct Fitting {
    /// PKCS#8 in PEM form.
    pub(super) key: Secret,
    /// The best first; at least one.
    pub(super) paths: Vec<String>,
    /// What is wrong with files that hold another key, or none.
    pub(super) others: Vec<Error>,
}

/// The key with this public half, or else the first that can be read. `owner` is what messages call whose it is.
///
/// `encrypted`: where the repository has its key already.
pub(super) fn fitting_key(
    public: Option<&[u8]>,
    owner: &str,
    files: Vec<KeyFile>,
    encrypted: Option<&str>,
) -> Result<Fitting> {
    let mut expected = public.map(<[u8]>::to_vec);
    let mut found = None;
    let (mut paths, mut others) = (Vec::new(), Vec::new());
    let mut foreign = None;
    for KeyFile { path, key } in files {
        let read = key.and_then(|key| CertificateKey::import_only(&key));
        match read.with_context(|| format!("cannot use the key in `{path}`")) {
            Ok(key) => {
                let public = key.public_key_der();
                if *expected.get_or_insert_with(|| public.clone()) == public {
                    paths.push(path);
                    found.get_or_insert(key);
                } else {
                    foreign.get_or_insert_with(|| path.clone());
                    others.push(with_hint(
                        anyhow!("the key in `{path}` is not the {owner}'s, and stays as it is"),
                        "it may be an older one: remove the file if nobody needs it",
                    ));
                }
            }
            Err(error) => others.push(error),
        }
    }
    match found {
        Some(key) => Ok(Fitting {
            key: key.into_pem()?,
            paths,
            others,
        }),
        None => Err(match (foreign, others.into_iter().next()) {
            (Some(path), _) if let Some(encrypted) = encrypted => with_hint(
                anyhow!("the key in `{path}` is not the {owner}'s, which is in `{encrypted}`"),
                "remove the file; whoever could read the repository has the key in it: replace it where it is used",
            ),
            (Some(path), _) => with_hint(
                anyhow!("the key in `{path}` is not the {owner}'s, and no other is there"),
                "remove the file if nobody needs it, and `git-certs renew` issues a new certificate, with a key of its own",
            ),
            (None, Some(other)) => other,
            (None, None) => anyhow!("its private key is not there"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use rcgen::KeyPair;

    use super::*;
    use crate::model::hint::explain;

    fn file(path: &str, text: String) -> KeyFile {
        KeyFile {
            path: path.to_owned(),
            key: Ok(Secret::from(text)),
        }
    }

    fn said(error: &Error) -> Vec<String> {
        let explained = explain(error);
        [vec![explained.what], explained.causes, explained.hints].concat()
    }

    #[test]
    fn the_key_is_found_wherever_it_is_and_others_are_told() {
        let (one, two) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let public = rcgen::PublicKeyData::subject_public_key_info(&one);
        let files = || {
            vec![
                file("old.key", two.serialize_pem()),
                file("a.pem", format!("certificate\n{}", one.serialize_pem())),
                file("a.key", one.serialize_pem()),
                file("b.key", "nothing".to_owned()),
            ]
        };
        let found = fitting_key(Some(&public), "certificate", files(), None).unwrap();
        assert_eq!(found.paths, ["a.pem", "a.key"]);
        let others: Vec<_> = found.others.iter().map(said).collect();
        assert_eq!(
            others,
            [
                vec![
                    "the key in `old.key` is not the certificate's, and stays as it is",
                    "it may be an older one: remove the file if nobody needs it"
                ],
                vec![
                    "cannot use the key in `b.key`",
                    "not a private key in PEM form"
                ]
            ]
        );
        let found = fitting_key(None, "account", files(), None).unwrap();
        assert_eq!(found.paths, ["old.key"]);
        assert_eq!(found.others.len(), 3);
        let none = fitting_key(Some(b"x"), "certificate", files(), None).unwrap_err();
        assert_eq!(said(&none), others_first());
        let place = Some("a.key.age");
        let none = fitting_key(Some(b"x"), "certificate", files(), place).unwrap_err();
        assert_eq!(
            said(&none),
            [
                "the key in `old.key` is not the certificate's, which is in `a.key.age`",
                "remove the file; whoever could read the repository has the key in it: replace it where it is used",
            ]
        );
        let none = fitting_key(None, "account", Vec::new(), None).unwrap_err();
        assert_eq!(said(&none), ["its private key is not there"]);
    }

    fn others_first() -> Vec<String> {
        [
            "the key in `old.key` is not the certificate's, and no other is there",
            "remove the file if nobody needs it, and `git-certs renew` issues a new certificate, with a key of its own",
        ]
        .map(str::to_owned)
        .to_vec()
    }
}
