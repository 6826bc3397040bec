//! A Kubernetes Secret of type `kubernetes.io/tls`.

use anyhow::{Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::model::certificate::CertificateName;
use crate::model::hint::with_hint;
use crate::model::secret::Secret;
use crate::repo::export::Bundle;

/// Longest name of a namespace (RFC 1123 label).
const LONGEST_LABEL: usize = 63;

/// What the Secret is called: names of Kubernetes have neither capitals nor `_`, and end with a letter or a digit.
///
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>
pub(super) fn name(certificate: &CertificateName) -> String {
    let name = certificate.as_str().to_ascii_lowercase().replace('_', "-");
    name.trim_end_matches('-').to_owned()
}

/// The manifest. <https://kubernetes.io/docs/concepts/configuration/secret/#tls-secrets>
pub(super) fn secret(bundle: &Bundle, name: &str, namespace: Option<&str>) -> Result<Secret> {
    let namespace = match namespace {
        Some(namespace) if is_label(namespace) => format!("  namespace: \"{namespace}\"\n"),
        Some(namespace) => {
            return Err(with_hint(
                anyhow!("`{namespace}` of `--namespace` is no name of a namespace"),
                "it has small letters, digits and `-`, at most 63",
            ));
        }
        None => String::new(),
    };
    let chain = STANDARD.encode(bundle.full_chain());
    let key = STANDARD.encode(bundle.key.expose());
    // In quotes: a name such as `on` would be a truth value.
    Ok(format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: \"{name}\"\n{namespace}\
         type: kubernetes.io/tls\ndata:\n  tls.crt: {chain}\n  tls.key: {key}\n"
    )
    .into())
}

fn is_label(text: &str) -> bool {
    let good = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    (1..=LONGEST_LABEL).contains(&text.len())
        && text.bytes().all(good)
        && !text.starts_with('-')
        && !text.ends_with('-')
}
