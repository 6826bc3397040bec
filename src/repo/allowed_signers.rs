//! Who may sign commits: `.allowed_signers`, in the format that git and ssh-keygen(1) have for it.

use anyhow::{Context, Result, anyhow, bail, ensure};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, PublicKey};
use time::macros::format_description;
use time::{Date, PrimitiveDateTime, Time};

use crate::model::hint::Hint;

/// Name of the file at the root of the cert repository.
pub(crate) const ALLOWED_SIGNERS: &str = ".allowed_signers";

/// Keys that may sign commits. At least one.
#[derive(Clone, Debug)]
pub(crate) struct AllowedSigners(Vec<Signer>);

#[derive(Clone, Debug)]
struct Signer {
    key: KeyData,
    /// Whether the key may sign for git.
    is_for_git: bool,
    /// Unix time.
    after: Option<i64>,
    before: Option<i64>,
}

impl AllowedSigners {
    /// Reads a list; `origin` is for messages.
    pub(crate) fn parse(text: &str, origin: &str) -> Result<Self> {
        let mut all = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let signer = Signer::parse(line)
                .with_context(|| format!("`{origin}` line {} names no signer", number + 1))
                .hint(|| "a line is `ci@example.com namespaces=\"git\" ssh-ed25519 AAAA...`, with the public key of who signs")?;
            all.push(signer);
        }
        ensure!(!all.is_empty(), "`{origin}` has no signer");
        Ok(Self(all))
    }

    /// Whether a key may sign a commit of this moment (Unix time).
    pub(crate) fn allows(&self, key: &KeyData, moment: i64) -> bool {
        self.0.iter().any(|signer| {
            signer.is_for_git
                && signer.key == *key
                && signer.after.is_none_or(|after| after <= moment)
                && signer.before.is_none_or(|before| moment < before)
        })
    }
}

impl Signer {
    fn parse(line: &str) -> Result<Self> {
        let (_principals, rest) = word(line);
        let (next, after_next) = word(rest);
        let is_type = |word: &str| {
            word.parse()
                .is_ok_and(|kind: Algorithm| !matches!(kind, Algorithm::Other(_)))
        };
        let (options, key) = if is_type(next) {
            ("", rest)
        } else {
            (next, after_next)
        };
        let key = PublicKey::from_openssh(key)
            .map_err(|_| anyhow!("it has no public key that can be read"))?;
        let mut signer = Self {
            key: key.key_data().clone(),
            is_for_git: true,
            after: None,
            before: None,
        };
        for option in split(options, ',').filter(|option| !option.is_empty()) {
            signer.take(option)?;
        }
        Ok(signer)
    }

    fn take(&mut self, option: &str) -> Result<()> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value.trim_matches('"');
        match name.to_ascii_lowercase().as_str() {
            // One that is taken away must not be overlooked: `*,!git` is not for git.
            "namespaces" if value.contains('!') => bail!("`!` in `namespaces` is not supported"),
            "namespaces" => {
                self.is_for_git = value.split(',').any(|one| one == "git" || one == "*");
            }
            "valid-after" => self.after = Some(moment(value)?),
            "valid-before" => self.before = Some(moment(value)?),
            "cert-authority" => bail!("keys that an authority certifies are not supported"),
            _ => bail!("`{name}` is no option"),
        }
        Ok(())
    }
}

/// The first word, and what follows it; quotes keep blanks together.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let first = split(text, ' ').next().unwrap_or_default();
    let first = first.split('\t').next().unwrap_or_default();
    (
        first,
        text.get(first.len()..).unwrap_or_default().trim_start(),
    )
}

/// Splits where no quotes are around.
fn split(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |c| {
        is_quoted ^= c == '"';
        c == at && !is_quoted
    })
}

/// `YYYYMMDD` or `YYYYMMDDHHMM[SS]`, in UTC with or without a `Z`.
fn moment(text: &str) -> Result<i64> {
    let digits = text.trim_end_matches('Z');
    let (date, time) = digits.split_at_checked(8).unwrap_or((digits, ""));
    let date = Date::parse(date, format_description!("[year][month][day]"));
    let time = match time.len() {
        0 => Ok(Time::MIDNIGHT),
        4 => Time::parse(time, format_description!("[hour][minute]")),
        _ => Time::parse(time, format_description!("[hour][minute][second]")),
    };
    match (date, time) {
        (Ok(date), Ok(time)) => Ok(PrimitiveDateTime::new(date, time)
            .assume_utc()
            .unix_timestamp()),
        _ => bail!("`{text}` is no moment"),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use time::macros::datetime;

    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn lines_as_ssh_keygen_takes_them() {
        let key = PublicKey::from_openssh(KEY).unwrap();
        let allows = |line: &str, moment: time::OffsetDateTime| {
            let list = AllowedSigners::parse(&format!("# who\n\n{line}\n"), "x").unwrap();
            list.allows(key.key_data(), moment.unix_timestamp())
        };
        let now = datetime!(2026-11-26 12:00 UTC);
        for line in [
            format!("* {KEY}"),
            format!("a@x.test,b@x.test\t{KEY} a comment"),
            format!("\"a b\" namespaces=\"file,git\" {KEY}"),
            format!("ci valid-after=\"20261126\",valid-before=\"20261127Z\" {KEY}"),
            format!("ci VALID-AFTER=\"202611261200Z\" {KEY}"),
        ] {
            assert!(allows(&line, now), "{line}");
        }
        for line in [
            format!("ci namespaces=\"file\" {KEY}"),
            format!("ci valid-before=\"20261126120000Z\" {KEY}"),
            format!("ci valid-after=\"202611261201\" {KEY}"),
        ] {
            assert!(!allows(&line, now), "{line}");
        }
    }

    #[test]
    fn what_is_no_list() {
        let error = |text: &str| format!("{:#}", AllowedSigners::parse(text, "x").unwrap_err());
        assert_eq!(error("# nobody\n"), "`x` has no signer");
        for (line, why) in [
            (KEY.to_owned(), "it has no public key that can be read"),
            (
                "ci ssh-ed25519 AAAA".to_owned(),
                "it has no public key that can be read",
            ),
            (
                format!("ci cert-authority {KEY}"),
                "keys that an authority certifies are not supported",
            ),
            (format!("ci maybe=\"1\" {KEY}"), "`maybe` is no option"),
            (
                format!("ci namespaces=\"*,!git\" {KEY}"),
                "`!` in `namespaces` is not supported",
            ),
            (
                format!("ci valid-after=\"soon\" {KEY}"),
                "`soon` is no moment",
            ),
        ] {
            assert_eq!(error(&line), format!("`x` line 1 names no signer: {why}"));
        }
    }
}
