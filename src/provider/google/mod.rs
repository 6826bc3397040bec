//! Google's credentials: a service account's key, or Application Default Credentials; and its zones.
//!
//! <https://cloud.google.com/docs/authentication/application-default-credentials> says where those
//! are looked for, <https://google.aip.dev/auth> what the files hold.

mod federation;
pub(super) mod managed_zone;
mod service_account;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use reqwest::Method;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use url::Url;

use crate::model::environment::Environment;
use crate::model::file;
use crate::model::hint::{Hint as _, with_hint};
use crate::model::provider::ProviderEntry;
use crate::net::http::Repeat;
use crate::provider::google::federation::{External, Impersonated};
use crate::provider::google::service_account::ServiceAccount;
use crate::provider::oauth::{
    Asker, METADATA_TIMEOUT, Token, TokenSource, address, metadata_address,
};
use crate::provider::port::Answer;
use crate::provider::reply::failure;

/// What the tokens of the provider may do: <https://developers.google.com/identity/protocols/oauth2/scopes#dns>.
const SCOPE: &str = "https://www.googleapis.com/auth/ndev.clouddns.readwrite";

/// Lifetime of a signed claim and of an impersonated token, seconds; an hour is the most.
const LIFETIME: i64 = 3600;

/// Where a file with Application Default Credentials is.
const FILE_VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// Where tokens come from, and what messages call it.
pub(super) struct Credentials {
    source: Source,
    /// None where it is the entry.
    pub(super) place: Option<String>,
    /// The project whose quota counts, if not the credentials' own.
    pub(super) quota_project: Option<String>,
}

enum Source {
    ServiceAccount(ServiceAccount),
    AuthorizedUser(AuthorizedUser),
    External(External),
    Impersonated(Impersonated),
    /// The address of the token of this machine's service account.
    Metadata(Url),
}

impl Credentials {
    /// The entry's key; else a file that the environment names, the file that `gcloud` writes, or
    /// the service account of the machine.
    pub(super) fn find(entry: &ProviderEntry, environment: &Environment) -> Result<Self> {
        if let Some(key) = entry.optional("private_key")? {
            return Self::of_entry(entry, key);
        }
        if let Some(path) = environment.get(FILE_VARIABLE) {
            let place = format!("`{path}` (`{FILE_VARIABLE}`)");
            return Self::of_file(Path::new(path), place, environment);
        }
        if let Some(path) = well_known(environment).filter(|path| path.exists()) {
            let place = format!("`{}`", path.display());
            return Self::of_file(&path, place, environment);
        }
        let host = environment.get("GCE_METADATA_HOST");
        let host = host.unwrap_or("metadata.google.internal");
        let path = "computeMetadata/v1/instance/service-accounts/default/token";
        let url = format!("http://{host}/{path}?scopes={SCOPE}");
        let url = metadata_address(&url, "`GCE_METADATA_HOST`")?;
        Ok(Self {
            source: Source::Metadata(url),
            place: Some("the service account of this machine".to_owned()),
            quota_project: None,
        })
    }

    fn of_entry(entry: &ProviderEntry, key: &str) -> Result<Self> {
        let kind = entry.field("type").unwrap_or("service_account");
        let place = format!("`creds.json` entry `{}`", entry.name);
        if kind != "service_account" {
            return Err(with_hint(
                anyhow!("`type` in {place} is `{kind}`"),
                format!(
                    "`private_key` is that of a `service_account`; name other files in `{FILE_VARIABLE}`"
                ),
            ));
        }
        entry.required("client_email")?;
        let fields = entry.fields.iter();
        let texts = fields.map(|(key, value)| (key.clone(), Value::from(value.as_str())));
        let mut json: Map<String, Value> = texts.collect();
        // A key that went through an environment variable may have `\n` instead of line ends.
        json.insert("private_key".to_owned(), key.replace("\\n", "\n").into());
        let document = Document {
            json: &json.into(),
            place: &place,
        };
        Ok(Self {
            source: Source::ServiceAccount(ServiceAccount::read(&document)?),
            place: None,
            quota_project: None,
        })
    }

    fn of_file(path: &Path, place: String, environment: &Environment) -> Result<Self> {
        let read = || -> Result<Value> { Ok(serde_json::from_slice(&file::read(path)?)?) };
        let json = read()
            .with_context(|| format!("cannot read the credentials in {place}"))
            .hint(|| format!("`{FILE_VARIABLE}` names a JSON file with credentials"))?;
        let document = Document {
            json: &json,
            place: &place,
        };
        let quota_project = environment
            .get("GOOGLE_CLOUD_QUOTA_PROJECT")
            .or_else(|| document.optional("quota_project_id"));
        Ok(Self {
            source: Source::read(&document)?,
            quota_project: quota_project.map(str::to_owned),
            place: Some(place),
        })
    }
}

/// The file of `gcloud auth application-default login`.
fn well_known(environment: &Environment) -> Option<PathBuf> {
    let folder = environment.get("CLOUDSDK_CONFIG").map(PathBuf::from);
    let home = || Some(Path::new(environment.get("HOME")?).join(".config/gcloud"));
    Some(
        folder
            .or_else(home)?
            .join("application_default_credentials.json"),
    )
}

impl TokenSource for Credentials {
    fn fetch<'a>(&'a self, asker: Asker<'a>) -> Answer<'a, Token> {
        self.source.fetch(asker, SCOPE)
    }
}

impl Source {
    fn read(document: &Document<'_>) -> Result<Self> {
        let kind = document.text("type")?;
        Ok(match kind {
            "service_account" => Self::ServiceAccount(ServiceAccount::read(document)?),
            "authorized_user" => Self::AuthorizedUser(AuthorizedUser::read(document)?),
            "external_account" => {
                let external = Self::External(External::read(document)?);
                match document.optional("service_account_impersonation_url") {
                    Some(_) => Self::Impersonated(Impersonated::read(document, external)?),
                    None => external,
                }
            }
            "impersonated_service_account" => {
                let inner = Document {
                    json: document
                        .json
                        .get("source_credentials")
                        .unwrap_or(&Value::Null),
                    place: &format!("`source_credentials` of {}", document.place),
                };
                Self::Impersonated(Impersonated::read(document, Self::read(&inner)?)?)
            }
            _ => bail!(
                "`type` of {} is `{kind}`, which is not supported",
                document.place
            ),
        })
    }

    fn fetch<'a>(&'a self, asker: Asker<'a>, scope: &'a str) -> Answer<'a, Token> {
        Box::pin(async move {
            let now = OffsetDateTime::now_utc();
            match self {
                Self::ServiceAccount(account) => account.fetch(&asker, scope, now).await,
                Self::AuthorizedUser(user) => user.fetch(&asker, now).await,
                Self::External(external) => external.fetch(&asker, scope, now).await,
                Self::Impersonated(account) => account.fetch(&asker, scope).await,
                Self::Metadata(url) => of_machine(&asker, url, now).await,
            }
        })
    }
}

/// A JSON object with credentials, and what messages call it.
struct Document<'a> {
    json: &'a Value,
    place: &'a str,
}

impl<'a> Document<'a> {
    fn optional(&self, key: &str) -> Option<&'a str> {
        let text = self.json.get(key).and_then(Value::as_str);
        text.filter(|text| !text.is_empty())
    }

    fn text(&self, key: &str) -> Result<&'a str> {
        self.optional(key)
            .with_context(|| format!("{} has no `{key}`", self.place))
    }

    fn address(&self, key: &str, default: &str) -> Result<Url> {
        let text = self.optional(key).unwrap_or(default);
        address(text, &format!("`{key}` of {}", self.place))
    }
}

/// A user who signed in with `gcloud`: RFC 6749 section 6.
struct AuthorizedUser {
    client_id: String,
    client_secret: String,
    refresh_token: String,
    url: Url,
}

impl AuthorizedUser {
    fn read(document: &Document<'_>) -> Result<Self> {
        Ok(Self {
            client_id: document.text("client_id")?.to_owned(),
            client_secret: document.text("client_secret")?.to_owned(),
            refresh_token: document.text("refresh_token")?.to_owned(),
            url: document.address("token_uri", "https://oauth2.googleapis.com/token")?,
        })
    }

    async fn fetch(&self, asker: &Asker<'_>, now: OffsetDateTime) -> Result<Token> {
        asker.hide("client_secret", &self.client_secret);
        asker.hide("refresh_token", &self.refresh_token);
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", &self.client_id),
            ("client_secret", &self.client_secret),
            ("refresh_token", &self.refresh_token),
        ];
        let request = asker.form(&self.url, &fields);
        Token::read(&asker.json(request, Repeat::Safe).await?, now)
    }
}

/// The token of a Google Cloud machine:
/// <https://cloud.google.com/compute/docs/access/authenticate-workloads#applications>.
async fn of_machine(asker: &Asker<'_>, url: &Url, now: OffsetDateTime) -> Result<Token> {
    let request = asker
        .request(Method::GET, url.clone())
        .header("metadata-flavor", "Google")
        .timeout(METADATA_TIMEOUT);
    match asker.json(request, Repeat::WhenRefused).await {
        Ok(answer) => Token::read(&answer, now),
        Err(error) if failure(&error).is_some_and(|failure| failure.status.is_none()) => {
            let what = "there is no `private_key`, no file with Application Default Credentials, and no metadata server";
            Err(with_hint(
                error.context(what),
                format!(
                    "add `private_key` and `client_email` to the entry, or set `{FILE_VARIABLE}`"
                ),
            ))
        }
        Err(error) => Err(error),
    }
}
