//! A server of Vault or OpenBao, and how it is asked.

use anyhow::{Context, Result, anyhow, bail};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde_json::Value;
use url::Url;

use crate::model::hint::{Hint, with_hint};
use crate::model::secret::Secret;
use crate::net::http::{Http, Repeat, body, certificate_hint, is_loopback};

/// Largest answer: a server takes secrets of 1 MiB at most.
const LARGEST: usize = 4 << 20;

/// Longest part of the server's own words that an error repeats, characters.
const LONGEST_WORDS: usize = 300;

/// Where a server is, and whose namespace it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    http: Http,
    address: Url,
    namespace: Option<String>,
}

/// What the server is asked.
pub(super) struct Question<'a> {
    pub(super) method: Method,
    /// Below `/v1`, not yet encoded.
    pub(super) path: Vec<&'a str>,
    pub(super) token: Option<&'a Secret>,
    /// JSON.
    pub(super) body: Option<Vec<u8>>,
    pub(super) repeat: Repeat,
}

/// The server said no.
#[derive(Debug, thiserror::Error)]
#[error("`{asked}` answered {status}{words}")]
pub(super) struct Failure {
    asked: String,
    pub(super) status: StatusCode,
    words: String,
    /// The answer, which may say something all the same.
    pub(super) answer: Value,
}

impl Failure {
    /// Somebody else has written the secret meanwhile.
    pub(super) fn is_lost_race(&self) -> bool {
        self.status == StatusCode::BAD_REQUEST && self.words.contains("check-and-set")
    }
}

impl Server {
    /// The server that `VAULT_ADDR` names.
    ///
    /// Private keys are sent to it: in the clear to this machine only, where an agent may listen.
    pub(crate) fn new(http: Http, address: &str, namespace: Option<String>) -> Result<Self> {
        let address = Url::parse(address)
            .ok()
            .filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
            .ok_or_else(|| anyhow!("`VAULT_ADDR` is no URL"))
            .hint(|| "write it as `https://HOST:8200`")?;
        if !address.username().is_empty() || address.password().is_some() {
            return Err(anyhow!("`VAULT_ADDR` has a login in it"))
                .hint(|| "leave it out: who logs in is said with `VAULT_TOKEN` or a role");
        }
        if address.scheme() == "http" && !is_loopback(&address) {
            return Err(anyhow!("`VAULT_ADDR` would send private keys in the clear")).hint(
                || "write `https://`; `http://` is for this machine, such as an agent's listener",
            );
        }
        Ok(Self {
            http,
            address,
            namespace,
        })
    }

    /// The same server for what is outside of namespaces.
    pub(super) fn without_namespace(&self) -> Self {
        Self {
            namespace: None,
            ..self.clone()
        }
    }

    /// Scheme, host and port.
    pub(super) fn shown(&self) -> String {
        self.address.origin().ascii_serialization()
    }

    /// Asks, and reads the JSON of the answer; null where it has no body. A status other than 2xx is a
    /// [`Failure`].
    pub(super) async fn ask(&self, question: Question<'_>) -> Result<Value> {
        let mut url = self.address.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow!("bad URL"))?
            .pop_if_empty()
            .push("v1")
            .extend(&question.path);
        let mut request = self.http.client().request(question.method, url);
        // Only what was meant for the server comes with it (request forgery).
        request = request.header("x-vault-request", "true");
        if let Some(namespace) = &self.namespace {
            let value = header(namespace.as_bytes()).context("`VAULT_NAMESPACE` cannot be sent")?;
            request = request.header("x-vault-namespace", value);
        }
        if let Some(token) = question.token {
            let value = header(token.expose()).context("the Vault token cannot be sent")?;
            request = request.header(HeaderName::from_static("x-vault-token"), value);
        }
        if let Some(body) = question.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let request = request.build().context("cannot make the request")?;
        self.sent(request, question.repeat).await
    }

    async fn sent(&self, request: reqwest::Request, repeat: Repeat) -> Result<Value> {
        let answer = match self.http.send(request, repeat).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.unreachable(error.into())),
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = body(answer, LARGEST)
            .await
            .map_err(|error| self.unreachable(error))?;
        let json = serde_json::from_slice(&body);
        if status.is_success() {
            return match json {
                Ok(json) => Ok(json),
                Err(_) if body.is_empty() => Ok(Value::Null),
                Err(_) => bail!("`{}` answered something that is no JSON", self.shown()),
            };
        }
        let answer: Value = json.unwrap_or_default();
        let elsewhere = headers.get("location").and_then(|at| at.to_str().ok());
        let words = if status.is_redirection() {
            elsewhere.map(|at| format!("go to `{at}`"))
        } else {
            words(&answer)
        };
        let failure = Failure {
            asked: self.shown(),
            status,
            words: words.map_or_else(String::new, |words| format!(": {words}")),
            answer,
        };
        let hint = hint(&failure);
        let failure = anyhow::Error::new(failure);
        Err(match hint {
            Some(hint) => with_hint(failure, hint),
            None => failure,
        })
    }

    fn unreachable(&self, error: anyhow::Error) -> anyhow::Error {
        let hint = match certificate_hint(&error) {
            Some(_) => {
                "for a private CA, name the file with its root: `VAULT_CACERT` or `--ca-bundle`"
            }
            None => {
                "`VAULT_ADDR` says where Vault is; check the way there (`HTTPS_PROXY`, `NO_PROXY`), and run again"
            }
        };
        with_hint(
            error.context(format!("cannot reach Vault at `{}`", self.shown())),
            hint,
        )
    }
}

/// The JSON of a request.
pub(super) fn json(body: &impl Serialize) -> Result<Option<Vec<u8>>> {
    serde_json::to_vec(body)
        .map(Some)
        .context("cannot make the request")
}

fn header(value: &[u8]) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_bytes(value)
        .map_err(|_| anyhow!("it has a character that no HTTP header can have"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The server's own words, on one line.
fn words(answer: &Value) -> Option<String> {
    let errors = answer.get("errors")?.as_array()?.iter();
    let errors: Vec<_> = errors.filter_map(Value::as_str).collect();
    let words = errors.join("; ");
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    // Its library's way to say that there is one.
    let line = line.trim_start_matches("1 error occurred: * ");
    let line: String = line.chars().take(LONGEST_WORDS).collect();
    (!line.is_empty()).then_some(line)
}

fn hint(failure: &Failure) -> Option<&'static str> {
    match failure.status {
        StatusCode::FORBIDDEN => Some(
            "the token may be wrong or over, or its policy may not allow it: docs/vault.md has the policy that a run needs",
        ),
        StatusCode::SERVICE_UNAVAILABLE => {
            Some("where it is sealed, unseal it (`vault operator unseal`), and run again")
        }
        status if status.is_redirection() => Some(
            "that server is a standby: let `VAULT_ADDR` name the active one, or what stands before all of them",
        ),
        _ => None,
    }
}
