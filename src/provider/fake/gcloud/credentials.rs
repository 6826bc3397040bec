//! Where the tokens of `GCLOUD` come from, and what is said if they do not.

use std::path::Path;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::model::environment::Environment;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::provider::conformance::{message, provider_in};
use crate::provider::fake::gcloud::google::{
    AUDIENCE, CLIENT, CLIENT_SECRET, EMAIL, KEY_ID, Key, REFRESH_TOKEN, RUNNER_TOKEN, SUBJECT,
    with_key, without_key,
};
use crate::provider::fake::gcloud::start;
use crate::provider::fake::tokens::environment;
use crate::provider::port::DnsProvider;
use crate::provider::servers::write;

async fn count(provider: &dyn DnsProvider) -> anyhow::Result<usize> {
    let zone: DnsName = "example.test".parse().unwrap();
    Ok(provider.records((&zone).into()).await?.len())
}

/// The error of reading, as the user sees it.
async fn refused(entry: &ProviderEntry, environment: &Environment) -> String {
    match provider_in(entry, environment) {
        Ok(provider) => message(&count(&*provider).await.unwrap_err()),
        Err(error) => message(&error),
    }
}

#[tokio::test]
async fn a_token_is_kept_until_it_is_no_longer_taken() {
    let (fake, google) = start();
    let provider = provider_in(&with_key(&fake, Key::own()), &Environment::default()).unwrap();
    let issued = || google.lock().unwrap().tokens.issued();
    let sets = count(&*provider).await.unwrap();
    assert_eq!(count(&*provider).await.unwrap(), sets);
    assert_eq!(issued(), 1);
    // It is taken back, or the clocks differ.
    google.lock().unwrap().tokens.revoke();
    assert_eq!(count(&*provider).await.unwrap(), sets);
    assert_eq!(issued(), 1);
    // It is about to expire.
    google.lock().unwrap().lifetime = 100;
    google.lock().unwrap().tokens.revoke();
    for _ in 0..3 {
        assert_eq!(count(&*provider).await.unwrap(), sets);
    }
    assert_eq!(issued(), 3);
}

#[tokio::test]
async fn a_token_that_is_never_taken_is_an_error() {
    let (fake, google) = start();
    // A project of others: the API says no to every token.
    let mut entry = with_key(&fake, Key::own());
    entry
        .fields
        .insert("project_id".to_owned(), "project-2".to_owned());
    let text = refused(&entry, &Environment::default()).await;
    assert!(
        text.contains("Permission denied on resource project"),
        "{text}"
    );
    assert!(text.contains("check `private_key` and `client_email` in `creds.json` entry `main`: it needs the role `roles/dns.admin`"), "{text}");
    assert_eq!(google.lock().unwrap().tokens.issued(), 1);
}

#[tokio::test]
async fn a_wrong_key_is_named_and_not_shown() {
    let (fake, _) = start();
    let none = Environment::default();
    let text = refused(&with_key(&fake, Key::other()), &none).await;
    let at = fake.url();
    assert_eq!(
        text,
        format!(
            "cannot read zone `example.test` from Google Cloud DNS at `{at}` (`creds.json` entry `main`)\n\
             cannot get an access token\n\
             `POST /token` answered 400 Bad Request: Invalid JWT Signature. [assertion]\n\
             hint: check `private_key` and `client_email` in `creds.json` entry `main`: {}",
            crate::provider::gcloud::SPEC.scope
        )
    );
    let mut entry = with_key(&fake, Key::own());
    let broken = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    for wrong in ["c2VjcmV0", broken] {
        entry
            .fields
            .insert("private_key".to_owned(), wrong.to_owned());
        let text = refused(&entry, &none).await;
        let start = "`private_key` of `creds.json` entry `main` is no RSA key in PEM form\n";
        assert!(text.starts_with(start), "{text}");
        assert!(
            text.ends_with("hint: copy it from the JSON file of the service account's key"),
            "{text}"
        );
        assert!(!text.contains("c2VjcmV0"), "{text}");
    }
}

#[tokio::test]
async fn tokens_do_not_go_in_the_clear() {
    let (fake, _) = start();
    let mut entry = with_key(&fake, Key::own());
    let url = "http://oauth2.example.net/token";
    entry.fields.insert("token_uri".to_owned(), url.to_owned());
    assert_eq!(
        refused(&entry, &Environment::default()).await,
        "`token_uri` of `creds.json` entry `main` would send credentials in the clear\nhint: write `https://`"
    );
}

#[tokio::test]
async fn entries_of_another_kind_are_refused() {
    let (fake, _) = start();
    let mut entry = with_key(&fake, Key::own());
    entry
        .fields
        .insert("type".to_owned(), "authorized_user".to_owned());
    let text = refused(&entry, &Environment::default()).await;
    assert!(
        text.starts_with("`type` in `creds.json` entry `main` is `authorized_user`\nhint: "),
        "{text}"
    );
    entry.fields.insert("type".to_owned(), String::new());
    entry.fields.remove("client_email");
    let text = refused(&entry, &Environment::default()).await;
    assert!(
        text.starts_with("the entry `main` (GCLOUD) in `creds.json` has no `client_email`"),
        "{text}"
    );
}

/// Application Default Credentials of every kind: what the file holds, and how often is asked.
#[tokio::test]
async fn application_default_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let subject = folder.path().join("subject");
    write(&subject, &format!("{SUBJECT}\n"));
    let (fake, google) = start();
    let url = |path: &str| format!("{}/{path}", fake.url());
    let impersonation = url(&format!(
        "v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken"
    ));
    let key = json!({
        "type": "service_account", "private_key": Key::own().pem, "private_key_id": KEY_ID,
        "client_email": EMAIL, "token_uri": url("token"),
    });
    let user = json!({
        "type": "authorized_user", "client_id": CLIENT, "client_secret": CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN, "token_uri": url("token"), "quota_project_id": "paying",
    });
    let external = |source: Value| {
        json!({
            "type": "external_account", "audience": AUDIENCE, "token_url": url("v1/token"),
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "credential_source": source,
        })
    };
    let file = external(json!({ "file": subject }));
    let runner = json!({
        "url": url(&format!("runner?audience={AUDIENCE}")),
        "headers": { "Authorization": format!("Bearer {RUNNER_TOKEN}") },
        "format": { "type": "json", "subject_token_field_name": "value" },
    });
    let mut github = external(runner);
    github["service_account_impersonation_url"] = json!(impersonation);
    let as_other = json!({
        "type": "impersonated_service_account", "source_credentials": user,
        "service_account_impersonation_url": impersonation, "delegates": [],
    });
    let path = folder.path().join("credentials.json");
    let named = environment(&[("GOOGLE_APPLICATION_CREDENTIALS", path.to_str().unwrap())]);
    let impersonate = format!("POST /v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken");
    for (credentials, asked) in [
        (&key, vec!["POST /token"]),
        (&user, vec!["POST /token"]),
        (&file, vec!["POST /v1/token"]),
        (&github, vec!["GET /runner", "POST /v1/token", &impersonate]),
        (&as_other, vec!["POST /token", &impersonate]),
    ] {
        write(&path, &credentials.to_string());
        fake.requests();
        let provider = provider_in(&without_key(&fake), &named).unwrap();
        assert!(count(&*provider).await.unwrap() > 10);
        let mut requests = fake.requests();
        requests.retain(|request| !request.contains("managedZones"));
        assert_eq!(requests, asked, "{credentials}");
        let paying = if credentials["type"] == "authorized_user" {
            "paying"
        } else {
            ""
        };
        assert_eq!(google.lock().unwrap().quota_project, paying);
    }
}

#[tokio::test]
async fn the_file_of_gcloud_and_the_machine() {
    let home = tempfile::tempdir().unwrap();
    let (fake, _) = start();
    let host = fake.address.to_string();
    let variables = [
        ("HOME", home.path().to_str().unwrap()),
        ("GCE_METADATA_HOST", &host),
    ];
    let entry = without_key(&fake);
    let asked = async || {
        fake.requests();
        let provider = provider_in(&entry, &environment(&variables)).unwrap();
        assert!(count(&*provider).await.unwrap() > 10);
        fake.requests()[0].clone()
    };
    assert_eq!(
        asked().await,
        "GET /computeMetadata/v1/instance/service-accounts/default/token"
    );
    let folder = home.path().join(".config/gcloud");
    std::fs::create_dir_all(&folder).unwrap();
    let user = json!({
        "type": "authorized_user", "client_id": CLIENT, "client_secret": CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN, "token_uri": format!("{}/token", fake.url()),
    });
    let path = folder.join("application_default_credentials.json");
    write(&path, &user.to_string());
    assert_eq!(asked().await, "POST /token");
}

#[tokio::test]
async fn without_credentials_all_places_are_named() {
    let (fake, _) = start();
    // Nobody listens there.
    let environment = environment(&[("GCE_METADATA_HOST", "127.0.0.1:1")]);
    let text = refused(&without_key(&fake), &environment).await;
    for part in [
        "there is no `private_key`, no file with Application Default Credentials, and no metadata server",
        "hint: add `private_key` and `client_email` to the entry, or set `GOOGLE_APPLICATION_CREDENTIALS`",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

/// Wrong secrets in files of every kind: the message has the file, the server's words and no secret.
#[tokio::test]
async fn wrong_default_credentials_are_named_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, _) = start();
    let url = |path: &str| format!("{}/{path}", fake.url());
    let wrong = "wrong-secret-for-tests";
    let subject = folder.path().join("subject");
    write(&subject, wrong);
    let path = folder.path().join("credentials.json");
    let external = |source: Value| {
        json!({
            "type": "external_account", "audience": AUDIENCE, "token_url": url("v1/token"),
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "credential_source": source,
        })
    };
    let headers = json!({ "Authorization": format!("Bearer {wrong}") });
    for (credentials, why) in [
        (
            json!({
                "type": "authorized_user", "client_id": CLIENT, "client_secret": CLIENT_SECRET,
                "refresh_token": wrong, "token_uri": url("token"),
            }),
            "`POST /token` answered 400 Bad Request: Token [refresh_token] is revoked.",
        ),
        (
            external(json!({ "file": subject })),
            "`POST /v1/token` answered 400 Bad Request: ID Token [subject token] is invalid.",
        ),
        (
            external(json!({ "url": url("runner"), "headers": headers })),
            "cannot get the subject token\n`GET /runner` answered 401 Unauthorized: Not authorized: Bearer [Authorization]",
        ),
    ] {
        write(&path, &credentials.to_string());
        let text = refused(&without_key(&fake), &named(&path)).await;
        assert!(text.contains(why), "{text}");
        let file = path.display();
        let hint = format!("hint: check `{file}` (`GOOGLE_APPLICATION_CREDENTIALS`): it needs");
        assert!(text.contains(&hint), "{text}");
        assert!(!text.contains(wrong), "{text}");
    }
}

fn named(path: &Path) -> Environment {
    environment(&[("GOOGLE_APPLICATION_CREDENTIALS", path.to_str().unwrap())])
}

#[tokio::test]
async fn files_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, _) = start();
    let path = folder.path().join("credentials.json");
    let place = format!("`{}` (`GOOGLE_APPLICATION_CREDENTIALS`)", path.display());
    let text = refused(&without_key(&fake), &named(&path)).await;
    let start = format!("cannot read the credentials in {place}\nNo such file or directory");
    assert!(text.starts_with(&start), "{text}");
    let aws = json!({ "environment_id": "aws1", "url": "http://169.254.169.254/x" });
    let aws = aws.as_object().unwrap().clone();
    let aws: Value = aws.into_iter().filter(|(key, _)| key != "url").collect();
    for (credentials, start) in [
        (json!({}), format!("{place} has no `type`")),
        (
            json!({ "type": "gdch_service_account" }),
            format!("`type` of {place} is `gdch_service_account`, which is not supported"),
        ),
        (
            json!({ "type": "external_account", "credential_source": aws }),
            format!(
                "`credential_source` of {place} has no `file` and no `url`\nhint: identities of AWS"
            ),
        ),
        (
            json!({ "type": "external_account", "credential_source": { "url": "http://idp.example.net/" } }),
            format!("`url` in `credential_source` of {place} would send credentials in the clear"),
        ),
        (
            json!({
                "type": "external_account", "audience": AUDIENCE, "subject_token_type": "x",
                "credential_source": { "file": "/x" }, "token_url": "http://sts.example.net/",
            }),
            format!("`token_url` of {place} would send credentials in the clear"),
        ),
    ] {
        write(&path, &credentials.to_string());
        let text = refused(&without_key(&fake), &named(&path)).await;
        assert!(text.starts_with(&start), "{text}");
    }
}
