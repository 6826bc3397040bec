//! Who can open a sealed file: the recipients files.

use std::collections::BTreeMap;
use std::io::Write;

use age::armor::{ArmoredWriter, Format};
use age::ssh::ParseRecipientKeyError;
use age::{EncryptError, Encryptor, Recipient, plugin, ssh, tag, tagpq, x25519};
use anyhow::{Context, Error, Result, anyhow};
use aws_lc_rs::digest::{SHA256, digest};

use crate::model::hint::{Hint, with_hint};
use crate::model::secret::{Sealed, Secret, looks_secret};
use crate::repo::plugin as plugins;
use crate::repo::seal::Why;

/// What a recipient can be, for hints.
const KINDS: &str = "a recipient is `age1...`, `ssh-ed25519 ...` or `ssh-rsa ...`, one a line; `#` begins a comment";

/// Those who can open what is sealed for them; at least one.
pub(crate) struct Recipients {
    /// Canonical line to recipient: sorted and without duplicates.
    lines: BTreeMap<String, Kind>,
    origin: String,
}

enum Kind {
    Direct(Box<dyn Recipient + Send + Sync>),
    Plugin(plugin::Recipient),
}

impl Recipients {
    /// Reads a recipients file: one recipient a line, blank lines and `#` comments.
    ///
    /// `origin` is what messages call the file. No message repeats a line: it may be a secret key
    /// that landed in the wrong file.
    pub(crate) fn parse(text: &str, origin: &str) -> Result<Self> {
        let mut lines = BTreeMap::new();
        for (_, read) in entries(text, origin) {
            let (canonical, recipient) = read?;
            lines.insert(canonical, recipient);
        }
        if lines.is_empty() {
            return Err(nobody(origin));
        }
        Ok(Self {
            lines,
            origin: origin.to_owned(),
        })
    }

    /// What messages call the file.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Canonical lines, sorted.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.keys().map(String::as_str)
    }

    /// SHA-256 of the sorted canonical lines, lower-case hexadecimal.
    ///
    /// Comments, order and duplicates do not count, so it changes with the set alone.
    pub(crate) fn hash(&self) -> String {
        let mut text = String::new();
        for line in self.lines.keys() {
            text.push_str(line);
            text.push('\n');
        }
        hex(digest(&SHA256, text.as_bytes()).as_ref())
    }

    /// Encrypts for all of them; ASCII-armoured.
    pub(crate) fn seal(&self, secret: &Secret) -> Result<Sealed> {
        self.encrypt(secret)
            .with_context(|| format!("cannot encrypt for the recipients in `{}`", self.origin))
    }

    fn encrypt(&self, secret: &Secret) -> Result<Sealed> {
        let plugins = self.lines.values().filter_map(|kind| match kind {
            Kind::Plugin(recipient) => Some(recipient.clone()),
            Kind::Direct(_) => None,
        });
        let why = Why::default();
        let plugins = plugins::recipients(&plugins.collect::<Vec<_>>(), &why)?;
        let direct = self.lines.values().filter_map(|kind| match kind {
            Kind::Direct(recipient) => Some(&**recipient as &dyn Recipient),
            Kind::Plugin(_) => None,
        });
        let all = direct.chain(plugins.iter().map(|plugin| plugin as &dyn Recipient));
        let encryptor = Encryptor::with_recipients(all)
            .map_err(|error| why.take().unwrap_or_else(|| explained(error)))?;
        let mut bytes = Vec::new();
        let armour = ArmoredWriter::wrap_output(&mut bytes, Format::AsciiArmor)?;
        let mut stream = encryptor.wrap_output(armour)?;
        stream.write_all(secret.expose())?;
        stream.finish()?.finish()?;
        Ok(Sealed::new(String::from_utf8(bytes)?)?)
    }
}

/// Something wrong in a recipients file.
pub(crate) struct Fault {
    /// Counted from 1; none: the whole file.
    pub(crate) line: Option<usize>,
    pub(crate) error: Error,
}

/// Everything that is wrong in a recipients file; see [`Recipients::parse`].
pub(crate) fn faults(text: &str, origin: &str) -> Vec<Fault> {
    let mut entries = entries(text, origin).peekable();
    if entries.peek().is_none() {
        return vec![Fault {
            line: None,
            error: nobody(origin),
        }];
    }
    let mut faults = Vec::new();
    for (line, read) in entries {
        faults.extend(read.err().map(|error| Fault {
            line: Some(line),
            error,
        }));
    }
    faults
}

/// Lines of a recipients file, counted from 1, that name a recipient: its canonical form, and what it is.
fn entries(text: &str, origin: &str) -> impl Iterator<Item = (usize, Result<(String, Kind)>)> {
    let lines = (1..).zip(text.lines().map(str::trim));
    let named = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    named.map(move |(number, line)| (number, entry(line, origin, number)))
}

fn entry(line: &str, origin: &str, number: usize) -> Result<(String, Kind)> {
    if looks_secret(line) {
        return Err(with_hint(
            anyhow!("`{origin}` line {number} looks like a secret key"),
            "take it out of the file and out of the history, and make a new key; \
             the recipient is the line that begins with `age1` or `ssh-`",
        ));
    }
    recipient(line)
        .with_context(|| format!("`{origin}` line {number} is not a recipient"))
        .hint(|| KINDS)
}

fn nobody(origin: &str) -> Error {
    with_hint(
        anyhow!("`{origin}` has no recipient"),
        "`age-keygen -o key.txt` makes an identity and prints its recipient; put that line in",
    )
}

/// A recipient as it counts: without the comment of an SSH key.
pub(crate) fn canonical(line: &str) -> Result<String> {
    if looks_secret(line) {
        return Err(with_hint(
            anyhow!("that is a secret key, not a recipient"),
            "other users of the machine have seen it: make a new key; the recipient is the line that \
             begins with `age1` or `ssh-`",
        ));
    }
    let line = line.trim();
    recipient(line)
        .map(|(canonical, _)| canonical)
        .with_context(|| format!("`{line}` is not a recipient"))
        .hint(|| KINDS)
}

fn recipient(line: &str) -> Result<(String, Kind)> {
    fn direct(recipient: impl Recipient + Send + Sync + 'static) -> Kind {
        Kind::Direct(Box::new(recipient))
    }
    if line.starts_with("ssh-") || line.starts_with("ecdsa-") || line.starts_with("sk-") {
        let mut words = line.split_whitespace();
        let (kind, key) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        // The comment of the key is no part of the recipient.
        let canonical = format!("{kind} {key}");
        let parsed: ssh::Recipient = canonical.parse().map_err(ssh_error)?;
        return Ok((canonical, direct(parsed)));
    }
    let line = line.to_owned();
    if let Ok(parsed) = line.parse::<x25519::Recipient>() {
        return Ok((line, direct(parsed)));
    }
    if let Ok(parsed) = line.parse::<tag::Recipient>() {
        return Ok((line, direct(parsed)));
    }
    if let Ok(parsed) = line.parse::<tagpq::Recipient>() {
        return Ok((line, direct(parsed)));
    }
    match line.parse::<plugin::Recipient>() {
        Ok(parsed) => Ok((line, Kind::Plugin(parsed))),
        Err(_) if line.starts_with("age1") => Err(anyhow!("it is cut off or mistyped")),
        Err(_) => Err(anyhow!("it is of no known kind")),
    }
}

fn ssh_error(error: ParseRecipientKeyError) -> Error {
    match error {
        ParseRecipientKeyError::RsaModulusTooLarge => anyhow!("the RSA key is too long"),
        ParseRecipientKeyError::RsaModulusTooSmall => {
            anyhow!("the RSA key has fewer than 2048 bits")
        }
        ParseRecipientKeyError::Unsupported(kind) => anyhow!("age cannot encrypt for `{kind}`"),
        _ => anyhow!("the SSH key is cut off, mistyped, or of a kind that age cannot use"),
    }
}

fn explained(error: EncryptError) -> Error {
    match error {
        EncryptError::IncompatibleRecipients { .. } => with_hint(
            anyhow!("`age1tagpq...` recipients cannot stand beside recipients of other kinds"),
            "use only recipients that resist quantum computers, or none of them",
        ),
        other => other.into(),
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads what a fuzzer makes: what is accepted is a list that means the same when it is written anew.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    use crate::repo::recipients_file::{with, without};

    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(read) = Recipients::parse(text, "r") else {
        return;
    };
    let lines: Vec<_> = read.lines().collect();
    let again = Recipients::parse(&lines.join("\n"), "r");
    assert_eq!(
        again.map(|again| again.hash()).ok(),
        Some(read.hash()),
        "{lines:?}"
    );
    for line in &lines {
        assert!(!looks_secret(line) && !line.contains('\n'), "{line:?}");
        // Whoever is there is not added twice, and is gone when taken off.
        assert!(matches!(with(text, "r", line), Ok(None)), "{line:?}");
        if let Ok(fewer) = without(text, "r", line) {
            let rest = Recipients::parse(&fewer, "r");
            assert!(rest.is_ok_and(|rest| rest.lines().all(|other| other != *line)));
        }
    }
}
