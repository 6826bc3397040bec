//! Who asks Vault: a token, or what it gives one for (AppRole, JWT of a CI job).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use serde::{Serialize, Serializer};
use serde_json::Value;
use url::Url;

use crate::model::hint::{Hint, find, with_hint};
use crate::model::known::remember;
use crate::model::secret::Secret;
use crate::net::http::{Http, Repeat, body};
use crate::repo::vault::server::{Failure, Question, Server, json};

/// How much longer than a run a token is asked to last.
const RENEWED_FOR: Duration = Duration::from_mins(1);

/// Largest answer with an ID token.
const LARGEST: usize = 64 << 10;

/// How a run gets its token.
#[derive(Clone, Debug)]
pub(crate) enum Login {
    /// It has one.
    Token(Arc<Secret>),
    /// <https://openbao.org/api-docs/auth/approle/#login-with-approle>
    AppRole {
        /// Path of the method below `auth`.
        mount: String,
        role_id: Arc<Secret>,
        secret_id: Option<Arc<Secret>>,
    },
    /// <https://openbao.org/api-docs/auth/jwt/#jwt-login>
    Jwt {
        /// Path of the method below `auth`.
        mount: String,
        role: String,
        token: IdToken,
    },
}

/// The token of a CI job that says which job it is.
#[derive(Clone, Debug)]
pub(crate) enum IdToken {
    /// GitLab puts it into a variable.
    Given(Arc<Secret>),
    /// GitHub gives one to who asks:
    /// <https://docs.github.com/actions/reference/security/oidc#methods-for-requesting-the-oidc-token>.
    GitHub {
        url: Url,
        bearer: Arc<Secret>,
        /// Who it is for; none: the owner of the repository.
        audience: Option<String>,
    },
}

/// A token, and how long it lasts.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) token: Secret,
    /// None: for ever, or nobody knows.
    pub(super) ends: Option<Instant>,
    is_renewable: bool,
}

/// A secret in the JSON of a request to Vault, and nowhere else.
pub(super) struct Told<'a>(pub(super) &'a Secret);

impl Serialize for Told<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.expose_str();
        serializer.serialize_str(text.ok_or_else(|| serde::ser::Error::custom("no text"))?)
    }
}

#[derive(Serialize)]
struct AppRoleLogin<'a> {
    role_id: Told<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_id: Option<Told<'a>>,
}

#[derive(Serialize)]
struct JwtLogin<'a> {
    role: &'a str,
    jwt: Told<'a>,
}

impl Login {
    /// Logs in.
    pub(super) async fn enter(&self, server: &Server, http: &Http) -> Result<Pass> {
        let (method, mount, body) = match self {
            Self::Token(token) => return look_up(server, token).await,
            Self::AppRole {
                mount,
                role_id,
                secret_id,
            } => {
                remember(role_id.expose());
                let secret_id = secret_id.as_deref().map(Told);
                let role_id = Told(role_id);
                let login = AppRoleLogin { role_id, secret_id };
                ("AppRole", mount, json(&login)?)
            }
            Self::Jwt { mount, role, token } => {
                let jwt = token.fetch(http).await?;
                let jwt = Told(&jwt);
                ("JWT", mount, json(&JwtLogin { role, jwt })?)
            }
        };
        let path = ["auth"].into_iter().chain(mount.split('/'));
        let question = Question {
            method: Method::POST,
            path: path.chain(["login"]).collect(),
            token: None,
            body,
            // What may be used once is used up by an attempt.
            repeat: Repeat::WhenRefused,
        };
        let answer = server.ask(question).await;
        let answer = answer
            .with_context(|| format!("cannot log in to Vault with {method} at `auth/{mount}`"));
        let answer = answer.hint(|| self.advice())?;
        Pass::of(answer.get("auth").unwrap_or(&Value::Null))
            .context("Vault's answer to the login has no token")
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::AppRole { .. } => {
                "check `VAULT_ROLE_ID` and `VAULT_SECRET_ID`, and `--vault-auth-mount` where the method is not at `approle`"
            }
            _ => {
                "check `--vault-role`, what it binds (`bound_audiences`, `bound_claims`), and `--vault-auth-mount` where the method is not at `jwt`"
            }
        }
    }
}

impl Pass {
    /// What a login or a renewal answers.
    fn of(auth: &Value) -> Option<Self> {
        let seconds = auth.get("lease_duration").and_then(Value::as_u64);
        let token = auth.get("client_token")?.as_str()?;
        remember(token.as_bytes());
        Some(Self {
            token: Secret::from(token.to_owned()),
            ends: seconds.and_then(end),
            is_renewable: auth.get("renewable").and_then(Value::as_bool) == Some(true),
        })
    }

    /// The same token for so long at least, renewed if need be; an error if it would be over before.
    pub(super) async fn lasting(&self, server: &Server, time: Duration) -> Result<()> {
        let is_short =
            |ends: &Option<Instant>| ends.is_some_and(|ends| ends < Instant::now() + time);
        if !is_short(&self.ends) {
            return Ok(());
        }
        let mut ends = self.ends;
        if self.is_renewable {
            let increment = (time + RENEWED_FOR).as_secs();
            let question = Question {
                method: Method::POST,
                path: vec!["auth", "token", "renew-self"],
                token: Some(&self.token),
                body: json(&BTreeMap::from([("increment", increment)]))?,
                repeat: Repeat::Safe,
            };
            match server.ask(question).await {
                Ok(answer) => {
                    let renewed = Self::of(answer.get("auth").unwrap_or(&Value::Null));
                    ends = renewed.and_then(|renewed| renewed.ends).or(ends);
                }
                Err(error) => tracing::debug!("the Vault token is not renewed: {error:#}"),
            }
        }
        if !is_short(&ends) {
            return Ok(());
        }
        let left = ends.map_or(0, |ends| {
            ends.saturating_duration_since(Instant::now()).as_secs()
        });
        Err(anyhow!(
            "the Vault token is over in {left} s, and a run may take {} s",
            time.as_secs()
        ))
        .hint(|| "give the role or the token a longer time (`token_ttl`), or the run a shorter one (`--dns-timeout`, `--acme-timeout`)")
    }
}

/// The moment in so many seconds; none for 0, which is for ever.
fn end(seconds: u64) -> Option<Instant> {
    (seconds > 0)
        .then(|| Instant::now().checked_add(Duration::from_secs(seconds)))
        .flatten()
}

/// How long a given token lasts, where it may know that.
async fn look_up(server: &Server, token: &Secret) -> Result<Pass> {
    let question = Question {
        method: Method::GET,
        path: vec!["auth", "token", "lookup-self"],
        token: Some(token),
        body: None,
        repeat: Repeat::Safe,
    };
    let answer = match server.ask(question).await {
        Ok(answer) => answer,
        // One without the policy `default` may be good: what is asked next tells.
        Err(error) if find::<Failure>(&error).is_some_and(|failure| failure.status == 403) => {
            Value::Null
        }
        Err(error) => return Err(error.context("cannot log in to Vault with the token")),
    };
    let data = answer.get("data");
    let field = |name| data.and_then(|data| data.get(name));
    Ok(Pass {
        token: Secret::new(token.expose().to_vec()),
        ends: field("ttl").and_then(Value::as_u64).and_then(end),
        is_renewable: field("renewable").and_then(Value::as_bool) == Some(true),
    })
}

impl IdToken {
    async fn fetch(&self, http: &Http) -> Result<Secret> {
        let (url, bearer, audience) = match self {
            Self::Given(token) => return Ok(Secret::new(token.expose().to_vec())),
            Self::GitHub {
                url,
                bearer,
                audience,
            } => (url, bearer, audience),
        };
        let fetched = async {
            let mut url = url.clone();
            if let Some(audience) = audience {
                url.query_pairs_mut().append_pair("audience", audience);
            }
            let bearer = bearer.expose_str().context("its token is no text")?;
            let request = http.client().get(url);
            let request = request.header(AUTHORIZATION, format!("bearer {bearer}"));
            let answer = http.send(request.build()?, Repeat::Safe).await?;
            let status = answer.status();
            anyhow::ensure!(status.is_success(), "it answered {status}");
            let answer: Value = serde_json::from_slice(&body(answer, LARGEST).await?)
                .map_err(|_| anyhow!("its answer is no JSON"))?;
            let token = answer.get("value").and_then(Value::as_str);
            let token = token.context("its answer has no token")?;
            remember(token.as_bytes());
            Ok(Secret::from(token.to_owned()))
        };
        fetched.await.map_err(|error: anyhow::Error| {
            with_hint(
                error.context("GitHub gives the job no ID token"),
                "the job needs `permissions: id-token: write`",
            )
        })
    }
}
