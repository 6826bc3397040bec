//! The chain that is stored: the CA's first one, or another (RFC 8555 section 7.4.2).

use anyhow::{Context, Result, anyhow, bail};

use crate::acme::client::call;
use crate::acme::endpoint::Endpoint;
use crate::acme::order::{Delivered, Placed};
use crate::acme::refusal::explained;
use crate::model::chain;

impl Placed {
    /// Fetches the chain that leads to `preferred_chain`, a common name; without one, or where the CA has no
    /// such chain, its first.
    pub(crate) async fn fetch(&mut self, preferred_chain: Option<&str>) -> Result<Delivered> {
        let delivered = self.delivered(preferred_chain).await;
        delivered.context("cannot fetch the certificate")
    }

    async fn delivered(&mut self, preferred_chain: Option<&str>) -> Result<Delivered> {
        let Self { client, order, .. } = self;
        let url = order.state().certificate.clone();
        let url = url.ok_or_else(|| anyhow!("the order is valid but names no certificate"))?;
        let chain = call!(client, Endpoint::Certificate, async {
            order.certificate().await
        })
        .map_err(explained)?;
        let chain_pem = chain.ok_or_else(|| anyhow!("the order is still being processed"))?;
        let alternates = self.client.take_chain(&url).map(|chain| chain.alternates);
        let mut delivered = Delivered {
            chain_pem,
            url,
            warnings: Vec::new(),
        };
        let Some(preferred) =
            preferred_chain.filter(|name| !chain::leads_to(&delivered.chain_pem, name))
        else {
            return Ok(delivered);
        };
        for url in alternates.into_iter().flatten() {
            match self.alternate(&url).await {
                Ok(chain_pem) if chain::leads_to(&chain_pem, preferred) => {
                    return Ok(Delivered {
                        chain_pem,
                        url,
                        ..delivered
                    });
                }
                Ok(_) => {}
                // What was issued is not given up for another way to the root.
                Err(error) => delivered
                    .warnings
                    .push(format!("cannot fetch the chain `{url}`: {error:#}")),
            }
        }
        delivered.warnings.push(format!(
            "the CA has no chain to `{preferred}`: its first one is kept"
        ));
        Ok(delivered)
    }

    /// Another chain for the same certificate.
    async fn alternate(&self, url: &str) -> Result<String> {
        // instant-acme cannot: it signs the request, and fails to read the answer as an order.
        let answer = call!(self.client, Endpoint::Certificate, async {
            self.account.order(url.to_owned()).await.map(|_| ())
        });
        match (self.client.take_chain(url), answer) {
            (Some(chain), _) => String::from_utf8(chain.body.to_vec())
                .context("the CA answered with a chain that cannot be read"),
            (None, Err(error)) => Err(explained(error)),
            (None, Ok(())) => bail!("the CA answered nothing"),
        }
    }
}
