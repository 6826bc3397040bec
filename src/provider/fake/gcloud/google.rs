//! Google's token servers: OAuth 2.0, Security Token Service, IAM credentials, metadata server.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::provider::ProviderEntry;
use crate::provider::fake::tokens::{Tokens, form};
use crate::provider::fake::{Fake, Reply, Request};
use crate::provider::servers::entry;

pub(super) const PROJECT: &str = "project-1";

pub(super) const EMAIL: &str = "dns@project-1.iam.gserviceaccount.com";
pub(super) const KEY_ID: &str = "0123456789abcdef";
pub(super) const CLIENT: &str = "client-1.apps.googleusercontent.com";
pub(super) const CLIENT_SECRET: &str = "client-secret-for-tests";
pub(super) const REFRESH_TOKEN: &str = "refresh-token-for-tests";
pub(super) const AUDIENCE: &str =
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/github";
/// The token of another identity provider, and what that provider is asked with.
pub(super) const SUBJECT: &str = "subject-token-for-tests";
pub(super) const RUNNER_TOKEN: &str = "runner-token-for-tests";

pub(super) const DNS: &str = "https://www.googleapis.com/auth/ndev.clouddns.readwrite";
const PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
const FEDERATED: &str = "federated";

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// An RSA key, and PKCS#8 in PEM form.
pub(super) struct Key {
    pair: RsaKeyPair,
    pub(super) pem: String,
}

impl Key {
    fn new() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = (0..text.len())
            .step_by(64)
            .map(|at| &text[at..text.len().min(at + 64)])
            .collect();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            lines.join("\n")
        );
        Self { pair, pem }
    }

    /// The key that the service account has.
    pub(super) fn own() -> &'static Self {
        static KEY: OnceLock<Key> = OnceLock::new();
        KEY.get_or_init(Self::new)
    }

    /// A key that it has not.
    pub(super) fn other() -> &'static Self {
        static KEY: OnceLock<Key> = OnceLock::new();
        KEY.get_or_init(Self::new)
    }
}

/// Answers what is asked on the way to a token; none for other requests.
///
/// `lifetime` is that of the tokens, seconds.
pub(super) fn answer(tokens: &mut Tokens, lifetime: i64, request: &Request) -> Option<Reply> {
    let (method, path) = request.route();
    Some(match (method, &path[..]) {
        ("POST", ["token"]) => token(tokens, lifetime, request),
        ("POST", ["v1", "token"]) => exchange(tokens, lifetime, request),
        ("POST", ["v1", "projects", "-", "serviceAccounts", account]) => {
            impersonate(tokens, lifetime, account, request)
        }
        (
            "GET",
            [
                "computeMetadata",
                "v1",
                "instance",
                "service-accounts",
                "default",
                "token",
            ],
        ) => of_machine(tokens, lifetime, request),
        ("GET", ["runner"]) => runner(request),
        _ => return None,
    })
}

/// RFC 6749 section 5.2. The description repeats what was sent, so that messages that show it fail.
fn refused(error: &str, description: &str) -> Reply {
    let body = json!({ "error": error, "error_description": description });
    Reply::json(400, &body)
}

fn issued(tokens: &mut Tokens, lifetime: i64, scope: &str) -> Reply {
    let body = json!({
        "access_token": tokens.issue(scope), "expires_in": lifetime, "token_type": "Bearer",
    });
    Reply::json(200, &body)
}

/// <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>, and
/// <https://developers.google.com/identity/protocols/oauth2/web-server#offline>.
fn token(tokens: &mut Tokens, lifetime: i64, request: &Request) -> Reply {
    let fields = form(request);
    let field = |key: &str| fields.get(key).map_or("", String::as_str);
    match field("grant_type") {
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
            let audience = format!("http://{}/token", request.header("host"));
            match scope_of_claim(field("assertion"), &audience) {
                Ok(scope) => issued(tokens, lifetime, &scope),
                Err(why) => refused("invalid_grant", &format!("{why} {}", field("assertion"))),
            }
        }
        "refresh_token" => {
            if (field("client_id"), field("client_secret")) != (CLIENT, CLIENT_SECRET) {
                return refused("invalid_client", "The provided client secret is invalid.");
            }
            if field("refresh_token") != REFRESH_TOKEN {
                let description = format!("Token {} is revoked.", field("refresh_token"));
                return refused("invalid_grant", &description);
            }
            issued(tokens, lifetime, PLATFORM)
        }
        _ => refused("unsupported_grant_type", "Invalid grant_type"),
    }
}

/// The scope of a signed claim that is in order.
fn scope_of_claim(assertion: &str, audience: &str) -> Result<String, &'static str> {
    let (signed, signature) = assertion.rsplit_once('.').ok_or("Bad Request")?;
    let (header, claims) = signed.split_once('.').ok_or("Bad Request")?;
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| "Bad Request");
    let json = |text: &str| -> Result<Value, &'static str> {
        serde_json::from_slice(&decoded(text)?).map_err(|_| "Bad Request")
    };
    let (header, claims) = (json(header)?, json(claims)?);
    if claims["iss"] != EMAIL {
        return Err("Invalid grant: account not found");
    }
    if header != json!({ "alg": "RS256", "typ": "JWT", "kid": KEY_ID }) {
        return Err("Invalid JWT: header");
    }
    let public = Key::own().pair.public_key();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
        .verify(signed.as_bytes(), &decoded(signature)?)
        .map_err(|_| "Invalid JWT Signature.")?;
    if claims["aud"] != audience {
        return Err("Invalid JWT: Failed audience check.");
    }
    // "exp: [...] a maximum of 1 hour after the issued time."
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let time = |key: &str| claims[key].as_i64().unwrap_or(0);
    let (issued, expires) = (time("iat"), time("exp"));
    if (now - issued).abs() > 60 || expires <= now || expires - issued > 3600 {
        return Err(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.",
        );
    }
    match claims["scope"].as_str() {
        Some(scope) if [DNS, PLATFORM].contains(&scope) => Ok(scope.to_owned()),
        _ => Err("Invalid OAuth scope or ID token audience provided."),
    }
}

/// <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>
fn exchange(tokens: &mut Tokens, lifetime: i64, request: &Request) -> Reply {
    let fields = form(request);
    let field = |key: &str| fields.get(key).map_or("", String::as_str);
    if !request.header("authorization").is_empty() {
        return refused("invalid_request", "No credentials are expected here.");
    }
    for (key, expected) in [
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        (
            "requested_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
        ("subject_token_type", JWT),
        ("audience", AUDIENCE),
    ] {
        if field(key) != expected {
            return refused("invalid_request", &format!("Invalid value for \"{key}\"."));
        }
    }
    if field("subject_token") != SUBJECT {
        let description = format!("ID Token {} is invalid.", field("subject_token"));
        return refused("invalid_grant", &description);
    }
    match field("scope") {
        DNS => issued(tokens, lifetime, DNS),
        PLATFORM => issued(tokens, lifetime, FEDERATED),
        _ => refused("invalid_scope", "Invalid scope."),
    }
}

/// <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken>
fn impersonate(tokens: &mut Tokens, lifetime: i64, account: &str, request: &Request) -> Reply {
    let denied = |status: u16, message: &str| {
        Reply::json(
            status,
            &json!({ "error": { "code": status, "message": message } }),
        )
    };
    if !matches!(tokens.scope_of(request), Some(FEDERATED | PLATFORM)) {
        return denied(
            403,
            "Permission 'iam.serviceAccounts.getAccessToken' denied.",
        );
    }
    if account != format!("{EMAIL}:generateAccessToken") {
        return denied(404, "Not found; Gaia id not found for the email.");
    }
    let body = request.json();
    let seconds = body["lifetime"]
        .as_str()
        .and_then(|text| text.strip_suffix('s'));
    let seconds: i64 = seconds.and_then(|text| text.parse().ok()).unwrap_or(0);
    if body["scope"] != json!([DNS]) || !(1..=3600).contains(&seconds) {
        return denied(400, "Request contains an invalid argument.");
    }
    let expires = OffsetDateTime::now_utc() + time::Duration::seconds(lifetime.min(seconds));
    let body = json!({
        "accessToken": tokens.issue(DNS), "expireTime": expires.format(&Rfc3339).unwrap(),
    });
    Reply::json(200, &body)
}

/// "Metadata-Flavor: Google [...] is required in your request":
/// <https://cloud.google.com/compute/docs/metadata/querying-metadata>.
fn of_machine(tokens: &mut Tokens, lifetime: i64, request: &Request) -> Reply {
    if request.header("metadata-flavor") != "Google" {
        return Reply::empty(403);
    }
    match request.parameter("scopes") {
        Some(DNS) => issued(tokens, lifetime, DNS),
        _ => Reply::empty(400),
    }
}

/// <https://docs.github.com/actions/reference/security/oidc>
fn runner(request: &Request) -> Reply {
    if request.header("authorization") != format!("Bearer {RUNNER_TOKEN}") {
        let message = format!("Not authorized: {}", request.header("authorization"));
        return Reply::json(401, &json!({ "message": message }));
    }
    match request.parameter("audience") {
        Some(AUDIENCE) => Reply::json(200, &json!({ "count": 1, "value": SUBJECT })),
        _ => Reply::json(200, &json!({ "count": 1, "value": "for-others" })),
    }
}

/// The entry of a service account, its key as an environment variable gives it.
pub(super) fn with_key(fake: &Fake, key: &Key) -> ProviderEntry {
    let mut entry = without_key(fake);
    for (field, value) in [
        ("type", "service_account"),
        ("private_key", &key.pem.replace('\n', "\\n")),
        ("private_key_id", KEY_ID),
        ("client_email", EMAIL),
        ("token_uri", &format!("{}/token", fake.url())),
    ] {
        entry.fields.insert(field.to_owned(), value.to_owned());
    }
    entry
}

pub(super) fn without_key(fake: &Fake) -> ProviderEntry {
    entry(
        "GCLOUD",
        &[("project_id", PROJECT), ("_base_url", &fake.url())],
    )
}
