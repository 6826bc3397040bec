//! Plaintext that must not leave memory, and the ciphertext that may.

use std::fmt;

use zeroize::Zeroizing;

/// First line of an ASCII-armoured age file.
const ARMOUR: &str = "-----BEGIN AGE ENCRYPTED FILE-----";

/// Plaintext that is wiped on drop and cannot be printed, serialised or written.
///
/// There is no `Display`, no `Serialize` and no `Clone`; whoever needs the bytes says so with
/// [`Secret::expose`].
pub(crate) struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; they are wiped when this is dropped.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The plaintext.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The plaintext as text; none if it is not UTF-8.
    pub(crate) fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Ciphertext of age, ASCII-armoured: the only form in which a private key reaches git or a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed(String);

/// A text that should be age ciphertext is not.
#[derive(Debug, thiserror::Error)]
#[error("not an ASCII-armoured age file")]
pub(crate) struct NotSealed;

impl Sealed {
    /// Accepts armoured age ciphertext and nothing else.
    pub(crate) fn new(text: String) -> Result<Self, NotSealed> {
        if text.starts_with(ARMOUR) && !text.contains("PRIVATE KEY") {
            Ok(Self(text))
        } else {
            Err(NotSealed)
        }
    }

    /// The ciphertext.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text is a private key rather than the name of a file, or a line of a public list.
pub(crate) fn looks_secret(text: &str) -> bool {
    let text = text.trim_start().to_ascii_uppercase();
    text.starts_with("AGE-SECRET-KEY-")
        || text.starts_with("AGE-PLUGIN-")
        || text.starts_with("-----BEGIN")
        || text.contains("PRIVATE KEY")
}

/// Whether an environment variable holds a key or a token of this program or of the CI job, which
/// neither a provider nor a child process gets to see.
pub(crate) fn is_own_variable(name: &str) -> bool {
    const TOKENS: [&str; 6] = [
        "GITHUB_TOKEN",
        "CI_JOB_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "VAULT_TOKEN",
        "VAULT_SECRET_ID",
        "VAULT_ID_TOKEN",
    ];
    const PREFIXES: [&str; 3] = ["GIT_CERTS_", "SOPS_AGE_KEY", "LEGO_EAB_"];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || TOKENS.contains(&name)
}

/// Whether a variable or a field has a name that people give to secrets.
pub(crate) fn names_secret(name: &str) -> bool {
    const WORDS: [&str; 6] = ["TOKEN", "SECRET", "PASSW", "KEY", "HMAC", "CREDENTIAL"];
    let name = name.to_ascii_uppercase();
    // A file's name is no secret, nor is what the CA calls the key.
    let is_public = name.ends_with("_FILE") || name.ends_with("_ID");
    WORDS.iter().any(|word| name.contains(word)) && !is_public
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(
            format!("{:?}", Secret::from("hunter2".to_owned())),
            "Secret(..)"
        );
    }

    #[test]
    fn names_tell_secrets() {
        for name in [
            "GIT_CERTS_AGE_KEY",
            "apitoken",
            "transfer-key",
            "private_key",
            "GITHUB_TOKEN",
        ] {
            assert!(names_secret(name), "{name}");
        }
        for name in [
            "GIT_CERTS_AGE_KEY_FILE",
            "LEGO_EAB_KID",
            "apiuser",
            "directory",
            "key_id",
        ] {
            assert!(!names_secret(name), "{name}");
        }
    }

    #[test]
    fn only_age_is_sealed() {
        assert!(Sealed::new("-----BEGIN PRIVATE KEY-----".into()).is_err());
        assert!(Sealed::new(format!("{ARMOUR}\nabc\n-----BEGIN PRIVATE KEY-----")).is_err());
        assert!(Sealed::new(format!("{ARMOUR}\nabc")).is_ok());
    }
}
