//! The servers that give tokens for Azure: Entra ID, metadata services, and GitHub for its own.

use serde_json::json;
use time::OffsetDateTime;

use crate::model::environment::Environment;
use crate::model::provider::ProviderEntry;
use crate::provider::fake::azure_dns::{GROUP, SUBSCRIPTION};
use crate::provider::fake::tokens::{Tokens, environment, form};
use crate::provider::fake::{Fake, Reply, Request};
use crate::provider::servers::entry;

pub(super) const TENANT: &str = "00000000-1111-2222-3333-444444444444";
pub(super) const CLIENT: &str = "55555555-6666-7777-8888-999999999999";
pub(super) const SECRET: &str = "azure-secret-for-tests";
/// What the application trusts besides its secret, and what GitHub and App Service are asked with.
pub(super) const ASSERTION: &str = "workload-token-for-tests";
pub(super) const RUNNER_TOKEN: &str = "runner-token-for-tests";
pub(super) const IDENTITY_HEADER: &str = "identity-header-for-tests";

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Answers what is asked on the way to a token; none for other requests.
///
/// `lifetime` is that of the tokens, seconds.
pub(super) fn answer(tokens: &mut Tokens, lifetime: i64, request: &Request) -> Option<Reply> {
    let (method, path) = request.route();
    Some(match (method, &path[..]) {
        ("POST", [tenant, "oauth2", "v2.0", "token"]) => sign_in(tokens, lifetime, tenant, request),
        ("GET", ["metadata", "identity", "oauth2", "token"]) => {
            let is_asked = request.header("metadata") == "true";
            of_machine(tokens, lifetime, is_asked, "2018-02-01", request)
        }
        ("GET", ["msi", "token"]) => {
            let is_asked = request.header("x-identity-header") == IDENTITY_HEADER;
            of_machine(tokens, lifetime, is_asked, "2019-08-01", request)
        }
        ("GET", ["runner"]) => runner(request),
        _ => return None,
    })
}

/// <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>
fn sign_in(tokens: &mut Tokens, lifetime: i64, tenant: &str, request: &Request) -> Reply {
    let refused = |status: u16, error: &str, description: &str| {
        let trace = "Trace ID: 1 Correlation ID: 2 Timestamp: 2026-11-25 12:00:00Z";
        let description = format!("{description} {trace}");
        Reply::json(
            status,
            &json!({ "error": error, "error_description": description }),
        )
    };
    if tenant != TENANT {
        return refused(400, "invalid_request", "AADSTS90002: Tenant not found.");
    }
    let fields = form(request);
    let field = |key: &str| fields.get(key).map_or("", String::as_str);
    if field("grant_type") != "client_credentials"
        || field("scope") != "https://management.azure.com/.default"
    {
        return refused(
            400,
            "invalid_request",
            "AADSTS900144: A parameter is missing.",
        );
    }
    if field("client_id") != CLIENT {
        return refused(
            400,
            "unauthorized_client",
            "AADSTS700016: Application was not found in the directory.",
        );
    }
    // What was sent is repeated, so that messages that show it fail.
    let assertion = field("client_assertion");
    match (
        field("client_secret"),
        field("client_assertion_type"),
        assertion,
    ) {
        (SECRET, "", "") | ("", JWT_BEARER, ASSERTION) => {}
        ("", ..) => {
            let why = format!("AADSTS700024: Client assertion {assertion} is expired.");
            return refused(401, "invalid_client", &why);
        }
        (secret, ..) => {
            let why = format!("AADSTS7000215: Invalid client secret {secret} provided.");
            return refused(401, "invalid_client", &why);
        }
    }
    let token = tokens.issue("arm");
    let body = json!({ "token_type": "Bearer", "expires_in": lifetime, "access_token": token });
    Reply::json(200, &body)
}

/// <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>
/// and <https://learn.microsoft.com/azure/app-service/overview-managed-identity>: numbers are texts.
fn of_machine(
    tokens: &mut Tokens,
    lifetime: i64,
    is_asked: bool,
    version: &str,
    request: &Request,
) -> Reply {
    let refused =
        |error: &str| Reply::json(400, &json!({ "error": error, "error_description": error }));
    if !is_asked || request.parameter("api-version") != Some(version) {
        let header = request.header("x-identity-header");
        return refused(&format!("Required metadata header not specified {header}"));
    }
    if request.parameter("resource") != Some("https://management.azure.com/") {
        return refused("invalid_resource");
    }
    if ![None, Some(CLIENT)].contains(&request.parameter("client_id")) {
        return refused("Identity not found");
    }
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let mut body = json!({
        "access_token": tokens.issue("arm"), "token_type": "Bearer",
        "expires_on": (now + lifetime).to_string(), "resource": "https://management.azure.com/",
    });
    if version == "2018-02-01" {
        body["expires_in"] = json!(lifetime.to_string());
    }
    Reply::json(200, &body)
}

/// <https://docs.github.com/actions/reference/security/oidc>
fn runner(request: &Request) -> Reply {
    if request.header("authorization") != format!("Bearer {RUNNER_TOKEN}")
        || request.parameter("api-version") != Some("2.0")
    {
        let message = format!("Not authorized: {}", request.header("authorization"));
        return Reply::json(401, &json!({ "message": message }));
    }
    match request.parameter("audience") {
        Some("api://AzureADTokenExchange") => {
            Reply::json(200, &json!({ "count": 1, "value": ASSERTION }))
        }
        _ => Reply::json(200, &json!({ "count": 1, "value": "for-others" })),
    }
}

/// The entry of an application with a secret; its environment says where it signs in.
pub(super) fn with_secret(fake: &Fake) -> (ProviderEntry, Environment) {
    let mut entry = without_secret(fake);
    for (field, value) in [
        ("TenantID", TENANT),
        ("ClientID", CLIENT),
        ("ClientSecret", SECRET),
    ] {
        entry.fields.insert(field.to_owned(), value.to_owned());
    }
    (entry, environment(&[("AZURE_AUTHORITY_HOST", &fake.url())]))
}

pub(super) fn without_secret(fake: &Fake) -> ProviderEntry {
    let fields = [
        ("SubscriptionID", SUBSCRIPTION),
        ("ResourceGroup", GROUP),
        ("_base_url", &fake.url()),
    ];
    let mut entry = entry("AZURE_DNS", &fields);
    // It names a variable that is not set here.
    let unset = ("ClientSecret".to_owned(), "LAPTOP_SECRET".to_owned());
    entry.unset.extend([unset]);
    entry
}
