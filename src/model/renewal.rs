//! When a CA suggests to renew a certificate (RFC 9773).

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

/// A CA is asked again after no longer than this, whatever it says (RFC 9773 section 4.3.2).
pub(crate) const ASK_AGAIN_AT_MOST: std::time::Duration = std::time::Duration::from_hours(24);

/// How a CA knows a certificate (RFC 9773 section 4.1): key identifier of its issuer, and serial number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateId {
    /// base64url of `keyIdentifier` in the extension `AuthorityKeyIdentifier`.
    pub(crate) authority_key_identifier: String,
    /// base64url of the serial number as DER has it, with its leading zero.
    pub(crate) serial: String,
}

impl CertificateId {
    /// Encodes the two parts.
    pub(crate) fn new(authority_key_identifier: &[u8], serial: &[u8]) -> Self {
        Self {
            authority_key_identifier: URL_SAFE_NO_PAD.encode(authority_key_identifier),
            serial: URL_SAFE_NO_PAD.encode(serial),
        }
    }
}

impl fmt::Display for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.authority_key_identifier, self.serial)
    }
}

/// A certificate that another takes the place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Predecessor {
    /// A URL of the CA that issued it.
    pub(crate) ca: String,
    pub(crate) id: CertificateId,
}

/// What the CA said about the renewal of one certificate (RFC 9773 section 4.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RenewalInfo {
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) start: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) end: OffsetDateTime,
    /// A page that says why the window is as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) explanation_url: Option<String>,
    /// The CA is not asked again before, as its Retry-After said.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) next_check: OffsetDateTime,
}

impl RenewalInfo {
    /// Whether it holds still. One that holds longer than a CA can say is not what one said: who can push could keep
    /// runs from learning of a revocation.
    pub(crate) fn holds(&self, now: OffsetDateTime) -> bool {
        now < self.next_check && self.next_check - now <= ASK_AGAIN_AT_MOST
    }

    /// The moment in the window at which the certificate is due.
    ///
    /// Random, so that the CA is not asked for everything at once, but the same at each look: who looks
    /// often must not get more and more chances of an early moment.
    pub(crate) fn moment(&self, certificate: &CertificateId) -> OffsetDateTime {
        let seed = format!(
            "{certificate} {} {}",
            self.start.unix_timestamp(),
            self.end.unix_timestamp()
        );
        let hash = digest(&SHA256, seed.as_bytes());
        let share = hash
            .as_ref()
            .iter()
            .take(4)
            .fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
        let seconds = (self.end - self.start).whole_seconds().max(0);
        let within = (i128::from(seconds) * i128::from(share)) >> 32;
        self.start + Duration::seconds(i64::try_from(within).unwrap_or(seconds))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_example_of_the_rfc_is_encoded() {
        // RFC 9773 section 4.1.
        let aki = [
            0x69, 0x88, 0x5B, 0x6B, 0x87, 0x46, 0x40, 0x41, 0xE1, 0xB3, 0x7B, 0x84, 0x7B, 0xA0,
            0xAE, 0x2C, 0xDE, 0x01, 0xC8, 0xD4,
        ];
        let serial = [0x00, 0x87, 0x65, 0x43, 0x21];
        assert_eq!(
            CertificateId::new(&aki, &serial).to_string(),
            "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
        );
    }

    #[test]
    fn the_moment_is_in_the_window_and_stays() {
        let info = RenewalInfo {
            start: datetime!(2026-11-01 00:00:00 UTC),
            end: datetime!(2026-11-03 00:00:00 UTC),
            explanation_url: None,
            next_check: datetime!(2026-10-01 00:00:00 UTC),
        };
        let moments: Vec<_> = (0..200_u8)
            .map(|serial| {
                let id = CertificateId::new(&[1], &[serial]);
                assert_eq!(info.moment(&id), info.moment(&id));
                info.moment(&id)
            })
            .collect();
        assert!(
            moments
                .iter()
                .all(|moment| (info.start..info.end).contains(moment))
        );
        // Spread: each quarter of the window has its share of the 200.
        for quarter in 0..4 {
            let from = info.start + Duration::hours(12 * quarter);
            let until = from + Duration::hours(12);
            let inside = moments
                .iter()
                .filter(|moment| (from..until).contains(*moment))
                .count();
            assert!((25..=75).contains(&inside), "{inside} in quarter {quarter}");
        }
    }
}
