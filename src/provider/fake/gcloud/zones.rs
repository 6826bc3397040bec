//! What is particular about the zones of `GCLOUD`.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::model::change::{Txt, TxtBatch};
use crate::model::environment::Environment;
use crate::model::name::DnsName;
use crate::provider::conformance::{message, provider_in};
use crate::provider::fake::gcloud::google::{Key, PROJECT, with_key};
use crate::provider::fake::gcloud::start;

#[tokio::test]
async fn name_servers_are_the_zones() {
    let (fake, _) = start();
    let provider = provider_in(&with_key(&fake, Key::own()), &Environment::default()).unwrap();
    let zone: DnsName = "example.test".parse().unwrap();
    let names = provider.nameservers((&zone).into()).await.unwrap();
    assert_eq!(
        format!("{names:?}"),
        "[ns-cloud-a1.googledomains.com, ns-cloud-a2.googledomains.com]"
    );
}

#[tokio::test]
async fn private_zones_are_meant_only_where_declared() {
    let (fake, _) = start();
    let seen = async |meta: Value| {
        let mut entry = with_key(&fake, Key::own());
        entry.meta = meta.as_object().unwrap().clone();
        let provider = match provider_in(&entry, &Environment::default()) {
            Ok(provider) => provider,
            Err(error) => return message(&error).lines().next().unwrap().to_owned(),
        };
        let zone: DnsName = "example.test".parse().unwrap();
        match provider.records((&zone).into()).await {
            Ok(records) if records.len() == 1 => records[0].name.to_string(),
            Ok(records) => records.len().to_string(),
            Err(error) => error.root_cause().to_string(),
        }
    };
    let public = seen(json!({})).await;
    assert!(public.parse::<usize>().unwrap() > 10);
    assert_eq!(seen(json!({ "visibility": "public" })).await, public);
    // Of several the last, as in DNSControl.
    assert_eq!(
        seen(json!({ "visibility": "private" })).await,
        "office.example.test"
    );
    let full =
        format!("https://www.googleapis.com/compute/v1/projects/{PROJECT}/global/networks/office");
    for (network, expected) in [
        ("inside", "inside.example.test"),
        (full.as_str(), "office.example.test"),
        ("other", "the account has no zone `example.test`"),
    ] {
        let meta = json!({ "visibility": "private", "networks": [network] });
        assert_eq!(seen(meta).await, expected);
    }
    assert_eq!(
        seen(json!({ "visibility": "secret" })).await,
        "`visibility` of DNS provider `main` is unknown"
    );
    assert_eq!(
        seen(json!({ "networks": "inside" })).await,
        "`networks` of DNS provider `main` is no list of names"
    );
}

#[tokio::test]
async fn a_set_with_a_routing_policy_stays() {
    let (fake, _) = start();
    let provider = provider_in(&with_key(&fake, Key::own()), &Environment::default()).unwrap();
    let zone: DnsName = "example.test".parse().unwrap();
    let value = |owner: &str| Txt {
        name: owner.parse().unwrap(),
        value: "x".to_owned(),
    };
    let batch = TxtBatch::adding(vec![value("routed.example.test")]);
    let error = provider.change((&zone).into(), &batch).await.unwrap_err();
    assert!(
        message(&error).contains("the TXT set at `routed.example.test` has a routing policy"),
        "{error:?}"
    );
}

/// More names than a change takes go in several.
#[tokio::test]
async fn large_batches_are_split() {
    let (fake, _) = start();
    let provider = provider_in(&with_key(&fake, Key::own()), &Environment::default()).unwrap();
    let zone: DnsName = "example.test".parse().unwrap();
    for (names, length, calls) in [(1001, 10, 2), (500, 250, 2)] {
        let value = |number| Txt {
            name: format!("_acme-challenge.n{number}.example.test")
                .parse()
                .unwrap(),
            value: "x".repeat(length),
        };
        let values: Vec<Txt> = (0..names).map(value).collect();
        for batch in [TxtBatch::adding(values.clone()), TxtBatch::removing(values)] {
            fake.requests();
            provider.change((&zone).into(), &batch).await.unwrap();
            let mut requests = fake.requests();
            requests.retain(|request| request.ends_with("/changes"));
            assert_eq!(requests.len(), calls, "{names} {length}");
        }
    }
}
