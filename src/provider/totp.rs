//! Time-based one-time passwords (RFC 6238), for accounts with a second factor.

use std::time::Duration;

use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use time::OffsetDateTime;

/// How long a password is valid: the default of RFC 6238 section 5.2.
const STEP: Duration = Duration::from_secs(30);

/// The password of a moment: six digits; none where the secret is no Base32.
///
/// `secret` is what the provider shows when a second factor is set up: Base32 (RFC 4648), whatever
/// its case, spaces and padding. HMAC-SHA-1 and 30 seconds are what authenticator apps assume.
pub(super) fn password(secret: &str, now: OffsetDateTime) -> Option<String> {
    let secret: String = secret
        .chars()
        .filter(|character| !character.is_whitespace() && *character != '=')
        .map(|character| character.to_ascii_uppercase())
        .collect();
    let key = BASE32_NOPAD.decode(secret.as_bytes()).ok()?;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let step = u64::try_from(now.unix_timestamp()).ok()? / STEP.as_secs();
    let tag = hmac::sign(&key, &step.to_be_bytes());
    // RFC 4226 section 5.3: four bytes at the place that the last one says, without their sign.
    let offset = usize::from(tag.as_ref().last()? & 0xf);
    let bytes = tag.as_ref().get(offset..offset + 4)?.try_into().ok()?;
    let number = u32::from_be_bytes(bytes) & 0x7fff_ffff;
    Some(format!("{:06}", number % 1_000_000))
}

/// How long until the next password.
pub(super) fn until_next(now: OffsetDateTime) -> Duration {
    let step = u128::from(STEP.as_secs()) * 1_000_000_000;
    let passed = u128::try_from(now.unix_timestamp_nanos()).unwrap_or_default() % step;
    let left = u64::try_from(step - passed).unwrap_or_default();
    Duration::from_nanos(left)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    /// `12345678901234567890`, the secret of RFC 6238 appendix B.
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn passwords_of_the_rfc() {
        // Its appendix B has eight digits; these are the last six.
        for (seconds, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let now = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            assert_eq!(password(SECRET, now).unwrap(), expected);
        }
    }

    #[test]
    fn secrets_come_as_people_type_them() {
        let now = datetime!(2026-11-25 12:00:00 UTC);
        let typed = "gezd gnbv gy3t qojq gezd gnbv gy3t qojq==";
        assert_eq!(password(typed, now), password(SECRET, now));
        assert_eq!(password("no base32!", now), None);
    }

    #[test]
    fn the_next_password_comes_at_the_half_minute() {
        assert_eq!(
            until_next(datetime!(2026-11-25 12:00:29 UTC)),
            Duration::from_secs(1)
        );
        assert_eq!(
            until_next(datetime!(2026-11-25 12:00:30 UTC)),
            Duration::from_secs(30)
        );
    }
}
