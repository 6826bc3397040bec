//! ACME accounts: opened with a stored key, or registered.

use anyhow::{Context, Result, anyhow, bail};
use aws_lc_rs::pkcs8::Document;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
};
use instant_acme::{Key, NewAccount};
use reqwest::StatusCode;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::Deserialize;
use serde_json::json;

use crate::acme::client::{Client, Endpoint, Requests, call};
use crate::acme::pem::{self, KeyBlock};
use crate::acme::presets::Directory;
use crate::acme::refusal::{Refusal, explained};
use crate::model::hint::{Hint, find, with_hint};
use crate::model::secret::Secret;
use crate::net::http::Http;

/// An account that the CA knows, ready to order. Cloning shares the connections.
#[derive(Clone)]
pub(crate) struct Account {
    pub(super) inner: instant_acme::Account,
    pub(super) client: Client,
    directory: Directory,
}

/// What a new account leaves to be stored.
pub(crate) struct NewAccountFiles {
    /// account.json in get-certs' form: JSON, two spaces a level.
    pub(crate) metadata: String,
    /// P-256, PKCS#8 in PEM form.
    pub(crate) key: Secret,
}

/// The part of a directory that says what a new account needs (RFC 8555 section 7.1.1).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    terms_of_service: Option<String>,
    external_account_required: bool,
}

#[derive(Deserialize)]
struct DirectoryBody {
    #[serde(default)]
    meta: Meta,
}

impl Account {
    /// Opens the account that `key` belongs to.
    ///
    /// The key is P-256: PKCS#8 or SEC1, in PEM form. The CA is asked for the account, so that one
    /// that it does not know is an error here and not in every order; its answer also names the
    /// account's URL, whatever account.json says.
    pub(crate) async fn open(directory: &Directory, http: &Http, key: &Secret) -> Result<Self> {
        let pkcs8 = account_key(key, directory)
            .with_context(|| format!("cannot use the account key for `{}`", directory.host()))?;
        let client = Client::new(http.clone());
        let inner = existing(&client, directory, &pkcs8)
            .await
            .map_err(|error| unopened(error, directory))
            .with_context(|| format!("cannot open the account at `{directory}`"))?;
        Ok(Self {
            inner,
            client,
            directory: directory.clone(),
        })
    }

    /// Registers an account with a new key.
    ///
    /// `email` is optional; Let's Encrypt has ignored it since 2025. `agreed` says that the user
    /// agrees to the CA's terms of service; it is needed only where the CA has some.
    pub(crate) async fn register(
        directory: &Directory,
        http: &Http,
        email: Option<&str>,
        agreed: bool,
    ) -> Result<(Self, NewAccountFiles)> {
        let context = || format!("cannot register an account at `{directory}`");
        let client = Client::new(http.clone());
        let meta = meta(directory, &client).await.with_context(context)?;
        may_register(&meta, directory, agreed)?;
        let contacts = email.map(|email| format!("mailto:{email}"));
        let contacts = contacts.iter().map(String::as_str).collect::<Vec<_>>();
        let wanted = NewAccount {
            contact: &contacts,
            terms_of_service_agreed: agreed,
            only_return_existing: false,
        };
        let (inner, credentials) = call!(client, Endpoint::NewAccount, async {
            instant_acme::Account::builder_with_http(Box::new(client.clone()))
                .create(&wanted, directory.url().to_owned(), None)
                .await
        })
        .map_err(explained)
        .with_context(context)?;
        let files = NewAccountFiles {
            metadata: metadata(email, &contacts, inner.id())?,
            key: pem::encode(credentials.private_key().secret_pkcs8_der())?,
        };
        let account = Self {
            inner,
            client,
            directory: directory.clone(),
        };
        Ok((account, files))
    }

    /// The account's URL at the CA, which CAA's `accounturi` names.
    pub(crate) fn url(&self) -> &str {
        self.inner.id()
    }

    /// Where the account is.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// How far the CA's clock is ahead of ours, as its latest answer has it.
    pub(crate) fn ahead(&self) -> time::Duration {
        self.client.ahead()
    }

    /// What was asked of the CA so far.
    pub(crate) fn requests(&self) -> Requests {
        self.client.requests()
    }
}

async fn existing(
    client: &Client,
    directory: &Directory,
    pkcs8: &Document,
) -> Result<instant_acme::Account> {
    meta(directory, client).await?;
    let found = call!(client, Endpoint::FindAccount, async {
        let key = Key::from_pkcs8_der(PrivatePkcs8KeyDer::from(pkcs8.as_ref()))?;
        // The second half goes into credentials that are dropped: no copy of the key.
        let unused = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(Vec::new()));
        instant_acme::Account::builder_with_http(Box::new(client.clone()))
            .from_key((key, unused), directory.url().to_owned())
            .await
    });
    let (account, _) = found.map_err(explained)?;
    Ok(account)
}

/// PKCS#8 of a P-256 key; instant-acme signs with nothing else.
fn account_key(key: &Secret, directory: &Directory) -> Result<Document> {
    let KeyBlock { label, der } = pem::decode(key)?;
    if let Ok(pair) = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der) {
        return pair
            .to_pkcs8v1()
            .map_err(|_| anyhow!("cannot convert the key to PKCS#8"));
    }
    let kind = if EcdsaKeyPair::from_private_key_der(&ECDSA_P384_SHA384_FIXED_SIGNING, &der).is_ok()
    {
        "a P-384 key"
    } else if label == "RSA PRIVATE KEY" || aws_lc_rs::rsa::KeyPair::from_pkcs8(&der).is_ok() {
        "an RSA key"
    } else {
        bail!("it is neither a P-256 key nor another kind that is known");
    };
    Err(anyhow!("it is {kind}; accounts work with P-256 keys only")).hint(|| {
        format!(
            "get-certs made such keys: `git-certs import` will take the account over; until then \
             move the files in `.letsencrypt/{}/` away and run again with `--agree-tos`, which \
             registers a new account",
            directory.host()
        )
    })
}

/// Says what to do about an account that cannot be opened.
fn unopened(error: anyhow::Error, directory: &Directory) -> anyhow::Error {
    let kind = find::<Refusal>(&error).and_then(Refusal::kind);
    if kind != Some("accountDoesNotExist") {
        return error;
    }
    with_hint(
        error,
        format!(
            "check that `--acme` is the CA of this key; for a new account, move the files in \
             `.letsencrypt/{}/` away and run again with `--agree-tos`",
            directory.host()
        ),
    )
}

fn may_register(meta: &Meta, directory: &Directory, agreed: bool) -> Result<()> {
    if meta.external_account_required {
        bail!(
            "`{}` wants accounts to be bound to one of its own (EAB), which does not work yet",
            directory.host()
        );
    }
    match &meta.terms_of_service {
        Some(terms) if !agreed => Err(anyhow!(
            "there is no account at `{}` yet, and a new one needs your agreement to its terms: `{terms}`",
            directory.host()
        ))
        .hint(|| "read the terms, then run again with `--agree-tos`"),
        _ => Ok(()),
    }
}

/// instant-acme keeps the directory's `meta` to itself.
async fn meta(directory: &Directory, client: &Client) -> Result<Meta> {
    let body = client.directory(directory.url()).await.map_err(|error| {
        let error = explained(error);
        let status = find::<Refusal>(&error).and_then(|refusal| refusal.status);
        match status {
            Some(StatusCode::NOT_FOUND) => with_hint(error, WHAT_A_DIRECTORY_IS),
            _ => error,
        }
    })?;
    let body: DirectoryBody = serde_json::from_slice(&body)
        .context("this is no ACME directory")
        .hint(|| WHAT_A_DIRECTORY_IS)?;
    Ok(body.meta)
}

/// What to do about a URL that leads elsewhere.
const WHAT_A_DIRECTORY_IS: &str =
    "`--acme` takes `live`, `staging` or the URL of a CA's ACME directory";

fn metadata(email: Option<&str>, contacts: &[&str], url: &str) -> Result<String> {
    let value = json!({
        "email": email.unwrap_or_default(),
        "registration": {
            "body": { "status": "valid", "contact": contacts },
            "uri": url,
        },
    });
    serde_json::to_string_pretty(&value).context("cannot write account.json")
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use pretty_assertions::assert_eq;
    use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};

    use crate::acme::pebble::Pebble;
    use crate::acme::refusal::UNREACHABLE;
    use crate::model::hint::explain;

    use super::*;

    /// Everything that the user sees, one line each.
    fn told(error: &anyhow::Error) -> String {
        let told = explain(error);
        let causes = told.causes.iter().map(|cause| format!("  {cause}"));
        let hints = told.hints.iter().map(|hint| format!("hint: {hint}"));
        let lines = std::iter::once(told.what.clone())
            .chain(causes)
            .chain(hints);
        lines.collect::<Vec<_>>().join("\n")
    }

    async fn not_opened(directory: &Directory, http: &Http, key: &Secret) -> String {
        told(&Account::open(directory, http, key).await.err().unwrap())
    }

    async fn not_registered(directory: &Directory, http: &Http, email: Option<&str>) -> String {
        let answer = Account::register(directory, http, email, true).await;
        told(&answer.err().unwrap())
    }

    /// The SEC1 form inside a PKCS#8 key of an elliptic curve.
    fn sec1(pkcs8: &KeyPair) -> Secret {
        let der = pkcs8.serialized_der();
        let (_, outer) = x509_parser::der_parser::der::parse_der(der).unwrap();
        let inner = outer.as_sequence().unwrap()[2].as_slice().unwrap();
        let base64 = BASE64_STANDARD.encode(inner);
        Secret::from(format!(
            "-----BEGIN EC PRIVATE KEY-----\n{base64}\n-----END EC PRIVATE KEY-----\n"
        ))
    }

    #[tokio::test]
    async fn a_registered_account_is_opened_again_in_both_forms() {
        let pebble = Pebble::start(&[]);
        let (directory, http) = (&pebble.directory, &pebble.http);
        let (account, files) = Account::register(directory, http, Some("me@example.test"), true)
            .await
            .unwrap();
        let url = account.url();
        assert_eq!(
            files.metadata,
            format!(
                r#"{{
  "email": "me@example.test",
  "registration": {{
    "body": {{
      "status": "valid",
      "contact": [
        "mailto:me@example.test"
      ]
    }},
    "uri": "{url}"
  }}
}}"#
            )
        );
        let text = files.key.expose_str().unwrap();
        assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        let again = Account::open(directory, http, &files.key).await.unwrap();
        assert_eq!(again.url(), url);
        let pair = KeyPair::from_pem(text).unwrap();
        let again = Account::open(directory, http, &sec1(&pair)).await.unwrap();
        assert_eq!(again.url(), url);
    }

    #[tokio::test]
    async fn terms_must_be_agreed_to() {
        let pebble = Pebble::start(&[]);
        let error = Account::register(&pebble.directory, &pebble.http, None, false)
            .await
            .err()
            .unwrap();
        let host = pebble.directory.host();
        assert_eq!(
            told(&error),
            format!(
                "there is no account at `{host}` yet, and a new one needs your agreement to its \
                 terms: `data:text/plain,Do%20what%20thou%20wilt`\n\
                 hint: read the terms, then run again with `--agree-tos`"
            )
        );
    }

    #[tokio::test]
    async fn an_account_that_the_ca_does_not_know_is_an_error() {
        let pebble = Pebble::start(&[]);
        let key = KeyPair::generate().unwrap();
        let key = Secret::from(key.serialize_pem());
        let host = pebble.directory.host();
        assert_eq!(
            not_opened(&pebble.directory, &pebble.http, &key).await,
            format!(
                "cannot open the account at `https://{host}/dir`\n  \
                 unable to find existing account for only-return-existing request \
                 (accountDoesNotExist)\n\
                 hint: check that `--acme` is the CA of this key; for a new account, move the files \
                 in `.letsencrypt/{host}/` away and run again with `--agree-tos`"
            )
        );
    }

    #[tokio::test]
    async fn other_kinds_of_account_keys_say_what_to_do() {
        let http = Http::new(None).unwrap();
        let directory = "staging".parse().unwrap();
        let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let takeover = |kind| {
            format!(
                "cannot use the account key for `acme-staging-v02.api.letsencrypt.org`\n  \
                 it is {kind} key; accounts work with P-256 keys only\n\
                 hint: get-certs made such keys: `git-certs import` will take the account over; \
                 until then move the files in `.letsencrypt/acme-staging-v02.api.letsencrypt.org/` \
                 away and run again with `--agree-tos`, which registers a new account"
            )
        };
        let told = not_opened(&directory, &http, &sec1(&p384)).await;
        assert_eq!(told, takeover("a P-384"));
        let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let rsa = Secret::from(rsa.serialize_pem());
        let told = not_opened(&directory, &http, &rsa).await;
        assert_eq!(told, takeover("an RSA"));
        let garbage = Secret::from("garbage".to_owned());
        assert_eq!(
            not_opened(&directory, &http, &garbage).await,
            "cannot use the account key for `acme-staging-v02.api.letsencrypt.org`\n  \
             not a private key in PEM form"
        );
    }

    #[tokio::test]
    async fn a_ca_that_cannot_be_used_is_told() {
        let pebble = Pebble::start(&[]);
        let key = Secret::from(KeyPair::generate().unwrap().serialize_pem());
        let host = pebble.directory.host();
        let strangers = Http::new(None).unwrap();
        assert_eq!(
            not_opened(&pebble.directory, &strangers, &key).await,
            format!(
                "cannot open the account at `https://{host}/dir`\n  \
                 error sending request\n  \
                 invalid peer certificate: UnknownIssuer\n\
                 hint: for a private CA, name the file with its root: `--ca-bundle FILE`"
            )
        );
        let elsewhere = format!("https://{host}/nothing").parse().unwrap();
        assert_eq!(
            not_opened(&elsewhere, &pebble.http, &key).await,
            format!(
                "cannot open the account at `https://{host}/nothing`\n  \
                 the CA answered `404 Not Found`\nhint: {WHAT_A_DIRECTORY_IS}"
            )
        );
        assert_eq!(
            not_registered(&elsewhere, &pebble.http, None).await,
            format!(
                "cannot register an account at `https://{host}/nothing`\n  \
                 the CA answered `404 Not Found`\nhint: {WHAT_A_DIRECTORY_IS}"
            )
        );
        assert_eq!(
            not_registered(&pebble.directory, &pebble.http, Some("nonsense")).await,
            format!(
                "cannot register an account at `https://{host}/dir`\n  \
                 contact email \"nonsense\" is invalid (invalidContact)"
            )
        );
        let directory = pebble.directory.clone();
        drop(pebble);
        assert_eq!(
            not_opened(&directory, &strangers, &key).await,
            format!(
                "cannot open the account at `https://{host}/dir`\n  \
                 error sending request\n  tcp connect error\n  Connection refused (os error 111)\n\
                 hint: {UNREACHABLE}"
            )
        );
    }
}
