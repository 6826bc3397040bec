//! AWS Signature Version 4: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use anyhow::{Context as _, Result};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use time::OffsetDateTime;
use time::macros::format_description;
use url::{Position, Url};

use crate::provider::aws::keys::Keys;
use crate::provider::wire::hex;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Which API a signature is for.
#[derive(Clone, Copy, Debug)]
pub(in crate::provider) struct Scope {
    pub(in crate::provider) region: &'static str,
    pub(in crate::provider) service: &'static str,
}

/// What a signature covers. Parameters in the URL are spelt as [`query`] spells them.
#[derive(Debug)]
pub(in crate::provider) struct Unsigned<'a> {
    pub(in crate::provider) method: &'a str,
    pub(in crate::provider) url: &'a Url,
    pub(in crate::provider) content_type: Option<&'a str>,
    pub(in crate::provider) body: &'a str,
}

/// The headers that sign a request, all but `authorization` signed themselves.
///
/// A server accepts them for five minutes.
pub(in crate::provider) fn sign(
    request: &Unsigned<'_>,
    keys: &Keys,
    scope: Scope,
    now: OffsetDateTime,
) -> Result<Vec<(&'static str, String)>> {
    let time = now.format(format_description!(
        "[year][month][day]T[hour][minute][second]Z"
    ))?;
    let (date, _) = time.split_once('T').context("bad time")?;
    let mut headers = vec![("x-amz-date", time.clone())];
    if let Some(token) = keys.token() {
        headers.push(("x-amz-security-token", token.to_owned()));
    }
    let mut signed = vec![(
        "host",
        request.url[Position::BeforeHost..Position::AfterPort].to_owned(),
    )];
    if let Some(content_type) = request.content_type {
        signed.push(("content-type", content_type.to_owned()));
    }
    signed.extend(headers.iter().cloned());
    signed.sort();
    let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let canonical = canonical(request, &signed, &names);
    let Scope { region, service } = scope;
    let place = format!("{date}/{region}/{service}/aws4_request");
    let hash = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    let text = format!("{ALGORITHM}\n{time}\n{place}\n{hash}");
    let first = [b"AWS4".as_slice(), keys.secret()].concat();
    let key = [date, region, service, "aws4_request"]
        .iter()
        .fold(first, |key, part| hmac(&key, part));
    let signature = hex(&hmac(&key, &text));
    let id = keys.id();
    headers.push((
        "authorization",
        format!(
            "{ALGORITHM} Credential={id}/{place}, SignedHeaders={names}, Signature={signature}"
        ),
    ));
    Ok(headers)
}

/// The request in the one form that both sides sign.
fn canonical(request: &Unsigned<'_>, headers: &[(&str, String)], names: &str) -> String {
    let Unsigned {
        method, url, body, ..
    } = request;
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}:{}\n", value.trim()))
        .collect();
    // What is encoded in the path is encoded once more, but for S3.
    let path: Vec<String> = url.path().split('/').map(encode).collect();
    let pairs: Vec<_> = url.query_pairs().collect();
    let query = query(pairs.iter().map(|(key, value)| (&**key, &**value)));
    let hash = hex(digest(&SHA256, body.as_bytes()).as_ref());
    format!(
        "{method}\n{}\n{query}\n{lines}\n{names}\n{hash}",
        path.join("/")
    )
}

/// Parameters as a signature has them: sorted, a space as `%20`.
pub(in crate::provider) fn query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut encoded: Vec<(String, String)> = pairs
        .map(|(key, value)| (encode(key), encode(value)))
        .collect();
    encoded.sort();
    let joined: Vec<String> = encoded
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    joined.join("&")
}

/// Everything but unreserved characters (RFC 3986 section 2.3) as `%XX`.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use time::macros::datetime;

    use super::*;

    const TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

    /// Of AWS's test suite, which its SDKs are tested with: method and target, body of a form, token,
    /// names of the signed headers, signature.
    /// <https://github.com/awslabs/aws-c-auth/tree/main/tests/aws-signing-test-suite/v4>
    const SUITE: &[(&str, &str, Option<&str>, &str, &str)] = &[
        // get-vanilla
        (
            "GET /",
            "",
            None,
            "host;x-amz-date",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        // get-vanilla-query-order-key-case
        (
            "GET /?Param2=value2&Param1=value1",
            "",
            None,
            "host;x-amz-date",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        // post-vanilla
        (
            "POST /",
            "",
            None,
            "host;x-amz-date",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        // post-x-www-form-urlencoded
        (
            "POST /",
            "Param1=value1",
            None,
            "content-type;host;x-amz-date",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        // post-sts-header-before
        (
            "POST /",
            "",
            Some(TOKEN),
            "host;x-amz-date;x-amz-security-token",
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
        ),
    ];

    #[test]
    fn signatures_are_those_of_the_test_suite() {
        let scope = Scope {
            region: "us-east-1",
            service: "service",
        };
        for (request, body, token, names, signature) in SUITE {
            let (method, target) = request.split_once(' ').unwrap();
            let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
            let keys = Keys::new("AKIDEXAMPLE", secret, *token);
            let unsigned = Unsigned {
                method,
                url: &format!("https://example.amazonaws.com{target}")
                    .parse()
                    .unwrap(),
                content_type: (!body.is_empty()).then_some("application/x-www-form-urlencoded"),
                body,
            };
            let now = datetime!(2015-08-30 12:36:00 UTC);
            let headers = sign(&unsigned, &keys, scope, now).unwrap();
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders={names}, Signature={signature}"
            );
            assert_eq!(
                headers.last().unwrap(),
                &("authorization", expected),
                "{request}"
            );
            assert_eq!(headers[0], ("x-amz-date", "20150830T123600Z".to_owned()));
        }
    }

    #[test]
    fn parameters_are_sorted_and_encoded() {
        let pairs = [
            ("name", r"\052.a.test."),
            ("identifier", "b c+d"),
            ("name", "*"),
        ];
        assert_eq!(
            query(pairs.into_iter()),
            "identifier=b%20c%2Bd&name=%2A&name=%5C052.a.test."
        );
    }
}
