//! What the holder of an account can do with it besides ordering: register it, look at it, give it
//! another key, revoke a certificate, close it.
//!
//! Signed here and not by instant-acme, which knows P-256 keys only, makes the new key of a rollover
//! itself (so that nobody could store it beforehand), and cannot read an account.

use anyhow::{Context, Result, anyhow};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, Method};
use instant_acme::{BodyWrapper, Error, HttpClient, Problem};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::acme::account::unopened;
use crate::acme::account_key::{AccountKey, encoded};
use crate::acme::client::{Client, call};
use crate::acme::connections::Connections;
use crate::acme::directory::Offers;
use crate::acme::endpoint::Endpoint;
use crate::acme::patience::is_lost;
use crate::acme::presets::Directory;
use crate::acme::refusal::{Refusal, explained};
use crate::acme::revocation::{Reason, Revoked};
use crate::model::hint::{Hint, find, with_hint};
use crate::model::secret::Secret;

/// Media type of signed requests (RFC 8555 section 6.2).
const JOSE: &str = "application/jose+json";

/// How often newAccount or keyChange is sent when its answer is lost.
const ATTEMPTS: u32 = 3;

const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");

/// An account that the CA knows, and the key that it is known by.
pub(crate) struct Holder {
    client: Client,
    offers: Offers,
    key: AccountKey,
    url: String,
}

/// The account object of RFC 8555 section 7.1.2, as far as the CA shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AccountObject {
    /// `valid`, `deactivated` or `revoked`.
    pub(crate) status: String,
    pub(crate) contact: Vec<String>,
    pub(crate) terms_of_service_agreed: Option<bool>,
    /// The binding as it was sent: a signed object whose protected header names the key.
    external_account_binding: Option<Value>,
    /// Where the CA would list the account's orders; Let's Encrypt's does not.
    pub(crate) orders: Option<String>,
}

impl AccountObject {
    /// Key identifier of the account at the CA that this one is bound to.
    pub(crate) fn bound_to(&self) -> Option<String> {
        use base64::Engine;

        let binding = self.external_account_binding.as_ref()?;
        let protected = binding.get("protected")?.as_str()?;
        let protected = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(protected);
        let protected: Value = serde_json::from_slice(&protected.ok()?).ok()?;
        Some(protected.get("kid")?.as_str()?.to_owned())
    }
}

impl Holder {
    /// Finds the account of a key; none if the CA has none (RFC 8555 section 7.3.1).
    pub(crate) async fn find(
        directory: &Directory,
        connections: &Connections,
        key: AccountKey,
    ) -> Result<Option<Self>> {
        let context = || format!("cannot look for the account at `{directory}`");
        let client = connections.to(directory);
        let offers = Offers::of(directory, &client).await.with_context(context)?;
        let mut holder = Self {
            client,
            offers,
            key,
            url: String::new(),
        };
        let known = holder.known().await;
        let known = known.map_err(|error| unopened(error, directory));
        let Some(url) = known.with_context(context)? else {
            return Ok(None);
        };
        holder.url = url;
        Ok(Some(holder))
    }

    /// Makes an account for a key that has none yet (RFC 8555 section 7.3); `account` is what the CA is
    /// told of it.
    pub(super) async fn register(
        client: Client,
        offers: Offers,
        key: AccountKey,
        account: &Value,
    ) -> Result<Self> {
        let mut holder = Self {
            client,
            offers,
            key,
            url: String::new(),
        };
        holder.url = holder.registered(account).await?;
        Ok(holder)
    }

    /// An answer that was lost is no failure: the CA is asked whether it knows the key, and told again
    /// if not.
    async fn registered(&self, account: &Value) -> Result<String> {
        for _ in 1..ATTEMPTS {
            match self.ask(Endpoint::NewAccount, account).await {
                Err(error) if is_lost(&error) => {
                    if let Some(url) = self.known().await? {
                        return Ok(url);
                    }
                }
                answer => return answer.map_err(explained),
            }
        }
        let last = self.ask(Endpoint::NewAccount, account).await;
        last.map_err(explained)
    }

    /// URL of the account of the key; none if the CA has none.
    async fn known(&self) -> Result<Option<String>> {
        let payload = json!({ "onlyReturnExisting": true });
        let answer = self.ask(Endpoint::FindAccount, &payload).await;
        match answer.map_err(explained) {
            Ok(url) => Ok(Some(url)),
            Err(error) if kind(&error) == Some("accountDoesNotExist") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks newAccount, and returns the account's URL.
    async fn ask(&self, endpoint: Endpoint, payload: &Value) -> Result<String, Error> {
        let url = &self.offers.new_account;
        let sent = call!(self.client, endpoint, self.send(None, url, Some(payload)));
        let (headers, _) = sent?;
        let location = headers.get(LOCATION).and_then(|url| url.to_str().ok());
        location
            .map(str::to_owned)
            .ok_or(Error::Str("the CA does not say where the account is"))
    }

    /// The account's URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What kind of key it has.
    pub(crate) fn key(&self) -> &AccountKey {
        &self.key
    }

    /// Reads the account.
    pub(crate) async fn read(&self) -> Result<AccountObject> {
        let body = self.post(Endpoint::Account, &self.url, None).await;
        let body = body.with_context(|| format!("cannot read the account `{}`", self.url))?;
        serde_json::from_slice(&body)
            .with_context(|| format!("the CA shows no account at `{}`", self.url))
    }

    /// Whether the CA can give the account another key.
    pub(crate) fn can_change_key(&self) -> Result<()> {
        self.key_change().map(|_| ())
    }

    fn key_change(&self) -> Result<&str> {
        let url = self.offers.key_change.as_deref();
        url.ok_or_else(|| anyhow!("the CA does not let accounts change their keys"))
            .hint(|| "move the account's files away, and register a new account")
    }

    /// Gives the account another key: rollover (RFC 8555 section 7.3.5). Its URL stays.
    ///
    /// Whoever calls this has stored `new` already: after it the old key is void. An answer that was
    /// lost is no failure: the CA is asked whether it knows the new key, and told again if not.
    pub(crate) async fn change_key(
        &self,
        (directory, connections): (&Directory, &Connections),
        new: &Secret,
    ) -> Result<Self> {
        let context = || format!("cannot change the key of the account `{}`", self.url);
        let url = self.key_change()?;
        let inner = AccountKey::parse(new)?.takes_over(&self.key, &self.url, url)?;
        for attempt in 1.. {
            let answer = call!(
                self.client,
                Endpoint::KeyChange,
                self.send(Some(&self.url), url, Some(&inner))
            );
            match answer {
                Ok(_) => break,
                Err(error) if is_lost(&error) && attempt < ATTEMPTS => {
                    let changed =
                        Self::find(directory, connections, AccountKey::parse(new)?).await?;
                    if let Some(changed) = changed {
                        return Ok(changed);
                    }
                }
                Err(error) => return Err(explained(error)).with_context(context),
            }
        }
        Ok(Self {
            client: self.client.clone(),
            offers: Offers::of(directory, &self.client).await?,
            key: AccountKey::parse(new)?,
            url: self.url.clone(),
        })
    }

    /// Closes the account for good (RFC 8555 section 7.3.6).
    pub(crate) async fn deactivate(&self) -> Result<()> {
        let payload = json!({ "status": "deactivated" });
        self.post(Endpoint::Account, &self.url, Some(&payload))
            .await
            .map(|_| ())
            .with_context(|| format!("cannot deactivate the account `{}`", self.url))
    }

    /// Revokes a certificate, DER (RFC 8555 section 7.6). One that is revoked already is no error.
    pub(crate) async fn revoke(&self, certificate: &[u8], reason: Reason) -> Result<Revoked> {
        let url = self.offers.revoke_cert.as_deref();
        let url = url.ok_or_else(|| anyhow!("the CA does not offer revocation"))?;
        let payload = json!({ "certificate": encoded(certificate), "reason": reason.code() });
        match self.post(Endpoint::Revoke, url, Some(&payload)).await {
            Ok(_) => Ok(Revoked::Now),
            Err(error) if kind(&error) == Some("alreadyRevoked") => Ok(Revoked::Before),
            Err(error) => Err(refused(error, reason)),
        }
    }

    async fn post(
        &self,
        endpoint: Endpoint,
        url: &str,
        payload: Option<&Value>,
    ) -> Result<bytes::Bytes> {
        let sent = call!(
            self.client,
            endpoint,
            self.send(Some(&self.url), url, payload)
        );
        sent.map(|(_, body)| body).map_err(explained)
    }

    /// Sends one signed request. `badNonce` is an error that [`call!`] knows.
    async fn send(
        &self,
        account: Option<&str>,
        url: &str,
        payload: Option<&Value>,
    ) -> Result<(HeaderMap, bytes::Bytes), Error> {
        let nonce = self.nonce().await?;
        let body = self
            .key
            .signed(account, Some(&nonce), url, payload)
            .map_err(|error| Error::Other(error.into()))?;
        let request = http::Request::post(url)
            .header(CONTENT_TYPE, JOSE)
            .body(BodyWrapper::from(body.to_string().into_bytes()))?;
        let mut answer = self.client.request(request).await?;
        let body = answer.body.into_bytes().await.map_err(Error::Other)?;
        if answer.parts.status.is_success() {
            return Ok((answer.parts.headers, body));
        }
        Err(Error::Api(serde_json::from_slice::<Problem>(&body)?))
    }

    /// From the client's pool, or a fresh one (RFC 8555 section 7.2).
    async fn nonce(&self) -> Result<String, Error> {
        let request = http::Request::builder()
            .method(Method::HEAD)
            .uri(&self.offers.new_nonce)
            .body(BodyWrapper::default())?;
        let answer = self.client.request(request).await?;
        let nonce = answer.parts.headers.get(REPLAY_NONCE);
        nonce
            .and_then(|nonce| nonce.to_str().ok())
            .map(str::to_owned)
            .ok_or(Error::Str("the CA gave no nonce"))
    }
}

/// Says what to do about a revocation that is refused.
fn refused(error: anyhow::Error, reason: Reason) -> anyhow::Error {
    match kind(&error) {
        Some("badRevocationReason") => with_hint(
            error,
            format!("the CA does not take `{reason}`: give another `--reason`"),
        ),
        Some("unauthorized") => with_hint(
            error,
            "only the account that ordered a certificate can revoke it, or one that has proven all \
             of its names since",
        ),
        _ => error,
    }
}

fn kind(error: &anyhow::Error) -> Option<&str> {
    find::<Refusal>(error)?.kind()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use crate::acme::account::Account;
    use crate::acme::account_key::tests::{of_get_certs, of_old_clients};
    use crate::acme::key::CertificateKey;
    use crate::acme::pebble::{EAB_KID, Pebble};
    use crate::model::certificate::{KeySource, KeyType, Wanted};
    use crate::model::chain::{Leaf, leaf_der};
    use crate::model::hint::explain;

    use super::*;

    /// Makes an account with a key of any kind, as another client did once.
    async fn made_with(pebble: &Pebble, key: &Secret) -> String {
        let client = pebble.connections.to(&pebble.directory);
        let offers = Offers::of(&pebble.directory, &client).await.unwrap();
        let holder = Holder {
            client,
            offers,
            key: AccountKey::parse(key).unwrap(),
            url: String::new(),
        };
        let payload = json!({"termsOfServiceAgreed": true, "contact": ["mailto:me@example.test"]});
        let url = &holder.offers.new_account;
        let sent = call!(
            holder.client,
            Endpoint::NewAccount,
            holder.send(None, url, Some(&payload))
        );
        let (headers, _) = sent.unwrap();
        headers[LOCATION].to_str().unwrap().to_owned()
    }

    async fn find(pebble: &Pebble, key: &Secret) -> Option<Holder> {
        let key = AccountKey::parse(key).unwrap();
        Holder::find(&pebble.directory, &pebble.connections, key)
            .await
            .unwrap()
    }

    fn told(error: &anyhow::Error) -> String {
        let explained = explain(error);
        let causes = explained.causes.iter().map(|cause| format!("\n  {cause}"));
        let hints = explained.hints.iter().map(|hint| format!("\nhint: {hint}"));
        explained.what + &causes.chain(hints).collect::<String>()
    }

    #[tokio::test]
    async fn accounts_of_other_clients_are_taken_over_and_keep_their_url() {
        let pebble = Pebble::start(&[("PEBBLE_WFE_NONCEREJECT", "30")]);
        let place = (&pebble.directory, &pebble.connections);
        for old in [of_get_certs(), of_old_clients()] {
            assert!(find(&pebble, &old).await.is_none());
            let url = made_with(&pebble, &old).await;
            let holder = find(&pebble, &old).await.unwrap();
            assert_eq!(holder.url(), url);
            let new = AccountKey::generate().unwrap();
            let changed = holder.change_key(place, &new).await.unwrap();
            assert_eq!(changed.url(), url);
            let object = changed.read().await.unwrap();
            assert_eq!(object.status, "valid");
            assert_eq!(object.contact, ["mailto:me@example.test"]);
            assert_eq!(object.bound_to(), None);
            assert!(find(&pebble, &old).await.is_none());
            let account = Account::open(place.0, place.1, &new).await.unwrap();
            assert_eq!(account.url(), url);
        }
    }

    #[tokio::test]
    async fn a_rollover_whose_answer_is_lost_is_found_out() {
        let pebble = Pebble::start(&[]);
        let cutter = pebble.behind_cutter().await;
        let old = of_get_certs();
        let url = made_with(&pebble, &old).await;
        let key = AccountKey::parse(&old).unwrap();
        let holder = Holder::find(&cutter.directory, &pebble.connections, key).await;
        let holder = holder.unwrap().unwrap();
        let new = AccountKey::generate().unwrap();
        // The nonce is in the pool already, so that the answer to keyChange is the next.
        cutter.cut();
        let changed = holder
            .change_key((&cutter.directory, &pebble.connections), &new)
            .await
            .unwrap();
        assert_eq!(cutter.cuts(), 1);
        assert!(changed.url().ends_with(url.rsplit('/').next().unwrap()));
        assert!(find(&pebble, &new).await.is_some());
        assert!(find(&pebble, &old).await.is_none());
    }

    #[tokio::test]
    async fn a_closed_account_is_of_no_use() {
        let pebble = Pebble::start(&[]);
        let (account, files) = pebble.account().await;
        let holder = find(&pebble, &files.key).await.unwrap();
        holder.deactivate().await.unwrap();
        let again = holder.read().await.unwrap_err();
        assert_eq!(
            told(&again),
            format!(
                "cannot read the account `{}`\n  \
                 Account has been deactivated (unauthorized)",
                account.url()
            )
        );
        let new = AccountKey::generate().unwrap();
        let place = (&pebble.directory, &pebble.connections);
        let refused = holder.change_key(place, &new).await.err().unwrap();
        assert_eq!(
            told(&refused),
            format!(
                "cannot change the key of the account `{}`\n  \
                 Account has been deactivated (unauthorized)",
                account.url()
            )
        );
    }

    #[tokio::test]
    async fn what_the_ca_does_not_offer_is_said() {
        let pebble = Pebble::start(&[]);
        let (_, files) = pebble.account().await;
        let mut holder = find(&pebble, &files.key).await.unwrap();
        holder.offers.key_change = None;
        holder.offers.revoke_cert = None;
        assert_eq!(
            told(&holder.can_change_key().unwrap_err()),
            "the CA does not let accounts change their keys\n\
             hint: move the account's files away, and register a new account"
        );
        let revoked = holder.revoke(&[], Reason::Unspecified).await;
        assert_eq!(
            told(&revoked.unwrap_err()),
            "the CA does not offer revocation"
        );
    }

    #[test]
    fn a_reason_that_the_ca_does_not_take_is_said() {
        let error = explained(Error::Api(
            serde_json::from_value(json!({
                "type": "urn:ietf:params:acme:error:badRevocationReason",
                "detail": "unsupported revocation reason code provided",
            }))
            .unwrap(),
        ));
        assert_eq!(
            told(&refused(error, Reason::AffiliationChanged)),
            "unsupported revocation reason code provided (badRevocationReason)\n\
             hint: the CA does not take `affiliationChanged`: give another `--reason`"
        );
    }

    #[test]
    fn a_binding_names_the_account_that_it_is_to() {
        let protected = encoded(format!(r#"{{"alg":"HS256","kid":"{EAB_KID}"}}"#).as_bytes());
        let object: AccountObject = serde_json::from_value(json!({
            "status": "valid",
            "externalAccountBinding": {"protected": protected, "payload": "", "signature": ""},
        }))
        .unwrap();
        assert_eq!(object.bound_to().as_deref(), Some(EAB_KID));
    }

    #[tokio::test]
    async fn a_certificate_is_revoked_once_and_again() {
        let pebble = Pebble::start(&[("PEBBLE_VA_ALWAYS_VALID", "1")]);
        let (account, files) = pebble.account().await;
        let wanted = Wanted {
            name: "test".parse().unwrap(),
            identifiers: vec!["a.test".parse().unwrap()],
            key_type: KeyType::P256,
            key_source: KeySource::New,
            acme: None,
            profile: None,
            preferred_chain: None,
            recipients: None,
        };
        let key = CertificateKey::generate(KeyType::P256).unwrap();
        let mut placed = account
            .place(&wanted, None)
            .await
            .unwrap()
            .read()
            .await
            .unwrap();
        placed.prove().await.unwrap();
        let request = key.request(&wanted.identifiers).unwrap();
        let chain = placed.finish(&request, None).await.unwrap().chain_pem;
        let leaf = Leaf::from_pem(chain.as_bytes()).unwrap();
        let der = leaf_der(chain.as_bytes()).unwrap();
        assert_eq!(pebble.status(&leaf.serial).await["Status"], "Valid");

        let (_, other) = pebble.account().await;
        let stranger = find(&pebble, &other.key).await.unwrap();
        let refused = stranger.revoke(&der, Reason::Superseded).await;
        assert_eq!(
            told(&refused.unwrap_err()),
            format!(
                "The certificate being revoked is not associated with account \"{}\" (unauthorized)\n\
                 hint: only the account that ordered a certificate can revoke it, or one that has \
                 proven all of its names since",
                stranger.url().rsplit('/').next().unwrap()
            )
        );
        let holder = find(&pebble, &files.key).await.unwrap();
        let revoked = holder.revoke(&der, Reason::Superseded).await.unwrap();
        assert_eq!(revoked, Revoked::Now);
        let status = pebble.status(&leaf.serial).await;
        assert_eq!(
            (&status["Status"], &status["Reason"]),
            (&"Revoked".into(), &4.into())
        );
        let revoked = holder.revoke(&der, Reason::KeyCompromise).await.unwrap();
        assert_eq!(revoked, Revoked::Before);
    }
}
