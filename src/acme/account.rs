//! ACME accounts: opened with a stored key, or registered.

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::pkcs8::Document;
use instant_acme::Key;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::Serialize;
use serde_json::{Value, json};

use crate::acme::account_key::AccountKey;
use crate::acme::client::{Client, call};
use crate::acme::connections::Connections;
use crate::acme::directory::{Meta, Offers};
use crate::acme::endpoint::{Endpoint, Requests};
use crate::acme::external::{ExternalAccount, how_to_get_one};
use crate::acme::holder::Holder;
use crate::acme::mark::Marker;
use crate::acme::presets::Directory;
use crate::acme::refusal::{Refusal, explained};
use crate::model::hint::{Hint, find, with_hint};
use crate::model::secret::Secret;

/// An account that the CA knows, ready to order. Cloning shares the connections.
#[derive(Clone)]
pub(crate) struct Account {
    pub(super) inner: instant_acme::Account,
    pub(super) client: Client,
    directory: Directory,
    marker: Marker,
}

/// What a new account leaves to be stored.
pub(crate) struct NewAccountFiles {
    /// account.json in get-certs' form: JSON, two spaces a level.
    pub(crate) metadata: String,
    /// P-256, PKCS#8 in PEM form.
    pub(crate) key: Secret,
}

/// What the user says when an account is registered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registration {
    /// Optional; Let's Encrypt has ignored it since 2025.
    pub(crate) email: Option<String>,
    /// Agrees to the CA's terms of service; needed only where the CA has some.
    pub(crate) agreed: bool,
    pub(crate) external: ExternalAccount,
}

/// What newAccount takes (RFC 8555 section 7.3).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewAccount<'a> {
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    contact: &'a [String],
    terms_of_service_agreed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_account_binding: Option<Value>,
}

impl Account {
    /// Opens the account that `key` belongs to.
    ///
    /// The key is P-256, as [`AccountKey::parse`] reads it. The CA is asked for the account, so that
    /// one that it does not know is an error here and not in every order; its answer also names the
    /// account's URL, whatever account.json says.
    pub(crate) async fn open(
        directory: &Directory,
        connections: &Connections,
        key: &Secret,
    ) -> Result<Self> {
        let pkcs8 = orders_key(key)
            .with_context(|| format!("cannot use the account key for `{}`", directory.host()))?;
        let client = connections.to(directory);
        let inner = existing(&client, directory, &pkcs8)
            .await
            .map_err(|error| unopened(error, directory))
            .with_context(|| format!("cannot open the account at `{directory}`"))?;
        Ok(Self {
            inner,
            client,
            directory: directory.clone(),
            marker: Marker::of(key)?,
        })
    }

    /// Registers an account with a new key.
    pub(crate) async fn register(
        directory: &Directory,
        connections: &Connections,
        registration: &Registration,
    ) -> Result<(Self, NewAccountFiles)> {
        let context = || format!("cannot register an account at `{directory}`");
        let client = connections.to(directory);
        let offers = Offers::of(directory, &client).await.with_context(context)?;
        let binder = registration.external.binder(directory);
        let binder = binder.with_context(context)?;
        may_register(&offers.meta, directory, registration.agreed)?;
        if offers.meta.external_account_required && binder.is_none() {
            return Err(binding_needed(directory)).with_context(context);
        }
        let email = registration.email.as_deref();
        let contacts = email.map(|email| format!("mailto:{email}"));
        let contacts = contacts.as_slice();
        // Made before the CA is asked: an account whose answer is lost is found again by it.
        let key = AccountKey::generate()?;
        let signer = AccountKey::parse(&key)?;
        let bound = binder.as_ref();
        let bound = bound.map(|binder| binder.bind(&signer, &offers.new_account));
        let wanted = serde_json::to_value(NewAccount {
            contact: contacts,
            terms_of_service_agreed: registration.agreed,
            external_account_binding: bound.transpose()?,
        })?;
        let holder = Holder::register(client.clone(), offers, signer, &wanted)
            .await
            .map_err(|error| unregistered(error, directory, binder.is_some()))
            .with_context(context)?;
        let pkcs8 = orders_key(&key)?;
        let inner = instant_acme::Account::builder_with_http(Box::new(client.clone()))
            .from_parts(
                holder.url().to_owned(),
                PrivatePkcs8KeyDer::from(pkcs8.as_ref()),
                directory.url().to_owned(),
            )
            .await
            .map_err(explained)
            .with_context(context)?;
        let marker = Marker::of(&key)?;
        let files = NewAccountFiles {
            metadata: metadata(email, contacts, holder.url())?,
            key,
        };
        let account = Self {
            inner,
            client,
            directory: directory.clone(),
            marker,
        };
        Ok((account, files))
    }

    /// The account's URL at the CA, which CAA's `accounturi` names.
    pub(crate) fn url(&self) -> &str {
        self.inner.id()
    }

    /// Marks what a run with this account writes down.
    pub(crate) fn marker(&self) -> &Marker {
        &self.marker
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
    Offers::of(directory, client).await?;
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
fn orders_key(key: &Secret) -> Result<Document> {
    let key = AccountKey::parse(key)?;
    key.p256_pkcs8()?
        .ok_or_else(|| anyhow!("it is a key of kind {key}, and orders are signed with P-256 keys"))
        .hint(|| "`git-certs account rollover` gives the account such a key")
}

/// Says what to do about an account that cannot be opened.
pub(super) fn unopened(error: anyhow::Error, directory: &Directory) -> anyhow::Error {
    let host = directory.host();
    let hint = match find::<Refusal>(&error).and_then(Refusal::kind) {
        Some("accountDoesNotExist") => format!(
            "check that `--acme` is the CA of this key; for a new account, move the files in \
             `.letsencrypt/{host}/` away and run again with `--agree-tos`"
        ),
        Some("unauthorized") => format!(
            "an account that was closed stays closed; for a new one, move the files in \
             `.letsencrypt/{host}/` away and run again with `--agree-tos`"
        ),
        _ => return error,
    };
    with_hint(error, hint)
}

/// Says what to do about an account that the CA does not make.
fn unregistered(error: anyhow::Error, directory: &Directory, is_bound: bool) -> anyhow::Error {
    let kind = find::<Refusal>(&error).and_then(Refusal::kind);
    match kind {
        Some("externalAccountRequired") if !is_bound => with_hint(error, how_to_get_one(directory)),
        Some("unauthorized" | "malformed" | "externalAccountRequired") if is_bound => with_hint(
            error,
            "check that `--eab-kid` and GIT_CERTS_EAB_HMAC belong together and to this CA; some CAs \
             take each pair only once: get a new one",
        ),
        _ => error,
    }
}

fn binding_needed(directory: &Directory) -> anyhow::Error {
    with_hint(
        anyhow!("the CA wants new accounts to be bound to one of its own (EAB)"),
        how_to_get_one(directory),
    )
}

/// Fails where the CA has terms that the user has yet to agree to.
pub(super) fn may_register(meta: &Meta, directory: &Directory, agreed: bool) -> Result<()> {
    match &meta.terms_of_service {
        Some(terms) if !agreed => Err(anyhow!(
            "there is no account at `{}` yet, and a new one needs your agreement to its terms: `{terms}`",
            directory.host()
        ))
        .hint(|| "read the terms, then run again with `--agree-tos`"),
        _ => Ok(()),
    }
}

fn metadata(email: Option<&str>, contacts: &[String], url: &str) -> Result<String> {
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
    use std::sync::Arc;

    use pretty_assertions::assert_eq;

    use crate::acme::account_key::tests::{of_get_certs, of_old_clients};
    use crate::acme::pebble::{EAB_HMAC, EAB_KID, Pebble};
    use crate::acme::presets::WHAT_ACME_TAKES;
    use crate::acme::refusal::UNREACHABLE;
    use crate::model::hint::explain;
    use crate::net::http::Http;

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

    async fn not_opened(directory: &Directory, connections: &Connections, key: &Secret) -> String {
        told(
            &Account::open(directory, connections, key)
                .await
                .err()
                .unwrap(),
        )
    }

    async fn not_registered(
        directory: &Directory,
        connections: &Connections,
        email: Option<&str>,
    ) -> String {
        let registration = Registration {
            email: email.map(str::to_owned),
            agreed: true,
            ..Registration::default()
        };
        let answer = Account::register(directory, connections, &registration).await;
        told(&answer.err().unwrap())
    }

    #[tokio::test]
    async fn a_registered_account_is_opened_again() {
        let pebble = Pebble::start(&[]);
        let (directory, connections) = (&pebble.directory, &pebble.connections);
        let registration = Registration {
            email: Some("me@example.test".to_owned()),
            agreed: true,
            ..Registration::default()
        };
        let (account, files) = Account::register(directory, connections, &registration)
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
        let again = Account::open(directory, connections, &files.key)
            .await
            .unwrap();
        assert_eq!(again.url(), url);
    }

    #[tokio::test]
    async fn terms_must_be_agreed_to() {
        let pebble = Pebble::start(&[]);
        let silent = Registration::default();
        let error = Account::register(&pebble.directory, &pebble.connections, &silent)
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

    fn bound(kid: &str, hmac: &str) -> Registration {
        Registration {
            agreed: true,
            external: ExternalAccount {
                kid: Some(kid.to_owned()),
                hmac: Some(Arc::new(Secret::from(hmac.to_owned()))),
            },
            ..Registration::default()
        }
    }

    #[tokio::test]
    async fn an_account_is_bound_to_another_where_the_ca_wants_it() {
        let pebble = Pebble::binding();
        let (directory, connections) = (&pebble.directory, &pebble.connections);
        let bound_to_it = bound(EAB_KID, EAB_HMAC);
        let (account, files) = Account::register(directory, connections, &bound_to_it)
            .await
            .unwrap();
        // Opening it again needs no binding.
        let again = Account::open(directory, connections, &files.key)
            .await
            .unwrap();
        assert_eq!(again.url(), account.url());

        let host = directory.host();
        let context = format!("cannot register an account at `https://{host}/dir`\n  ");
        assert_eq!(
            not_registered(directory, connections, None).await,
            format!(
                "{context}the CA wants new accounts to be bound to one of its own (EAB)\n\
                 hint: `--eab-kid` takes the key identifier, GIT_CERTS_EAB_HMAC the HMAC key; \
                 the CA's customer pages have them"
            )
        );
        let refused = async |registration: &Registration| {
            let answer = Account::register(directory, connections, registration).await;
            told(&answer.err().unwrap())
        };
        let check = "hint: check that `--eab-kid` and GIT_CERTS_EAB_HMAC belong together and to this \
                     CA; some CAs take each pair only once: get a new one";
        let wrong_kid = refused(&bound("kid-2", EAB_HMAC)).await;
        assert_eq!(
            wrong_kid,
            format!(
                "{context}the field 'kid' references a key that is not known to the ACME server (unauthorized)\n{check}"
            )
        );
        let wrong_key = refused(&bound(EAB_KID, "d3Jvbmc")).await;
        let reason = format!("{context}external account binding JWS verification error: ");
        assert!(wrong_key.starts_with(&reason), "{wrong_key}");
        assert!(wrong_key.ends_with(check), "{wrong_key}");
    }

    #[tokio::test]
    async fn an_account_that_the_ca_does_not_know_is_an_error() {
        let pebble = Pebble::start(&[]);
        let key = AccountKey::generate().unwrap();
        let host = pebble.directory.host();
        assert_eq!(
            not_opened(&pebble.directory, &pebble.connections, &key).await,
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
        let connections = Connections::new(Http::new(None).unwrap());
        let directory = "staging".parse().unwrap();
        let takeover = |kind| {
            format!(
                "cannot use the account key for `acme-staging-v02.api.letsencrypt.org`\n  \
                 it is a key of kind {kind}, and orders are signed with P-256 keys\n\
                 hint: `git-certs account rollover` gives the account such a key"
            )
        };
        for (key, kind) in [(of_get_certs(), "P-384"), (of_old_clients(), "RSA-2048")] {
            assert_eq!(
                not_opened(&directory, &connections, &key).await,
                takeover(kind)
            );
        }
        let garbage = Secret::from("garbage".to_owned());
        assert_eq!(
            not_opened(&directory, &connections, &garbage).await,
            "cannot use the account key for `acme-staging-v02.api.letsencrypt.org`\n  \
             not a private key in PEM form"
        );
    }

    #[tokio::test]
    async fn a_ca_that_cannot_be_used_is_told() {
        let pebble = Pebble::start(&[]);
        let key = AccountKey::generate().unwrap();
        let host = pebble.directory.host();
        let strangers = Connections::new(Http::new(None).unwrap());
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
            not_opened(&elsewhere, &pebble.connections, &key).await,
            format!(
                "cannot open the account at `https://{host}/nothing`\n  \
                 the CA answered `404 Not Found`\nhint: {WHAT_ACME_TAKES}"
            )
        );
        assert_eq!(
            not_registered(&elsewhere, &pebble.connections, None).await,
            format!(
                "cannot register an account at `https://{host}/nothing`\n  \
                 the CA answered `404 Not Found`\nhint: {WHAT_ACME_TAKES}"
            )
        );
        assert_eq!(
            not_registered(&pebble.directory, &pebble.connections, Some("nonsense")).await,
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
                 error sending request\n  tcp connect error\n  Connection refused\n\
                 hint: {UNREACHABLE}"
            )
        );
    }
}
