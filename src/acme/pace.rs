//! How many requests and orders a CA takes.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::acme::account::Account;
use crate::acme::endpoint::Endpoint;
use crate::acme::limits::Rates;

/// Common end of the hosts of Let's Encrypt's API, staging included.
const LETS_ENCRYPT: &str = ".api.letsencrypt.org";

/// Orders that Let's Encrypt gets at once: what it takes in is far more, but the answers to 50 are
/// enough to keep a run busy.
const LETS_ENCRYPT_AT_ONCE: usize = 50;

/// Orders that a CA gets at once whose limits are not known.
const OTHERS_AT_ONCE: usize = 20;

impl Account {
    /// How many orders the CA gets at once.
    pub(crate) fn orders_at_once(&self) -> usize {
        at_once(&self.directory().host())
    }
}

fn at_once(host: &str) -> usize {
    if host.ends_with(LETS_ENCRYPT) {
        LETS_ENCRYPT_AT_ONCE
    } else {
        OTHERS_AT_ONCE
    }
}

/// When the next request of each kind may be sent.
#[derive(Debug, Default)]
pub(super) struct Pace {
    next: HashMap<&'static str, Instant>,
}

impl Pace {
    /// Takes the next free moment for a request, and returns how long it is away.
    ///
    /// Requests are spread evenly, so that no second has more than the CA takes.
    pub(super) fn reserve(&mut self, host: &str, endpoint: Endpoint, now: Instant) -> Duration {
        let Some((path, a_second)) = limit(host, endpoint) else {
            return Duration::ZERO;
        };
        let next = self.next.entry(path).or_insert(now);
        let at = now.max(*next);
        *next = at + Duration::from_secs(1) / a_second;
        at - now
    }
}

/// Requests a second from one address that Let's Encrypt takes, by path:
/// <https://letsencrypt.org/docs/rate-limits/#overall-requests-limit>, August 2026, and for staging
/// <https://letsencrypt.org/docs/staging-environment/>, November 2025. keyChange has no row of its own.
fn limit(host: &str, endpoint: Endpoint) -> Option<(&'static str, u32)> {
    let rates = Rates::of(host)?;
    Some(match endpoint {
        Endpoint::Directory => ("/directory", 40),
        Endpoint::NewNonce => ("/acme/new-nonce", 20),
        Endpoint::FindAccount | Endpoint::NewAccount => ("/acme/new-acct", 5),
        Endpoint::NewOrder => ("/acme/new-order", rates.new_order),
        Endpoint::Revoke => ("/acme/revoke-cert", 10),
        Endpoint::RenewalInfo => ("/acme/renewal-info", 1_000),
        _ => ("/acme/", rates.other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: &str = "acme-v02.api.letsencrypt.org";
    const STAGING: &str = "acme-staging-v02.api.letsencrypt.org";

    #[test]
    fn requests_are_spread_over_the_second() {
        let now = Instant::now();
        let mut pace = Pace::default();
        let mut nonce = |after: u64| {
            let at = now + Duration::from_millis(after);
            pace.reserve(LIVE, Endpoint::NewNonce, at).as_millis()
        };
        assert_eq!([nonce(0), nonce(0), nonce(0)], [0, 50, 100]);
        assert_eq!([nonce(120), nonce(1000), nonce(1000)], [30, 0, 50]);
    }

    #[test]
    fn paths_have_limits_of_their_own() {
        let now = Instant::now();
        let mut pace = Pace::default();
        let mut second = |endpoint| {
            pace.reserve(LIVE, endpoint, now);
            pace.reserve(LIVE, endpoint, now).as_micros()
        };
        assert_eq!(second(Endpoint::Directory), 25_000);
        assert_eq!(second(Endpoint::NewAccount), 200_000);
        assert_eq!(second(Endpoint::NewOrder), 3_333);
        assert_eq!(second(Endpoint::Order), 4_000);
        // The same path.
        assert_eq!(second(Endpoint::Challenge), 12_000);
        assert_eq!(second(Endpoint::KeyChange), 20_000);
        assert_eq!(second(Endpoint::Revoke), 100_000);
        assert_eq!(second(Endpoint::RenewalInfo), 1_000);
    }

    #[test]
    fn staging_takes_fewer_orders_a_second() {
        let now = Instant::now();
        let mut pace = Pace::default();
        let mut second = |endpoint| {
            pace.reserve(STAGING, endpoint, now);
            pace.reserve(STAGING, endpoint, now).as_millis()
        };
        assert_eq!(second(Endpoint::NewOrder), 50);
        assert_eq!(second(Endpoint::Authorization), 50);
        assert_eq!(second(Endpoint::RenewalInfo), 1);
    }

    #[test]
    fn other_authorities_get_fewer_orders_at_once_and_requests_as_they_come() {
        let now = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(at_once(LIVE), 50);
        for host in ["ca.example", "letsencrypt.org.example"] {
            assert_eq!(at_once(host), 20);
            for _ in 0..100 {
                let wait = pace.reserve(host, Endpoint::NewAccount, now);
                assert_eq!(wait, Duration::ZERO);
            }
        }
    }
}
