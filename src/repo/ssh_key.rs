//! SSH keys: OpenSSH's formats, with the arithmetic of the one crypto backend.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED, ED25519, EcdsaKeyPair,
    EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, Ed25519KeyPair, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
};
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::{BigUint, RsaPrivateKey};
use ssh_key::private::{EcdsaKeypair, Ed25519Keypair, KeypairData, RsaKeypair};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, Mpint, PrivateKey, PublicKey, Signature};

use crate::model::hint::Hint;
use crate::model::secret::Secret;
use crate::repo::agent_wire::{
    self, IDENTITIES_ANSWER, REQUEST_IDENTITIES, RSA_SHA2_512, SIGN_REQUEST, SIGN_RESPONSE,
};
use crate::repo::short_number;

/// What to take instead of a key that cannot sign.
const OTHERS: &str =
    "take ed25519 (`ssh-keygen -t ed25519 -N '' -f FILE`), ecdsa of nistp256 or nistp384, or rsa";

/// Bytes of flags and counter at the end of a security key's signature.
const TOUCH: usize = 5;

/// Flag of a security key that was touched.
const TOUCHED: u8 = 1;

/// An SSH key that signs. It does not print, and is wiped on drop.
pub(crate) enum SshKey {
    Private(Box<PrivateKey>),
    /// Held by the ssh-agent at this socket.
    InAgent(PublicKey, PathBuf),
}

impl std::fmt::Debug for SshKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SshKey({})", self.fingerprint())
    }
}

impl SshKey {
    /// Reads what `ssh-keygen` writes: ed25519, ecdsa and rsa, without a passphrase.
    ///
    /// Carriage returns and a final line end, which secret stores of CI systems add or take away, do
    /// not matter.
    pub(crate) fn parse(text: &Secret) -> Result<Self> {
        let text = text.expose_str().context("it is not text")?;
        let text = zeroize::Zeroizing::new(text.trim().to_owned() + "\n");
        if !text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----") {
            return Err(anyhow!("it is not a private key of OpenSSH")).hint(|| {
                "`ssh-keygen -t ed25519 -N '' -f FILE` makes one; `ssh-keygen -p -f FILE` converts one that `openssl` made"
            });
        }
        let key = PrivateKey::from_openssh(text.as_bytes())
            .or_else(|error| short_number::read(&text).ok_or(error))
            .context("it cannot be read")
            .hint(|| "the whole file is needed, with its first and last line and its line ends")?;
        if key.is_encrypted() {
            return Err(anyhow!("a passphrase protects it")).hint(|| {
                "let an ssh-agent have it (to sign commits, `--signing-key` names its `.pub` file); for CI, `ssh-keygen -p -N '' -f COPY` takes the passphrase off a copy"
            });
        }
        match key.algorithm() {
            Algorithm::Ecdsa {
                curve: EcdsaCurve::NistP521,
            } => Err(anyhow!("keys of nistp521 are not supported")).hint(|| OTHERS),
            Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { .. } => {
                Ok(Self::Private(Box::new(key)))
            }
            other => Err(anyhow!("keys of the type `{other}` are not supported")).hint(|| OTHERS),
        }
    }

    /// A key that an ssh-agent has, by its public line.
    pub(crate) fn in_agent(public: PublicKey, socket: PathBuf) -> Result<Self> {
        let key = Self::InAgent(public, socket);
        let has = key.agent_has().context("cannot ask the ssh-agent");
        if !has.hint(|| "SSH_AUTH_SOCK says where it listens: `ssh-add -l` asks it, too")? {
            return Err(anyhow!("the ssh-agent does not have it"))
                .hint(|| "`ssh-add FILE` gives it the private key");
        }
        Ok(key)
    }

    pub(crate) fn public(&self) -> &PublicKey {
        match self {
            Self::Private(key) => key.public_key(),
            Self::InAgent(public, _) => public,
        }
    }

    /// As `ssh-keygen -l` prints it.
    pub(crate) fn fingerprint(&self) -> String {
        self.public().fingerprint(HashAlg::Sha256).to_string()
    }

    /// Signs bytes; with rsa by SHA-512 (RFC 8332).
    pub(crate) fn sign(&self, data: &[u8]) -> Result<Signature> {
        match self {
            Self::Private(key) => match key.key_data() {
                KeypairData::Ed25519(key) => ed25519(key, data),
                KeypairData::Ecdsa(key) => ecdsa(key, data),
                KeypairData::Rsa(key) => rsa(key, data),
                _ => Err(anyhow!("the key cannot sign")),
            },
            Self::InAgent(public, socket) => by_agent(public, socket, data),
        }
        .context("cannot sign with the SSH key")
    }

    fn agent_has(&self) -> Result<bool> {
        let Self::InAgent(public, socket) = self else {
            return Ok(false);
        };
        let answer = ask(socket, &[REQUEST_IDENTITIES])?;
        let Some((&IDENTITIES_ANSWER, rest)) = answer.split_first() else {
            bail!("it gives no list of keys");
        };
        let wanted = public.to_bytes()?;
        let mut rest = rest.get(4..).unwrap_or_default();
        while let Some((key, after)) = agent_wire::split(rest) {
            if key == wanted {
                return Ok(true);
            }
            // A comment follows each key.
            rest = agent_wire::split(after).map_or(&[][..], |(_, rest)| rest);
        }
        Ok(false)
    }
}

fn by_agent(public: &PublicKey, socket: &Path, data: &[u8]) -> Result<Signature> {
    let request = [
        &[SIGN_REQUEST][..],
        &agent_wire::string(&public.to_bytes()?),
        &agent_wire::string(data),
        &RSA_SHA2_512.to_be_bytes(),
    ];
    let answer = ask(socket, &request.concat())?;
    match answer.split_first() {
        Some((&SIGN_RESPONSE, rest)) => {
            let (signature, _) =
                agent_wire::split(rest).context("the ssh-agent answers nonsense")?;
            Ok(Signature::try_from(signature)?)
        }
        _ => Err(anyhow!("the ssh-agent refuses")),
    }
}

fn ask(socket: &Path, request: &[u8]) -> Result<Vec<u8>> {
    let shown = || format!("cannot talk to `{}`", socket.display());
    let mut stream = UnixStream::connect(socket).with_context(shown)?;
    agent_wire::write(&mut stream, request).with_context(shown)?;
    agent_wire::read(&mut stream).with_context(shown)
}

fn ed25519(key: &Ed25519Keypair, data: &[u8]) -> Result<Signature> {
    let seed: &[u8] = key.private.as_ref();
    let pair = Ed25519KeyPair::from_seed_and_public_key(seed, key.public.as_ref())?;
    Ok(Signature::new(
        Algorithm::Ed25519,
        pair.sign(data).as_ref().to_vec(),
    )?)
}

fn ecdsa(key: &EcdsaKeypair, data: &[u8]) -> Result<Signature> {
    let (how, private): (&'static EcdsaSigningAlgorithm, &[u8]) = match key {
        EcdsaKeypair::NistP256 { private, .. } => {
            (&ECDSA_P256_SHA256_FIXED_SIGNING, private.as_slice())
        }
        EcdsaKeypair::NistP384 { private, .. } => {
            (&ECDSA_P384_SHA384_FIXED_SIGNING, private.as_slice())
        }
        EcdsaKeypair::NistP521 { .. } => bail!("keys of nistp521 are not supported"),
    };
    let pair = EcdsaKeyPair::from_private_key_and_public_key(how, private, key.public_key_bytes())?;
    let signature = pair.sign(&SystemRandom::new(), data)?;
    let (r, s) = signature.as_ref().split_at(signature.as_ref().len() / 2);
    let mut encoded = Vec::new();
    for number in [r, s] {
        let number = Mpint::from_positive_bytes(number)?;
        encoded.extend(u32::try_from(number.as_bytes().len())?.to_be_bytes());
        encoded.extend(number.as_bytes());
    }
    let curve = key.curve();
    Ok(Signature::new(Algorithm::Ecdsa { curve }, encoded)?)
}

fn rsa(key: &RsaKeypair, data: &[u8]) -> Result<Signature> {
    let number = |number: &Mpint| {
        let bytes = number.as_positive_bytes();
        bytes
            .map(BigUint::from_bytes_be)
            .context("a number of it is negative")
    };
    let (public, private) = (&key.public, &key.private);
    let primes = vec![number(&private.p)?, number(&private.q)?];
    let whole = RsaPrivateKey::from_components(
        number(&public.n)?,
        number(&public.e)?,
        number(&private.d)?,
        primes,
    )?;
    let pair = RsaKeyPair::from_der(whole.to_pkcs1_der()?.as_bytes())?;
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA512,
        &SystemRandom::new(),
        data,
        &mut signature,
    )?;
    let hash = Some(HashAlg::Sha512);
    Ok(Signature::new(Algorithm::Rsa { hash }, signature)?)
}

/// Whether a key made a signature; security keys must have been touched.
pub(crate) fn is_good(key: &KeyData, data: &[u8], signature: &Signature) -> bool {
    verify(key, data, signature).is_some()
}

fn verify(key: &KeyData, data: &[u8], signature: &Signature) -> Option<()> {
    let bytes = signature.as_bytes();
    match (key, signature.algorithm()) {
        (KeyData::Ed25519(key), Algorithm::Ed25519) => {
            let key = UnparsedPublicKey::new(&ED25519, key.as_ref());
            key.verify(data, bytes).ok()
        }
        (KeyData::SkEd25519(key), Algorithm::SkEd25519) => {
            let (bytes, data) = touched(key.application(), data, bytes)?;
            let key = UnparsedPublicKey::new(&ED25519, key.public_key().as_ref());
            key.verify(&data, bytes).ok()
        }
        (KeyData::Ecdsa(key), Algorithm::Ecdsa { curve }) if key.curve() == curve => {
            verify_ecdsa(curve, key.as_sec1_bytes(), data, bytes)
        }
        (KeyData::SkEcdsaSha2NistP256(key), Algorithm::SkEcdsaSha2NistP256) => {
            let (bytes, data) = touched(key.application(), data, bytes)?;
            let point = key.ec_point().as_bytes();
            verify_ecdsa(EcdsaCurve::NistP256, point, &data, bytes)
        }
        (KeyData::Rsa(key), Algorithm::Rsa { hash: Some(hash) }) => {
            let (n, e) = (key.n.as_positive_bytes()?, key.e.as_positive_bytes()?);
            let how = match hash {
                HashAlg::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
                HashAlg::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
                _ => return None,
            };
            let key = RsaPublicKeyComponents { n, e };
            key.verify(how, data, bytes).ok()
        }
        _ => None,
    }
}

/// Signature and signed bytes of a security key (OpenSSH's PROTOCOL.u2f).
fn touched<'s>(application: &str, data: &[u8], signature: &'s [u8]) -> Option<(&'s [u8], Vec<u8>)> {
    let (signature, touch) = signature.split_at_checked(signature.len().checked_sub(TOUCH)?)?;
    if touch.first()? & TOUCHED == 0 {
        return None;
    }
    let hash = |bytes: &[u8]| digest(&SHA256, bytes);
    let (application, data) = (hash(application.as_bytes()), hash(data));
    Some((
        signature,
        [application.as_ref(), touch, data.as_ref()].concat(),
    ))
}

fn verify_ecdsa(curve: EcdsaCurve, point: &[u8], data: &[u8], signature: &[u8]) -> Option<()> {
    let (how, size): (&'static EcdsaVerificationAlgorithm, usize) = match curve {
        EcdsaCurve::NistP256 => (&ECDSA_P256_SHA256_FIXED, 32),
        EcdsaCurve::NistP384 => (&ECDSA_P384_SHA384_FIXED, 48),
        EcdsaCurve::NistP521 => (&ECDSA_P521_SHA512_FIXED, 66),
    };
    let mut rest = signature;
    let mut fixed = Vec::new();
    for _ in 0..2 {
        let (length, after) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (number, after) = after.split_at_checked(length)?;
        let number = Mpint::from_bytes(number).ok()?;
        let number = number.as_positive_bytes()?;
        fixed.resize(fixed.len() + size.checked_sub(number.len())?, 0);
        fixed.extend(number);
        rest = after;
    }
    let key = UnparsedPublicKey::new(how, point);
    key.verify(data, &fixed).ok()
}
