//! TSIG (RFC 8945): signs messages and checks the signatures of answers.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::tsig::{TsigAlgorithm, TsigError, signed_bitmessage_to_buf};
use hickory_proto::rr::{Name, TSigner};

use crate::model::hint::with_hint;

/// How far the two clocks may differ, seconds (RFC 8945 section 10).
const FUDGE: u16 = 300;

/// A TSIG key, and the entry and field of creds.json that it comes from.
#[derive(Clone)]
pub(super) struct Key {
    signer: TSigner,
    /// `` `update-key` in `creds.json` entry `main` ``
    origin: String,
}

impl Key {
    /// Reads DNSControl's `algorithm:name:base64`.
    pub(super) fn parse(text: &str, field: &str, entry: &str) -> Result<Self> {
        let origin = format!("`{field}` in `creds.json` entry `{entry}`");
        let form = || {
            with_hint(
                anyhow!("{origin} is no TSIG key"),
                "write it as `hmac-sha256:NAME:BASE64-SECRET`",
            )
        };
        let parts: Vec<&str> = text.split(':').collect();
        let [algorithm, name, secret] = parts.as_slice() else {
            return Err(form());
        };
        let algorithm = match algorithm.trim_start_matches("hmac-") {
            "sha256" => TsigAlgorithm::HmacSha256,
            "sha384" => TsigAlgorithm::HmacSha384,
            "sha512" => TsigAlgorithm::HmacSha512,
            "md5" | "sha1" | "sha224" => {
                return Err(with_hint(
                    anyhow!("{origin} uses {algorithm}, which is not supported"),
                    "make a key with `tsig-keygen -a hmac-sha256 NAME`, for the server and for the entry",
                ));
            }
            _ => return Err(form()),
        };
        let secret = BASE64.decode(secret).map_err(|_| form())?;
        let name = Name::from_ascii(name.to_ascii_lowercase()).map_err(|_| form())?;
        let signer = TSigner::new(secret, algorithm, name, FUDGE).map_err(|_| form())?;
        Ok(Self { signer, origin })
    }

    /// The field and entry of creds.json that the key comes from.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Why the server does not accept this key, and what to do.
    fn refused(&self, server: &str, error: TsigError) -> anyhow::Error {
        let name = self.signer.signer_name().to_string();
        // As creds.json has it.
        let name = name.trim_end_matches('.');
        let (what, hint) = match error {
            TsigError::BadKey => (
                format!("`{server}` does not know the TSIG key `{name}` (BADKEY)"),
                format!(
                    "the algorithm and the name of {} must be the server's",
                    self.origin
                ),
            ),
            TsigError::BadSig => (
                format!(
                    "`{server}` does not accept the signature of the TSIG key `{name}` (BADSIG)"
                ),
                format!("the secret of {} must be the server's", self.origin),
            ),
            TsigError::BadTime => (
                format!("`{server}` does not accept the time of the TSIG signature (BADTIME)"),
                "set the clocks: this machine's and the server's differ by more than 5 minutes"
                    .to_owned(),
            ),
            TsigError::BadTrunc | TsigError::Unknown(_) => (
                format!(
                    "`{server}` does not accept the TSIG key `{name}` (error {})",
                    u16::from(error)
                ),
                format!("check {}", self.origin),
            ),
        };
        with_hint(anyhow!(what), hint)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.signer.signer_name())
    }
}

/// The message's bytes, signed where there is a key, and what checks the answers to it.
pub(super) fn sign(
    mut message: Message,
    key: Option<&Key>,
    server: String,
) -> Result<(Vec<u8>, Verifier<'_>)> {
    let mut mac = Vec::new();
    if let Some(key) = key {
        message
            .finalize(&key.signer, unix_time())
            .context("cannot sign a DNS message")?;
        mac = message
            .signature()
            .map(|signature| signature.data.mac.clone())
            .unwrap_or_default();
    }
    let bytes = message.to_vec().context("cannot encode a DNS message")?;
    let verifier = Verifier {
        key,
        server,
        mac,
        unsigned: Vec::new(),
        first: true,
    };
    Ok((bytes, verifier))
}

fn unix_time() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

/// Checks the signatures of the answers to one message (RFC 8945 section 5.3).
pub(super) struct Verifier<'a> {
    key: Option<&'a Key>,
    /// For messages.
    server: String,
    /// Of the question, then of the last answer that was signed.
    mac: Vec<u8>,
    /// Answers since then; the next signature covers them (RFC 8945 section 5.3.1).
    unsigned: Vec<u8>,
    first: bool,
}

impl Verifier<'_> {
    /// Checks one answer. Errors that are not signed pass: the caller reports them.
    pub(super) fn check(&mut self, bytes: &[u8], answer: &Message) -> Result<()> {
        let Some(key) = self.key else {
            return Ok(());
        };
        let server = &self.server;
        let Some(signature) = answer.signature() else {
            if self.first {
                let code = answer.metadata.response_code;
                ensure!(
                    ![ResponseCode::NoError, ResponseCode::NXDomain].contains(&code),
                    "`{server}` does not sign its answers"
                );
                return Ok(());
            }
            self.unsigned.extend(bytes);
            return Ok(());
        };
        if let Some(error) = signature.data.error
            && u16::from(error) != 0
        {
            return Err(key.refused(server, error));
        }
        let invalid = || {
            with_hint(
                anyhow!("`{server}` answered with a TSIG signature that is not valid"),
                format!("check {}", key.origin),
            )
        };
        let (stripped, record) =
            signed_bitmessage_to_buf(bytes, None, self.first).map_err(|_| invalid())?;
        let length = u16::try_from(self.mac.len()).map_err(|_| invalid())?;
        let mut covered = length.to_be_bytes().to_vec();
        covered.append(&mut self.mac);
        covered.append(&mut self.unsigned);
        covered.extend(stripped);
        let tsig = &record.data;
        ensure!(
            record.name == *key.signer.signer_name()
                && tsig.algorithm == *key.signer.algorithm()
                && key.signer.verify(&covered, &tsig.mac).is_ok(),
            invalid()
        );
        if tsig.time.abs_diff(unix_time()) > tsig.fudge.into() {
            return Err(key.refused(server, TsigError::BadTime));
        }
        self.mac.clone_from(&tsig.mac);
        self.first = false;
        Ok(())
    }

    /// Checks that the last answer was signed.
    pub(super) fn finish(&self) -> Result<()> {
        ensure!(
            self.unsigned.is_empty(),
            "`{}` did not sign the end of the transfer",
            self.server
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hint::explain;

    #[test]
    fn keys() {
        let parse = |text: &str| Key::parse(text, "update-key", "main");
        for text in ["hmac-sha256:K.:c2VjcmV0", "sha512:k:c2VjcmV0"] {
            let key = parse(text).unwrap();
            assert_eq!(format!("{key:?}"), "Key(k.)");
        }
        for (text, what, hint) in [
            (
                "hmac-md5:k:c2VjcmV0",
                "`update-key` in `creds.json` entry `main` uses hmac-md5, which is not supported",
                "make a key with `tsig-keygen -a hmac-sha256 NAME`, for the server and for the entry",
            ),
            (
                "hmac-sha256:k",
                "`update-key` in `creds.json` entry `main` is no TSIG key",
                "write it as `hmac-sha256:NAME:BASE64-SECRET`",
            ),
            (
                "hmac-sha256:k:secret!",
                "`update-key` in `creds.json` entry `main` is no TSIG key",
                "write it as `hmac-sha256:NAME:BASE64-SECRET`",
            ),
        ] {
            let explained = explain(&parse(text).unwrap_err());
            assert_eq!(explained.what, what);
            assert_eq!(explained.hints, [hint]);
            assert!(explained.causes.is_empty());
        }
    }

    /// What a server with `key` answers to a question; `previous` is the MAC before it.
    fn answer(id: u16, key: &Key, previous: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut message = Message::response(id, hickory_proto::op::OpCode::Query);
        let unsigned = message.to_vec().unwrap();
        let context = hickory_proto::rr::TSigResponseContext::new(
            id,
            unix_time(),
            key.signer.clone(),
            previous.to_vec(),
            None,
        );
        let signature = context.sign(&unsigned).unwrap();
        let mac = signature.data.mac.clone();
        message.set_signature(signature);
        (message.to_vec().unwrap(), mac)
    }

    fn check(verifier: &mut Verifier<'_>, bytes: &[u8]) -> Result<(), String> {
        let message = Message::from_vec(bytes).unwrap();
        let checked = verifier.check(bytes, &message);
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn answers_must_be_signed_with_the_key_for_the_question() {
        let key = Key::parse("sha256:k:c2VjcmV0", "update-key", "main").unwrap();
        let other = Key::parse("sha256:k:b3RoZXI=", "update-key", "main").unwrap();
        let question = Message::query();
        let id = question.metadata.id;
        let signed = || {
            sign(question.clone(), Some(&key), "ns1:53".to_owned())
                .unwrap()
                .1
        };
        let mac = signed().mac;
        let invalid = Err("`ns1:53` answered with a TSIG signature that is not valid".to_owned());

        let (good, _) = answer(id, &key, &mac);
        assert_eq!(check(&mut signed(), &good), Ok(()));
        let mut changed = good.clone();
        changed[3] ^= 0x80; // recursion available
        assert_eq!(check(&mut signed(), &changed), invalid);
        assert_eq!(check(&mut signed(), &answer(id, &other, &mac).0), invalid);
        assert_eq!(check(&mut signed(), &answer(id, &key, b"x").0), invalid);

        let mut bare = Message::response(id, hickory_proto::op::OpCode::Query);
        let unsigned = Err("`ns1:53` does not sign its answers".to_owned());
        assert_eq!(check(&mut signed(), &bare.to_vec().unwrap()), unsigned);
        bare.metadata.response_code = ResponseCode::NXDomain;
        assert_eq!(check(&mut signed(), &bare.to_vec().unwrap()), unsigned);
        bare.metadata.response_code = ResponseCode::Refused;
        assert_eq!(check(&mut signed(), &bare.to_vec().unwrap()), Ok(()));
    }

    #[test]
    fn a_transfer_ends_with_a_signature() {
        let key = Key::parse("sha256:k:c2VjcmV0", "transfer-key", "main").unwrap();
        let question = Message::query();
        let id = question.metadata.id;
        let (_, mut verifier) = sign(question, Some(&key), "ns1:53".to_owned()).unwrap();
        let (first, _) = answer(id, &key, &verifier.mac);
        assert_eq!(check(&mut verifier, &first), Ok(()));
        assert!(verifier.finish().is_ok());
        let bare = Message::response(id, hickory_proto::op::OpCode::Query);
        assert_eq!(check(&mut verifier, &bare.to_vec().unwrap()), Ok(()));
        assert_eq!(
            verifier.finish().unwrap_err().to_string(),
            "`ns1:53` did not sign the end of the transfer"
        );
    }
}
