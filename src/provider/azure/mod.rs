//! Azure's credentials: a client secret, another provider's token, or a managed identity; and its
//! sets of records.

pub(super) mod record_set;

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use reqwest::header::HeaderValue;
use reqwest::{Method, RequestBuilder};
use time::OffsetDateTime;
use url::Url;

use crate::model::environment::Environment;
use crate::model::file;
use crate::model::hint::with_hint;
use crate::model::provider::ProviderEntry;
use crate::net::http::Repeat;
use crate::provider::oauth::{
    Asker, METADATA_TIMEOUT, Token, TokenSource, address, bearer, metadata_address, text,
};
use crate::provider::pages::with_parameter;
use crate::provider::port::Answer;
use crate::provider::reply::failure;

/// What the tokens are for: Azure Resource Manager.
const RESOURCE: &str = "https://management.azure.com/";

/// Who GitHub's tokens are for:
/// <https://learn.microsoft.com/entra/workload-id/workload-identity-federation-create-trust>.
const AUDIENCE: &str = "api://AzureADTokenExchange";

const SECRET: &str = "AZURE_CLIENT_SECRET";
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const GITHUB_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const GITHUB_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// Where tokens come from, and what messages call it.
pub(super) struct Credentials {
    source: Source,
    /// None where it is the entry.
    pub(super) place: Option<&'static str>,
}

enum Source {
    Application {
        application: Application,
        proof: Proof,
    },
    Managed(ManagedIdentity),
}

/// An application, and where it signs in.
struct Application {
    url: Url,
    client_id: String,
}

/// What an application proves itself with.
enum Proof {
    Secret(String),
    /// A file that holds another identity provider's token.
    File(PathBuf),
    /// A workflow of GitHub, which hands out tokens for itself:
    /// <https://docs.github.com/actions/reference/security/oidc>.
    GitHub {
        url: Url,
        token: String,
    },
}

impl Credentials {
    /// As DNSControl and Azure's SDK look for them, see [`Names`] for what they read:
    ///
    /// - with `UseOIDC`, the token of the workload: a file, or GitHub's
    /// - the entry's client secret
    /// - else the client secret of the environment, a file with a token, the managed identity
    ///   <https://learn.microsoft.com/azure/developer/go/sdk/authentication/credential-chains>
    ///
    /// DNSControl opens a browser for `UseOIDC`; there is none in a job. A field that names a
    /// variable which is not set counts as left out, as in DNSControl: laptops and jobs share entries.
    pub(super) fn find(entry: &ProviderEntry, environment: &Environment) -> Result<Self> {
        let names = Names { entry, environment };
        if entry.field("UseOIDC") == Some("true") {
            return names.workload();
        }
        if let Some(secret) = entry.field("ClientSecret") {
            return names.application(Proof::Secret(secret.to_owned()), None);
        }
        if let Some(secret) = environment.get(SECRET) {
            let place = Some("`AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`");
            return names.application(Proof::Secret(secret.to_owned()), place);
        }
        if environment.get(TOKEN_FILE).is_some() {
            return names.workload();
        }
        if environment.get("AZURE_CLIENT_CERTIFICATE_PATH").is_some() {
            return Err(with_hint(
                anyhow!("client certificates (`AZURE_CLIENT_CERTIFICATE_PATH`) are not supported"),
                format!(
                    "set `{SECRET}`, or let the application trust the workload and set `UseOIDC`"
                ),
            ));
        }
        Ok(Self {
            source: Source::Managed(ManagedIdentity::find(&names)?),
            place: Some("the managed identity of this machine"),
        })
    }
}

/// Identifiers that an entry has, or the environment as Azure's SDK names them.
struct Names<'a> {
    entry: &'a ProviderEntry,
    environment: &'a Environment,
}

impl Names<'_> {
    fn workload(&self) -> Result<Credentials> {
        let variable = |name| self.environment.get(name);
        if let Some(path) = variable(TOKEN_FILE) {
            let place =
                "`AZURE_FEDERATED_TOKEN_FILE`, and whether the application trusts its token";
            return self.application(Proof::File(path.into()), Some(place));
        }
        let (Some(url), Some(token)) = (variable(GITHUB_URL), variable(GITHUB_TOKEN)) else {
            return Err(with_hint(
                anyhow!(
                    "there is no token of the workload: neither `{TOKEN_FILE}` nor `{GITHUB_URL}` is set"
                ),
                "on GitHub, the job needs `permissions: id-token: write`",
            ));
        };
        let proof = Proof::GitHub {
            url: address(url, &format!("`{GITHUB_URL}`"))?,
            token: token.to_owned(),
        };
        let place = "whether the application trusts this workflow (federated credentials)";
        self.application(proof, Some(place))
    }

    fn application(&self, proof: Proof, place: Option<&'static str>) -> Result<Credentials> {
        let authority = self.environment.get("AZURE_AUTHORITY_HOST");
        let authority = authority.unwrap_or("https://login.microsoftonline.com");
        let mut url = address(authority, "`AZURE_AUTHORITY_HOST`")?;
        let tenant = self.required("TenantID", "AZURE_TENANT_ID")?;
        url.path_segments_mut()
            .map_err(|()| anyhow!("bad URL"))?
            .pop_if_empty()
            .extend([tenant, "oauth2", "v2.0", "token"]);
        let application = Application {
            url,
            client_id: self.required("ClientID", "AZURE_CLIENT_ID")?.to_owned(),
        };
        let source = Source::Application { application, proof };
        Ok(Credentials { source, place })
    }

    fn optional(&self, field: &str, variable: &str) -> Option<&str> {
        let field = self.entry.field(field);
        field.or_else(|| self.environment.get(variable))
    }

    fn required(&self, field: &str, variable: &str) -> Result<&str> {
        self.optional(field, variable).ok_or_else(|| {
            let entry = &self.entry.name;
            with_hint(
                anyhow!(
                    "`creds.json` entry `{entry}` has no `{field}`, and `{variable}` is not set"
                ),
                format!("add `{field}` to the entry, or set `{variable}`"),
            )
        })
    }
}

impl TokenSource for Credentials {
    fn fetch<'a>(&'a self, asker: Asker<'a>) -> Answer<'a, Token> {
        Box::pin(async move {
            let now = OffsetDateTime::now_utc();
            let answer = match &self.source {
                Source::Application { application, proof } => {
                    let request = application.request(&asker, proof).await?;
                    asker.json(request, Repeat::Safe).await?
                }
                Source::Managed(identity) => {
                    let asked = asker.json(identity.request(&asker), Repeat::WhenRefused);
                    asked.await.map_err(nobody_there)?
                }
            };
            Token::read(&answer, now)
        })
    }
}

impl Application {
    /// The client credentials flow:
    /// <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>.
    async fn request(&self, asker: &Asker<'_>, proof: &Proof) -> Result<RequestBuilder> {
        let scope = format!("{RESOURCE}.default");
        let mut fields = vec![
            ("grant_type", "client_credentials"),
            ("client_id", &self.client_id),
            ("scope", &scope),
        ];
        let proven = proof.fetch(asker).await?;
        asker.hide("credential", &proven);
        match proof {
            Proof::Secret(_) => fields.push(("client_secret", &proven)),
            Proof::File(_) | Proof::GitHub { .. } => fields.extend([
                (
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                ),
                ("client_assertion", &proven),
            ]),
        }
        Ok(asker.form(&self.url, &fields))
    }
}

impl Proof {
    /// Tokens are read anew each time: they live for minutes.
    async fn fetch(&self, asker: &Asker<'_>) -> Result<String> {
        match self {
            Self::Secret(secret) => Ok(secret.clone()),
            Self::File(path) => {
                let token = file::read_text(path);
                let token = token.with_context(|| {
                    format!("cannot read `{}` (`{TOKEN_FILE}`)", path.display())
                })?;
                Ok(token.trim().to_owned())
            }
            Self::GitHub { url, token } => {
                asker.hide(GITHUB_TOKEN, token);
                let url = with_parameter(url, "audience", AUDIENCE);
                let request = asker
                    .request(Method::GET, url)
                    .header("authorization", bearer(token)?);
                let answer = asker.json(request, Repeat::Safe).await;
                text(
                    &answer.context("cannot get the workflow's token from GitHub")?,
                    "value",
                )
            }
        }
    }
}

/// The identity of a machine of Azure.
struct ManagedIdentity {
    url: Url,
    header: (&'static str, HeaderValue),
}

impl ManagedIdentity {
    /// That of App Service and its like, which the environment names; else of a virtual machine.
    fn find(names: &Names<'_>) -> Result<Self> {
        let variable = |name| names.environment.get(name);
        let service = variable("IDENTITY_ENDPOINT").zip(variable("IDENTITY_HEADER"));
        let (url, version, header) = if let Some((url, header)) = service {
            // https://learn.microsoft.com/azure/app-service/overview-managed-identity
            let mut header = HeaderValue::from_str(header).context("bad `IDENTITY_HEADER`")?;
            header.set_sensitive(true);
            let url = metadata_address(url, "`IDENTITY_ENDPOINT`")?;
            (url, "2019-08-01", ("x-identity-header", header))
        } else {
            // https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
            let host = variable("AZURE_POD_IDENTITY_AUTHORITY_HOST");
            let host = host.unwrap_or("http://169.254.169.254");
            let url = metadata_address(host, "`AZURE_POD_IDENTITY_AUTHORITY_HOST`")?;
            let url = url.join("/metadata/identity/oauth2/token")?;
            (
                url,
                "2018-02-01",
                ("metadata", HeaderValue::from_static("true")),
            )
        };
        let mut url = with_parameter(&url, "api-version", version);
        url.query_pairs_mut().append_pair("resource", RESOURCE);
        // One of several that the machine has.
        if let Some(id) = names.optional("ClientID", "AZURE_CLIENT_ID") {
            url.query_pairs_mut().append_pair("client_id", id);
        }
        Ok(Self { url, header })
    }

    fn request(&self, asker: &Asker<'_>) -> RequestBuilder {
        let (name, value) = self.header.clone();
        if let (true, Ok(secret)) = (value.is_sensitive(), value.to_str()) {
            asker.hide("IDENTITY_HEADER", secret);
        }
        asker
            .request(Method::GET, self.url.clone())
            .header(name, value)
            .timeout(METADATA_TIMEOUT)
    }
}

/// No answer: this is no machine of Azure.
fn nobody_there(error: anyhow::Error) -> anyhow::Error {
    if failure(&error).is_none_or(|failure| failure.status.is_some()) {
        return error;
    }
    let what = format!(
        "there is no client secret, no `{TOKEN_FILE}`, and no managed identity: nobody answers"
    );
    with_hint(
        error.context(what),
        format!(
            "add `TenantID`, `ClientID` and `ClientSecret` to the entry, set `{SECRET}`, or set `UseOIDC` to `true` on GitHub"
        ),
    )
}
