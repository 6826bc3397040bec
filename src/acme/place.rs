//! newOrder (RFC 8555 section 7.4), with a profile and with what is replaced.

use anyhow::Result;
use instant_acme::{CertificateIdentifier, NewOrder, Order};

use crate::acme::account::Account;
use crate::acme::client::call;
use crate::acme::endpoint::Endpoint;
use crate::acme::order::Accepted;
use crate::acme::refusal::{Refusal, explained};
use crate::model::certificate::{Profile, Wanted};
use crate::model::hint::find;
use crate::model::renewal::CertificateId;

/// What an order may say besides its names.
#[derive(Clone, Debug, Default)]
struct Extras {
    profile: Option<String>,
    replaces: Option<CertificateId>,
}

impl Account {
    /// Orders a certificate; `replaces` is the one that it takes the place of.
    ///
    /// What the CA does not know it is not told, or told a second time without: an order matters more than
    /// that it counts as a renewal. A profile that is required is not given up.
    pub(crate) async fn place(
        &self,
        wanted: &Wanted,
        replaces: Option<&CertificateId>,
    ) -> Result<Accepted> {
        let mut extras = Extras {
            profile: self.client.abilities().profile(wanted.profile.as_ref())?,
            replaces: replaces
                .filter(|_| self.client.abilities().renewal_info.is_some())
                .cloned(),
        };
        loop {
            let error = match self.order(wanted, &extras).await {
                Ok(order) => return Ok(self.accepted(order, extras.profile)),
                Err(error) => error,
            };
            let kind = find::<Refusal>(&error).and_then(Refusal::kind);
            let may_do_without = matches!(wanted.profile, Some(Profile::Preferred(_)));
            match kind {
                Some("invalidProfile") if extras.profile.is_some() && may_do_without => {
                    extras.profile = None;
                }
                // `alreadyReplaced` (RFC 9773 section 5), or a CA that does not know its certificate any more, or
                // stumbles over it.
                Some("alreadyReplaced" | "malformed" | "unauthorized" | "serverInternal")
                    if extras.replaces.is_some() =>
                {
                    extras.replaces = None;
                }
                _ => return Err(error.context("cannot place the order")),
            }
            tracing::debug!(certificate = %wanted.name, "ordering again without: {error:#}");
        }
    }

    /// Domains that stand for the CA in CAA records, as its directory names them.
    pub(crate) fn caa_identities(&self) -> Vec<String> {
        self.client.abilities().caa_identities().to_vec()
    }

    async fn order(&self, wanted: &Wanted, extras: &Extras) -> Result<Order> {
        let identifiers = wanted
            .identifiers
            .iter()
            .map(|name| instant_acme::Identifier::Dns(name.as_str().to_owned()))
            .collect::<Vec<_>>();
        let mut order = NewOrder::new(&identifiers);
        if let Some(profile) = &extras.profile {
            order = order.profile(profile);
        }
        if let Some(CertificateId {
            authority_key_identifier,
            serial,
        }) = &extras.replaces
        {
            order = order.replaces(CertificateIdentifier {
                authority_key_identifier: authority_key_identifier.into(),
                serial: serial.into(),
            });
        }
        call!(self.client, Endpoint::NewOrder, async {
            self.inner.new_order(&order).await
        })
        .map_err(explained)
    }
}
