//! What a run waited for: the stages of its critical path.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::model::certificate::CertificateName;

/// A stage that the rest of a run waits for, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The repositories are there.
    Open,
    /// What is due is known.
    Plan,
    /// Zones, recipients and the push are looked at.
    Prepare,
    /// The account is open, and CAA has been asked.
    Account,
    /// The CA has the orders, and has said what to prove.
    Order,
    /// TXT values are written.
    Write,
    /// Every name server shows them.
    See,
    /// The CA has checked them.
    Validate,
    /// The CA has issued.
    Finalize,
    /// The certificate is here.
    Fetch,
    /// Everything is committed.
    Commit,
    /// Everything is pushed.
    Push,
    /// TXT values are withdrawn, as far as that took longer than to commit and push.
    Withdraw,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Plan => "plan",
            Self::Prepare => "prepare",
            Self::Account => "account",
            Self::Order => "order",
            Self::Write => "write",
            Self::See => "see",
            Self::Validate => "validate",
            Self::Finalize => "finalize",
            Self::Fetch => "fetch",
            Self::Commit => "commit",
            Self::Push => "push",
            Self::Withdraw => "withdraw",
        })
    }
}

/// The time of a run, stage by stage, on the way of the certificate that ended last: the stages
/// make up the whole. A stage that comes again, as in a second wave of orders, adds to the first.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// When the latest stage ended.
    last: Instant,
    pub(crate) stages: BTreeMap<Stage, Duration>,
    /// The certificate that ended last, if one was ordered.
    pub(crate) certificate: Option<CertificateName>,
}

impl Path {
    /// Begins here.
    pub(crate) fn since(start: Instant) -> Self {
        Self {
            last: start,
            stages: BTreeMap::new(),
            certificate: None,
        }
    }

    /// A stage ended at this moment, and the next begins. A moment that lies before the end of another
    /// stage took no time.
    pub(crate) fn ended(&mut self, stage: Stage, at: Instant) {
        let spent = at.saturating_duration_since(self.last);
        *self.stages.entry(stage).or_default() += spent;
        self.last = self.last.max(at);
    }

    /// The whole.
    pub(crate) fn total(&self) -> Duration {
        self.stages.values().sum()
    }
}

/// Prints as `3.2 s: open 0.1, plan 3.1`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.total().as_secs_f64())?;
        for (number, (stage, spent)) in self.stages.iter().enumerate() {
            let before = if number == 0 { ": " } else { ", " };
            write!(f, "{before}{stage} {:.1}", spent.as_secs_f64())?;
        }
        match &self.certificate {
            Some(name) => write!(f, "; `{name}` ended last"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_make_up_the_whole() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut path = Path::since(start);
        path.ended(Stage::Open, after(100));
        path.ended(Stage::Order, after(400));
        // Written before the orders of this wave were there.
        path.ended(Stage::Write, after(300));
        path.ended(Stage::See, after(900));
        path.ended(Stage::Order, after(1100));
        assert_eq!(path.total(), Duration::from_millis(1100));
        assert_eq!(
            path.to_string(),
            "1.1 s: open 0.1, order 0.5, write 0.0, see 0.5"
        );
        path.certificate = Some("www".parse().unwrap());
        let text = path.to_string();
        assert!(text.ends_with("see 0.5; `www` ended last"), "{text}");
    }
}
