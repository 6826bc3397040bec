//! Name servers as vendors say them.

use anyhow::{Context as _, Result};

use crate::model::name::{DnsName, NameError};
use crate::provider::port::Answer;

/// Name servers, in the order of the vendor.
pub(super) fn parsed(names: impl IntoIterator<Item: AsRef<str>>) -> Result<Vec<DnsName>> {
    let parsed = names.into_iter().map(|name| name.as_ref().parse());
    parsed
        .collect::<Result<_, NameError>>()
        .context("a name server")
}

/// The answer of a vendor that has the same ones for all zones.
pub(super) fn fixed(names: &'static [&'static str]) -> Answer<'static, Vec<DnsName>> {
    Box::pin(async move { parsed(names) })
}
