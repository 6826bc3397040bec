//! Marks of what a run has written down itself: only who can open the account key can make them.
//!
//! Anybody can make age ciphertext, as recipients are public, and a journal may be easier to write than a branch.

use anyhow::Result;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::acme::account_key::encoded;
use crate::acme::pem;
use crate::model::secret::Secret;

/// What the key of marks is derived for.
const MARKS: &[u8] = b"git-certs marks";

/// Before the mark of a new account key, behind its PEM, where readers of PEM pass it over (RFC 7468 section 2).
const LABEL: &str = "git-certs-mark: ";

/// What is marked: a mark of one thing is none of another.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Order,
    Value,
    NextKey,
}

/// Makes and checks marks: HMAC-SHA-256, with a key that is derived from the account key.
#[derive(Clone, Debug)]
pub(crate) struct Marker(hmac::Key);

impl Marker {
    /// Of an account key of any kind, in PEM form.
    pub(crate) fn of(account_key: &Secret) -> Result<Self> {
        let account_key = hmac::Key::new(HMAC_SHA256, &pem::decode(account_key)?.der);
        let derived = hmac::sign(&account_key, MARKS);
        Ok(Self(hmac::Key::new(HMAC_SHA256, derived.as_ref())))
    }

    /// The mark of an order that a journal notes.
    pub(crate) fn order(&self, note: &str) -> String {
        encoded(hmac::sign(&self.0, &marked(Kind::Order, note.as_bytes())).as_ref())
    }

    /// Whether an order has this mark.
    pub(crate) fn is_of_order(&self, mark: &str, note: &str) -> bool {
        self.is_of(mark, &marked(Kind::Order, note.as_bytes()))
    }

    /// The mark of a challenge value that a journal notes.
    pub(crate) fn value(&self, note: &str) -> String {
        encoded(hmac::sign(&self.0, &marked(Kind::Value, note.as_bytes())).as_ref())
    }

    /// Whether a challenge value has this mark.
    pub(crate) fn is_of_value(&self, mark: &str, note: &str) -> bool {
        self.is_of(mark, &marked(Kind::Value, note.as_bytes()))
    }

    /// The key that is to follow this one, with its mark.
    pub(crate) fn next_key(&self, next: &Secret) -> Result<Secret> {
        let public = marked(Kind::NextKey, &fingerprint(next)?);
        let mark = encoded(hmac::sign(&self.0, &public).as_ref());
        let pem = next.expose();
        // Reserved at once: a buffer that grows leaves its old half behind.
        let mut text = Vec::with_capacity(pem.len() + LABEL.len() + mark.len() + 1);
        text.extend_from_slice(pem);
        text.extend_from_slice(LABEL.as_bytes());
        text.extend_from_slice(mark.as_bytes());
        text.push(b'\n');
        Ok(Secret::new(text))
    }

    /// Whether a key has the mark of one that is to follow this one.
    pub(crate) fn is_followed_by(&self, next: &Secret) -> Result<bool> {
        let text = next.expose_str().unwrap_or_default();
        let Some((_, mark)) = text.rsplit_once(LABEL) else {
            return Ok(false);
        };
        Ok(self.is_of(mark.trim_end(), &marked(Kind::NextKey, &fingerprint(next)?)))
    }

    fn is_of(&self, mark: &str, marked: &[u8]) -> bool {
        let mark = BASE64_URL_SAFE_NO_PAD.decode(mark);
        mark.is_ok_and(|mark| hmac::verify(&self.0, marked, &mark).is_ok())
    }
}

fn marked(kind: Kind, bytes: &[u8]) -> Vec<u8> {
    [format!("{kind:?}\n").as_bytes(), bytes].concat()
}

/// Stands for a private key, and gives nothing of it away.
fn fingerprint(key: &Secret) -> Result<Vec<u8>> {
    let key = hmac::Key::new(HMAC_SHA256, &pem::decode(key)?.der);
    Ok(hmac::sign(&key, MARKS).as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::account_key::AccountKey;

    #[test]
    fn only_who_has_the_key_makes_marks() {
        let [key, other, next] = [(); 3].map(|()| AccountKey::generate().unwrap());
        let (marker, others) = (Marker::of(&key).unwrap(), Marker::of(&other).unwrap());
        let mark = marker.order("a");
        assert!(marker.is_of_order(&mark, "a"));
        assert!(!marker.is_of_order(&mark, "b"));
        assert!(!marker.is_of_order("", "a"));
        assert!(!others.is_of_order(&mark, "a"));
        assert!(!marker.is_of_value(&mark, "a"));
        assert!(marker.is_of_value(&marker.value("a"), "a"));

        let marked = marker.next_key(&next).unwrap();
        assert!(marker.is_followed_by(&marked).unwrap());
        assert!(!others.is_followed_by(&marked).unwrap());
        assert!(!marker.is_followed_by(&next).unwrap());
        let (_, mark) = marked.expose_str().unwrap().rsplit_once('-').unwrap();
        let swapped = format!(
            "{}-{mark}",
            other.expose_str().unwrap().trim_end_matches('-')
        );
        assert!(!marker.is_followed_by(&Secret::from(swapped)).unwrap());
        // The mark is in nobody's way.
        assert!(AccountKey::parse(&marked).unwrap().signs_orders());
        assert!(
            Marker::of(&marked)
                .unwrap()
                .is_of_order(&Marker::of(&next).unwrap().order("a"), "a")
        );
    }
}
