//! Identities of other providers, and service accounts that others act as.

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use crate::model::file;
use crate::model::hint::with_hint;
use crate::net::http::Repeat;
use crate::provider::google::{Document, LIFETIME, Source};
use crate::provider::oauth::{Asker, Token, bearer, metadata_address, text};

/// What a token may do that another account's token is made with.
const IMPERSONATING_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Another identity provider's token, exchanged for Google's (RFC 8693):
/// <https://google.aip.dev/auth/4117>.
pub(super) struct External {
    audience: String,
    subject_type: String,
    subject: Subject,
    /// Name of the field of a JSON object that the subject token is in; none where it is alone.
    field: Option<String>,
    url: Url,
}

/// Where the other provider's token is.
enum Subject {
    File(PathBuf),
    Url {
        url: Url,
        headers: Vec<(String, String)>,
    },
}

impl External {
    pub(super) fn read(document: &Document<'_>) -> Result<Self> {
        let source = Document {
            json: document
                .json
                .get("credential_source")
                .unwrap_or(&Value::Null),
            place: &format!("`credential_source` of {}", document.place),
        };
        let subject = match (source.optional("file"), source.optional("url")) {
            (Some(path), _) => Subject::File(path.into()),
            (None, Some(url)) => Subject::Url {
                url: metadata_address(url, &format!("`url` in {}", source.place))?,
                headers: texts(source.json.get("headers")),
            },
            (None, None) => {
                let what = format!("{} has no `file` and no `url`", source.place);
                return Err(with_hint(
                    anyhow!(what),
                    "identities of AWS, executables and certificates are not supported here: use those of an OpenID Connect provider",
                ));
            }
        };
        let format = source.json.get("format");
        let format = Document {
            json: format.unwrap_or(&Value::Null),
            place: &format!("`format` in {}", source.place),
        };
        let field = match format.optional("type") {
            Some("json") => Some(format.text("subject_token_field_name")?.to_owned()),
            _ => None,
        };
        Ok(Self {
            audience: document.text("audience")?.to_owned(),
            subject_type: document.text("subject_token_type")?.to_owned(),
            subject,
            field,
            url: document.address("token_url", "https://sts.googleapis.com/v1/token")?,
        })
    }

    pub(super) async fn fetch(
        &self,
        asker: &Asker<'_>,
        scope: &str,
        now: OffsetDateTime,
    ) -> Result<Token> {
        let subject = self
            .subject(asker)
            .await
            .context("cannot get the subject token")?;
        asker.hide("subject token", &subject);
        let fields = [
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            ("audience", &self.audience),
            ("scope", scope),
            (
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:access_token",
            ),
            ("subject_token_type", &self.subject_type),
            ("subject_token", &subject),
        ];
        let request = asker.form(&self.url, &fields);
        Token::read(&asker.json(request, Repeat::Safe).await?, now)
    }

    /// Read anew each time: such tokens live for minutes.
    async fn subject(&self, asker: &Asker<'_>) -> Result<String> {
        let found = match &self.subject {
            Subject::File(path) => file::read_text(path)
                .with_context(|| format!("cannot read `{}`", path.display()))?,
            Subject::Url { url, headers } => {
                let mut request = asker.request(Method::GET, url.clone());
                for (name, value) in headers {
                    asker.hide(name, value.trim_start_matches("Bearer "));
                    request = request.header(name, value);
                }
                asker.text(request, Repeat::Safe).await?
            }
        };
        match &self.field {
            Some(field) => text(
                &serde_json::from_str(&found).context("it is no JSON")?,
                field,
            ),
            None => Ok(found.trim().to_owned()),
        }
    }
}

/// The texts of a JSON object.
fn texts(object: Option<&Value>) -> Vec<(String, String)> {
    let fields = object.and_then(Value::as_object);
    let texts = fields.into_iter().flatten();
    texts
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// A service account that others may act as:
/// <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken>.
pub(super) struct Impersonated {
    source: Box<Source>,
    url: Url,
    delegates: Vec<String>,
    /// Seconds.
    lifetime: i64,
}

impl Impersonated {
    pub(super) fn read(document: &Document<'_>, source: Source) -> Result<Self> {
        let options = document.json.get("service_account_impersonation");
        let lifetime = options.and_then(|options| options.get("token_lifetime_seconds"));
        let delegates = document.json.get("delegates").and_then(Value::as_array);
        let names = delegates.into_iter().flatten().filter_map(Value::as_str);
        document.text("service_account_impersonation_url")?;
        Ok(Self {
            source: Box::new(source),
            url: document.address("service_account_impersonation_url", "")?,
            delegates: names.map(str::to_owned).collect(),
            lifetime: lifetime.and_then(Value::as_i64).unwrap_or(LIFETIME),
        })
    }

    pub(super) async fn fetch(&self, asker: &Asker<'_>, scope: &str) -> Result<Token> {
        let own = self.source.fetch(*asker, IMPERSONATING_SCOPE).await?;
        asker.hide("access token", &own.secret);
        let request = asker
            .request(Method::POST, self.url.clone())
            .header(AUTHORIZATION, bearer(&own.secret)?)
            .json(&json!({
                "scope": [scope],
                "delegates": self.delegates,
                "lifetime": format!("{}s", self.lifetime),
            }));
        let answer = asker.json(request, Repeat::Safe).await?;
        let expires = text(&answer, "expireTime")?;
        Ok(Token {
            secret: text(&answer, "accessToken")?,
            expires: OffsetDateTime::parse(&expires, &Rfc3339)
                .context("`expireTime` of the answer is no time")?,
        })
    }
}
