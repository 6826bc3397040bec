//! Opens what age sealed. The other direction is [`crate::repo::recipients`].

use std::io::Read;

use age::armor::ArmoredReader;
use age::ssh::UnsupportedKey;
use age::{DecryptError, Decryptor, Identity, NoCallbacks, plugin, ssh, x25519};
use anyhow::{Context, Result, anyhow, bail};

use crate::model::hint::{Hint, with_hint};
use crate::model::secret::{Sealed, Secret};

pub(crate) use crate::repo::recipients::Recipients;

/// First words of an age file: an identity file that is itself encrypted.
const AGE_FILE: [&str; 2] = ["-----BEGIN AGE ENCRYPTED FILE-----", "age-encryption.org/"];

/// Keys that open sealed files.
pub(crate) struct Identities {
    keys: Vec<Box<dyn Identity + Send + Sync>>,
    origin: String,
}

impl Identities {
    /// Reads an age identity file (several keys, comments) or one SSH private key.
    ///
    /// `origin` is what messages call the source. No message repeats a line.
    pub(crate) fn parse(text: &Secret, origin: &str) -> Result<Self> {
        let Some(text) = text.expose_str() else {
            bail!("the identity in `{origin}` is not text");
        };
        let text = text.trim();
        if AGE_FILE.iter().any(|start| text.starts_with(start)) {
            return Err(with_hint(
                anyhow!("the identity in `{origin}` is protected by a passphrase"),
                "`age -d` opens it; give what it prints",
            ));
        }
        let keys = if text.starts_with("-----BEGIN") {
            vec![ssh_key(text).with_context(|| format!("cannot use the SSH key in `{origin}`"))?]
        } else {
            age_keys(text, origin)?
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
        })
    }

    /// Decrypts with whichever identity fits.
    pub(crate) fn open(&self, sealed: &Sealed) -> Result<Secret> {
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
        let mut stream = decryptor
            .decrypt(keys)
            .map_err(|error| self.explained(&error))?;
        // Longer than any plaintext, so that no half-filled buffer is moved and left unwiped.
        let mut plain = Vec::with_capacity(text.len());
        let read = stream.read_to_end(&mut plain);
        let plain = Secret::new(plain);
        read.map(|_| plain)
            .map_err(|_| anyhow!("the ciphertext is damaged"))
            .hint(|| DAMAGED)
    }

    fn explained(&self, error: &DecryptError) -> anyhow::Error {
        match error {
            DecryptError::NoMatchingKeys => with_hint(
                anyhow!("no identity in `{}` can open it", self.origin),
                "it is encrypted for other recipients: give the identity of one of them, \
                 or let one of them encrypt it for yours",
            ),
            DecryptError::Plugin(_) | DecryptError::PluginResolve(_) => {
                anyhow!("the age plugin failed: {error}")
            }
            _ => with_hint(anyhow!("the ciphertext is damaged"), DAMAGED),
        }
    }
}

/// What to do about a broken file.
const DAMAGED: &str = "take the file from an older commit";

fn not_age(error: &DecryptError) -> anyhow::Error {
    match error {
        DecryptError::UnknownFormat => with_hint(
            anyhow!("it is an age file of a version that is not known"),
            "a newer git-certs may know it",
        ),
        _ => with_hint(anyhow!("it is not an age file, or it is damaged"), DAMAGED),
    }
}

fn age_keys(text: &str, origin: &str) -> Result<Vec<Box<dyn Identity + Send + Sync>>> {
    let mut keys: Vec<Box<dyn Identity + Send + Sync>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Ok(key) = line.parse::<x25519::Identity>() {
            keys.push(Box::new(key));
        } else if let Ok(key) = line.parse::<plugin::Identity>() {
            let name = key.plugin().to_owned();
            let plugin = plugin::IdentityPluginV1::new(&name, &[key], NoCallbacks)
                .map_err(|_| anyhow!("there is no `age-plugin-{name}` on PATH"))
                .hint(|| format!("install `age-plugin-{name}`, or give another identity"))?;
            keys.push(Box::new(plugin));
        } else {
            return Err(with_hint(
                anyhow!(
                    "line {} of the identity in `{origin}` is not a key",
                    index + 1
                ),
                "a key is `AGE-SECRET-KEY-1...`, whole and on one line; `age1...` is a recipient, not a key",
            ));
        }
    }
    Ok(keys)
}

fn ssh_key(text: &str) -> Result<Box<dyn Identity + Send + Sync>> {
    // Variables of CI systems lose the final line feed, which the format wants.
    let text = zeroize::Zeroizing::new(format!("{text}\n"));
    let key = ssh::Identity::from_buffer(text.as_bytes(), None)
        .map_err(|_| anyhow!("it is cut off or mistyped"))
        .hint(|| "give the whole file, first and last line included")?;
    match key {
        ssh::Identity::Unencrypted(_) => Ok(Box::new(key)),
        ssh::Identity::Encrypted(_)
        | ssh::Identity::Unsupported(
            UnsupportedKey::EncryptedPem | UnsupportedKey::EncryptedSsh(_),
        ) => Err(with_hint(
            anyhow!("it is protected by a passphrase"),
            "`ssh-keygen -p` takes the passphrase off a copy; or make an age key with `age-keygen`",
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
