//! Where the tokens of `AZURE_DNS` come from, and what is said if they do not.

use pretty_assertions::assert_eq;

use crate::model::change::{Txt, TxtBatch};
use crate::model::environment::Environment;
use crate::provider::conformance::provider_in;
use crate::provider::fake::azure_dns::entra::{
    ASSERTION, CLIENT, IDENTITY_HEADER, RUNNER_TOKEN, SECRET, TENANT, with_secret, without_secret,
};
use crate::provider::fake::azure_dns::{listed, start, zone};
use crate::provider::fake::tokens::environment;
use crate::provider::servers::write;

#[tokio::test]
async fn a_token_is_kept_until_it_is_no_longer_taken() {
    let (fake, azure) = start();
    let (entry, environment) = with_secret(&fake);
    let provider = provider_in(&entry, &environment).unwrap();
    let read = async || provider.records((&zone()).into()).await.unwrap().len();
    let sets = read().await;
    assert_eq!(read().await, sets);
    assert_eq!(azure.lock().unwrap().tokens.issued(), 1);
    azure.lock().unwrap().tokens.revoke();
    assert_eq!(read().await, sets);
    // In the middle of a change too.
    let value = Txt {
        name: "_acme-challenge.example.test".parse().unwrap(),
        value: "x".to_owned(),
    };
    azure.lock().unwrap().tokens.revoke();
    let batch = TxtBatch::adding(vec![value]);
    provider.change((&zone()).into(), &batch).await.unwrap();
    assert_eq!(read().await, sets + 1);
    assert_eq!(azure.lock().unwrap().tokens.issued(), 2);
    azure.lock().unwrap().lifetime = 100;
    azure.lock().unwrap().tokens.revoke();
    read().await;
    read().await;
    assert_eq!(azure.lock().unwrap().tokens.issued(), 2);
}

#[tokio::test]
async fn every_source_of_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    write(&file, &format!("{ASSERTION}\n"));
    let (fake, _) = start();
    let url = fake.url();
    let runner = format!("{url}/runner?api-version=2.0");
    let identity = format!("{url}/msi/token");
    let authority = ("AZURE_AUTHORITY_HOST", url.as_str());
    let ids = [("AZURE_TENANT_ID", TENANT), ("AZURE_CLIENT_ID", CLIENT)];
    let secret = ("AZURE_CLIENT_SECRET", SECRET);
    let file = ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap());
    let github = [
        ("ACTIONS_ID_TOKEN_REQUEST_URL", runner.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", RUNNER_TOKEN),
    ];
    let machine = ("AZURE_POD_IDENTITY_AUTHORITY_HOST", url.as_str());
    let service = [
        ("IDENTITY_ENDPOINT", identity.as_str()),
        ("IDENTITY_HEADER", IDENTITY_HEADER),
    ];
    let token = format!("POST /{TENANT}/oauth2/v2.0/token");
    let of_machine = "GET /metadata/identity/oauth2/token";
    let all = |parts: &[&[(&'static str, &str)]]| environment(&parts.concat());
    for (uses_oidc, environment, asked) in [
        (
            false,
            all(&[&[authority, secret, file, machine], &ids]),
            vec![token.as_str()],
        ),
        (
            false,
            all(&[&[authority, file, machine], &ids, &github]),
            vec![token.as_str()],
        ),
        (
            true,
            all(&[&[authority, secret, machine], &ids, &github]),
            vec!["GET /runner", &token],
        ),
        (
            true,
            all(&[&[authority, file, machine], &ids, &github]),
            vec![token.as_str()],
        ),
        (false, all(&[&[machine], &github]), vec![of_machine]),
        (false, all(&[&[machine], &ids]), vec![of_machine]),
        (false, all(&[&[machine], &service]), vec!["GET /msi/token"]),
    ] {
        let mut entry = without_secret(&fake);
        if uses_oidc {
            entry.fields.insert("UseOIDC".to_owned(), "true".to_owned());
        }
        fake.requests();
        listed(&entry, &environment).await.unwrap();
        let mut requests = fake.requests();
        requests.retain(|request| !request.contains("dnsZones"));
        assert_eq!(requests, asked, "{environment:?}");
    }
}

#[tokio::test]
async fn wrong_credentials_are_named_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let wrong = "wrong-secret-for-tests";
    write(&file, wrong);
    let (fake, _) = start();
    let url = fake.url();
    let identity = format!("{url}/msi/token");
    let ids = [
        ("AZURE_AUTHORITY_HOST", url.as_str()),
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", CLIENT),
    ];
    let with = |more: &[(&'static str, &str)]| environment(&[&ids[..], more].concat());
    for (environment, why, place) in [
        (
            with(&[("AZURE_CLIENT_SECRET", wrong)]),
            "answered 401 Unauthorized: AADSTS7000215: Invalid client secret [credential] provided.",
            "check `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`: it needs the role",
        ),
        (
            with(&[("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap())]),
            "answered 401 Unauthorized: AADSTS700024: Client assertion [credential] is expired.",
            "check `AZURE_FEDERATED_TOKEN_FILE`, and whether the application trusts its token: it",
        ),
        (
            with(&[("AZURE_FEDERATED_TOKEN_FILE", "/nonexistent/token")]),
            "cannot read `/nonexistent/token` (`AZURE_FEDERATED_TOKEN_FILE`)\nNo such file",
            "",
        ),
        (
            with(&[("IDENTITY_ENDPOINT", &identity), ("IDENTITY_HEADER", wrong)]),
            "`GET /msi/token` answered 400 Bad Request: Required metadata header not specified [IDENTITY_HEADER]",
            "check the managed identity of this machine: it needs",
        ),
        (
            with(&[("AZURE_CLIENT_CERTIFICATE_PATH", "/x.pem")]),
            "client certificates (`AZURE_CLIENT_CERTIFICATE_PATH`) are not supported",
            "set `AZURE_CLIENT_SECRET`",
        ),
    ] {
        let text = listed(&without_secret(&fake), &environment)
            .await
            .unwrap_err();
        assert!(text.contains(why) && text.contains(place), "{text}");
        assert!(!text.contains(wrong), "{text}");
    }
}

#[tokio::test]
async fn a_workflow_without_a_token_is_told_what_it_needs() {
    let wrong = "wrong-secret-for-tests";
    let (fake, _) = start();
    let mut entry = without_secret(&fake);
    for (field, value) in [
        ("UseOIDC", "true"),
        ("TenantID", TENANT),
        ("ClientID", CLIENT),
    ] {
        entry.fields.insert(field.to_owned(), value.to_owned());
    }
    let runner = format!("{}/runner?api-version=2.0", fake.url());
    let github = environment(&[
        ("ACTIONS_ID_TOKEN_REQUEST_URL", &runner),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", wrong),
    ]);
    let text = listed(&entry, &github).await.unwrap_err();
    let expected = "cannot get the workflow's token from GitHub\n`GET /runner` answered 401 Unauthorized: Not authorized: Bearer [ACTIONS_ID_TOKEN_REQUEST_TOKEN]\nhint: check whether the application trusts this workflow";
    assert!(text.contains(expected), "{text}");
    assert!(!text.contains(wrong), "{text}");
    assert_eq!(
        listed(&entry, &Environment::default()).await.unwrap_err(),
        "there is no token of the workload: neither `AZURE_FEDERATED_TOKEN_FILE` nor `ACTIONS_ID_TOKEN_REQUEST_URL` is set\n\
         hint: on GitHub, the job needs `permissions: id-token: write`"
    );
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let (fake, _) = start();
    let entry = without_secret(&fake);
    let secret = ("AZURE_CLIENT_SECRET", SECRET);
    assert_eq!(
        listed(&entry, &environment(&[secret])).await.unwrap_err(),
        "`creds.json` entry `main` has no `TenantID`, and `AZURE_TENANT_ID` is not set\n\
         hint: add `TenantID` to the entry, or set `AZURE_TENANT_ID`"
    );
    for (variable, url) in [
        ("AZURE_AUTHORITY_HOST", "http://login.example.net"),
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://10.0.0.1"),
    ] {
        let mut variables = vec![(variable, url), ("AZURE_TENANT_ID", TENANT)];
        if variable == "AZURE_AUTHORITY_HOST" {
            variables.push(secret);
        }
        assert_eq!(
            listed(&entry, &environment(&variables)).await.unwrap_err(),
            format!("`{variable}` would send credentials in the clear\nhint: write `https://`")
        );
    }
    // Nobody listens there.
    let nowhere = environment(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")]);
    let text = listed(&entry, &nowhere).await.unwrap_err();
    assert!(
        text.contains("no managed identity: nobody answers"),
        "{text}"
    );
    assert!(
        text.contains("or set `UseOIDC` to `true` on GitHub"),
        "{text}"
    );
}
