//! What a CA's directory says before there is an account: for a run that only looks.

use anyhow::{Context, Result};

use crate::acme::abilities::Abilities;
use crate::acme::account::{Registration, may_register};
use crate::acme::client::Client;
use crate::acme::directory::Offers;
use crate::acme::presets::Directory;
use crate::model::certificate::Profile;
use crate::net::http::Http;

/// A CA of which nothing but the directory was asked for.
pub(crate) struct Prospect {
    directory: Directory,
    offers: Offers,
    abilities: Abilities,
    ahead: time::Duration,
}

impl Prospect {
    /// Fetches the directory.
    pub(crate) async fn of(directory: &Directory, http: &Http) -> Result<Self> {
        let client = Client::new(http.clone());
        let offers = Offers::of(directory, &client).await;
        Ok(Self {
            offers: offers.with_context(|| format!("cannot use the CA at `{directory}`"))?,
            abilities: client.abilities(),
            ahead: client.ahead(),
            directory: directory.clone(),
        })
    }

    /// How far the CA's clock is ahead of ours.
    pub(crate) fn ahead(&self) -> time::Duration {
        self.ahead
    }

    /// Domains that stand for the CA in CAA records.
    pub(crate) fn caa_identities(&self) -> &[String] {
        self.abilities.caa_identities()
    }

    /// The profile that would be asked for. Fails where the CA does not have one that is required.
    pub(crate) fn profile(&self, wanted: Option<&Profile>) -> Result<Option<String>> {
        self.abilities.profile(wanted)
    }

    /// Fails where the CA has terms that the user has yet to agree to.
    pub(crate) fn may_register(&self, registration: &Registration) -> Result<()> {
        may_register(&self.offers.meta, &self.directory, registration.agreed)
    }
}
