//! Certificates, accounts and orders in HashiCorp Vault or OpenBao: get-certs' layout, in a key-value engine.
//!
//! ```text
//! PATH/NAME                    tls.cert, tls.key, tls.combined, meta (what NAME.json is in git)
//! PATH/.letsencrypt/HOST       registration, tls.key; tls.key.next while a rollover is under way
//! PATH/.git-certs/orders/NAME  order, tls.key: of an order that has not come to its end
//! ```

mod account;
mod certificate;
mod examine;
mod kv;
mod login;
mod server;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use time::OffsetDateTime;

use crate::model::certificate::CertificateName;
use crate::model::chain::Leaf;
use crate::model::hint::Hint;
use crate::model::secret::Secret;
use crate::net::http::Http;
use crate::repo::journal::OrderNote;
use crate::repo::layout;
use crate::repo::revoked;
use crate::repo::vault::kv::{Fields, Kv, Written};
use crate::repo::vault::login::Pass;

pub(crate) use crate::repo::vault::certificate::VaultCertificate;
pub(crate) use crate::repo::vault::examine::{Health, Lack, Purpose, is_forbidden};
pub(crate) use crate::repo::vault::login::{IdToken, Login};
pub(crate) use crate::repo::vault::server::Server;

const CHAIN: &str = "tls.cert";
const KEY: &str = "tls.key";
/// Chain and key, as some servers want them.
const COMBINED: &str = "tls.combined";
const DESCRIPTION: &str = "meta";
/// All fields of a certificate.
const OURS: [&str; 4] = [CHAIN, KEY, COMBINED, DESCRIPTION];
const ORDER: &str = "order";

/// Folder of orders.
const ORDERS: [&str; 2] = [".git-certs", "orders"];

/// How often another run may come first while a secret is written.
const ATTEMPTS: u32 = 5;

/// What leads to a folder of a server.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) server: Server,
    /// For the ID token of a CI job.
    pub(crate) http: Http,
    pub(crate) login: Login,
    /// Path of the engine and of a folder in it.
    pub(crate) path: String,
}

/// A folder of a server, and the token that opens it.
#[derive(Debug)]
pub(crate) struct Vault {
    kv: Kv,
    server: Server,
    pass: Pass,
}

/// A certificate with everything that belongs to it.
#[derive(Debug)]
pub(crate) struct Bundle<'a> {
    /// Full chain, leaf first, PEM.
    pub(crate) chain: &'a str,
    /// None where somebody else has it.
    pub(crate) key: Option<&'a Secret>,
    /// What NAME.json is in git.
    pub(crate) description: &'a str,
    pub(crate) leaf: &'a Leaf,
}

/// What became of a certificate that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Here,
    /// Another run has written one that expires no earlier.
    Superseded,
}

impl Vault {
    /// Logs in, and finds the engine.
    pub(crate) async fn open(place: &Place) -> Result<Self> {
        let pass = place.login.enter(&place.server, &place.http).await?;
        let kv = Kv::find(place.server.clone(), &pass.token, &place.path).await?;
        Ok(Self {
            kv,
            server: place.server.clone(),
            pass,
        })
    }

    /// What log lines must not show.
    pub(crate) fn token(&self) -> &Secret {
        &self.pass.token
    }

    /// The path of the folder, as people write it.
    pub(crate) fn shown(&self) -> String {
        self.kv.shown(&[])
    }

    /// Proves that a run of this length can write these certificates, as far as that can be known beforehand.
    pub(crate) async fn prove(&self, names: &[&CertificateName], longest: Duration) -> Result<()> {
        self.pass.lasting(&self.server, longest).await?;
        let certificates = names.iter().map(|name| vec![name.as_str()]);
        let orders = names.iter().map(|name| order_of(name.as_str()).to_vec());
        let secrets: Vec<_> = certificates.chain(orders).collect();
        let forbidden = self.kv.forbidden(self.token(), &secrets).await?;
        match forbidden.first() {
            None => Ok(()),
            Some(first) => Err(anyhow!("the Vault token may not write `{first}`"))
                .hint(|| "its policy needs `create` and `update` there: docs/vault.md has the policy that a run needs"),
        }
    }

    /// A certificate; none where there is none.
    pub(crate) async fn certificate(
        &self,
        name: &CertificateName,
    ) -> Result<Option<VaultCertificate>> {
        let found = self.kv.read(self.token(), &[name.as_str()]).await?;
        Ok(found.fields.map(VaultCertificate::of))
    }

    /// Names of the certificates that the folder has; none where the token may not list them.
    pub(crate) async fn names(&self) -> Result<Option<Vec<CertificateName>>> {
        let listed = self.kv.list(self.token()).await?;
        Ok(listed.map(|keys| keys.iter().filter_map(|key| key.parse().ok()).collect()))
    }

    /// The line that a policy lacks where [`Self::names`] has none.
    pub(crate) fn listing_policy(&self) -> String {
        self.kv.listing_policy()
    }

    /// Writes a certificate in the place of the one that is there. Fields of others stay.
    pub(crate) async fn keep(&self, name: &CertificateName, new: &Bundle<'_>) -> Result<Kept> {
        let at = [name.as_str()];
        for attempt in 0..ATTEMPTS {
            let mut found = self.kv.read(self.token(), &at).await?;
            let others = found.fields.as_ref().filter(|_| attempt > 0);
            let others = others.and_then(|fields| fields.get(CHAIN));
            let others = others.and_then(|chain| Leaf::from_pem(chain.expose()).ok());
            if others.is_some_and(|other| other.not_after >= new.leaf.not_after) {
                return Ok(Kept::Superseded);
            }
            let mut fields = found.fields.take().unwrap_or_default();
            fields.retain(|name, _| !OURS.contains(&name.as_str()));
            fields.extend(new.fields());
            let written = self.kv.write(self.token(), &at, (&fields, &found)).await?;
            if written == Written::Done {
                return Ok(Kept::Here);
            }
        }
        Err(self.others_come_first(&at))
    }

    /// Marks a certificate as revoked.
    pub(crate) async fn mark_revoked(
        &self,
        name: &CertificateName,
        (reason, now): (&str, OffsetDateTime),
    ) -> Result<()> {
        let at = [name.as_str()];
        for _ in 0..ATTEMPTS {
            let mut found = self.kv.read(self.token(), &at).await?;
            let mut fields = found.fields.take().unwrap_or_default();
            let description = fields.get(DESCRIPTION).map(Secret::expose);
            let mark = revoked::mark_of(reason, now)?;
            let description = layout::description_with(description, revoked::NAME, mark)
                .with_context(|| {
                    format!("`meta` of `{}` in Vault cannot be read", self.kv.shown(&at))
                })?;
            fields.insert(DESCRIPTION.to_owned(), Secret::from(description));
            let written = self.kv.write(self.token(), &at, (&fields, &found)).await?;
            if written == Written::Done {
                return Ok(());
            }
        }
        Err(self.others_come_first(&at))
    }

    /// The path of a certificate, as people write it.
    pub(crate) fn path_of(&self, name: &CertificateName) -> String {
        self.kv.shown(&[name.as_str()])
    }

    /// Writes an order down, and the key that its certificate is for.
    pub(crate) async fn keep_order(&self, note: &OrderNote, key: Option<&Secret>) -> Result<()> {
        let note_text = serde_json::to_string(note).context("cannot note the order")?;
        let mut fields = Fields::from([(ORDER.to_owned(), Secret::from(note_text))]);
        fields.extend(key.map(|key| (KEY.to_owned(), copy(key))));
        let at = order_of(&note.certificate);
        for _ in 0..ATTEMPTS {
            let found = self.kv.read(self.token(), &at).await?;
            let written = self.kv.write(self.token(), &at, (&fields, &found)).await?;
            if written == Written::Done {
                return Ok(());
            }
        }
        Err(self.others_come_first(&at))
    }

    /// The order of an earlier run for a certificate, and the key that it is for.
    pub(crate) async fn order(
        &self,
        name: &CertificateName,
    ) -> Result<Option<(OrderNote, Option<Secret>)>> {
        let at = order_of(name.as_str());
        let found = self.kv.read(self.token(), &at).await?;
        let Some(mut fields) = found.fields else {
            return Ok(None);
        };
        let note = fields
            .get(ORDER)
            .map(|note| serde_json::from_slice(note.expose()));
        let note = note.and_then(Result::ok);
        Ok(note.map(|note| (note, fields.remove(KEY))))
    }

    /// The order is of no use any more.
    pub(crate) async fn forget_order(&self, name: &CertificateName) -> Result<()> {
        self.kv.remove(self.token(), &order_of(name.as_str())).await
    }

    fn others_come_first(&self, at: &[&str]) -> anyhow::Error {
        anyhow!(
            "cannot write `{}` in Vault: others write it all the time",
            self.kv.shown(at)
        )
    }
}

impl Bundle<'_> {
    fn fields(&self) -> Fields {
        let text = |text: &str| Secret::from(text.to_owned());
        let mut fields = BTreeMap::from([
            (CHAIN.to_owned(), text(self.chain)),
            (DESCRIPTION.to_owned(), text(self.description)),
        ]);
        if let Some(key) = self.key {
            let combined = [self.chain.as_bytes(), b"\n", key.expose()].concat();
            fields.insert(KEY.to_owned(), copy(key));
            fields.insert(COMBINED.to_owned(), Secret::new(combined));
        }
        fields
    }
}

fn order_of(name: &str) -> [&str; 3] {
    let [first, second] = ORDERS;
    [first, second, name]
}

fn copy(secret: &Secret) -> Secret {
    Secret::new(secret.expose().to_vec())
}
