//! Where an API is: the vendor's address, or the one that an entry names.

use anyhow::{Result, anyhow};
use url::Url;

use crate::model::environment::Environment;
use crate::model::hint::with_hint;
use crate::model::provider::ProviderEntry;
use crate::net::http::is_loopback;

/// Field of any entry that sends its requests elsewhere: to a proxy, or to a server for tests.
const BASE_URL: &str = "_base_url";

/// Where an API is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Base {
    /// At the vendor's; https only.
    Vendor(&'static str),
    /// At the vendor's, unless this field of the entry says another place; https only.
    VendorOr(&'static str, &'static str),
    /// At the vendor's, unless one of these environment variables says another place, as the
    /// vendor's own tools have it; https only.
    VendorUnless(&'static str, &'static [&'static str]),
    /// Where this field of the entry says; a server of one's own may speak http.
    Own(&'static str),
}

/// The base URL of an entry, and what says so; none for the vendor's own.
pub(super) fn base_url(
    entry: &ProviderEntry,
    environment: &Environment,
    base: Base,
) -> Result<(Url, Option<String>)> {
    let place = |key: &str| format!("`{key}` in `creds.json` entry `{}`", entry.name);
    let field = |key: &str| entry.field(key).map(|text| (text, place(key)));
    let named = field(BASE_URL).or_else(|| match base {
        Base::VendorOr(_, key) => field(key),
        Base::VendorUnless(_, variables) => variable(environment, variables),
        Base::Vendor(_) | Base::Own(_) => None,
    });
    match (named, base) {
        (Some((text, place)), _) => Ok((checked(text, &place, false)?, Some(place))),
        (None, Base::Own(key)) => {
            let place = place(key);
            Ok((checked(entry.required(key)?, &place, true)?, Some(place)))
        }
        (None, Base::Vendor(url) | Base::VendorOr(url, _) | Base::VendorUnless(url, _)) => {
            Ok((Url::parse(url)?, None))
        }
    }
}

/// The address that the first of these environment variables names, else the vendor's.
pub(super) fn address(
    environment: &Environment,
    vendor: &str,
    variables: &[&'static str],
) -> Result<Url> {
    match variable(environment, variables) {
        Some((text, place)) => checked(text, &place, false),
        None => Ok(Url::parse(vendor)?),
    }
}

/// What to check where nobody answers; `place` says where the base is, if not at the vendor's.
pub(super) fn unreachable(entry: &str, place: Option<&str>) -> String {
    let network = "a proxy (`HTTPS_PROXY`, `NO_PROXY`), a firewall, DNS; then run again";
    match place {
        Some(place) => format!("check {place}, and the way there: {network}"),
        None => format!(
            "check the way to the API: {network}; `{BASE_URL}` in `creds.json` entry `{entry}` sends \
             requests elsewhere"
        ),
    }
}

fn variable<'a>(
    environment: &'a Environment,
    variables: &[&'static str],
) -> Option<(&'a str, String)> {
    let mut named = variables.iter();
    named.find_map(|name| Some((environment.get(name)?, format!("`{name}`"))))
}

/// Reads the URL that `place` says; `http://` leads to this machine only, unless it is allowed.
fn checked(text: &str, place: &str, allows_http: bool) -> Result<Url> {
    let bad = |what: &str, hint: &str| with_hint(anyhow!("{place} {what}"), hint);
    let url = Url::parse(text)
        .ok()
        .filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
        .ok_or_else(|| {
            let scheme = if allows_http { "http" } else { "https" };
            bad("is no URL", &format!("write it as `{scheme}://HOST`"))
        })?;
    if url.scheme() == "http" && !allows_http && !is_loopback(&url) {
        return Err(bad(
            "would send the credentials in the clear",
            "write `https://`",
        ));
    }
    Ok(url)
}
