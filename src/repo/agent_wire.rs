//! What an ssh-agent and those who ask it say to each other (draft-ietf-sshm-ssh-agent).

use std::io::{self, Read, Write};

/// Longest message, as OpenSSH has it.
const LONGEST: usize = 256 * 1024;

pub(super) const FAILURE: u8 = 5;
pub(super) const REQUEST_IDENTITIES: u8 = 11;
pub(super) const IDENTITIES_ANSWER: u8 = 12;
pub(super) const SIGN_REQUEST: u8 = 13;
pub(super) const SIGN_RESPONSE: u8 = 14;

/// Flag of a request for a signature of rsa by SHA-512.
pub(super) const RSA_SHA2_512: u32 = 4;

/// Begins a request for a login (RFC 4252 section 5).
const USERAUTH_REQUEST: u8 = 50;

/// Reads a message.
pub(super) fn read(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; length];
    from.read_exact(&mut message)?;
    Ok(message)
}

/// Writes a message.
pub(super) fn write(to: &mut impl Write, message: &[u8]) -> io::Result<()> {
    to.write_all(&string(message))
}

/// Bytes after their length (RFC 4251 section 5).
pub(super) fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

/// Such bytes, and what follows.
pub(super) fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// Whether this is what is signed for a login with a key (RFC 4252 section 7): bytes that could be nothing else,
/// such as what is signed of a commit.
pub(super) fn is_login(data: &[u8]) -> bool {
    let parts = || {
        let (_session, rest) = split(data)?;
        let (kind, rest) = rest.split_first()?;
        let (_user, rest) = split(rest)?;
        let (service, rest) = split(rest)?;
        let (method, _) = split(rest)?;
        Some((*kind, service, method))
    };
    parts().is_some_and(|(kind, service, method)| {
        // OpenSSH's method that names the host's key as well begins the same.
        kind == USERAUTH_REQUEST && service == b"ssh-connection" && method.starts_with(b"publickey")
    })
}
