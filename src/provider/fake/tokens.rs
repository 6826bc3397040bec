//! What fakes of clouds share: access tokens that they issue and know again.

use std::collections::BTreeMap;

use crate::model::environment::Environment;
use crate::provider::fake::Request;

/// The tokens that a fake has issued, and what each is for.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    valid: BTreeMap<String, String>,
    issued: usize,
}

impl Tokens {
    pub(super) fn issue(&mut self, scope: &str) -> String {
        self.issued += 1;
        let token = format!("access-token-for-tests-{}", self.issued);
        self.valid.insert(token.clone(), scope.to_owned());
        token
    }

    /// What the token of a request is for; none where it is not valid.
    pub(super) fn scope_of(&self, request: &Request) -> Option<&str> {
        let header = request.header("authorization");
        let token = header.strip_prefix("Bearer ")?;
        self.valid.get(token).map(String::as_str)
    }

    /// No token is valid any more.
    pub(super) fn revoke(&mut self) {
        self.valid.clear();
    }

    /// How many were issued since the last call.
    pub(super) fn issued(&mut self) -> usize {
        std::mem::take(&mut self.issued)
    }
}

/// The fields of a form; none where the body is none.
pub(super) fn form(request: &Request) -> BTreeMap<String, String> {
    if request.header("content-type") != "application/x-www-form-urlencoded" {
        return BTreeMap::new();
    }
    let pairs = url::form_urlencoded::parse(request.body.as_bytes());
    pairs.into_owned().collect()
}

pub(super) fn environment(variables: &[(&str, &str)]) -> Environment {
    let owned = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    owned.collect()
}
