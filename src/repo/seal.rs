//! Opens what age sealed. The other direction is [`crate::repo::recipients`].

use std::fmt;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use age::armor::ArmoredReader;
use age::ssh::UnsupportedKey;
use age::{Callbacks, DecryptError, Decryptor, Identity, plugin, ssh, x25519};
use anyhow::{Context, Error, Result, anyhow, bail};

use crate::model::hint::{Hint, with_hint};
use crate::model::secret::{Sealed, Secret};
use crate::repo::locked::{LockedKey, open_file};
use crate::repo::plugin as plugins;

pub(crate) use crate::repo::recipients::Recipients;

/// First words of an age file: an identity file that is itself encrypted.
const AGE_FILE: [&[u8]; 2] = [
    b"-----BEGIN AGE ENCRYPTED FILE-----",
    b"age-encryption.org/",
];

/// Beginning of a post-quantum key (`age-keygen -pq` of age 1.3), which the age crate does not know.
const POST_QUANTUM: &str = "AGE-SECRET-KEY-PQ-1";

/// Why an identity could not be asked. Clones share it.
///
/// age has no place for it in its own errors.
#[derive(Clone, Default)]
pub(super) struct Why(Arc<Mutex<Option<Error>>>);

impl Why {
    pub(super) fn set(&self, error: Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub(super) fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Keys that open sealed files.
pub(crate) struct Identities {
    keys: Vec<Box<dyn Identity + Send + Sync>>,
    origin: String,
    why: Why,
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({})", self.origin)
    }
}

impl Identities {
    /// Reads an age identity file (several keys, comments) or one SSH private key.
    ///
    /// `origin` is what messages call the source. No message repeats a line. `asker` is asked for
    /// passphrases and for what plugins want to know: for that of an age file at once, otherwise when
    /// something is opened that needs it.
    pub(crate) fn parse(text: &Secret, origin: &str, asker: &impl Callbacks) -> Result<Self> {
        let bytes = text.expose().trim_ascii_start();
        if AGE_FILE.iter().any(|start| bytes.starts_with(start)) {
            let opened = open_file(bytes, origin, asker)?;
            return Self::parse(&opened, origin, asker);
        }
        let Some(text) = text.expose_str() else {
            bail!("the identity in `{origin}` is not text");
        };
        let text = text.trim();
        let why = Why::default();
        let keys = if text.starts_with("-----BEGIN") {
            let key = ssh_key(text, origin, asker, &why)
                .with_context(|| format!("cannot use the SSH key in `{origin}`"))?;
            vec![key]
        } else {
            age_keys(text, origin, asker, &why)?
        };
        if keys.is_empty() {
            return Err(with_hint(
                anyhow!("there is no identity in `{origin}`"),
                "an identity is a line `AGE-SECRET-KEY-1...`, as `age-keygen` prints it, or an SSH private key",
            ));
        }
        Ok(Self {
            keys,
            origin: origin.to_owned(),
            why,
        })
    }

    /// Decrypts with whichever identity fits.
    pub(crate) fn open(&self, sealed: &Sealed) -> Result<Secret> {
        // What was not answered before another identity fitted is no reason of this time.
        self.why.take();
        let text = sealed.as_str();
        let decryptor = Decryptor::new_buffered(ArmoredReader::new(text.as_bytes()))
            .map_err(|error| not_age(&error))?;
        if decryptor.is_scrypt() {
            return Err(with_hint(
                anyhow!("it is encrypted with a passphrase, not for recipients"),
                "encrypt it again: `age -d FILE | age -R .age-recipients -a`",
            ));
        }
        let keys = self.keys.iter().map(|key| &**key as &dyn Identity);
        let stream = decryptor
            .decrypt(keys)
            .map_err(|error| self.why.take().unwrap_or_else(|| self.explained(&error)))?;
        read(stream, text.len())
    }

    fn explained(&self, error: &DecryptError) -> Error {
        match error {
            DecryptError::NoMatchingKeys => with_hint(
                anyhow!("no identity in `{}` can open it", self.origin),
                "it is encrypted for other recipients: give the identity of one of them (`--identity`, GIT_CERTS_AGE_KEY), \
                 or let one of them encrypt it for yours",
            ),
            DecryptError::Plugin(_) | DecryptError::PluginResolve(_) => {
                anyhow!("the age plugin failed: {error}")
            }
            _ => with_hint(anyhow!("the ciphertext is damaged"), DAMAGED),
        }
    }
}

/// Reads a plaintext, which is no longer than its ciphertext: no half-filled buffer is moved and left
/// unwiped.
pub(super) fn read(mut stream: impl Read, most: usize) -> Result<Secret> {
    let mut plain = Vec::with_capacity(most);
    let read = stream.read_to_end(&mut plain);
    let plain = Secret::new(plain);
    read.map(|_| plain)
        .map_err(|_| anyhow!("the ciphertext is damaged"))
        .hint(|| DAMAGED)
}

/// What to do about a broken file.
pub(super) const DAMAGED: &str = "take the file from an older commit";

pub(super) fn not_age(error: &DecryptError) -> Error {
    match error {
        DecryptError::UnknownFormat => with_hint(
            anyhow!("it is an age file of a version that is not known"),
            "a newer git-certs may know it",
        ),
        _ => with_hint(anyhow!("it is not an age file, or it is damaged"), DAMAGED),
    }
}

fn age_keys(
    text: &str,
    origin: &str,
    asker: &impl Callbacks,
    why: &Why,
) -> Result<Vec<Box<dyn Identity + Send + Sync>>> {
    let mut keys: Vec<Box<dyn Identity + Send + Sync>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Ok(key) = line.parse::<x25519::Identity>() {
            keys.push(Box::new(key));
        } else if let Ok(key) = line.parse::<plugin::Identity>() {
            keys.push(plugins::identity(key, asker, why)?);
        } else if line.to_ascii_uppercase().starts_with(POST_QUANTUM) {
            return Err(with_hint(
                anyhow!(
                    "line {} of the identity in `{origin}` is a post-quantum key, which age's plugin for them opens",
                    index + 1
                ),
                "`age-plugin-pq -identity` makes an identity for the plugin of it: give that",
            ));
        } else {
            let hint = if line.contains('/') {
                "the path of a file goes into `GIT_CERTS_AGE_KEY_FILE`, or `--identity`"
            } else {
                "a key is `AGE-SECRET-KEY-1...`, whole and on one line; `age1...` is a recipient, not a key"
            };
            let number = index + 1;
            return Err(with_hint(
                anyhow!("line {number} of the identity in `{origin}` is not a key"),
                hint,
            ));
        }
    }
    Ok(keys)
}

fn ssh_key(
    text: &str,
    origin: &str,
    asker: &impl Callbacks,
    why: &Why,
) -> Result<Box<dyn Identity + Send + Sync>> {
    // Variables of CI systems lose the final line feed, which the format wants.
    let text = zeroize::Zeroizing::new(format!("{text}\n"));
    let key = ssh::Identity::from_buffer(text.as_bytes(), None)
        .map_err(|_| anyhow!("it is cut off or mistyped"))
        .hint(|| "give the whole file, first and last line included")?;
    match key {
        ssh::Identity::Unencrypted(_) => Ok(Box::new(key)),
        ssh::Identity::Encrypted(key) => {
            let locked = LockedKey::new((key, &text), origin, asker, why)?;
            Ok(Box::new(locked))
        }
        ssh::Identity::Unsupported(
            UnsupportedKey::EncryptedPem | UnsupportedKey::EncryptedSsh(_),
        ) => Err(with_hint(
            anyhow!("its passphrase protects it in a way that age does not know"),
            "`ssh-keygen -p` writes it in today's way; or make an age key with `age-keygen`",
        )),
        ssh::Identity::Unsupported(UnsupportedKey::Hardware(kind)) => Err(with_hint(
            anyhow!("`{kind}` is kept on a security key, which cannot decrypt"),
            "`age-plugin-yubikey` makes an identity for age on some of them",
        )),
        ssh::Identity::Unsupported(UnsupportedKey::Type(kind)) => Err(with_hint(
            anyhow!("age cannot decrypt with `{kind}`"),
            "use `ssh-ed25519` or `ssh-rsa`, or make an age key with `age-keygen`",
        )),
    }
}

#[cfg(test)]
mod tests;
