//! An account, for people and as data.

use serde_json::json;

use crate::model::account::AccountState;
use crate::report::json::{self, VERSION};
use crate::report::tame::tame;

/// A line for each thing that is known.
pub(crate) fn text(account: &AccountState) -> String {
    let listed = |all: &[String]| match all {
        [] => "none".to_owned(),
        all => all.join(", "),
    };
    let ca = match account.ca {
        Some(name) => format!("{name}, {}", account.directory),
        None => account.directory.clone(),
    };
    let terms = match account.terms_of_service_agreed {
        Some(true) => "agreed",
        Some(false) => "not agreed",
        None => "the CA does not say",
    };
    let or_unsaid =
        |text: &Option<String>, unsaid: &str| text.clone().unwrap_or_else(|| unsaid.to_owned());
    let mut lines = vec![
        ("account", account.url.clone()),
        ("status", account.status.clone()),
        ("CA", ca),
        ("contacts", listed(&account.contacts)),
        ("terms", terms.to_owned()),
        (
            "key",
            format!("{}, in {}", account.key_type, account.key_file),
        ),
        (
            "bound to",
            or_unsaid(
                &account.bound_to,
                "no account at the CA that it tells (EAB)",
            ),
        ),
        (
            "orders",
            or_unsaid(&account.orders, "the CA does not list them"),
        ),
    ];
    if account.rollover_begun {
        let next = "begun and not ended: `git-certs account rollover` or the next `renew` ends it";
        lines.push(("rollover", next.to_owned()));
    }
    let lines = lines
        .into_iter()
        .map(|(what, value)| format!("{what:<9} {}\n", tame(&value)));
    lines.collect()
}

/// The same as data: docs/json.md.
pub(crate) fn json(account: &AccountState) -> String {
    json::text(&json!({
        "version": VERSION,
        "account": {
            "url": account.url,
            "status": account.status,
            "ca": account.ca,
            "directory": account.directory,
            "contacts": account.contacts,
            "terms_of_service_agreed": account.terms_of_service_agreed,
            "key_type": account.key_type,
            "key_file": account.key_file,
            "bound_to": account.bound_to,
            "orders": account.orders,
            "rollover_begun": account.rollover_begun,
        },
    }))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    const PAGE: &str = include_str!("../../docs/json.md");

    fn account() -> AccountState {
        AccountState {
            url: "https://acme-v02.api.letsencrypt.org/acme/acct/123456".into(),
            status: "valid".into(),
            contacts: Vec::new(),
            terms_of_service_agreed: None,
            bound_to: None,
            orders: None,
            ca: Some("live"),
            directory: "https://acme-v02.api.letsencrypt.org/directory".into(),
            key_type: "P-256".into(),
            key_file: ".letsencrypt/acme-v02.api.letsencrypt.org/account.key.age".into(),
            rollover_begun: false,
        }
    }

    #[test]
    fn the_last_example_is_an_account() {
        let example = PAGE.split("```json\n").last().unwrap();
        assert_eq!(json(&account()), example.split("```").next().unwrap());
    }

    #[test]
    fn what_the_ca_tells_and_what_it_does_not() {
        assert_eq!(
            text(&account()),
            "account   https://acme-v02.api.letsencrypt.org/acme/acct/123456
status    valid
CA        live, https://acme-v02.api.letsencrypt.org/directory
contacts  none
terms     the CA does not say
key       P-256, in .letsencrypt/acme-v02.api.letsencrypt.org/account.key.age
bound to  no account at the CA that it tells (EAB)
orders    the CA does not list them
"
        );
        let told = AccountState {
            contacts: vec!["mailto:a@example.com".into(), "mailto:b@example.com".into()],
            terms_of_service_agreed: Some(true),
            bound_to: Some("kid-1\u{1b}[2J".into()),
            orders: Some("https://ca.test/orders/1".into()),
            ca: None,
            directory: "https://ca.test/dir".into(),
            rollover_begun: true,
            ..account()
        };
        assert_eq!(
            text(&told).lines().skip(2).collect::<Vec<_>>(),
            [
                "CA        https://ca.test/dir",
                "contacts  mailto:a@example.com, mailto:b@example.com",
                "terms     agreed",
                "key       P-256, in .letsencrypt/acme-v02.api.letsencrypt.org/account.key.age",
                "bound to  kid-1\\u{1b}[2J",
                "orders    https://ca.test/orders/1",
                "rollover  begun and not ended: `git-certs account rollover` or the next `renew` ends it",
            ]
        );
    }
}
