//! Signatures as AWS checks them, and the services that hand out keys.

use std::collections::BTreeMap;

use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

use crate::provider::aws::keys::Keys;
use crate::provider::aws::sigv4::{Scope, Unsigned, query, sign};
use crate::provider::fake::moto::Moto;
use crate::provider::fake::{Reply, Request};

/// An access key of a user.
pub(super) const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub(super) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// An access key of a session.
pub(super) const SESSION_KEY: &str = "ASIAIOSFODNN7EXAMPLE";
pub(super) const SESSION_SECRET: &str = "session-secret-for-tests";
pub(super) const SESSION_TOKEN: &str = "session-token/for+tests==";

/// A role that asks for an external id, one that does not, and one for a token.
pub(super) const ROLE: &str = "arn:aws:iam::123456789012:role/dns";
pub(super) const EXTERNAL_ID: &str = "external-id-for-tests";
pub(super) const OPEN_ROLE: &str = "arn:aws:iam::123456789012:role/open";
pub(super) const WEB_ROLE: &str = "arn:aws:iam::123456789012:role/web";
pub(super) const WEB_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjaSJ9.c2lnbmF0dXJl";

/// What the container's service wants to see, and the token of the instance's service.
pub(super) const CONTAINER_TOKEN: &str = "container-token-for-tests";
const METADATA_TOKEN: &str = "metadata-token-for-tests";

/// How far the time of a request may be from that of the server:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>.
const SKEW: Duration = Duration::minutes(5);

/// The access keys that there are.
pub(super) struct Aws {
    /// By id: secret, and the token of a session.
    keys: BTreeMap<String, (String, Option<String>)>,
    /// How long the keys of metadata services last, minutes.
    pub(super) lifetime: i64,
}

impl Aws {
    pub(super) fn new() -> Self {
        let mut aws = Self {
            keys: BTreeMap::new(),
            lifetime: 60,
        };
        aws.add(KEY, SECRET, None);
        aws.add(SESSION_KEY, SESSION_SECRET, Some(SESSION_TOKEN));
        aws
    }

    fn add(&mut self, id: &str, secret: &str, token: Option<&str>) {
        let value = (secret.to_owned(), token.map(str::to_owned));
        self.keys.insert(id.to_owned(), value);
    }

    /// Refuses a request that is not signed as
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html> says.
    pub(super) fn check(&self, request: &Request, service: &'static str) -> Result<(), Reply> {
        let forbidden = |code: &str, message: &str| Err(error(403, code, message));
        let authorization = request.header("authorization");
        let id = authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=");
        let Some((id, _)) = id.and_then(|rest| rest.split_once('/')) else {
            return forbidden("MissingAuthenticationToken", "Missing Authentication Token");
        };
        let token = Some(request.header("x-amz-security-token")).filter(|token| !token.is_empty());
        let Some((secret, _)) = self
            .keys
            .get(id)
            .filter(|(_, known)| known.as_deref() == token)
        else {
            let message = "The security token included in the request is invalid.";
            return forbidden("InvalidClientTokenId", message);
        };
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        let time = PrimitiveDateTime::parse(request.header("x-amz-date"), format);
        let Ok(time) = time.map(PrimitiveDateTime::assume_utc) else {
            return forbidden(
                "IncompleteSignature",
                "Authorization header requires existence of 'X-Amz-Date'",
            );
        };
        if (OffsetDateTime::now_utc() - time).abs() > SKEW {
            return forbidden("SignatureDoesNotMatch", "Signature expired");
        }
        let pairs = request
            .query
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let url = format!(
            "http://{}/{}?{}",
            request.header("host"),
            request.path.join("/"),
            query(pairs)
        );
        let content_type = Some(request.header("content-type")).filter(|kind| !kind.is_empty());
        let unsigned = Unsigned {
            method: &request.method,
            url: &url.parse().unwrap(),
            content_type,
            body: &request.body,
        };
        let scope = Scope {
            region: "us-east-1",
            service,
        };
        let headers = sign(&unsigned, &Keys::new(id, secret, token), scope, time).unwrap();
        if headers
            .last()
            .is_some_and(|(_, expected)| expected == authorization)
        {
            return Ok(());
        }
        forbidden(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. \
             Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
        )
    }

    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html> and
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>
    pub(super) fn sts(&mut self, request: &Request, moto: &Moto) -> Reply {
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(request.body.as_bytes())
            .into_owned()
            .collect();
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        if field("Version") != "2011-06-15" {
            return error(400, "InvalidAction", "Could not find operation");
        }
        let session = field("RoleSessionName");
        let is_named = (2..=64).contains(&session.len())
            && session
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
        if !is_named {
            return error(
                400,
                "ValidationError",
                "Value at 'roleSessionName' failed to satisfy constraint",
            );
        }
        let role = field("RoleArn");
        let refused = match field("Action") {
            "AssumeRole" => self.check(request, "sts").err().or_else(|| {
                let is_trusted = match role {
                    ROLE => field("ExternalId") == EXTERNAL_ID,
                    _ => role == OPEN_ROLE,
                };
                let message = format!(
                    "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: sts:AssumeRole on resource: {role}"
                );
                (!is_trusted).then(|| error(403, "AccessDenied", &message))
            }),
            "AssumeRoleWithWebIdentity" if field("WebIdentityToken") != WEB_TOKEN => {
                // The real one repeats no token; a message that did must not get through.
                let message = format!("Couldn't verify the token {}", field("WebIdentityToken"));
                Some(error(400, "InvalidIdentityToken", &message))
            }
            "AssumeRoleWithWebIdentity" => (role != WEB_ROLE).then(|| {
                let message = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
                error(403, "AccessDenied", message)
            }),
            _ => Some(error(400, "InvalidAction", "Could not find operation")),
        };
        if let Some(refused) = refused {
            return refused;
        }
        let (status, body) = moto.ask("sts", "POST", "/", &request.body);
        assert_eq!(status, 200, "{body}");
        let text = |name: &str| {
            let (_, rest) = body.split_once(&format!("<{name}>")).unwrap();
            rest.split_once('<').unwrap().0.to_owned()
        };
        self.add(
            &text("AccessKeyId"),
            &text("SecretAccessKey"),
            Some(&text("SessionToken")),
        );
        xml(200, body)
    }

    /// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>
    pub(super) fn container(&self, request: &Request) -> Reply {
        if request.header("authorization") != CONTAINER_TOKEN {
            return Reply::json(
                400,
                &json!({ "code": "InvalidAuthorization", "message": "no" }),
            );
        }
        self.session()
    }

    /// Version 2 of the service:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html>.
    pub(super) fn instance(&self, request: &Request) -> Reply {
        let text = |text: &str| Reply {
            body: text.to_owned(),
            ..Reply::empty(200)
        };
        match request.route() {
            ("PUT", path) if path[..] == ["latest", "api", "token"] => {
                // A request that a proxy passed on is refused.
                let ttl = request
                    .header("x-aws-ec2-metadata-token-ttl-seconds")
                    .parse();
                let is_right = ttl.is_ok_and(|ttl: u32| (1..=21_600).contains(&ttl));
                if is_right && request.header("x-forwarded-for").is_empty() {
                    text(METADATA_TOKEN)
                } else {
                    Reply::empty(403)
                }
            }
            _ if request.header("x-aws-ec2-metadata-token") != METADATA_TOKEN => Reply::empty(401),
            ("GET", path) => match path[..] {
                ["latest", "meta-data", "iam", "security-credentials", ""] => text("dns-role"),
                [
                    "latest",
                    "meta-data",
                    "iam",
                    "security-credentials",
                    "dns-role",
                ] => self.session(),
                _ => Reply::empty(404),
            },
            _ => Reply::empty(405),
        }
    }

    /// Keys as metadata services hand them out.
    fn session(&self) -> Reply {
        let expires = OffsetDateTime::now_utc() + Duration::minutes(self.lifetime);
        Reply::json(
            200,
            &json!({
                "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": SESSION_KEY,
                "SecretAccessKey": SESSION_SECRET, "Token": SESSION_TOKEN,
                "Expiration": expires.format(&Rfc3339).unwrap(),
            }),
        )
    }
}

pub(super) fn xml(status: u16, body: String) -> Reply {
    Reply {
        status,
        headers: vec![("content-type", "text/xml".to_owned())],
        body,
    }
}

/// <https://docs.aws.amazon.com/Route53/latest/APIReference/CommonErrors.html>
pub(super) fn error(status: u16, code: &str, message: &str) -> Reply {
    let message = message.replace('&', "&amp;").replace('<', "&lt;");
    xml(
        status,
        format!(
            "<?xml version=\"1.0\"?>\n<ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Error>\
             <Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             <RequestId>b25f48e8-84fd-11e6-80d9-574e0c4664cb</RequestId></ErrorResponse>"
        ),
    )
}
