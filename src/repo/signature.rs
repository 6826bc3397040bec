//! Signatures of commits in OpenSSH's format (PROTOCOL.sshsig), as git makes them with `gpg.format = ssh`.

use ::ssh_key::public::KeyData;
use ::ssh_key::{HashAlg, LineEnding, SshSig};
use anyhow::Result;

use crate::repo::ssh_key::{self, SshKey};

/// What a signature is for; ssh-keygen takes none that is for something else.
const NAMESPACE: &str = "git";

/// What a signature of OpenSSH's begins with.
const LABEL: &[u8] = b"-----BEGIN SSH SIGNATURE-----";

/// The signature of a commit, for its header `gpgsig`.
pub(crate) fn sign(key: &SshKey, commit: &[u8]) -> Result<String> {
    let hash = HashAlg::Sha512;
    let signature = key.sign(&SshSig::signed_data(NAMESPACE, hash, commit)?)?;
    let whole = SshSig::new(key.public().key_data().clone(), NAMESPACE, hash, signature)?;
    Ok(whole.to_pem(LineEnding::LF)?.trim_end().to_owned())
}

/// What is to be said of a signature.
pub(crate) enum Signed {
    /// It is good, and this key made it.
    By(KeyData),
    /// Why it says nothing.
    Not(&'static str),
}

/// Looks at the signature of a commit.
pub(crate) fn check(signature: &[u8], commit: &[u8]) -> Signed {
    if !signature.starts_with(LABEL) {
        return Signed::Not("it is not signed with an SSH key");
    }
    let Ok(signature) = SshSig::from_pem(signature.trim_ascii()) else {
        return Signed::Not("its signature is damaged");
    };
    if signature.namespace() != NAMESPACE {
        return Signed::Not("its signature is not one for git");
    }
    let data = SshSig::signed_data(NAMESPACE, signature.hash_alg(), commit);
    let key = signature.public_key();
    match data {
        Ok(data) if ssh_key::is_good(key, &data, signature.signature()) => Signed::By(key.clone()),
        _ => Signed::Not("its signature does not fit: it was changed after it was signed"),
    }
}
