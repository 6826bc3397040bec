//! The metadata services of containers and instances, where the environment says that they are.

use anyhow::{Result, anyhow};
use url::{Host, Url};

use crate::model::environment::Environment;
use crate::model::hint::with_hint;
use crate::net::http::is_loopback;
use crate::provider::aws::source::{Authorization, Start};

/// Where the metadata service of containers is.
const CONTAINER: &str = "http://169.254.170.2";

/// Where the metadata service of instances is.
const INSTANCE: &str = "http://169.254.169.254";

/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>
pub(super) fn container(environment: &Environment) -> Result<Option<Start>> {
    let variable = |name: &str| environment.get(name);
    let url = match (
        variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    ) {
        (Some(path), _) => Url::parse(CONTAINER)?.join(path)?,
        (None, Some(text)) => full_uri(text)?,
        (None, None) => return Ok(None),
    };
    let authorization = match (
        variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
        variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    ) {
        (Some(file), _) => Some(Authorization::File(file.into())),
        (None, Some(token)) => Some(Authorization::Token(token.to_owned().into())),
        (None, None) => None,
    };
    Ok(Some(Start::Container { url, authorization }))
}

/// None where `AWS_EC2_METADATA_DISABLED` is `true`.
pub(super) fn instance(environment: &Environment) -> Result<Option<Start>> {
    let is_disabled = environment.get("AWS_EC2_METADATA_DISABLED");
    if is_disabled.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let service = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let service = Url::parse(service.unwrap_or(INSTANCE))?;
    Ok(Some(Start::Instance { service }))
}

/// The address of a container's service: over https, or on the machine itself.
fn full_uri(text: &str) -> Result<Url> {
    let url = Url::parse(text)?;
    let is_near = match url.host() {
        // Of ECS, and of EKS' Pod Identity agent.
        Some(Host::Ipv4(address)) => {
            ["169.254.170.2", "169.254.170.23"].contains(&address.to_string().as_str())
        }
        Some(Host::Ipv6(address)) => address.to_string() == "fd00:ec2::23",
        _ => false,
    };
    if url.scheme() != "https" && !is_near && !is_loopback(&url) {
        return Err(with_hint(
            anyhow!(
                "`AWS_CONTAINER_CREDENTIALS_FULL_URI` leads to another machine without encryption"
            ),
            "write `https://`",
        ));
    }
    Ok(url)
}
