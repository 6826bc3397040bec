//! Changes recipients files, so that comments, order and everything else stay.

use anyhow::{Result, anyhow};

use crate::model::hint::with_hint;
use crate::repo::recipients::{Recipients, canonical};

/// The file with one recipient more. None if it is there already.
///
/// `text`: what is in the file; `origin`: its name.
pub(crate) fn with(text: &str, origin: &str, line: &str) -> Result<Option<String>> {
    let wanted = canonical(line)?;
    if text.lines().any(|line| is(line, &wanted)) {
        return Ok(None);
    }
    let mut new = text.to_owned();
    if !new.is_empty() && !new.ends_with('\n') {
        new.push('\n');
    }
    new += &format!("{}\n", line.trim());
    Recipients::parse(&new, origin)?;
    Ok(Some(new))
}

/// The file without a recipient, who may stand there several times.
pub(crate) fn without(text: &str, origin: &str, line: &str) -> Result<String> {
    let unwanted = canonical(line)?;
    let lines = text.split_inclusive('\n');
    let new: String = lines.filter(|line| !is(line, &unwanted)).collect();
    if new == text {
        return Err(with_hint(
            anyhow!("`{origin}` does not have this recipient"),
            "`git-certs recipients list` shows who is in which list",
        ));
    }
    Recipients::parse(&new, origin).map_err(|_| {
        with_hint(
            anyhow!("this is the last recipient in `{origin}`: nobody could open new keys"),
            "add another one first",
        )
    })?;
    Ok(new)
}

fn is(line: &str, wanted: &str) -> bool {
    let line = line.trim();
    !line.starts_with('#') && canonical(line).is_ok_and(|found| found == wanted)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::hint::explain;

    const SSH: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJzNShvKBBMPgM2CmEHFPdVyDk3ePrJZKmH0xPCxMXcA";

    fn age() -> String {
        age::x25519::Identity::generate().to_public().to_string()
    }

    #[test]
    fn comments_order_and_line_ends_stay() {
        let (one, two) = (age(), age());
        let before = format!("# Alice\r\n{one}\r\n\n  # the build");
        let added = with(&before, "r", &format!(" {two}\n")).unwrap().unwrap();
        assert_eq!(added, format!("{before}\n{two}\n"));
        assert_eq!(with(&added, "r", &two).unwrap(), None);
        assert_eq!(without(&added, "r", &two).unwrap(), format!("{before}\n"));
        assert_eq!(with("", "r", &one).unwrap(), Some(format!("{one}\n")));
    }

    #[test]
    fn an_ssh_key_is_the_same_with_another_comment() {
        let one = age();
        let text = format!("{one}\n{SSH} bob@laptop\n#{SSH}\n");
        let again = format!("{SSH} bob@home");
        assert_eq!(with(&text, "r", &again).unwrap(), None);
        assert_eq!(
            without(&text, "r", SSH).unwrap(),
            format!("{one}\n#{SSH}\n")
        );
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let (one, two) = (age(), age());
        let text = format!("{one}\n");
        let said = |result: Result<String>| {
            let explained = explain(&result.unwrap_err());
            [vec![explained.what], explained.causes, explained.hints].concat()
        };
        assert_eq!(
            said(without(&text, ".age-recipients", &one)),
            [
                "this is the last recipient in `.age-recipients`: nobody could open new keys",
                "add another one first"
            ]
        );
        assert_eq!(
            said(without(&text, ".age-recipients", &two)),
            [
                "`.age-recipients` does not have this recipient",
                "`git-certs recipients list` shows who is in which list"
            ]
        );
        let kinds = "a recipient is `age1...`, `ssh-ed25519 ...` or `ssh-rsa ...`, one a line; `#` begins a comment";
        assert_eq!(
            said(without(&text, "r", "bob")),
            ["`bob` is not a recipient", "it is of no known kind", kinds]
        );
        assert_eq!(
            said(without(&text, "r", "AGE-SECRET-KEY-1QQQ")),
            [
                "that is a secret key, not a recipient",
                "other users of the machine have seen it: make a new key; the recipient is the line \
                 that begins with `age1` or `ssh-`"
            ]
        );
    }
}
