//! Whether the clock of this machine is right, by that of the CA. Pure.

use std::time::Duration;

/// How far this machine's clock may be from the CA's without a word in a run.
pub(super) const TOLERANCE: Duration = Duration::from_mins(5);

/// What to say of a clock that is wrong; another, such as `the CA's`, is `ahead` of it.
pub(super) fn warning(ahead: time::Duration, tolerance: Duration, whose: &str) -> Option<String> {
    let off = ahead.unsigned_abs();
    let shown = if off < TOLERANCE {
        Duration::from_secs(off.as_secs())
    } else {
        Duration::from_mins((off.as_secs() + 30) / 60)
    };
    (off > tolerance).then(|| {
        format!(
            "the clock of this machine is {} {} {whose}",
            humantime::format_duration(shown),
            if ahead.is_positive() {
                "behind"
            } else {
                "ahead of"
            }
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_right_within_the_tolerance() {
        let said = |seconds, tolerance| {
            let ahead = time::Duration::seconds(seconds);
            warning(ahead, Duration::from_secs(tolerance), "the CA's").unwrap_or_default()
        };
        assert_eq!(said(5, 5), "");
        assert_eq!(said(-300, 300), "");
        assert_eq!(
            said(64, 5),
            "the clock of this machine is 1m 4s behind the CA's"
        );
        assert_eq!(
            said(-3_631, 5),
            "the clock of this machine is 1h 1m ahead of the CA's"
        );
    }
}
