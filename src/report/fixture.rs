//! A plan and an outcome for the tests of this room.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use time::macros::datetime;

use crate::model::certificate::{KeySource, KeyType, Wanted};
use crate::model::chain::Leaf;
use crate::model::hint::{Shared, with_hint};
use crate::model::outcome::{Action, Done, Outcome, Plan, Planned, PutOff, Stored};
use crate::model::path::{Path, Stage};

pub(super) fn certificate(name: &str, names: &[&str], action: Action, reason: &str) -> Planned {
    Planned {
        wanted: Wanted {
            name: name.parse().unwrap(),
            identifiers: names.iter().map(|name| name.parse().unwrap()).collect(),
            key_type: KeyType::P256,
            key_source: KeySource::New,
            acme: None,
            profile: None,
            preferred_chain: None,
            recipients: None,
        },
        action,
        reason: reason.to_owned(),
        not_after: match action {
            Action::Issue => None,
            _ => Some(datetime!(2027-02-21 10:00:00 UTC)),
        },
        due_from: match action {
            Action::Issue | Action::Reissue => None,
            _ => Some(datetime!(2027-01-22 10:00:00 UTC)),
        },
        replaces: None,
    }
}

pub(super) fn wildcard() -> Planned {
    let names = ["example.com", "*.example.com"];
    certificate(
        "wildcardCert",
        &names,
        Action::Issue,
        "not in the repository",
    )
}

pub(super) fn mail() -> Planned {
    let reason = "90 days of 90 days left, due below 30 days";
    certificate("mail", &["mail.example.com"], Action::Keep, reason)
}

pub(super) fn path_of_a_run() -> Path {
    let start = Instant::now();
    let mut path = Path::since(start);
    for (stage, millis) in [
        (Stage::Open, 812),
        (Stage::Plan, 1_204),
        (Stage::Prepare, 1_611),
        (Stage::Account, 2_040),
        (Stage::Order, 2_733),
        (Stage::Write, 3_105),
        (Stage::See, 9_460),
        (Stage::Validate, 13_021),
        (Stage::Finalize, 14_590),
        (Stage::Fetch, 15_002),
        (Stage::Commit, 15_020),
        (Stage::Push, 15_901),
        (Stage::Withdraw, 15_901),
    ] {
        path.ended(stage, start + Duration::from_millis(millis));
    }
    path.certificate = Some("wildcardCert".parse().unwrap());
    path
}

/// One is to be issued, one would fail, one stays.
pub(super) fn plan_of_a_run() -> Plan {
    let names = ["shop.example.com"];
    let shop = certificate("shop", &names, Action::Issue, "not in the repository");
    let record = "CAA record `0 issue \"ca.example\"` at `example.com` names other CAs than `letsencrypt.org`";
    let forbidden = anyhow!(record).context("CAA forbids the CA to issue for `shop.example.com`");
    let forbidden = with_hint(
        forbidden,
        "add `CAA(\"@\", \"issue\", \"letsencrypt.org\")` to `D(\"example.com\", ...)` in dnsconfig.js",
    );
    Plan {
        verdicts: Some([(shop.wanted.name.clone(), Shared::new(forbidden))].into()),
        certificates: vec![wildcard(), shop, mail()],
        unlisted: vec!["old".to_owned()],
        ..Plan::default()
    }
}

/// One was issued, one failed, one waits, one stays.
pub(super) fn outcome_of_a_run() -> Outcome {
    let mut issued = wildcard();
    issued.due_from = Some(datetime!(2027-01-22 10:00:00 UTC));
    let leaf = Leaf {
        identifiers: wildcard().wanted.identifiers.into_iter().collect(),
        not_before: datetime!(2026-11-23 10:00:00 UTC),
        not_after: datetime!(2027-02-21 10:00:00 UTC),
        serial: "03A1B2C3".into(),
        issuer: "E7".into(),
        key_type: Some(KeyType::P256),
        public_key: Vec::new(),
        id: None,
    };
    let refused =
        anyhow!("403 Forbidden").context("cannot add TXT `_acme-challenge.www.example.net`");
    let refused = with_hint(refused, "the key must be allowed to write");
    let reissued = certificate(
        "www",
        &["www.example.net"],
        Action::Reissue,
        "names differ: + www.example.net",
    );
    Outcome {
        shard: None,
        done: vec![
            Done {
                planned: issued,
                result: Ok(Stored {
                    leaf,
                    commit: Some("1a2b3c4".into()),
                }),
            },
            Done {
                planned: reissued,
                result: Err(Shared::new(refused)),
            },
        ],
        has_ordered: true,
        ready: Vec::new(),
        put_off: vec![PutOff {
            planned: certificate(
                "shop",
                &["shop.example.com"],
                Action::Issue,
                "not in the repository",
            ),
            reason: "the 50 new certificates in 7 days for `example.com` are used up".into(),
            until: datetime!(2026-11-23 13:21:36 UTC),
        }],
        requests: [("directory", 1), ("newNonce", 2), ("newOrder", 2)]
            .map(|(name, count)| (name.to_owned(), count))
            .into(),
        kept: vec![mail()],
        pushed: Some("pushed 3 commits to `main`".into()),
        tip: Some("1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d".into()),
        path: Some(path_of_a_run()),
        left_over: vec![anyhow!(
            "cannot withdraw TXT `_acme-challenge.example.com` at `ddns`"
        )],
    }
}
