//! What a mass revocation would cost: for people, and as data (docs/json.md).

use serde_json::{Value, json};

use crate::model::drill::{Drill, DrillAuthority, DrillZone};
use crate::model::outcome::PutOff;
use crate::model::wording::count;
use crate::report::json::{self, VERSION, moment};
use crate::report::tame::tame;
use crate::report::terminal::minute;

/// A section each: orders, limits, challenges, requests.
pub(crate) fn text(drill: &Drill) -> String {
    let mut text = format!(
        "{} to replace at once, {} to prove\n",
        count(drill.orders, "certificate"),
        count(drill.values, "name")
    );
    text += &limits(drill);
    text += "\nchallenges\n";
    for zone in &drill.zones {
        text += &format!(
            "  {} at {}: {} at {}\n",
            zone.zone,
            listed(&zone.providers),
            count(zone.values, "value"),
            count(zone.names, "name")
        );
    }
    for name in &drill.astray {
        text += &format!("  {name}: its challenge is in no zone that is known\n");
    }
    text += "\nrequests\n";
    for authority in &drill.authorities {
        text += &requests(authority);
    }
    tame(&text)
}

fn limits(drill: &Drill) -> String {
    let limited = drill.orders - drill.unlimited;
    let mut text = "\nlimits\n".to_owned();
    if limited > 0 {
        text += &format!(
            "  with ARI: none for {}, as each order names what it replaces\n",
            count(limited, "order")
        );
        let wait = drill.without_ari.len();
        text += &format!(
            "  without: {} of {limited} fit, {wait} would wait\n",
            limited - wait
        );
    }
    for PutOff {
        planned,
        reason,
        until,
    } in &drill.without_ari
    {
        let (name, until) = (&planned.wanted.name, minute(*until));
        text += &format!("    {name}: until {until}, {reason}\n");
    }
    if drill.unlimited > 0 {
        text += &format!("  not known for {}\n", count(drill.unlimited, "order"));
    }
    text
}

fn requests(authority: &DrillAuthority) -> String {
    let DrillAuthority {
        host,
        orders,
        requests,
        minutes,
    } = authority;
    let time = match minutes {
        Some(minutes) => format!(
            "at least {} at its published rates, besides the wait for name servers",
            count(*minutes, "minute")
        ),
        None => "it publishes no rates that are known here".to_owned(),
    };
    let orders = count(*orders, "order");
    format!("  {host}: about {requests} for {orders}, {time}\n")
}

fn listed(entries: &[String]) -> String {
    if entries.is_empty() {
        return "no provider".to_owned();
    }
    let entries = entries.iter().map(|entry| format!("`{entry}`"));
    entries.collect::<Vec<_>>().join(" and ")
}

/// The same, with all that is known of it.
pub(crate) fn json(drill: &Drill) -> String {
    let zone = |zone: &DrillZone| {
        json!({
            "zone": zone.zone,
            "providers": zone.providers,
            "names": zone.names,
            "values": zone.values,
        })
    };
    let authority = |authority: &DrillAuthority| {
        json!({
            "host": authority.host,
            "orders": authority.orders,
            "requests": authority.requests,
            "minutes": authority.minutes,
        })
    };
    let put_off = |put_off: &PutOff| -> Value {
        json!({
            "cert_name": put_off.planned.wanted.name.as_str(),
            "limit": put_off.reason,
            "until": moment(put_off.until),
        })
    };
    json::text(&json!({
        "version": VERSION,
        "orders": drill.orders,
        "values": drill.values,
        "without_ari": drill.without_ari.iter().map(put_off).collect::<Vec<_>>(),
        "limits_unknown": drill.unlimited,
        "zones": drill.zones.iter().map(zone).collect::<Vec<_>>(),
        "astray": drill.astray,
        "authorities": drill.authorities.iter().map(authority).collect::<Vec<_>>(),
    }))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use time::macros::datetime;

    use super::*;
    use crate::model::certificate::{KeySource, KeyType, Wanted};
    use crate::model::outcome::{Action, Planned};

    const PAGE: &str = include_str!("../../docs/json.md");

    fn example() -> Drill {
        let planned = Planned {
            wanted: Wanted {
                name: "www".parse().unwrap(),
                identifiers: vec!["www.example.com".parse().unwrap()],
                key_type: KeyType::P256,
                key_source: KeySource::New,
                acme: None,
                profile: None,
                preferred_chain: None,
                recipients: None,
            },
            action: Action::Renew,
            reason: String::new(),
            not_after: None,
            due_from: None,
            replaces: None,
        };
        Drill {
            orders: 3,
            values: 5,
            without_ari: vec![PutOff {
                planned,
                reason: "the 5 certificates in 7 days for exactly these names are used up".into(),
                until: datetime!(2026-11-27 03:11:12 UTC),
            }],
            unlimited: 1,
            zones: vec![DrillZone {
                zone: "example.com".into(),
                providers: vec!["bind".into(), "route53".into()],
                names: 3,
                values: 4,
            }],
            astray: vec!["www.example.org".into()],
            authorities: vec![
                DrillAuthority {
                    host: "acme-v02.api.letsencrypt.org".into(),
                    orders: 2,
                    requests: 20,
                    minutes: Some(1),
                },
                DrillAuthority {
                    host: "ca.example".into(),
                    orders: 1,
                    requests: 7,
                    minutes: None,
                },
            ],
        }
    }

    #[test]
    fn the_fourth_example_is_a_drill() {
        let block = PAGE.split("```json\n").nth(4).unwrap();
        assert_eq!(json(&example()), block.split("```").next().unwrap());
    }

    #[test]
    fn everything_is_told() {
        let mut drill = example();
        drill.zones.push(DrillZone {
            zone: "example.net".into(),
            providers: Vec::new(),
            names: 1,
            values: 1,
        });
        assert_eq!(
            text(&drill),
            "3 certificates to replace at once, 5 names to prove

limits
  with ARI: none for 2 orders, as each order names what it replaces
  without: 1 of 2 fit, 1 would wait
    www: until 2026-11-27 03:12 UTC, the 5 certificates in 7 days for exactly these names are used up
  not known for 1 order

challenges
  example.com at `bind` and `route53`: 4 values at 3 names
  example.net at no provider: 1 value at 1 name
  www.example.org: its challenge is in no zone that is known

requests
  acme-v02.api.letsencrypt.org: about 20 for 2 orders, at least 1 minute at its published rates, besides the wait for name servers
  ca.example: about 7 for 1 order, it publishes no rates that are known here
"
        );
    }
}
