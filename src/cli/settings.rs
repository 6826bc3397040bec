//! Settings that may come from a flag, the environment or `git-certs.toml`, in that order.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use clap::builder::BoolishValueParser;
use serde::{Deserialize, Serialize};

use crate::cli::type_errors::in_plain_words;
use crate::model::certificate::KeyType;
use crate::model::diagnostic::Spot;
use crate::model::hint::Hint;
use crate::nightly::found::Keeping;
use crate::nightly::pending::Mode;

/// Name of the settings file at the root of the cert repository.
pub(super) const FILE: &str = "git-certs.toml";

/// What to do about a key that is none, or holds what it cannot.
pub(super) const KEYS_HINT: &str = "its keys are long options without the dashes, such as `acme` and `dns-repo`; \
     `repo`, `branch`, `dir` and `only` are flags alone";

/// Every setting that all three sources can give. None: not given there.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Settings {
    /// The CA: `live` and `staging` (Let's Encrypt), `zerossl`, `google`, `google-staging`, `sslcom`, `sslcom-ecc`, `actalis`, or a directory URL [default: live]
    #[arg(long, env = "GIT_CERTS_ACME", value_name = "SERVER", help_heading = ACME)]
    pub(super) acme: Option<String>,

    /// CAs that stand in, in this order, when the CA of a certificate fails for reasons of its own
    #[arg(long, env = "GIT_CERTS_FALLBACK_ACME", value_name = "SERVER", value_delimiter = ',', help_heading = ACME)]
    pub(super) fallback_acme: Option<Vec<String>>,

    /// Agree to the CA's terms of service; needed once, to register an account
    #[arg(long, env = "GIT_CERTS_AGREE_TOS", alias = "agreeTOS", help_heading = ACME)]
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = BoolishValueParser::new())]
    pub(super) agree_tos: Option<bool>,

    /// Contact address of a new account (optional)
    #[arg(long, env = "GIT_CERTS_EMAIL", value_name = "ADDRESS", help_heading = ACME)]
    pub(super) email: Option<String>,

    /// Key identifier for external account binding, where the CA wants it for a new account
    #[arg(long, env = "GIT_CERTS_EAB_KID", value_name = "KID", help_heading = ACME, allow_hyphen_values = true)]
    pub(super) eab_kid: Option<String>,

    /// Profile of the CA that certificates are issued by, where the CA has it, such as `tlsserver`
    #[arg(long, env = "GIT_CERTS_PREFERRED_PROFILE", value_name = "NAME", help_heading = ACME)]
    pub(super) preferred_profile: Option<String>,

    /// Profile of the CA that certificates are issued by; without it they fail
    #[arg(long, env = "GIT_CERTS_REQUIRED_PROFILE", value_name = "NAME", help_heading = ACME)]
    pub(super) required_profile: Option<String>,

    /// Common name of a root or an issuer that chains shall lead to, where the CA has several [default: the CA's first chain]
    #[arg(long, env = "GIT_CERTS_PREFERRED_CHAIN", value_name = "NAME", help_heading = ACME)]
    pub(super) preferred_chain: Option<String>,

    /// PEM file of roots to trust besides the system's, for a CA of your own
    #[arg(long, env = "GIT_CERTS_CA_BUNDLE", value_name = "FILE", help_heading = ACME)]
    pub(super) ca_bundle: Option<PathBuf>,

    /// Domain that stands for the CA in CAA records; may be repeated [default: what its directory says]
    #[arg(long, env = "GIT_CERTS_CAA_IDENTITY", value_name = "DOMAIN", value_delimiter = ',', help_heading = ACME)]
    pub(super) caa_identity: Option<Vec<String>>,

    /// Rate limits that orders are kept within: letsencrypt, letsencrypt-staging, off [default: those of the CA, if they are known]
    #[arg(long, env = "GIT_CERTS_LIMITS", value_name = "WHOSE", help_heading = ACME, value_parser = limits)]
    pub(super) limits: Option<WhoseLimits>,

    /// Longest wait, in seconds, for the CA to check the proofs, and again for it to issue [default: 180]
    #[arg(long, env = "GIT_CERTS_ACME_TIMEOUT", value_name = "SECONDS", help_heading = ACME, allow_negative_numbers = true, value_parser = at_least_one)]
    pub(super) acme_timeout: Option<NonZeroU32>,

    /// Renew when fewer than DAYS are left [default: when the CA suggests; else a third of the lifetime, half of it if that is 10 days or less]
    #[arg(long, env = "GIT_CERTS_RENEW", value_name = "DAYS", help_heading = PLAN, allow_negative_numbers = true, value_parser = whole::<u32>)]
    pub(super) renew: Option<u32>,

    /// Key type of certificates that name none: rsa2048, rsa3072, rsa4096, p256, p384 [default: rsa2048]
    #[arg(long, env = "GIT_CERTS_KEY_TYPE", value_name = "TYPE", help_heading = PLAN, value_parser = key_type)]
    pub(super) key_type: Option<KeyType>,

    /// List of certificates; with `--repo` a path in that repository [default: certs.json]
    #[arg(long, env = "GIT_CERTS_CERT_CONFIG", alias = "certConfig", value_name = "FILE", help_heading = PLAN)]
    pub(super) cert_config: Option<PathBuf>,

    /// DNSControl repository: URL or path [default: the cert repository, or the current folder]
    #[arg(long, env = "GIT_CERTS_DNS_REPO", value_name = "URL|PATH", help_heading = DNS)]
    pub(super) dns_repo: Option<String>,

    /// Branch of the DNSControl repository [default: the remote's HEAD]
    #[arg(long, env = "GIT_CERTS_DNS_BRANCH", value_name = "NAME", help_heading = DNS)]
    pub(super) dns_branch: Option<String>,

    /// DNSControl's configuration, relative to its repository [default: dnsconfig.js]
    #[arg(long, env = "GIT_CERTS_CONFIG", alias = "js", value_name = "FILE", help_heading = DNS)]
    pub(super) config: Option<PathBuf>,

    /// DNSControl's credentials: a file, or `!command args` that prints them [default: creds.json]
    #[arg(long, env = "GIT_CERTS_CREDS", value_name = "FILE|!COMMAND", help_heading = DNS)]
    pub(super) creds: Option<String>,

    /// Read DNSControl's IR JSON instead of running JavaScript
    #[arg(long, env = "GIT_CERTS_IR", alias = "json", value_name = "FILE", help_heading = DNS)]
    pub(super) ir: Option<PathBuf>,

    /// Global variable for dnsconfig.js; may be repeated
    #[arg(long, env = "GIT_CERTS_VARIABLE", value_name = "KEY=VALUE", value_delimiter = '\n', help_heading = DNS)]
    pub(super) variable: Option<Vec<String>>,

    /// Longest time, in seconds, that dnsconfig.js may run [default: 60]
    #[arg(long, env = "GIT_CERTS_JS_TIMEOUT", value_name = "SECONDS", help_heading = DNS, allow_negative_numbers = true, value_parser = at_least_one)]
    pub(super) js_timeout: Option<NonZeroU32>,

    /// Most memory, in MiB, that dnsconfig.js may use [default: 1024]
    #[arg(long, env = "GIT_CERTS_JS_MEMORY", value_name = "MIB", help_heading = DNS, allow_negative_numbers = true, value_parser = at_least_one)]
    pub(super) js_memory: Option<NonZeroU32>,

    /// Most stack, in MiB, that dnsconfig.js may use [default: 8]
    #[arg(long, env = "GIT_CERTS_JS_STACK", value_name = "MIB", help_heading = DNS, allow_negative_numbers = true, value_parser = at_least_one)]
    pub(super) js_stack: Option<NonZeroU32>,

    /// Let dnsconfig.js use `FETCH()`
    #[arg(long, env = "GIT_CERTS_ALLOW_FETCH", help_heading = DNS)]
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = BoolishValueParser::new())]
    pub(super) allow_fetch: Option<bool>,

    /// Entries of creds.json that are left alone, separated by commas
    #[arg(long, env = "GIT_CERTS_SKIP", value_name = "ENTRIES", value_delimiter = ',', help_heading = DNS)]
    pub(super) skip: Option<Vec<String>>,

    /// What to do where dnsconfig.js and a provider differ: abort (no certificate that needs the zone), warn, off (do not look) [default: abort]
    #[arg(long, env = "GIT_CERTS_PENDING", value_name = "MODE", help_heading = DNS, value_parser = mode)]
    pub(super) pending: Option<Mode>,

    /// Records that may differ: a name, in which `*` is any text, and types, such as `*._report.example.com TXT`; may be repeated
    #[arg(long, env = "GIT_CERTS_NEVER_COUNT", value_name = "PATTERN", value_delimiter = '\n', help_heading = DNS)]
    pub(super) never_count: Option<Vec<String>>,

    /// Zones beside those of dnsconfig.js that CNAMEs at challenge names lead to: entries of
    /// creds.json by zone. In the file alone.
    #[arg(skip)]
    pub(super) challenge_zones: Option<BTreeMap<String, Entries>>,

    /// Recursive resolvers that find the name servers of a zone [default: /etc/resolv.conf]
    #[arg(long, env = "GIT_CERTS_RESOLVER", value_name = "ADDRESS", value_delimiter = ',', help_heading = DNS)]
    pub(super) resolver: Option<Vec<String>>,

    /// Longest wait, in seconds, for the name servers to show the challenges [default: 300]
    #[arg(long, env = "GIT_CERTS_DNS_TIMEOUT", value_name = "SECONDS", help_heading = DNS, allow_negative_numbers = true, value_parser = at_least_one)]
    pub(super) dns_timeout: Option<NonZeroU32>,

    /// How often in a row each name server has to show a challenge; 2 or 3 for servers behind load balancers [default: 1]
    #[arg(long, env = "GIT_CERTS_DNS_CONFIRMATIONS", value_name = "TIMES", help_heading = DNS, allow_negative_numbers = true, value_parser = at_least_one)]
    pub(super) dns_confirmations: Option<NonZeroU32>,

    /// Resolvers over HTTPS, at least two, for where port 53 is blocked; or `off` [default: Cloudflare, Google, Quad9]
    #[arg(long, env = "GIT_CERTS_DOH", value_name = "URL", value_delimiter = ',', help_heading = DNS)]
    pub(super) doh: Option<Vec<String>>,

    /// How long, in seconds, these are left alone after challenges were written [default: a tenth of the zone's negative TTL, 30 to 120]
    #[arg(long, env = "GIT_CERTS_DOH_SETTLE", value_name = "SECONDS", help_heading = DNS, allow_negative_numbers = true, value_parser = whole::<u32>)]
    pub(super) doh_settle: Option<u32>,

    /// age identity or SSH key that opens the account key
    #[arg(long, env = "GIT_CERTS_AGE_KEY_FILE", value_name = "FILE", help_heading = KEYS)]
    pub(super) identity: Option<PathBuf>,

    /// Recipients of new certificate keys, instead of `.age-recipients`
    #[arg(long, env = "GIT_CERTS_RECIPIENTS", value_name = "FILE", help_heading = KEYS)]
    pub(super) recipients: Option<PathBuf>,

    /// Tell people what the run did, by the services of `GIT_CERTS_NOTIFY_...` and `notifications` in creds.json
    #[arg(long, env = "GIT_CERTS_NOTIFY", help_heading = NOTICES)]
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = BoolishValueParser::new())]
    pub(super) notify: Option<bool>,

    /// Keep certificates, keys and accounts in Vault or OpenBao instead of git
    #[arg(long, env = "GIT_CERTS_VAULT", help_heading = KEYS)]
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = BoolishValueParser::new())]
    pub(super) vault: Option<bool>,

    /// Keep everything in git, and copy certificates and their keys to Vault or OpenBao
    #[arg(long, env = "GIT_CERTS_VAULT_COPY", help_heading = KEYS)]
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = BoolishValueParser::new())]
    pub(super) vault_copy: Option<bool>,

    /// Path in Vault: a key-value engine, of either version, and a folder in it [default: /secret/certs]
    #[arg(long, env = "GIT_CERTS_VAULT_PATH", alias = "vaultPath", value_name = "PATH", help_heading = KEYS)]
    pub(super) vault_path: Option<String>,

    /// Role of Vault that the CI job logs in as, with its ID token
    #[arg(long, env = "GIT_CERTS_VAULT_ROLE", value_name = "NAME", help_heading = KEYS)]
    pub(super) vault_role: Option<String>,

    /// Where the way to log in is mounted in Vault [default: jwt, or approle]
    #[arg(long, env = "GIT_CERTS_VAULT_AUTH_MOUNT", value_name = "PATH", help_heading = KEYS)]
    pub(super) vault_auth_mount: Option<String>,

    /// Whom GitHub's ID token is for [default: the URL of the repository's owner]
    #[arg(long, env = "GIT_CERTS_VAULT_AUDIENCE", value_name = "NAME", help_heading = KEYS)]
    pub(super) vault_audience: Option<String>,

    /// Where a run keeps its journal, which is its lock too: auto, ref (`refs/git-certs/journal`), branch (`git-certs-journal`), off [default: auto]
    #[arg(long, env = "GIT_CERTS_JOURNAL", value_name = "WHERE", help_heading = KEYS, value_parser = keeping)]
    pub(super) journal: Option<Keeping>,

    /// How many seconds a run may give no sign of life before the next one takes over [default: 7200]
    #[arg(long, env = "GIT_CERTS_LOCK_TIMEOUT", value_name = "SECONDS", help_heading = KEYS, allow_negative_numbers = true, value_parser = at_least_one)]
    pub(super) lock_timeout: Option<NonZeroU32>,

    /// Folder for certificates that were issued but cannot be pushed, keys encrypted
    #[arg(long, env = "GIT_CERTS_RESCUE_DIR", value_name = "DIR", help_heading = KEYS)]
    pub(super) rescue_dir: Option<PathBuf>,

    /// By zone, in the file alone.
    #[arg(skip)]
    pub(super) zones: Option<BTreeMap<String, ZoneSettings>>,
}

/// `[zones."example.com"]`: what differs in one zone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct ZoneSettings {
    pub(super) ignore_servers: Vec<String>,
    pub(super) extra_servers: Vec<String>,
    pub(super) dns_timeout: Option<NonZeroU32>,
    pub(super) dns_confirmations: Option<NonZeroU32>,
}

/// Whose rate limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum WhoseLimits {
    Letsencrypt,
    LetsencryptStaging,
    Off,
}

/// Entries of creds.json: one, or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "an entry of creds.json or a list of them is needed"
)]
pub(super) enum Entries {
    One(String),
    Several(Vec<String>),
}

pub(super) const ACME: &str = "The certificate authority";
const PLAN: &str = "What is due";
const DNS: &str = "DNS";
const KEYS: &str = "Keys and stores";
const NOTICES: &str = "Notices";

impl Settings {
    /// Reads `git-certs.toml`; the message of an error names its line.
    pub(super) fn from_file(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).with_context(|| format!("`{FILE}` is not UTF-8"))?;
        let settings: Self = toml::from_str(text)
            .map_err(|error| without_the_line(text, &error))
            .with_context(|| format!("cannot read `{FILE}`"))
            .hint(|| KEYS_HINT)?;
        settings.refuse_programs()?;
        Ok(settings)
    }

    /// Whoever may change the file, in a pull request too, must not get to run commands.
    pub(super) fn refuse_programs(&self) -> Result<()> {
        let is_command = |creds: &String| creds.starts_with('!');
        if self.creds.as_ref().is_some_and(is_command) {
            return Err(anyhow!("`creds` in `{FILE}` is a command"))
                .hint(|| "set it with `--creds` or GIT_CERTS_CREDS, where only CI's owners can");
        }
        // An executable file would be run just so, unless it is named like this.
        let is_json = |creds: &&String| {
            Path::new(creds)
                .extension()
                .is_some_and(|end| end == "json")
        };
        if let Some(creds) = self.creds.as_ref().filter(|creds| !is_json(creds)) {
            return Err(anyhow!(
                "`creds` in `{FILE}` is `{creds}`, whose name does not end with `.json`"
            ))
            .hint(|| "rename the file, or set it with `--creds` or GIT_CERTS_CREDS: a file of another name may be a program");
        }
        Ok(())
    }

    /// These settings, and those of `file` where there are none.
    pub(super) fn over(&self, file: &Self) -> Result<Self> {
        let given = as_map(self)?;
        let mut all = as_map(file)?;
        all.extend(given);
        Ok(serde_json::from_value(serde_json::to_value(all)?)?)
    }
}

/// The place and the message: the line itself could hold a password, in a URL.
fn without_the_line(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let place = error.span().map(|span| span.start);
    let message = in_plain_words(error.message());
    match place {
        Some(start) => {
            let Spot { line, column } = Spot::of(text, start);
            let column = column.unwrap_or_default();
            anyhow!("line {line}, column {column}: {message}")
        }
        None => anyhow!("{message}"),
    }
}

/// The settings that are given, by name.
fn as_map(settings: &Settings) -> Result<BTreeMap<String, serde_json::Value>> {
    let serde_json::Value::Object(map) = serde_json::to_value(settings)? else {
        bail!("settings are no table");
    };
    Ok(map
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .collect())
}

pub(super) fn whole<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|_| "a whole number is needed".to_owned())
}

pub(super) fn at_least_one(text: &str) -> Result<NonZeroU32, String> {
    text.parse()
        .map_err(|_| "a whole number above 0 is needed".to_owned())
}

fn key_type(text: &str) -> Result<KeyType, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "one of rsa2048, rsa3072, rsa4096, p256, p384 is needed".to_owned())
}

fn limits(text: &str) -> Result<WhoseLimits, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "one of letsencrypt, letsencrypt-staging, off is needed".to_owned())
}

fn keeping(text: &str) -> Result<Keeping, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "one of auto, ref, branch, off is needed".to_owned())
}

fn mode(text: &str) -> Result<Mode, String> {
    serde_json::from_value(text.into()).map_err(|_| "one of abort, warn, off is needed".to_owned())
}

/// Reads what a fuzzer makes: what is accepted runs nothing, and flags win over it.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let Ok(settings) = Settings::from_file(bytes) else {
        return;
    };
    let is_command = |creds: &String| creds.starts_with('!');
    assert!(!settings.creds.as_ref().is_some_and(is_command));
    let flags = Settings {
        creds: Some("!flag".to_owned()),
        ..Settings::default()
    };
    if let Ok(both) = flags.over(&settings) {
        assert_eq!(both.creds, flags.creds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_file() {
        let flags = Settings {
            acme: Some("staging".into()),
            ..Settings::default()
        };
        let file =
            Settings::from_file(b"acme = \"live\"\nskip = [\"a\"]\nkey-type = \"p256\"").unwrap();
        let both = flags.over(&file).unwrap();
        assert_eq!(both.acme.as_deref(), Some("staging"));
        assert_eq!(both.skip, Some(vec!["a".to_owned()]));
        assert_eq!(both.key_type, Some(KeyType::P256));
        assert_eq!(both.renew, None);
    }

    #[test]
    fn the_file_cannot_run_commands() {
        let error = Settings::from_file(b"creds = \"!sh -c id\"").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`creds` in `git-certs.toml` is a command"
        );
    }

    #[test]
    fn the_file_names_no_program_that_prints_credentials() {
        // An executable file is run, unless its name ends with `.json`.
        for place in [
            "creds.sh",
            "tools/print",
            "/usr/bin/env",
            "x.json/../y",
            ".json",
        ] {
            let error = Settings::from_file(format!("creds = {place:?}").as_bytes());
            assert_eq!(
                error.unwrap_err().to_string(),
                format!(
                    "`creds` in `git-certs.toml` is `{place}`, whose name does not end with `.json`"
                )
            );
        }
        for place in ["creds.json", "secret/main.json"] {
            let settings = Settings::from_file(format!("creds = {place:?}").as_bytes()).unwrap();
            assert_eq!(settings.creds.as_deref(), Some(place));
        }
    }

    #[test]
    fn no_wait_is_longer_than_clocks_count() {
        for text in [
            "dns-timeout = 9223372036854775807",
            "doh-settle = 9223372036854775807",
            "zones.\"a.test\".dns-timeout = 9223372036854775807",
        ] {
            assert!(Settings::from_file(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_line() {
        let error = Settings::from_file(b"acme = \"live\"\nrepo = \"x\"").unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("line 2") && text.contains("`repo`"), "{text}");
    }
}
