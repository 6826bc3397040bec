//! Identities behind a passphrase: age's own files, and SSH keys.

use std::sync::OnceLock;

use age::armor::ArmoredReader;
use age::ssh::EncryptedKey;
use age::{Callbacks, DecryptError, Decryptor, Identity, scrypt, ssh};
use age_core::format::{FileKey, Stanza};
use anyhow::{Context, Result, anyhow, bail};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};

use crate::model::hint::{Hint, Shared, with_hint};
use crate::model::secret::Secret;
use crate::repo::seal::{DAMAGED, Why, not_age, read};

/// Twice as long as age takes by default for each above 18; 22 is half a minute on a slow machine.
const MOST_WORK: u8 = 22;

/// Why a passphrase was not given.
const NOT_TYPED: &str = "it is protected by a passphrase, which is asked for on a terminal only";

/// Asks for the passphrase of an encrypted identity file, and opens it.
pub(super) fn open_file(file: &[u8], origin: &str, asker: &impl Callbacks) -> Result<Secret> {
    let context = || format!("cannot use the identity in `{origin}`");
    let decryptor = Decryptor::new_buffered(ArmoredReader::new(file))
        .map_err(|error| not_age(&error))
        .with_context(context)?;
    if !decryptor.is_scrypt() {
        return Err(with_hint(
            anyhow!("it is encrypted for recipients, not with a passphrase"),
            "`age -d -i KEY` opens it; give what it prints",
        ))
        .with_context(context);
    }
    let passphrase = asker
        .request_passphrase(&question(origin))
        .context(NOT_TYPED)
        .hint(|| "`age -d` opens it; give what it prints")
        .with_context(context)?;
    let mut key = scrypt::Identity::new(passphrase);
    key.set_max_work_factor(MOST_WORK);
    decryptor
        .decrypt(std::iter::once(&key as &dyn Identity))
        .map_err(|error| match error {
            DecryptError::DecryptionFailed => anyhow!("the passphrase is wrong"),
            DecryptError::ExcessiveWork { .. } => with_hint(
                anyhow!("its passphrase would take too long to check"),
                "encrypt it anew with `age -p`",
            ),
            _ => with_hint(anyhow!("it is damaged"), DAMAGED),
        })
        .and_then(|stream| read(stream, file.len()))
        .with_context(context)
}

/// An SSH key that is opened when something is encrypted for it.
pub(super) struct LockedKey<C> {
    key: EncryptedKey,
    /// How age names the key in what is encrypted for it.
    tag: String,
    origin: String,
    asker: C,
    opened: OnceLock<Result<ssh::Identity, Shared>>,
    why: Why,
}

impl<C: Callbacks> LockedKey<C> {
    /// `text` is the key's file.
    pub(super) fn new(
        (key, text): (EncryptedKey, &str),
        origin: &str,
        asker: &C,
        why: &Why,
    ) -> Result<Self> {
        Ok(Self {
            key,
            tag: tag(text).context("it is cut off or mistyped")?,
            origin: origin.to_owned(),
            asker: asker.clone(),
            opened: OnceLock::new(),
            why: why.clone(),
        })
    }

    /// Asks once: whoever mistypes the passphrase is told so, and not asked for the next certificate.
    fn opened(&self) -> Option<&ssh::Identity> {
        let context = || format!("cannot use the SSH key in `{}`", self.origin);
        let opened = self
            .opened
            .get_or_init(|| self.open().with_context(context).map_err(Shared::new));
        match opened {
            Ok(key) => Some(key),
            Err(error) => {
                self.why.set(error.clone().into());
                None
            }
        }
    }

    fn open(&self) -> Result<ssh::Identity> {
        let passphrase = self
            .asker
            .request_passphrase(&question(&self.origin))
            .context(NOT_TYPED)
            .hint(|| {
                "`ssh-keygen -p` takes the passphrase off a copy; or make an age key with `age-keygen`"
            })?;
        match self.key.decrypt(passphrase) {
            Ok(key) => Ok(key.into()),
            Err(_) => bail!("the passphrase is wrong"),
        }
    }
}

impl<C: Callbacks> Identity for LockedKey<C> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        let is_for_it = stanza.tag.starts_with("ssh-") && stanza.args.first() == Some(&self.tag);
        if !is_for_it {
            return None;
        }
        match self.opened() {
            Some(key) => key.unwrap_stanza(stanza),
            None => Some(Err(DecryptError::KeyDecryptionFailed)),
        }
    }
}

/// What a passphrase is asked for with.
fn question(origin: &str) -> String {
    format!("passphrase of `{origin}`")
}

/// The first four bytes of the public key's SHA-256, as age's stanzas have them: what is encrypted for
/// other keys is no reason to ask for a passphrase.
///
/// The public key is readable in an encrypted file too:
/// <https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key>.
fn tag(text: &str) -> Option<String> {
    let lines = text.lines().map(str::trim);
    let body: String = lines.filter(|line| !line.starts_with("-----")).collect();
    let bytes = BASE64_STANDARD.decode(body).ok()?;
    let mut rest = bytes.strip_prefix(b"openssh-key-v1\0")?;
    // Cipher, key derivation, and its options; then the number of keys.
    for _ in 0..3 {
        (_, rest) = string(rest)?;
    }
    let (public_key, _) = string(rest.get(4..)?)?;
    let hash = digest(&SHA256, public_key);
    Some(BASE64_STANDARD_NO_PAD.encode(hash.as_ref().get(..4)?))
}

/// A length and as many bytes; and what comes after.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}
