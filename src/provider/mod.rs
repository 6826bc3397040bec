//! DNS providers: one trait, one list, one file a provider.

pub(crate) mod port;
