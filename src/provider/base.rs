//! Where an API is: the vendor's address, or the one that an entry names.

use anyhow::{Result, anyhow};
use url::{Host, Url};

use crate::model::hint::with_hint;
use crate::model::provider::ProviderEntry;

/// Field of any entry that sends its requests elsewhere: to a proxy, or to a server for tests.
const BASE_URL: &str = "_base_url";

/// Where an API is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Base {
    /// At the vendor's; https only.
    Vendor(&'static str),
    /// At the vendor's, unless this field of the entry says another place; https only.
    VendorOr(&'static str, &'static str),
    /// Where this field of the entry says; a server of one's own may speak http.
    Own(&'static str),
}

/// The base URL of an entry, and the field that it comes from; none for the vendor's own.
pub(super) fn base_url(entry: &ProviderEntry, base: Base) -> Result<(Url, Option<&'static str>)> {
    let named = |key: &'static str| entry.field(key).map(|text| (text, Some(key)));
    let (text, field) = match (named(BASE_URL), base) {
        (Some(named), _) => named,
        (None, Base::Vendor(url)) => (url, None),
        (None, Base::VendorOr(url, key)) => named(key).unwrap_or((url, None)),
        (None, Base::Own(key)) => (entry.required(key)?, Some(key)),
    };
    let key = field.unwrap_or(BASE_URL);
    let bad = |what: &str, hint: &str| {
        let about = format!("`{key}` in `creds.json` entry `{}` {what}", entry.name);
        with_hint(anyhow!(about), hint)
    };
    let is_own = matches!(base, Base::Own(own) if own == key);
    let url = Url::parse(text)
        .ok()
        .filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
        .ok_or_else(|| {
            let scheme = if is_own { "http" } else { "https" };
            bad("is no URL", &format!("write it as `{scheme}://HOST`"))
        })?;
    if url.scheme() == "http" && !is_own && !is_loopback(&url) {
        return Err(bad(
            "would send the credentials in the clear",
            "write `https://`",
        ));
    }
    Ok((url, field))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
