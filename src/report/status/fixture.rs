//! Certificates in every state, for the tests of this folder.

use time::OffsetDateTime;
use time::macros::datetime;

use crate::model::certificate::KeyType;
use crate::model::chain::Leaf;
use crate::model::history::Commit;
use crate::model::home::Home;
use crate::model::name::Identifier;
use crate::model::outcome::Action;
use crate::model::recipients::Fit;
use crate::model::renewal::RenewalInfo;
use crate::model::status::{
    CertificateStatus, Finding, KeyReaders, Next, Place, Served, State, Status,
};

const NOW: OffsetDateTime = datetime!(2026-11-26 10:00:00 UTC);

fn identifiers(names: &[&str]) -> Vec<Identifier> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn leaf(names: &[&str], serial: &str, not_after: OffsetDateTime) -> Leaf {
    Leaf {
        identifiers: identifiers(names).into_iter().collect(),
        not_before: not_after - time::Duration::days(90),
        not_after,
        serial: serial.to_owned(),
        issuer: "E7".to_owned(),
        key_type: Some(KeyType::P256),
        public_key: Vec::new(),
        id: None,
    }
}

fn commit() -> Commit {
    Commit {
        id: "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d".to_owned(),
        at: datetime!(2026-11-25 03:00:12 UTC),
        subject: "Renew www: 29 days of 90 days left, due below 30 days".to_owned(),
        author: "git-certs".to_owned(),
        run: Some("https://github.com/example/certs/actions/runs/42".to_owned()),
    }
}

fn next(action: Action, reason: &str, due_from: Option<OffsetDateTime>) -> Next {
    Next {
        action,
        reason: reason.to_owned(),
        due_from,
    }
}

/// One that is good, with all that can be known.
pub(super) fn www() -> CertificateStatus {
    let names = ["www.example.com", "example.com"];
    CertificateStatus {
        name: "www".parse().unwrap(),
        names: identifiers(&names),
        is_wanted: true,
        keeps_key: false,
        state: State::Valid,
        leaf: Some(leaf(&names, "04D2A1B2", datetime!(2027-02-23 02:00:11 UTC))),
        directory: Some("https://acme-v02.api.letsencrypt.org/directory".to_owned()),
        next: Some(next(
            Action::Keep,
            "88 days of 90 days left, due on 2027-01-22, as the CA suggests",
            Some(datetime!(2027-01-22 14:03:20 UTC)),
        )),
        window: Some(RenewalInfo {
            start: datetime!(2027-01-22 02:00:00 UTC),
            end: datetime!(2027-01-24 02:00:00 UTC),
            explanation_url: None,
            next_check: datetime!(2026-11-26 12:30:00 UTC),
        }),
        readers: Some(Ok(KeyReaders {
            count: 2,
            source: ".age-recipients".to_owned(),
            fit: Fit::Current,
        })),
        brought_by: Some(commit()),
        served: Vec::new(),
    }
}

/// One of whom nothing is known but its name.
fn bare(name: &str, names: &[&str], state: State) -> CertificateStatus {
    CertificateStatus {
        name: name.parse().unwrap(),
        names: identifiers(names),
        is_wanted: true,
        keeps_key: false,
        state,
        leaf: None,
        directory: None,
        next: None,
        window: None,
        readers: None,
        brought_by: None,
        served: Vec::new(),
    }
}

/// What servers show of the one that is good.
fn served(good: &CertificateStatus) -> Vec<Served> {
    let endpoint = |text: &str| Place::Endpoint(text.parse().unwrap());
    let served = |place, address: &str, finding, leaf| Served {
        at: place,
        address: Some(address.parse().unwrap()),
        finding,
        leaf,
    };
    let end = datetime!(2026-12-24 02:00:11 UTC);
    let older = leaf(&["www.example.com"], "03B1", end);
    let refused = Finding::Unreachable("Connection refused".to_owned());
    vec![
        served(
            endpoint("www.example.com:443"),
            "192.0.2.80",
            Finding::Current,
            good.leaf.clone(),
        ),
        served(
            endpoint("www.example.com:443"),
            "2001:db8::80",
            Finding::Older,
            Some(older),
        ),
        served(endpoint("192.0.2.81:8443"), "192.0.2.81", refused, None),
        Served {
            at: Place::Wildcard("*.example.com".parse().unwrap()),
            address: None,
            finding: Finding::Skipped("a wildcard names no server"),
            leaf: None,
        },
    ]
}

/// One that comes to its end, and whose key is for others.
fn mail() -> CertificateStatus {
    let end = datetime!(2026-12-01 10:00:00 UTC);
    let reason = "5 days of 90 days left, due below 30 days";
    let due = datetime!(2026-11-01 10:00:00 UTC);
    CertificateStatus {
        leaf: Some(leaf(&["mail.example.com"], "0A", end)),
        next: Some(next(Action::Renew, reason, Some(due))),
        readers: Some(Ok(KeyReaders {
            count: 3,
            source: ".age-recipients".to_owned(),
            fit: Fit::Stale,
        })),
        ..bare("mail", &["mail.example.com"], State::Valid)
    }
}

/// Missing, expired, revoked.
fn unusable() -> [CertificateStatus; 3] {
    let issue = next(Action::Issue, "not in the repository", None);
    let missing = CertificateStatus {
        next: Some(issue),
        ..bare("shop", &["shop.example.com"], State::Missing)
    };
    let end = datetime!(2026-11-20 10:00:00 UTC);
    let expired = CertificateStatus {
        leaf: Some(leaf(&["api.example.com"], "0B", end)),
        next: Some(next(Action::Renew, "expired on 2026-11-20", Some(end))),
        readers: Some(Err("`.age-recipients` has no recipient <b>".to_owned())),
        ..bare("api", &["api.example.com"], State::Expired)
    };
    let end = datetime!(2027-01-20 10:00:00 UTC);
    let mark = "revoked on 2026-11-25: keyCompromise".to_owned();
    let revoked = CertificateStatus {
        leaf: Some(leaf(&["vpn.example.com"], "0C", end)),
        next: Some(next(Action::Reissue, &mark, None)),
        ..bare("vpn", &["vpn.example.com"], State::Revoked(mark))
    };
    [missing, expired, revoked]
}

/// One that certs.json does not list.
fn old() -> CertificateStatus {
    let end = datetime!(2026-12-20 10:00:00 UTC);
    let mut leaf = leaf(&["old.example.com"], "0D", end);
    // Whoever pushes writes this.
    leaf.issuer = "E7 <i>\"&|\u{1b}".to_owned();
    CertificateStatus {
        leaf: Some(leaf),
        is_wanted: false,
        keeps_key: false,
        ..bare("old", &["old.example.com"], State::Valid)
    }
}

/// One in each state, with what servers show.
pub(super) fn all() -> Status {
    let mut good = www();
    good.served = served(&good);
    let [missing, expired, revoked] = unusable();
    Status {
        at: NOW,
        home: Home::Repository,
        certificates: vec![good, mail(), missing, expired, revoked, old()],
        last_run: Some(commit()),
        is_cut_off: false,
        journal: None,
    }
}

/// Four of them without servers: the example of docs/status.md.
pub(super) fn some() -> Status {
    let mut status = all();
    let shown = ["www", "mail", "shop", "old"];
    status
        .certificates
        .retain(|one| shown.contains(&one.name.as_str()));
    for one in &mut status.certificates {
        one.served.clear();
        one.leaf
            .iter_mut()
            .for_each(|leaf| leaf.issuer = "E7".to_owned());
    }
    status
}

/// The good one alone: the example of docs/json.md.
pub(super) fn one() -> Status {
    Status {
        certificates: vec![www()],
        ..all()
    }
}
