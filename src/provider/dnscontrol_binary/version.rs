//! Which DNSControl it is.

use std::fmt;

/// A version of DNSControl, as far as it decides what can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32, u32);

/// The oldest whose reports say what would be done (4.28.0), where split-horizon zones work too
/// (<https://github.com/DNSControl/dnscontrol/issues/3895>).
pub(super) const OLDEST: Version = Version(4, 28, 1);

/// The first that is not known to obey `ENSURE_ABSENT_REC()`.
pub(super) const WITHOUT_ABSENT: Version = Version(5, 0, 0);

impl Version {
    /// Reads what `dnscontrol version` prints: `v4.40.0`, `4.40.0`, or `git describe` of a tag.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.split_whitespace().find_map(|word| {
            let numbers = word.strip_prefix('v').unwrap_or(word);
            let numbers = numbers.split(['-', '+']).next()?;
            let mut numbers = numbers.split('.').map(str::parse);
            let version = Self(
                numbers.next()?.ok()?,
                numbers.next()?.ok()?,
                numbers.next()?.ok()?,
            );
            numbers.next().is_none().then_some(version)
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(major, minor, patch) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_every_build_prints_them() {
        for (text, expected) in [
            ("4.40.0\n", Some("4.40.0")),
            ("v4.28.1\n", Some("4.28.1")),
            ("v4.28.0-12-gabcdef1-dirty", Some("4.28.0")),
            ("v5.0.1-0.20260908120000-60f9010abcde", Some("5.0.1")),
            ("dnscontrol 3.16.0 (\"abc\")", Some("3.16.0")),
            ("(devel)", None),
            ("a81b5ee", None),
            ("4.28", None),
            ("4.28.1.2", None),
            ("", None),
        ] {
            let shown = Version::parse(text).map(|version| version.to_string());
            assert_eq!(shown.as_deref(), expected, "{text}");
        }
        assert!(Version(4, 100, 0) > OLDEST && Version(4, 28, 0) < OLDEST);
        assert!(Version(4, 100, 0) < WITHOUT_ABSENT);
    }
}
