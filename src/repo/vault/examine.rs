//! What a server says of itself, and of what a token may do.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use time::OffsetDateTime;

use crate::model::certificate::CertificateName;
use crate::model::hint::find;
use crate::net::http::Repeat;
use crate::repo::vault::account::ACCOUNTS;
use crate::repo::vault::kv::{View, policy};
use crate::repo::vault::login::Login;
use crate::repo::vault::server::{Failure, Question};
use crate::repo::vault::{ORDERS, Place, Vault, order_of};

/// How a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) is_initialized: bool,
    pub(crate) is_sealed: bool,
    /// Its clock, in whole seconds.
    pub(crate) time: Option<OffsetDateTime>,
}

/// What something in Vault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    Certificates,
    Accounts,
    Orders,
    /// Orders that have come to their end.
    Forgetting,
    /// Certificates that certs.json does not list.
    Listing,
}

/// What a token has to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) purpose: Purpose,
    /// As people write it.
    pub(crate) shown: String,
    /// As policies name it.
    path: String,
    capabilities: &'static [&'static str],
    /// The line of a policy that allows it, and what is like it.
    pub(crate) policy: String,
}

/// What a token is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lack {
    pub(crate) need: Need,
    pub(crate) capabilities: Vec<&'static str>,
}

const WRITE: &[&str] = &["create", "read", "update"];
const DELETE: &[&str] = &["delete"];
const LIST: &[&str] = &["list"];
/// Policies of one path do not add up: the line for orders has to have all.
const WRITE_AND_DELETE: &[&str] = &["create", "read", "update", "delete"];

impl Place {
    /// Scheme, host and port of the server.
    pub(crate) fn shown_server(&self) -> String {
        self.server.shown()
    }

    /// Whether tokens come from a login, so that each run has a new one.
    pub(crate) fn logs_in(&self) -> bool {
        !matches!(self.login, Login::Token(_))
    }

    /// Lines of a policy for certificates, where the engine is not known: of version 2, of version 1.
    pub(crate) fn likely_policies(&self) -> [String; 2] {
        let path = self.path.trim_matches('/');
        let (mount, folder) = path.split_once('/').unwrap_or((path, ""));
        let folder = match folder {
            "" => "*".to_owned(),
            folder => format!("{folder}/*"),
        };
        [
            format!("{mount}/data/{folder}"),
            format!("{mount}/{folder}"),
        ]
        .map(|path| policy(&path, WRITE))
    }

    /// <https://openbao.org/api-docs/system/health/>; none where it does not say.
    pub(crate) async fn health(&self) -> Result<Option<Health>> {
        let question = Question {
            method: Method::GET,
            path: vec!["sys", "health"],
            token: None,
            body: None,
            repeat: Repeat::Never,
        };
        // It is the same for all namespaces, and asked in none.
        let answer = match self.server.without_namespace().ask(question).await {
            Ok(answer) => answer,
            // What it cannot do has a status of its own.
            Err(error) => match find::<Failure>(&error) {
                Some(failure) => failure.answer.clone(),
                None => return Err(error),
            },
        };
        Ok(Health::of(&answer))
    }
}

impl Health {
    fn of(answer: &Value) -> Option<Self> {
        let flag = |name| answer.get(name).and_then(Value::as_bool);
        let time = answer.get("server_time_utc").and_then(Value::as_i64);
        Some(Self {
            is_initialized: flag("initialized")?,
            is_sealed: flag("sealed")?,
            time: time.and_then(|time| OffsetDateTime::from_unix_timestamp(time).ok()),
        })
    }
}

impl Vault {
    /// How long the token lasts; none: for ever, or nobody knows.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let ends = self.pass.ends?;
        Some(ends.saturating_duration_since(Instant::now()))
    }

    /// Fails if the token may be over before a run of this length is.
    pub(crate) async fn lasts(&self, longest: Duration) -> Result<()> {
        self.pass.lasting(&self.server, longest).await
    }

    /// Path of the engine, if it keeps no older versions.
    pub(crate) fn without_versions(&self) -> Option<String> {
        self.kv.without_versions()
    }

    /// What a run needs that keeps certificates here alone, with accounts at these hosts.
    pub(crate) fn needs(&self, names: &[&CertificateName], hosts: &BTreeSet<String>) -> Vec<Need> {
        let has_versions = self.kv.without_versions().is_none();
        let (folder, orders) = (["*"], [ORDERS[0], "*"]);
        let need = |purpose, at: &[&str], (view, capabilities, line): (View, _, String)| Need {
            purpose,
            shown: self.kv.shown(at),
            path: self.kv.policy_path(view, at),
            capabilities,
            policy: line,
        };
        let general = || policy(&self.kv.policy_path(View::Data, &folder), WRITE);
        // In version 2 the folder's line is for orders, too, but for their end.
        let (of_orders, of_ends) = if has_versions {
            let ends = self.kv.policy_path(View::Metadata, &orders);
            (general(), policy(&ends, DELETE))
        } else {
            let all = policy(&self.kv.policy_path(View::Data, &orders), WRITE_AND_DELETE);
            (all.clone(), all)
        };
        let mut needs = self.needs_of_copies(names);
        for name in names {
            let order = order_of(name.as_str());
            let ends = (View::Metadata, DELETE, of_ends.clone());
            needs.push(need(
                Purpose::Orders,
                &order,
                (View::Data, WRITE, of_orders.clone()),
            ));
            needs.push(need(Purpose::Forgetting, &order, ends));
        }
        for host in hosts {
            let write = (View::Data, WRITE, general());
            needs.push(need(Purpose::Accounts, &[ACCOUNTS, host], write));
        }
        needs.push(Need {
            purpose: Purpose::Listing,
            shown: self.kv.shown(&[]),
            path: self.kv.listed_path(),
            capabilities: LIST,
            policy: self.kv.listing_policy(),
        });
        needs
    }

    /// What a run needs that copies certificates here.
    pub(crate) fn needs_of_copies(&self, names: &[&CertificateName]) -> Vec<Need> {
        let line = policy(&self.kv.policy_path(View::Data, &["*"]), WRITE);
        let need = |name: &&CertificateName| Need {
            purpose: Purpose::Certificates,
            shown: self.path_of(name),
            path: self.kv.policy_path(View::Data, &[name.as_str()]),
            capabilities: WRITE,
            policy: line.clone(),
        };
        names.iter().map(need).collect()
    }

    /// What the token is not allowed of this; none where it may not ask.
    pub(crate) async fn lacking(&self, needs: &[Need]) -> Result<Option<Vec<Lack>>> {
        let paths: Vec<_> = needs.iter().map(|need| need.path.clone()).collect();
        let allowed = self.kv.capabilities(self.token(), &paths).await?;
        Ok(allowed.map(|allowed| {
            let pairs = needs.iter().zip(allowed);
            let lacks = pairs.filter_map(|(need, allowed)| need.lack(&allowed));
            lacks.collect()
        }))
    }
}

impl Need {
    /// What is not among what is allowed.
    fn lack(&self, allowed: &[String]) -> Option<Lack> {
        if allowed.iter().any(|word| word == "root") {
            return None;
        }
        let needed = self.capabilities.iter().copied();
        let lacking: Vec<_> = needed
            .filter(|word| !allowed.iter().any(|allowed| allowed == word))
            .collect();
        (!lacking.is_empty()).then(|| Lack {
            need: self.clone(),
            capabilities: lacking,
        })
    }
}

/// Whether a question was refused, not lost.
pub(crate) fn is_forbidden(error: &anyhow::Error) -> bool {
    find::<Failure>(error).is_some_and(|failure| failure.status == StatusCode::FORBIDDEN)
}
