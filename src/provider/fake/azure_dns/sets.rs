//! What is particular about the sets of `AZURE_DNS`.

use std::collections::BTreeMap;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::model::change::{Txt, TxtBatch};
use crate::provider::conformance::provider_in;
use crate::provider::fake::azure_dns::entra::with_secret;
use crate::provider::fake::azure_dns::{Azure, Set, at, listed, start, zone};

#[tokio::test]
async fn strings_of_other_values_stay() {
    let (fake, azure) = start();
    let (entry, environment) = with_secret(&fake);
    let provider = provider_in(&entry, &environment).unwrap();
    let value = Txt {
        name: zone(),
        value: "x".to_owned(),
    };
    let batch = TxtBatch::adding(vec![value]);
    provider.change((&zone()).into(), &batch).await.unwrap();
    let azure = azure.lock().unwrap();
    assert_eq!(
        azure.zones["example.test"][&at("TXT", "@")].properties["TXTRecords"],
        json!([{ "value": ["v=spf1 ", "-all"] }, { "value": ["x"] }])
    );
}

#[tokio::test]
async fn name_servers_are_azures_and_those_at_the_apex() {
    let (fake, _) = start();
    let (entry, environment) = with_secret(&fake);
    let provider = provider_in(&entry, &environment).unwrap();
    let names = provider.nameservers((&zone()).into()).await.unwrap();
    assert_eq!(
        format!("{names:?}"),
        "[ns1-01.azure-dns.com, ns2-01.azure-dns.net, ns1.example.test, ns2.example.net]"
    );
}

#[tokio::test]
async fn aliases_and_odd_sets() {
    let (fake, azure) = start();
    let target =
        "/subscriptions/x/resourceGroups/y/providers/Microsoft.Network/publicIPAddresses/z";
    let odd = |properties: Value| Set {
        etag: "1".to_owned(),
        properties,
    };
    let sets = BTreeMap::from([
        (
            at("A", "alias"),
            odd(json!({ "TTL": 60, "targetResource": { "id": target } })),
        ),
        (
            at("AAAA", "both"),
            odd(json!({
                "TTL": 60, "targetResource": { "id": target },
                "AAAARecords": [{ "ipv6Address": "2001:DB8::1" }],
            })),
        ),
        (
            at("A", "empty"),
            odd(json!({ "TTL": 60, "ARecords": [], "targetResource": {} })),
        ),
        (
            at("TXT", "empty"),
            odd(json!({ "TTL": 60, "TXTRecords": [] })),
        ),
        (
            at("PTR", "1"),
            odd(json!({ "TTL": 60, "PTRRecords": [{ "ptrdname": "Host.example.net" }] })),
        ),
    ]);
    azure
        .lock()
        .unwrap()
        .zones
        .insert("example.test".to_owned(), sets);
    let (entry, environment) = with_secret(&fake);
    assert_eq!(
        listed(&entry, &environment).await.unwrap(),
        [
            format!("AZURE_ALIAS alias.example.test A {target} ttl=60"),
            "AAAA both.example.test 2001:db8::1 ttl=60".to_owned(),
            "PTR 1.example.test host.example.net. ttl=60".to_owned(),
            "TXT empty.example.test \"\" ttl=60".to_owned(),
        ]
    );
    let unknown = odd(json!({ "TTL": 60, "DSRecords": [] }));
    let add = |azure: &mut Azure| {
        let sets = azure.zones.get_mut("example.test").unwrap();
        sets.insert(at("DS", "sub"), unknown);
    };
    add(&mut azure.lock().unwrap());
    let text = listed(&entry, &environment).await.unwrap_err();
    let expected =
        "the zone has a set of type `DS` at `sub.example.test`, which git-certs does not know";
    assert!(text.ends_with(expected), "{text}");
}
