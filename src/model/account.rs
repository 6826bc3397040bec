//! An ACME account as it is shown.

/// What the repository and the CA say of an account.
#[derive(Clone, Debug)]
pub(crate) struct AccountState {
    pub(crate) url: String,
    /// `valid`, `deactivated` or `revoked` (RFC 8555 section 7.1.6).
    pub(crate) status: String,
    /// URLs, mostly `mailto:`.
    pub(crate) contacts: Vec<String>,
    /// None where the CA does not say.
    pub(crate) terms_of_service_agreed: Option<bool>,
    /// Key identifier of the account at the CA that it is bound to (EAB), if the CA says so.
    pub(crate) bound_to: Option<String>,
    /// Where the CA lists its orders, if it does.
    pub(crate) orders: Option<String>,
    /// Name of the CA, if it has one here.
    pub(crate) ca: Option<&'static str>,
    pub(crate) directory: String,
    /// Such as `P-256`.
    pub(crate) key_type: String,
    /// Path in the cert repository.
    pub(crate) key_file: String,
    /// A rollover has begun and not ended.
    pub(crate) rollover_begun: bool,
}
