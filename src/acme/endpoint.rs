//! The resources of a CA, and how often they were asked for.

use std::collections::BTreeMap;
use std::fmt;

/// The resources of RFC 8555 section 7.1, and that of RFC 9773.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    Directory,
    NewNonce,
    /// newAccount that finds an account by its key (RFC 8555 section 7.3.1).
    FindAccount,
    NewAccount,
    /// An account's own URL: read or deactivated.
    Account,
    KeyChange,
    NewOrder,
    Order,
    Authorization,
    Challenge,
    Finalize,
    Certificate,
    Revoke,
    RenewalInfo,
}

impl Endpoint {
    /// Whether a call whose answer was lost can be made again blindly.
    ///
    /// A second newOrder leaves at worst an order that expires. A second newAccount would make
    /// another account, a second keyChange would be signed with a key that is void; challenges and
    /// finalize are read again first.
    pub(super) fn is_repeatable(self) -> bool {
        !matches!(
            self,
            Self::NewAccount | Self::KeyChange | Self::Challenge | Self::Finalize
        )
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "directory",
            Self::NewNonce => "newNonce",
            Self::FindAccount | Self::NewAccount => "newAccount",
            Self::Account => "account",
            Self::KeyChange => "keyChange",
            Self::NewOrder => "newOrder",
            Self::Order => "order",
            Self::Authorization => "authorization",
            Self::Challenge => "challenge",
            Self::Finalize => "finalize",
            Self::Certificate => "certificate",
            Self::Revoke => "revokeCert",
            Self::RenewalInfo => "renewalInfo",
        })
    }
}

/// How many requests the CA got, those included that were made again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    pub(crate) by_endpoint: BTreeMap<Endpoint, u32>,
    /// Of these, the ones that were answered with `badNonce`.
    pub(crate) bad_nonces: u32,
    /// Of these, the ones that were refused for now, with 429 or 503.
    pub(crate) refused: u32,
}

impl Requests {
    /// All requests.
    pub(crate) fn total(&self) -> u32 {
        self.by_endpoint.values().sum()
    }
}
