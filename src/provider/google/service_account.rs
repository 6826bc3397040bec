//! A service account's key, which signs claims that are exchanged for tokens (RFC 7523).

use anyhow::{Context as _, Result, anyhow, bail};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use time::OffsetDateTime;
use url::Url;

use crate::model::hint::Hint as _;
use crate::net::http::Repeat;
use crate::provider::google::{Document, LIFETIME};
use crate::provider::oauth::{Asker, Token};

/// Signs a claim with its own key: <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>.
pub(super) struct ServiceAccount {
    email: String,
    key: RsaKeyPair,
    key_id: Option<String>,
    url: Url,
}

impl ServiceAccount {
    pub(super) fn read(document: &Document<'_>) -> Result<Self> {
        let key = rsa_key(document.text("private_key")?).with_context(|| {
            format!(
                "`private_key` of {} is no RSA key in PEM form",
                document.place
            )
        });
        Ok(Self {
            email: document.text("client_email")?.to_owned(),
            key: key.hint(|| "copy it from the JSON file of the service account's key")?,
            key_id: document.optional("private_key_id").map(str::to_owned),
            url: document.address("token_uri", "https://oauth2.googleapis.com/token")?,
        })
    }

    pub(super) async fn fetch(
        &self,
        asker: &Asker<'_>,
        scope: &str,
        now: OffsetDateTime,
    ) -> Result<Token> {
        let assertion = self.assertion(scope, now)?;
        asker.hide("assertion", &assertion);
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &assertion),
        ];
        let request = asker.form(&self.url, &fields);
        Token::read(&asker.json(request, Repeat::Safe).await?, now)
    }

    /// A JSON Web Token (RFC 7519) with RS256.
    fn assertion(&self, scope: &str, now: OffsetDateTime) -> Result<String> {
        let header = match &self.key_id {
            Some(id) => json!({ "alg": "RS256", "typ": "JWT", "kid": id }),
            None => json!({ "alg": "RS256", "typ": "JWT" }),
        };
        let issued = now.unix_timestamp();
        let claims = json!({
            "iss": self.email,
            "scope": scope,
            "aud": self.url.as_str(),
            "iat": issued,
            "exp": issued + LIFETIME,
        });
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encoded(&header), encoded(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .map_err(|_| anyhow!("cannot sign with `private_key`"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// PKCS#8 or PKCS#1.
fn rsa_key(pem: &str) -> Result<RsaKeyPair> {
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes());
    let key = match der.map_err(|_| anyhow!("it is no PEM"))? {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        _ => bail!("it is of another kind"),
    };
    key.map_err(|error| anyhow!("{error}"))
}
