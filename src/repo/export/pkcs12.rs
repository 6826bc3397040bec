//! PKCS#12 (RFC 7292): certificates and key in one file, under a password.
//!
//! Only written, and in two ways only, so the structure stands here as it is in the file. The arithmetic is aws-lc-rs'.

use std::num::NonZeroU32;

use anyhow::{Result, anyhow};
use aws_lc_rs::cipher::{
    self, AES_256, Algorithm, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::digest::{self, digest};
use aws_lc_rs::{hmac, pbkdf2};
use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, DERWriterSeq, Tag};

use crate::model::hint::Hint;
use crate::model::secret::Secret;
use crate::repo::export::Bundle;

/// How the file is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// AES-256, PBKDF2 and SHA-256 (RFC 8018): OpenSSL 1.1, Java 8u301, Windows Server 2019 and later.
    Modern,
    /// Triple DES and SHA-1, for what is older, and for the keychain of macOS.
    Legacy,
}

/// Ten times what Java 17 writes, and fifty times what OpenSSL 3 does; readers that are slow take a second.
const ROUNDS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();

/// Length of salts: that of an IV of AES.
const SALT: usize = 16;

/// Length of an IV of Triple DES.
const DES_BLOCK: usize = 8;

const DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 1];
const ENCRYPTED_DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 6];
const SHROUDED_KEY_BAG: &[u64] = &[1, 2, 840, 113_549, 1, 12, 10, 1, 2];
const CERT_BAG: &[u64] = &[1, 2, 840, 113_549, 1, 12, 10, 1, 3];
const X509_CERTIFICATE: &[u64] = &[1, 2, 840, 113_549, 1, 9, 22, 1];
const FRIENDLY_NAME: &[u64] = &[1, 2, 840, 113_549, 1, 9, 20];
const LOCAL_KEY_ID: &[u64] = &[1, 2, 840, 113_549, 1, 9, 21];
const PBES2: &[u64] = &[1, 2, 840, 113_549, 1, 5, 13];
const PBKDF2: &[u64] = &[1, 2, 840, 113_549, 1, 5, 12];
const HMAC_SHA256: &[u64] = &[1, 2, 840, 113_549, 2, 9];
const AES_256_CBC: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 1, 42];
const SHA1_AND_TRIPLE_DES: &[u64] = &[1, 2, 840, 113_549, 1, 12, 1, 3];
const SHA256: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];
const SHA1: &[u64] = &[1, 3, 14, 3, 2, 26];

/// What is derived from a password by PKCS#12's own function (RFC 7292 appendix B.3).
#[derive(Clone, Copy)]
enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

/// Writes the file. The same key, certificates and password give the same file.
pub(super) fn encode(bundle: &Bundle, password: &Secret, way: Way) -> Result<Secret> {
    let text = password
        .expose_str()
        .filter(|text| text.is_ascii())
        .ok_or_else(|| {
            anyhow!("the password of the PKCS#12 file has characters that are not ASCII")
        })
        .hint(|| "programs differ in how they encode them, and Java takes none")?;
    let writer = Writer::new(bundle, text, way);
    let safe = writer.safe(bundle)?;
    let salt = writer.salt("mac");
    let key = writer.derive(Purpose::Mac, &salt, writer.digest().output_len());
    let mac = hmac::sign(&hmac::Key::new(writer.hmac(), key.expose()), &safe);
    Ok(Secret::new(sequence(|pfx| {
        pfx.next().write_u8(3);
        data(pfx.next(), &safe);
        pfx.next().write_sequence(|mac_data| {
            mac_data.next().write_sequence(|info| {
                info.next().write_sequence(|algorithm| {
                    let id = match way {
                        Way::Modern => SHA256,
                        Way::Legacy => SHA1,
                    };
                    algorithm.next().write_oid(&oid(id));
                    algorithm.next().write_null();
                });
                info.next().write_bytes(mac.as_ref());
            });
            mac_data.next().write_bytes(&salt);
            mac_data.next().write_u32(ROUNDS.get());
        });
    })))
}

/// A password, and where salts come from.
struct Writer<'p> {
    password: &'p str,
    way: Way,
    /// Keyed with the private key, so that nobody else can compute what it gives.
    salts: hmac::Context,
}

impl<'p> Writer<'p> {
    fn new(bundle: &Bundle, password: &'p str, way: Way) -> Self {
        // Files of the same content are the same, and are not written again. Another key, chain or password
        // has other salts.
        let mut salts =
            hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, bundle.key_der.expose()));
        salts.update(digest(&digest::SHA256, password.as_bytes()).as_ref());
        for part in &bundle.chain {
            salts.update(digest(&digest::SHA256, &part.der).as_ref());
        }
        Self {
            password,
            way,
            salts,
        }
    }

    fn salt(&self, what: &str) -> Vec<u8> {
        let mut salt = self.salts.clone();
        salt.update(what.as_bytes());
        let salt = salt.sign();
        salt.as_ref().iter().take(SALT).copied().collect()
    }

    fn digest(&self) -> &'static digest::Algorithm {
        match self.way {
            Way::Modern => &digest::SHA256,
            Way::Legacy => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        }
    }

    #[expect(deprecated, reason = "old readers know nothing better")]
    fn cipher(&self) -> &'static Algorithm {
        match self.way {
            Way::Modern => &AES_256,
            Way::Legacy => &cipher::DES_EDE3_FOR_LEGACY_USE_ONLY,
        }
    }

    fn hmac(&self) -> hmac::Algorithm {
        match self.way {
            Way::Modern => hmac::HMAC_SHA256,
            Way::Legacy => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        }
    }

    /// `AuthenticatedSafe`: certificates, encrypted as a whole, and the key.
    fn safe(&self, bundle: &Bundle) -> Result<Vec<u8>> {
        let certificates = self.encrypt("certificates", &certificates(bundle))?;
        let key = self.encrypt("key", bundle.key_der.expose())?;
        let key = sequence(|bags| {
            bags.next().write_sequence(|bag| {
                bag.next().write_oid(&oid(SHROUDED_KEY_BAG));
                explicit(bag.next(), |value| {
                    value.write_sequence(|info| {
                        info.next().write_der(&key.algorithm);
                        info.next().write_bytes(&key.bytes);
                    });
                });
                attributes(bag.next(), bundle);
            });
        });
        Ok(sequence(|safe| {
            safe.next().write_sequence(|content| {
                content.next().write_oid(&oid(ENCRYPTED_DATA));
                explicit(content.next(), |value| {
                    value.write_sequence(|encrypted| {
                        encrypted.next().write_u8(0);
                        encrypted.next().write_sequence(|info| {
                            info.next().write_oid(&oid(DATA));
                            info.next().write_der(&certificates.algorithm);
                            info.next().write_tagged_implicit(Tag::context(0), |bytes| {
                                bytes.write_bytes(&certificates.bytes);
                            });
                        });
                    });
                });
            });
            data(safe.next(), &key);
        }))
    }

    fn encrypt(&self, what: &str, plain: &[u8]) -> Result<Encrypted> {
        let salt = self.salt(what);
        let (key, iv, algorithm) = match self.way {
            Way::Modern => {
                let mut key = vec![0; 32];
                let password = self.password.as_bytes();
                pbkdf2::derive(
                    pbkdf2::PBKDF2_HMAC_SHA256,
                    ROUNDS,
                    &salt,
                    password,
                    &mut key,
                );
                let iv = self.salt(&format!("iv of {what}"));
                let algorithm = pbes2(&salt, &iv);
                (Secret::new(key), iv, algorithm)
            }
            Way::Legacy => {
                let key = self.derive(Purpose::Key, &salt, 3 * DES_BLOCK);
                let iv = self.derive(Purpose::Iv, &salt, DES_BLOCK);
                (key, iv.expose().to_vec(), triple_des(&salt))
            }
        };
        let bytes = cbc(self.cipher(), &key, &iv, plain)?;
        Ok(Encrypted { algorithm, bytes })
    }

    /// RFC 7292 appendix B.2.
    fn derive(&self, purpose: Purpose, salt: &[u8], length: usize) -> Secret {
        let hash = self.digest();
        let block = hash.block_len();
        let password: Vec<u8> = (self.password.encode_utf16().chain([0]))
            .flat_map(u16::to_be_bytes)
            .collect();
        let mut input = [filled(salt, block), filled(&password, block)].concat();
        let mut result = Vec::new();
        while result.len() < length {
            let mut a = digest(hash, &[&vec![purpose as u8; block][..], &input].concat());
            for _ in 1..ROUNDS.get() {
                a = digest(hash, a.as_ref());
            }
            result.extend_from_slice(a.as_ref());
            let b: Vec<u8> = a.as_ref().iter().copied().cycle().take(block).collect();
            for part in input.chunks_mut(block) {
                add_with_one(part, &b);
            }
        }
        result.truncate(length);
        Secret::new(result)
    }
}

/// What was encrypted, and how (`AlgorithmIdentifier`, DER).
struct Encrypted {
    algorithm: Vec<u8>,
    bytes: Vec<u8>,
}

/// Repeated up to a multiple of the block's length.
fn filled(bytes: &[u8], block: usize) -> Vec<u8> {
    let length = bytes.len().div_ceil(block) * block;
    bytes.iter().copied().cycle().take(length).collect()
}

/// Adds `b` and 1 to a number of the same length, which wraps around.
fn add_with_one(number: &mut [u8], b: &[u8]) {
    let mut carry = 1;
    for (digit, other) in number.iter_mut().zip(b).rev() {
        let sum = u16::from(*digit) + u16::from(*other) + carry;
        [_, *digit] = sum.to_be_bytes();
        carry = sum >> 8;
    }
}

fn cbc(algorithm: &'static Algorithm, key: &Secret, iv: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
    let encrypt = || {
        let key = UnboundCipherKey::new(algorithm, key.expose()).ok()?;
        let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).ok()?;
        let context = match iv.len() {
            SALT => EncryptionContext::Iv128(<[u8; SALT]>::try_from(iv).ok()?.into()),
            _ => EncryptionContext::Iv64(<[u8; DES_BLOCK]>::try_from(iv).ok()?.into()),
        };
        let mut bytes = plain.to_vec();
        key.less_safe_encrypt(&mut bytes, context).ok()?;
        Some(bytes)
    };
    encrypt().ok_or_else(|| anyhow!("cannot encrypt the PKCS#12 file"))
}

/// `SafeContents`: a bag a certificate.
fn certificates(bundle: &Bundle) -> Vec<u8> {
    sequence(|bags| {
        for (number, part) in bundle.chain.iter().enumerate() {
            bags.next().write_sequence(|bag| {
                bag.next().write_oid(&oid(CERT_BAG));
                explicit(bag.next(), |value| {
                    value.write_sequence(|certificate| {
                        certificate.next().write_oid(&oid(X509_CERTIFICATE));
                        explicit(certificate.next(), |bytes| bytes.write_bytes(&part.der));
                    });
                });
                if number == 0 {
                    attributes(bag.next(), bundle);
                }
            });
        }
    })
}

/// By the id a reader finds the key of the leaf; the name is Java's alias.
fn attributes(writer: DERWriter<'_>, bundle: &Bundle) {
    let leaf = bundle.chain.first().map_or(&[][..], |part| &part.der);
    let id = digest(&digest::SHA256, leaf);
    writer.write_set(|attributes| {
        attributes.next().write_sequence(|attribute| {
            attribute.next().write_oid(&oid(FRIENDLY_NAME));
            attribute.next().write_set(|values| {
                values.next().write_bmp_string(bundle.name.as_str());
            });
        });
        attributes.next().write_sequence(|attribute| {
            attribute.next().write_oid(&oid(LOCAL_KEY_ID));
            attribute.next().write_set(|values| {
                values.next().write_bytes(id.as_ref());
            });
        });
    });
}

/// RFC 8018 appendix A.
fn pbes2(salt: &[u8], iv: &[u8]) -> Vec<u8> {
    sequence(|algorithm| {
        algorithm.next().write_oid(&oid(PBES2));
        algorithm.next().write_sequence(|parameters| {
            parameters.next().write_sequence(|derivation| {
                derivation.next().write_oid(&oid(PBKDF2));
                derivation.next().write_sequence(|parameters| {
                    parameters.next().write_bytes(salt);
                    parameters.next().write_u32(ROUNDS.get());
                    parameters.next().write_sequence(|function| {
                        function.next().write_oid(&oid(HMAC_SHA256));
                        function.next().write_null();
                    });
                });
            });
            parameters.next().write_sequence(|encryption| {
                encryption.next().write_oid(&oid(AES_256_CBC));
                encryption.next().write_bytes(iv);
            });
        });
    })
}

/// RFC 7292 appendix C.
fn triple_des(salt: &[u8]) -> Vec<u8> {
    sequence(|algorithm| {
        algorithm.next().write_oid(&oid(SHA1_AND_TRIPLE_DES));
        algorithm.next().write_sequence(|parameters| {
            parameters.next().write_bytes(salt);
            parameters.next().write_u32(ROUNDS.get());
        });
    })
}

/// `ContentInfo` of bytes that are not encrypted, or have been.
fn data(writer: DERWriter<'_>, bytes: &[u8]) {
    writer.write_sequence(|content| {
        content.next().write_oid(&oid(DATA));
        explicit(content.next(), |value| value.write_bytes(bytes));
    });
}

fn sequence(content: impl FnOnce(&mut DERWriterSeq<'_>)) -> Vec<u8> {
    yasna::construct_der(|writer| writer.write_sequence(content))
}

fn explicit(writer: DERWriter<'_>, value: impl FnOnce(DERWriter<'_>)) {
    writer.write_tagged(Tag::context(0), value);
}

fn oid(numbers: &[u64]) -> ObjectIdentifier {
    ObjectIdentifier::from_slice(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap_around() {
        let mut number = [0xff, 0xff, 0x00];
        add_with_one(&mut number, &[0x00, 0x00, 0xff]);
        assert_eq!(number, [0x00, 0x00, 0x00]);
        let mut number = [0x01, 0x02];
        add_with_one(&mut number, &[0x01, 0x00]);
        assert_eq!(number, [0x02, 0x03]);
        assert_eq!(filled(b"abc", 4), b"abca");
        assert_eq!(filled(b"", 4), b"");
    }
}
