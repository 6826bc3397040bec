//! Several runs that share the certificates of one repository.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

/// One of several runs that share the work, counted from 1: `3/8`.
///
/// Ordered by how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shard {
    of: NonZeroU16,
    number: NonZeroU16,
}

/// Why a text is no shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("one of several is needed, such as `3/8`")]
pub(crate) struct NoShard;

impl Shard {
    /// All shards of so many, the first first.
    pub(crate) fn all(of: NonZeroU16) -> impl Iterator<Item = Self> {
        (1..=of.get())
            .filter_map(NonZeroU16::new)
            .map(move |number| Self { of, number })
    }

    /// Its number, from 1.
    pub(crate) fn number(self) -> NonZeroU16 {
        self.number
    }

    /// How many there are.
    pub(crate) fn of(self) -> NonZeroU16 {
        self.of
    }

    /// A run that shares with nobody.
    pub(crate) fn is_alone(self) -> bool {
        self.of == NonZeroU16::MIN
    }
}

impl FromStr for Shard {
    type Err = NoShard;

    fn from_str(text: &str) -> Result<Self, NoShard> {
        let (number, of) = text.split_once('/').ok_or(NoShard)?;
        let whole = |text: &str| text.trim().parse::<NonZeroU16>().map_err(|_| NoShard);
        let (number, of) = (whole(number)?, whole(of)?);
        if number > of {
            return Err(NoShard);
        }
        Ok(Self { of, number })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// Which certificates a run works on: this is what excludes other runs.
///
/// Of two runs that must not work at the same time, and that begin in the same moment, the lesser goes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    All,
    Part {
        shard: Shard,
        /// Stands for how certificates are shared out; other lists may share them out differently.
        list: String,
    },
}

impl Scope {
    /// Whether a run on this and one on the other may come to the same certificate.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Part { shard, list },
                Self::Part {
                    shard: others,
                    list: of_other,
                },
            ) => shard.of != others.of || shard.number == others.number || list != of_other,
            _ => true,
        }
    }

    /// The shard of a part.
    pub(crate) fn shard(&self) -> Option<Shard> {
        match self {
            Self::All => None,
            Self::Part { shard, .. } => Some(*shard),
        }
    }

    /// What [`fmt::Display`] wrote.
    pub(crate) fn parse_suffix(suffix: &str) -> Option<Self> {
        if suffix.is_empty() {
            return Some(Self::All);
        }
        let (number, rest) = suffix.strip_prefix('-')?.split_once("-of-")?;
        let (of, list) = rest.split_once('-')?;
        let scope = Self::Part {
            shard: format!("{number}/{of}").parse().ok()?,
            list: list.to_owned(),
        };
        (scope.to_string() == suffix).then_some(scope)
    }
}

/// The end of a reference's name: nothing, or such as `-3-of-8-1f2e3d4c`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::Part { shard, list } => write!(f, "-{}-of-{}-{list}", shard.number, shard.of),
        }
    }
}

/// What one shard would have to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) shard: Shard,
    /// Certificates that it would order.
    pub(crate) due: usize,
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_shard_is_one_of_several() {
        let shard: Shard = "3/8".parse().unwrap();
        assert_eq!(shard.to_string(), "3/8");
        assert_eq!(" 3 / 8 ".parse(), Ok(shard));
        assert!("1/1".parse::<Shard>().unwrap().is_alone());
        for bad in [
            "", "3", "0/8", "9/8", "3/0", "3/8/2", "-1/8", "a/b", "1/70000",
        ] {
            assert_eq!(bad.parse::<Shard>(), Err(NoShard), "{bad}");
        }
        let all: Vec<_> = Shard::all("1/3".parse::<Shard>().unwrap().of()).collect();
        let all: Vec<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(all, ["1/3", "2/3", "3/3"]);
    }

    fn part(shard: &str, list: &str) -> Scope {
        Scope::Part {
            shard: shard.parse().unwrap(),
            list: list.to_owned(),
        }
    }

    #[test]
    fn only_shards_of_one_list_and_number_are_apart() {
        let this = part("3/8", "aa");
        for (other, overlaps) in [
            (part("4/8", "aa"), false),
            (this.clone(), true),
            (part("4/8", "bb"), true),
            (part("4/9", "aa"), true),
            (Scope::All, true),
        ] {
            assert_eq!(this.overlaps(&other), overlaps, "{other:?}");
            assert_eq!(other.overlaps(&this), overlaps, "{other:?}");
        }
        assert!(Scope::All.overlaps(&Scope::All));
        // Who shares with fewer goes first.
        assert!(Scope::All < part("1/2", "zz") && part("2/2", "zz") < part("1/8", "aa"));
    }

    #[test]
    fn a_scope_is_read_from_a_name_as_it_is_written() {
        for scope in [Scope::All, part("3/8", "1f2e3d4c")] {
            assert_eq!(Scope::parse_suffix(&scope.to_string()), Some(scope));
        }
        assert_eq!(part("3/8", "1f2e3d4c").to_string(), "-3-of-8-1f2e3d4c");
        for bad in [
            "-",
            "s",
            "-9-of-8-aa",
            "-03-of-8-aa",
            "-3-of-8",
            "3-of-8-aa",
        ] {
            assert_eq!(Scope::parse_suffix(bad), None, "{bad}");
        }
    }
}
