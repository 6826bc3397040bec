//! Asks AWS's services for keys: STS, and the metadata services of containers and instances.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use time::OffsetDateTime;
use url::Url;

use crate::model::file;
use crate::model::hint::Hint;
use crate::net::http::{Http, Repeat, body};
use crate::provider::aws::keys::{Answer, Keys};
use crate::provider::aws::sigv4::{Scope, Unsigned, query, sign};
use crate::provider::aws::source::{Authorization, Role, Source, Start};
use crate::provider::http::Api;
use crate::provider::words::words;

/// DNSControl fixes this region, so STS of no other is asked.
const SCOPE: Scope = Scope {
    region: "us-east-1",
    service: "sts",
};

const FORM: &str = "application/x-www-form-urlencoded";

/// Version of the API of STS: <https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html>.
const VERSION: &str = "2011-06-15";

/// Longest silence of a metadata service, which is on the machine or not there at all.
const NEAR: Duration = Duration::from_secs(2);

/// Silence of a metadata service is an answer.
const NEARBY: Repeat = Repeat::WhenRefused;

/// Seconds that a token for the instance's metadata service lasts; it is used at once.
const METADATA_TOKEN_TTL: &str = "60";

/// Largest answer, bytes.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Asks for keys on behalf of an API, whose messages never hold them.
pub(super) struct Fetch<'a> {
    pub(super) api: &'a Api,
    pub(super) http: &'a Http,
    pub(super) sts: &'a Url,
}

impl Fetch<'_> {
    /// The keys of a source, after all its roles.
    pub(super) async fn keys(&self, source: &Source) -> Result<Arc<Keys>> {
        let mut keys = match &source.start {
            Start::Keys(keys) => Arc::clone(keys),
            Start::WebIdentity { token_file, role } => {
                let token = file::read_text(token_file).with_context(|| {
                    format!("cannot read the token in `{}`", token_file.display())
                })?;
                Arc::new(self.with_token(role, token.trim()).await?)
            }
            Start::Container { url, authorization } => {
                Arc::new(self.of_container(url, authorization.as_ref()).await?)
            }
            Start::Instance { service } => {
                let keys = self.of_instance(service).await;
                Arc::new(keys.hint(|| &source.otherwise)?)
            }
        };
        keys.hide_from(self.api);
        for role in &source.roles {
            keys = Arc::new(self.with_role(role, &keys).await?);
            keys.hide_from(self.api);
        }
        Ok(keys)
    }

    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
    async fn with_role(&self, role: &Role, keys: &Keys) -> Result<Keys> {
        let external_id = role.external_id.as_deref().map(|id| ("ExternalId", id));
        self.assume("AssumeRole", role, external_id, Some(keys))
            .await
            .hint(|| {
                "the role's trust policy must allow `sts:AssumeRole` to the credentials that assume it"
            })
    }

    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>
    async fn with_token(&self, role: &Role, token: &str) -> Result<Keys> {
        self.api.hide("web identity token", token);
        let token = Some(("WebIdentityToken", token));
        self.assume("AssumeRoleWithWebIdentity", role, token, None)
            .await
            .hint(|| "the role's trust policy must name the issuer, audience and subject of the token")
    }

    async fn assume(
        &self,
        action: &str,
        role: &Role,
        more: Option<(&str, &str)>,
        keys: Option<&Keys>,
    ) -> Result<Keys> {
        let parameters = [
            ("Action", action),
            ("Version", VERSION),
            ("RoleArn", &role.arn),
            ("RoleSessionName", &role.session),
        ];
        let body = query(parameters.into_iter().chain(more));
        let mut request = self.http.client().post(self.sts.clone());
        request = request.header(CONTENT_TYPE, FORM);
        if let Some(keys) = keys {
            let unsigned = Unsigned {
                method: "POST",
                url: self.sts,
                content_type: Some(FORM),
                body: &body,
            };
            for (name, value) in sign(&unsigned, keys, SCOPE, OffsetDateTime::now_utc())? {
                request = request.header(name, value);
            }
        }
        let what = format!("cannot assume the AWS role `{}`", role.arn);
        let answer = self
            .ask(self.http, request.body(body), Repeat::Safe, "STS")
            .await;
        let keys = answer.and_then(|text| Keys::from_answer(&of_sts(&text)?));
        keys.context(what)
    }

    async fn of_container(&self, url: &Url, authorization: Option<&Authorization>) -> Result<Keys> {
        let direct = Http::direct()?;
        let mut request = direct.client().get(url.clone()).timeout(NEAR);
        let from_file;
        let token = match authorization {
            Some(Authorization::Token(token)) => token.expose_str(),
            Some(Authorization::File(path)) => {
                let read = file::read_text(path);
                from_file =
                    read.with_context(|| format!("cannot read the token in `{}`", path.display()))?;
                Some(from_file.trim())
            }
            None => None,
        };
        if let Some(token) = token {
            self.api.hide("container authorization token", token);
            request = request.header(AUTHORIZATION, token);
        }
        let text = self
            .ask(&direct, request, NEARBY, "the container's service")
            .await?;
        of_json(&text)
    }

    /// Version 2 of the service: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html>.
    async fn of_instance(&self, service: &Url) -> Result<Keys> {
        let direct = Http::direct()?;
        let whom = format!("the instance's metadata service at `{service}`");
        let request = direct.client().put(service.join("/latest/api/token")?);
        let request = request.header("x-aws-ec2-metadata-token-ttl-seconds", METADATA_TOKEN_TTL);
        let token = self
            .ask(&direct, request.timeout(NEAR), NEARBY, &whom)
            .await;
        let token = token.context("there are no AWS credentials, and this is no EC2 instance")?;
        self.api.hide("metadata token", &token);
        let roles = service.join("/latest/meta-data/iam/security-credentials/")?;
        let get = async |url: Url| {
            let request = direct.client().get(url).timeout(NEAR);
            let request = request.header("x-aws-ec2-metadata-token", &token);
            self.ask(&direct, request, NEARBY, &whom).await
        };
        let listed = get(roles.clone())
            .await
            .context("the EC2 instance has no role")?;
        let role = listed.lines().next().unwrap_or_default().trim();
        let text = get(roles.join(role)?).await?;
        of_json(&text)
    }

    /// The body of an answer that says yes.
    async fn ask(
        &self,
        http: &Http,
        request: RequestBuilder,
        repeat: Repeat,
        whom: &str,
    ) -> Result<String> {
        let answer = http
            .send(request.build()?, repeat)
            .await
            .with_context(|| format!("no answer from {whom}"))?;
        let status = answer.status();
        let body = body(answer, LARGEST_ANSWER).await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        ensure!(
            status.is_success(),
            "{whom} answered {status}: {}",
            self.api.clean(&words(&text))
        );
        Ok(text)
    }
}

/// The keys in an answer of a metadata service.
fn of_json(text: &str) -> Result<Keys> {
    let answer = serde_json::from_str(text);
    let answer = answer.map_err(|error: serde_json::Error| {
        // Where it went wrong, without a piece of the text.
        anyhow!(
            "the answer has no keys: line {}, column {}",
            error.line(),
            error.column()
        )
    })?;
    Keys::from_answer(&answer)
}

/// The keys in an answer of STS.
fn of_sts(text: &str) -> Result<Answer> {
    // The parser's own words can hold a piece of the text.
    let document = roxmltree::Document::parse(text).ok();
    let nodes = document.iter().flat_map(roxmltree::Document::descendants);
    let credentials = nodes.clone().find(|node| node.has_tag_name("Credentials"));
    let field = |name: &str| {
        let mut fields = credentials.iter().flat_map(roxmltree::Node::children);
        let node = fields.find(|node| node.tag_name().name() == name);
        let text = node.and_then(|node| node.text());
        text.map(str::to_owned)
            .with_context(|| format!("the answer of STS has no `{name}`"))
    };
    Ok(Answer {
        access_key_id: field("AccessKeyId")?,
        secret_access_key: field("SecretAccessKey")?,
        token: field("SessionToken")?,
        expiration: field("Expiration")?,
    })
}
