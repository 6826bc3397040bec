//! One order from newOrder to the chain (RFC 8555 section 7.4).

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use instant_acme::{AuthorizationStatus, ChallengeType, Order, OrderStatus};
use tokio::time::Instant;

use crate::acme::account::Account;
use crate::acme::authorization::{answer, awaits_answer, identifier, refusal};
use crate::acme::client::{Client, call};
use crate::acme::endpoint::Endpoint;
use crate::acme::patience::is_lost;
use crate::acme::refusal::{Refusal, TooLate, explained};
use crate::acme::unproven::Unproven;
use crate::model::change::Txt;
use crate::model::hint::with_hint;
use crate::model::name::Identifier;

/// First pause between two looks at an order. It grows by half each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Longest pause between two looks at an order that does not ask for more with Retry-After.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How often finalize is sent when its answer is lost.
const ATTEMPTS: u32 = 3;

/// An order that the CA has accepted, of which nothing is known yet.
pub(crate) struct Accepted(Placed);

impl Accepted {
    /// The profile that was asked for.
    pub(crate) fn profile(&self) -> Option<&str> {
        self.0.profile()
    }

    /// Whether the CA has given the order up.
    pub(crate) fn is_given_up(&mut self) -> bool {
        self.0.order.state().status == OrderStatus::Invalid
    }

    /// Reads what must be proven.
    ///
    /// To be called when all orders of a run exist: Pebble locks itself up where authorizations are
    /// read while other orders are made. An order that cannot be read is abandoned.
    pub(crate) async fn read(self) -> Result<Placed> {
        let Self(mut placed) = self;
        // Orders in any other state have nothing left to prove.
        if placed.order.state().status == OrderStatus::Pending
            && let Err(error) = placed.read_challenges().await
        {
            // What is left pending expires by itself.
            let _ = placed.abandon().await;
            return Err(error);
        }
        Ok(placed)
    }
}

/// An order that the CA has accepted. Its steps come in this order: the values of
/// [`Placed::challenges`] are published, [`Placed::prove`], [`Placed::finalize`], [`Placed::fetch`];
/// or [`Placed::abandon`].
pub(crate) struct Placed {
    pub(super) client: Client,
    pub(super) account: instant_acme::Account,
    pub(super) order: Order,
    challenges: Vec<Txt>,
    profile: Option<String>,
}

/// What the CA delivered. Nothing of it is checked yet: see [`crate::model::chain::check`].
#[derive(Clone, Debug)]
pub(crate) struct Delivered {
    /// Leaf first, PEM.
    pub(crate) chain_pem: String,
    /// Where the CA keeps it.
    pub(crate) url: String,
    /// What the user should know, such as that a chain was not to be had.
    pub(crate) warnings: Vec<String>,
}

impl Account {
    /// Goes on with an order of an earlier run.
    pub(crate) async fn resume(&self, url: &str, profile: Option<String>) -> Result<Accepted> {
        let order = call!(self.client, Endpoint::Order, async {
            self.inner.order(url.to_owned()).await
        })
        .map_err(explained)
        .with_context(|| format!("cannot read the order `{url}`"))?;
        Ok(self.accepted(order, profile))
    }

    pub(super) fn accepted(&self, order: Order, profile: Option<String>) -> Accepted {
        Accepted(Placed {
            client: self.client.clone(),
            account: self.inner.clone(),
            order,
            challenges: Vec::new(),
            profile,
        })
    }
}

impl Placed {
    /// The values to publish, for authorizations that are not valid yet.
    ///
    /// A name and its wildcard have two values at one name.
    pub(crate) fn challenges(&self) -> &[Txt] {
        &self.challenges
    }

    /// The profile that was asked for.
    pub(crate) fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// The order's URL, with which a later run can go on.
    pub(crate) fn url(&self) -> &str {
        self.order.url()
    }

    /// Whether a certificate may come of it: everything is proven.
    pub(crate) fn may_be_issued(&mut self) -> bool {
        matches!(
            self.order.state().status,
            OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid
        )
    }

    /// Tells the CA that the values are published, and waits until it has checked them all.
    ///
    /// Waits as long as the HTTP client allows. A name that fails is an [`Unproven`] with the CA's reason.
    pub(crate) async fn prove(&mut self) -> Result<()> {
        if self.order.state().status == OrderStatus::Pending {
            self.answer_challenges().await?;
            self.leave(OrderStatus::Pending).await?;
        }
        match self.order.state().status {
            OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid => Ok(()),
            OrderStatus::Pending => {
                let open = self.names(AuthorizationStatus::Pending).await?;
                let open = open.iter().map(|(name, _)| format!("`{name}`"));
                let open = open.collect::<Vec<_>>().join(", ");
                Err(self.too_late(&format!("has not finished checking {open}")))
            }
            OrderStatus::Invalid => {
                let names = self.names(AuthorizationStatus::Invalid).await?;
                if names.is_empty() {
                    return Err(self.reason().context("the CA gave the order up"));
                }
                Err(Unproven { names }.into())
            }
        }
    }

    /// Hands in the certificate signing request (DER), and waits until the CA has issued.
    ///
    /// Waits as long as the HTTP client allows. An order that was finalized before is waited for only.
    pub(crate) async fn finalize(&mut self, request: &[u8]) -> Result<()> {
        self.hand_in(request)
            .await
            .context("cannot finalize the order")?;
        self.leave(OrderStatus::Processing).await?;
        match self.order.state().status {
            OrderStatus::Valid => Ok(()),
            OrderStatus::Processing => {
                Err(self.too_late("has taken the certificate signing request but not issued"))
            }
            OrderStatus::Invalid => Err(self.reason().context("the CA did not issue")),
            OrderStatus::Pending | OrderStatus::Ready => {
                bail!("the CA did not take the certificate signing request")
            }
        }
    }

    /// Gives the order up: what is still pending is deactivated (RFC 8555 section 7.5.2), so that
    /// it does not count against the CA's limits. What is valid stays so, for the next order.
    pub(crate) async fn abandon(&mut self) -> Result<()> {
        let decided = [
            OrderStatus::Ready,
            OrderStatus::Processing,
            OrderStatus::Valid,
        ];
        if decided.contains(&self.order.state().status) {
            return Ok(());
        }
        self.fetch_authorizations().await?;
        let mut all = self.order.authorizations();
        while let Some(authorization) = all.next().await {
            let mut authorization = authorization.map_err(explained)?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            // One that failed meanwhile is pending in our memory only.
            call!(self.client, Endpoint::Authorization, async {
                authorization.refresh().await?;
                match authorization.status {
                    AuthorizationStatus::Pending => authorization.deactivate().await.map(|_| ()),
                    _ => Ok(()),
                }
            })
            .map_err(explained)
            .context("cannot give up an authorization")?;
        }
        Ok(())
    }

    async fn read_challenges(&mut self) -> Result<()> {
        self.fetch_authorizations().await?;
        let mut all = self.order.authorizations();
        while let Some(authorization) = all.next().await {
            let mut authorization = authorization.map_err(explained)?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let name = identifier(&authorization)?;
            let challenge = authorization
                .challenge(ChallengeType::Dns01)
                .ok_or_else(|| anyhow!("the CA does not offer DNS-01 for `{name}`"))?;
            self.challenges.push(Txt {
                name: name.challenge_name(),
                value: challenge.key_authorization().dns_value(),
            });
        }
        Ok(())
    }

    /// Fetches the authorizations that were not yet.
    async fn fetch_authorizations(&mut self) -> Result<()> {
        let Self { client, order, .. } = self;
        for count in 1..=order.state().authorizations.len() {
            // The stream fetches what it has not seen: each call adds one.
            call!(client, Endpoint::Authorization, async {
                let mut all = order.authorizations();
                for _ in 0..count {
                    all.next().await.transpose()?;
                }
                Ok(())
            })
            .map_err(explained)
            .context("cannot read an authorization")?;
        }
        Ok(())
    }

    async fn answer_challenges(&mut self) -> Result<()> {
        let mut all = self.order.authorizations();
        while let Some(authorization) = all.next().await {
            let mut authorization = authorization.map_err(explained)?;
            let name = identifier(&authorization)?;
            if !awaits_answer(&authorization) {
                continue;
            }
            let Some(challenge) = authorization.challenge(ChallengeType::Dns01) else {
                bail!("the CA does not offer DNS-01 for `{name}`");
            };
            answer(&self.client, challenge)
                .await
                .with_context(|| format!("cannot ask the CA to check `{name}`"))?;
        }
        Ok(())
    }

    /// Looks at the order until its status is another one than `status`, or the time is over.
    async fn leave(&mut self, status: OrderStatus) -> Result<()> {
        let Self { client, order, .. } = self;
        let deadline = Instant::now() + client.longest_wait();
        let finalize = order.state().finalize.clone();
        let mut pause = FIRST_PAUSE;
        while order.state().status == status {
            let asked = client
                .take_wait(&finalize)
                .or_else(|| client.take_wait(order.url()));
            let now = Instant::now();
            if now >= deadline {
                break;
            }
            // A CA can ask for more time than there is: it is asked once more at the end.
            let next = now.checked_add(asked.unwrap_or(pause));
            tokio::time::sleep_until(next.unwrap_or(deadline).min(deadline)).await;
            call!(client, Endpoint::Order, async {
                order.refresh().await.map(|_| ())
            })
            .map_err(explained)
            .context("cannot read the order")?;
            pause = LONGEST_PAUSE.min(pause * 3 / 2);
        }
        // What the last answer asked for belongs to this wait, not to the next.
        client.take_wait(order.url());
        Ok(())
    }

    async fn hand_in(&mut self, request: &[u8]) -> Result<()> {
        let Self { client, order, .. } = self;
        for attempt in 1..=ATTEMPTS {
            if order.state().status != OrderStatus::Ready {
                break;
            }
            let answer = call!(client, Endpoint::Finalize, async {
                order.finalize_csr(request).await
            });
            match answer {
                Ok(()) => break,
                // Whether the CA got it stands in the order: a second one may be refused because of a
                // first whose answer was lost.
                Err(error) => {
                    let read = call!(client, Endpoint::Order, async {
                        order.refresh().await.map(|_| ())
                    });
                    let is_open = order.state().status == OrderStatus::Ready;
                    let is_last = !is_lost(&error) || attempt == ATTEMPTS;
                    if read.is_err()
                        || order.state().status == OrderStatus::Invalid
                        || (is_open && is_last)
                    {
                        return Err(explained(error));
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads the authorizations again: the names with this status, and what the CA says.
    async fn names(&mut self, status: AuthorizationStatus) -> Result<Vec<(Identifier, Refusal)>> {
        self.fetch_authorizations().await?;
        let mut names = Vec::new();
        let mut all = self.order.authorizations();
        while let Some(authorization) = all.next().await {
            let mut authorization = authorization.map_err(explained)?;
            if authorization.status == AuthorizationStatus::Pending {
                call!(self.client, Endpoint::Authorization, async {
                    authorization.refresh().await.map(|_| ())
                })
                .map_err(explained)
                .context("cannot read why the proof was not accepted")?;
            }
            if authorization.status == status {
                names.push((identifier(&authorization)?, refusal(&authorization)));
            }
        }
        Ok(names)
    }

    /// The CA took longer than this run waits.
    fn too_late(&self, what: &str) -> anyhow::Error {
        let waited = humantime::format_duration(self.client.longest_wait());
        with_hint(
            anyhow::Error::new(TooLate(format!("after {waited} the CA {what}"))),
            "run again later, or wait longer with `--acme-timeout`",
        )
    }

    /// The order's own error.
    fn reason(&mut self) -> anyhow::Error {
        let problem = self.order.state().error.clone();
        problem.map_or_else(
            || anyhow!("the CA gave no reason"),
            |problem| explained(instant_acme::Error::Api(problem)),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use time::OffsetDateTime;

    use crate::acme::account::Registration;
    use crate::acme::connections::Connections;
    use crate::acme::key::CertificateKey;
    use crate::acme::pebble::{Dns, Pebble};
    use crate::model::certificate::{KeySource, KeyType, Wanted};
    use crate::model::chain;

    use super::*;

    const NO_DNS: (&str, &str) = ("PEBBLE_VA_ALWAYS_VALID", "1");

    fn wanted(names: impl IntoIterator<Item = impl AsRef<str>>, key_type: KeyType) -> Wanted {
        Wanted {
            name: "test".parse().unwrap(),
            identifiers: names
                .into_iter()
                .map(|name| name.as_ref().parse().unwrap())
                .collect(),
            key_type,
            key_source: KeySource::New,
            acme: None,
            profile: None,
            preferred_chain: None,
            recipients: None,
        }
    }

    async fn resumed(account: &Account, url: &str) -> Placed {
        let accepted = account.resume(url, None).await.unwrap();
        accepted.read().await.unwrap()
    }

    /// 50 hosts and their wildcards.
    fn hundred() -> Wanted {
        let names = (0..50).flat_map(|n| [format!("h{n}.test"), format!("*.h{n}.test")]);
        wanted(names, KeyType::P256)
    }

    /// The whole way; the chain passes the check.
    async fn issue(account: &Account, wanted: &Wanted) -> Result<Delivered> {
        let key = CertificateKey::generate(wanted.key_type)?;
        let mut placed = account.place(wanted, None).await?.read().await?;
        placed.prove().await?;
        let delivered = placed
            .finish(&key.request(&wanted.identifiers)?, None)
            .await?;
        let leaf = chain::check(
            &delivered.chain_pem,
            &wanted.identifier_set(),
            &key.public_key_der(),
            OffsetDateTime::now_utc(),
        )?;
        assert_eq!(leaf.leaf.key_type, Some(wanted.key_type));
        Ok(delivered)
    }

    #[tokio::test]
    async fn every_key_type_is_issued_and_passes_the_check() {
        let pebble = Pebble::start(&[NO_DNS]);
        let (account, _) = pebble.account().await;
        for key_type in [KeyType::Rsa2048, KeyType::P256, KeyType::P384] {
            let wanted = wanted(
                ["example.test", "*.example.test", "www.example.test"],
                key_type,
            );
            let delivered = issue(&account, &wanted).await.unwrap();
            assert!(delivered.url.contains("/certZ/"), "{}", delivered.url);
        }
    }

    #[tokio::test]
    async fn an_order_needs_no_more_requests_than_the_protocol() {
        let pebble = Pebble::start(&[NO_DNS]);
        let (_, files) = pebble.account().await;
        let account = Account::open(
            &pebble.directory,
            &Connections::new(pebble.http.clone()),
            &files.key,
        )
        .await
        .unwrap();
        issue(&account, &wanted(["a.test", "b.test"], KeyType::P256))
            .await
            .unwrap();
        let mut requests = account.requests();
        let polls = requests.by_endpoint.remove(&Endpoint::Order).unwrap();
        // 100 ms after each other at first: a CA on a busy machine takes some of them.
        assert!((1..=20).contains(&polls), "{polls} polls");
        let counted = requests.by_endpoint.into_iter().collect::<Vec<_>>();
        assert_eq!(
            counted,
            [
                (Endpoint::Directory, 1),
                (Endpoint::NewNonce, 1),
                (Endpoint::FindAccount, 1),
                (Endpoint::NewOrder, 1),
                (Endpoint::Authorization, 2),
                (Endpoint::Challenge, 2),
                (Endpoint::Finalize, 1),
                (Endpoint::Certificate, 1),
            ]
        );
    }

    #[tokio::test]
    async fn each_of_a_hundred_names_needs_two_requests() {
        let pebble = Pebble::start(&[NO_DNS]);
        let (account, _) = pebble.account().await;
        issue(&account, &hundred()).await.unwrap();
        let requests = account.requests().by_endpoint;
        let of_each = [Endpoint::Authorization, Endpoint::Challenge];
        assert_eq!(of_each.map(|endpoint| requests[&endpoint]), [100, 100]);
    }

    #[tokio::test]
    async fn rejected_nonces_never_fail_an_order() {
        for percentage in ["20", "50"] {
            let pebble = Pebble::start(&[NO_DNS, ("PEBBLE_WFE_NONCEREJECT", percentage)]);
            let (account, _) = pebble.account().await;
            issue(&account, &hundred()).await.unwrap();
            let rejected = account.requests().bad_nonces;
            assert!(rejected > 20, "only {rejected} rejected");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn orders_run_side_by_side_on_one_account() {
        let pebble = Pebble::start(&[NO_DNS, ("PEBBLE_WFE_NONCEREJECT", "5")]);
        let (account, _) = pebble.account().await;
        let orders = (0..20).map(|order| {
            let account = account.clone();
            tokio::spawn(async move {
                let names = (0..5).map(|n| format!("h{n}.c{order}.test"));
                issue(&account, &wanted(names, KeyType::P256))
                    .await
                    .unwrap();
            })
        });
        for order in orders.collect::<Vec<_>>() {
            order.await.unwrap();
        }
        let requests = account.requests();
        let new_nonces = requests.by_endpoint[&Endpoint::NewNonce];
        assert!(new_nonces <= 21, "{new_nonces} newNonce requests");
    }

    #[tokio::test]
    async fn valid_authorizations_are_not_proven_again() {
        let pebble = Pebble::start(&[NO_DNS, ("PEBBLE_AUTHZREUSE", "100")]);
        let (account, _) = pebble.account().await;
        let wanted = wanted(["a.test", "*.a.test"], KeyType::P256);
        let first = account
            .place(&wanted, None)
            .await
            .unwrap()
            .read()
            .await
            .unwrap();
        assert_eq!(first.challenges().len(), 2);
        issue(&account, &wanted).await.unwrap();
        let mut again = account
            .place(&wanted, None)
            .await
            .unwrap()
            .read()
            .await
            .unwrap();
        assert!(again.challenges().is_empty(), "{:?}", again.challenges());
        again.prove().await.unwrap();
    }

    #[tokio::test]
    async fn an_order_is_resumed_by_its_url_at_every_stage() {
        let pebble = Pebble::start(&[NO_DNS]);
        let (account, files) = pebble.account().await;
        let wanted = wanted(["a.test", "b.test"], KeyType::P256);
        let key = CertificateKey::generate(KeyType::P256).unwrap();
        let request = key.request(&wanted.identifiers).unwrap();
        let placed = account
            .place(&wanted, None)
            .await
            .unwrap()
            .read()
            .await
            .unwrap();
        let url = placed.url().to_owned();

        let account = Account::open(&pebble.directory, &pebble.connections, &files.key)
            .await
            .unwrap();
        let mut pending = resumed(&account, &url).await;
        let sorted = |placed: &Placed| placed.challenges().iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(sorted(&pending), sorted(&placed));
        pending.prove().await.unwrap();
        let mut ready = resumed(&account, &url).await;
        ready.prove().await.unwrap();
        let delivered = ready.finish(&request, None).await.unwrap();
        let mut valid = resumed(&account, &url).await;
        valid.prove().await.unwrap();
        let again = valid.finish(&request, None).await.unwrap();
        assert_eq!(again.chain_pem, delivered.chain_pem);
        assert_eq!(again.url, delivered.url);
    }

    #[tokio::test]
    async fn apex_and_wildcard_are_proven_with_two_values_at_one_name() {
        let dns = Dns::start();
        let pebble = Pebble::asking(dns.address, &[]);
        let (account, _) = pebble.account().await;
        let wanted = wanted(["a.test", "*.a.test"], KeyType::P256);
        let mut placed = account
            .place(&wanted, None)
            .await
            .unwrap()
            .read()
            .await
            .unwrap();
        let [first, second] = placed.challenges() else {
            panic!("{:?}", placed.challenges());
        };
        assert_eq!(first.name.as_str(), "_acme-challenge.a.test");
        assert_eq!(second.name, first.name);
        assert_ne!(second.value, first.value);
        dns.add(first).await;
        dns.add(second).await;
        placed.prove().await.unwrap();
    }

    #[tokio::test]
    async fn a_failed_proof_names_the_name_and_the_reason() {
        let dns = Dns::start();
        let pebble = Pebble::asking(dns.address, &[]);
        let (account, _) = pebble.account().await;
        let wanted = wanted(["good.test", "bad.test"], KeyType::P256);
        let mut placed = account
            .place(&wanted, None)
            .await
            .unwrap()
            .read()
            .await
            .unwrap();
        for txt in placed.challenges() {
            let mut txt = txt.clone();
            if txt.name.as_str() == "_acme-challenge.bad.test" {
                txt.value = "wrong".to_owned();
            }
            dns.add(&txt).await;
        }
        let error = placed.prove().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the CA did not accept the proof for `bad.test`: \
             Correct value not found for DNS challenge (unauthorized)"
        );
        // A later run that finds the order is told the same.
        let mut again = resumed(&account, placed.url()).await;
        let later = again.prove().await.unwrap_err();
        assert_eq!(later.to_string(), error.to_string());
        let unproven = error.downcast_ref::<Unproven>().unwrap();
        assert_eq!(unproven.names.len(), 1);
    }

    #[tokio::test]
    async fn an_abandoned_order_has_no_pending_authorization() {
        let pebble = Pebble::start(&[NO_DNS]);
        let (account, _) = pebble.account().await;
        let wanted = wanted(["a.test", "b.test"], KeyType::P256);
        let mut placed = account
            .place(&wanted, None)
            .await
            .unwrap()
            .read()
            .await
            .unwrap();
        placed.abandon().await.unwrap();
        let given_up = placed
            .names(AuthorizationStatus::Deactivated)
            .await
            .unwrap();
        assert_eq!(given_up.len(), 2);
        let again = resumed(&account, placed.url()).await;
        assert!(again.challenges().is_empty());
    }

    #[tokio::test]
    async fn lost_answers_do_not_fail_an_order() {
        let pebble = Pebble::start(&[NO_DNS]);
        let cutter = pebble.behind_cutter().await;
        let agreed = Registration {
            agreed: true,
            ..Registration::default()
        };
        let (account, _) = Account::register(&cutter.directory, &pebble.connections, &agreed)
            .await
            .unwrap();
        let wanted = wanted(["a.test", "b.test"], KeyType::P256);
        let key = CertificateKey::generate(KeyType::P256).unwrap();
        let request = key.request(&wanted.identifiers).unwrap();

        cutter.cut();
        let mut placed = account
            .place(&wanted, None)
            .await
            .unwrap()
            .read()
            .await
            .unwrap();
        cutter.cut();
        placed.prove().await.unwrap();
        cutter.cut();
        placed.finish(&request, None).await.unwrap();
        assert_eq!(cutter.cuts(), 3);
    }

    #[tokio::test]
    async fn the_reason_of_a_refused_order_is_told() {
        let pebble = Pebble::start(&[NO_DNS]);
        let (account, _) = pebble.account().await;
        let none = wanted([""; 0], KeyType::P256);
        let error = account.place(&none, None).await.err().unwrap();
        assert_eq!(
            format!("{error:#}"),
            "cannot place the order: Order did not specify any identifiers (malformed)"
        );
        let key = CertificateKey::generate(KeyType::P256).unwrap();
        let wanted = wanted(["a.test"], KeyType::P256);
        let mut placed = account
            .place(&wanted, None)
            .await
            .unwrap()
            .read()
            .await
            .unwrap();
        placed.prove().await.unwrap();
        let other = key.request(&["b.test".parse().unwrap()]).unwrap();
        let error = placed.finish(&other, None).await.unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "cannot finalize the order: CSR is missing Order domain \"a.test\" (unauthorized)"
        );
    }
}
