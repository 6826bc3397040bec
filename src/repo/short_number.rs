//! ECDSA keys of OpenSSH whose number is short.
//!
//! The number is written without the zeros that it would begin with: one key of 512 has fewer bytes than its curve, and
//! of nistp521 every other. The crate that reads keys takes numbers of full length only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ssh_key::PrivateKey;
use zeroize::Zeroizing;

use crate::repo::agent_wire::split;

/// Begins what is in the file (OpenSSH's PROTOCOL.key).
const MAGIC: &[u8] = b"openssh-key-v1\0";

/// Length of the two equal numbers that the private part begins with.
const CHECKS: usize = 8;

/// Length of a block where nothing is encrypted.
const BLOCK: usize = 8;

/// Reads such a key, the text of a file without a passphrase. None for everything else.
pub(super) fn read(text: &str) -> Option<PrivateKey> {
    let lines = text.lines().filter(|line| !line.starts_with('-'));
    let body = Zeroizing::new(lines.collect::<String>());
    let file = Zeroizing::new(STANDARD.decode(body.as_bytes()).ok()?);
    let rest = file.strip_prefix(MAGIC)?;
    let (_cipher, rest) = split(rest)?;
    let (_derivation, rest) = split(rest)?;
    let (_options, rest) = split(rest)?;
    // After the number of keys, which is one.
    let (_public, private_part) = split(rest.get(4..)?)?;
    let private = with_whole_number(split(private_part)?.0)?;
    let before = file.len().checked_sub(private_part.len())?;
    let mut whole = Zeroizing::new(Vec::with_capacity(before + 4 + private.len()));
    whole.extend(file.get(..before)?);
    put(&mut whole, &private)?;
    PrivateKey::from_bytes(&whole).ok()
}

fn with_whole_number(private: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (kind, rest) = split(private.get(CHECKS..)?)?;
    let (curve, rest) = split(rest)?;
    let (point, rest) = split(rest)?;
    let (number, rest) = split(rest)?;
    let (comment, _padding) = split(rest)?;
    let length = match curve {
        b"nistp256" => 32_usize,
        b"nistp384" => 48,
        b"nistp521" => 66,
        _ => return None,
    };
    let zeros = length.checked_sub(number.len())?;
    let mut whole = Zeroizing::new(Vec::with_capacity(private.len() + zeros + BLOCK));
    whole.extend(private.get(..CHECKS)?);
    for part in [kind, curve, point] {
        put(&mut whole, part)?;
    }
    whole.extend(u32::try_from(length).ok()?.to_be_bytes());
    whole.extend(std::iter::repeat_n(0, zeros));
    whole.extend(number);
    put(&mut whole, comment)?;
    for byte in (1..).take(whole.len().next_multiple_of(BLOCK) - whole.len()) {
        whole.push(byte);
    }
    Some(whole)
}

/// Adds bytes after their length.
fn put(to: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    to.extend(u32::try_from(bytes.len()).ok()?.to_be_bytes());
    to.extend(bytes);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hint::explain;
    use crate::model::secret::Secret;
    use crate::repo::ssh_key::{SshKey, is_good};

    /// Between the first and the last line of a file that `ssh-keygen -t ecdsa` made for this test; it opens nothing.
    const OF_31_BYTES: &str =
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS
1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQSNv9BQRCK2HM7WvElZb2nxWnNgHYLS
2JhsWe8kf5So+KT7mmOVKSwlFrCIWCAXe/5lErJDEzgwrrkinbSJDMrvAAAAoFAQ3S1QEN
0tAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBI2/0FBEIrYczta8
SVlvafFac2AdgtLYmGxZ7yR/lKj4pPuaY5UpLCUWsIhYIBd7/mUSskMTODCuuSKdtIkMyu
8AAAAfXFKxZpTGa44DKVlInM0t44EQqiCDutSyHfx2JAsz3QAAAAVzaG9ydAECAwQ=";

    /// The same with `-b 384`.
    const OF_47_BYTES: &str =
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAiAAAABNlY2RzYS
1zaGEyLW5pc3RwMzg0AAAACG5pc3RwMzg0AAAAYQQTkfSspQ3vGYRGwBCUbkmSJCF2yHea
Rh6wkhLo1kvYJ20xtIa0iLyKIee1eKGDtHAK7ZXz/mbrjDlf5VmZq+RhwsypoizlKTC2Iu
gzpZWfnf8ztME+NMLo4Bx/fRAEhsgAAADQrGpIaKxqSGgAAAATZWNkc2Etc2hhMi1uaXN0
cDM4NAAAAAhuaXN0cDM4NAAAAGEEE5H0rKUN7xmERsAQlG5JkiQhdsh3mkYesJIS6NZL2C
dtMbSGtIi8iiHntXihg7RwCu2V8/5m64w5X+VZmavkYcLMqaIs5SkwtiLoM6WVn53/M7TB
PjTC6OAcf30QBIbIAAAAL34te5SgdHCqEshnEKg2pQhoiLA6AHu2/tfeOF4GLrPzBY9haR
eznoOg9itxhEYYAAAABXNob3J0AQIDBA==";

    fn file(body: &str) -> String {
        let label = "OPENSSH PRIVATE KEY";
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    }

    #[test]
    fn they_sign_as_others_do() {
        for (body, fingerprint) in [
            (
                OF_31_BYTES,
                "SHA256:9azzgbhxyrahDWhJ+tzOtd8IUW01IWfvxfSJhET6O24",
            ),
            (
                OF_47_BYTES,
                "SHA256:QBZnk71XDX14QaBNV0ZEtd8OfrR1McXHIWZ5GP5hB24",
            ),
        ] {
            let text = file(body);
            assert!(PrivateKey::from_openssh(&text).is_err());
            let key = SshKey::parse(&Secret::from(text)).unwrap();
            assert_eq!(key.fingerprint(), fingerprint);
            let signature = key.sign(b"data").unwrap();
            let public = key.public().key_data();
            assert!(is_good(public, b"data", &signature));
            assert!(!is_good(public, b"date", &signature));
        }
    }

    #[test]
    fn damaged_ones_are_refused() {
        let bytes = STANDARD.decode(OF_31_BYTES.replace('\n', "")).unwrap();
        let read = |bytes: &[u8]| read(&STANDARD.encode(bytes));
        assert!(read(&bytes).is_some());
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_none(), "{length}");
        }
        let at = |what: &[u8]| {
            bytes
                .windows(what.len())
                .position(|part| part == what)
                .unwrap()
        };
        for place in [0, at(b"none"), at(b"nistp256")] {
            let mut wrong = bytes.clone();
            wrong[place] ^= 1;
            assert!(read(&wrong).is_none(), "{place}");
        }
        let cut = file(&OF_31_BYTES.replace("44EQqiCD", ""));
        let error = SshKey::parse(&Secret::from(cut)).unwrap_err();
        assert_eq!(explain(&error).what, "it cannot be read");
    }
}
