//! Where AWS credentials come from, in the order of AWS's own tools:
//! <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use url::Url;

use crate::model::environment::Environment;
use crate::model::hint::{Hint, with_hint};
use crate::model::provider::ProviderEntry;
use crate::model::secret::Secret;
use crate::provider::aws::keys::Keys;
use crate::provider::aws::machine;
use crate::provider::aws::profiles::{DEFAULT, Profile, Profiles};

/// Name of our sessions in AWS's logs.
const SESSION: &str = "git-certs";

/// The variables of an access key.
const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";

/// Settings of profiles that give credentials by way of a browser or another program.
const UNSUPPORTED: [&str; 3] = ["sso_session", "sso_start_url", "credential_process"];

/// Setting of a role that a person has to be asked for.
const MFA: &str = "mfa_serial";

/// The keys to begin with, and the roles that are assumed with them, one with the other.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) start: Start,
    pub(super) roles: Vec<Role>,
    /// What hints tell the user to check.
    pub(super) place: String,
    /// What to do where the machine turns out to have no credentials.
    pub(super) otherwise: String,
}

#[derive(Debug)]
pub(super) enum Start {
    Keys(Arc<Keys>),
    /// A token of an OIDC provider, in a file that it renews.
    WebIdentity {
        token_file: PathBuf,
        role: Role,
    },
    Container {
        url: Url,
        authorization: Option<Authorization>,
    },
    Instance {
        service: Url,
    },
}

/// What a container's service wants to see.
#[derive(Debug)]
pub(super) enum Authorization {
    Token(Secret),
    File(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) session: String,
    pub(super) external_id: Option<String>,
}

impl Source {
    /// The source for an entry: its own keys or profile, the environment, the default profile,
    /// the container, the instance; then the entry's role.
    ///
    /// Reads configuration files and sends nothing.
    pub(super) fn find(entry: &ProviderEntry, environment: &Environment) -> Result<Self> {
        let mut source = Finder { entry, environment }.source()?;
        match (entry.field("RoleArn"), entry.field("ExternalId")) {
            (Some(arn), external_id) => {
                source.place = format!(
                    "`RoleArn` in `creds.json` entry `{}`, and {}",
                    entry.name, source.place
                );
                source.roles.push(Role {
                    arn: arn.to_owned(),
                    session: SESSION.to_owned(),
                    external_id: external_id.map(str::to_owned),
                });
            }
            (None, Some(_)) => {
                entry.required("RoleArn")?;
            }
            (None, None) => {}
        }
        Ok(source)
    }
}

struct Finder<'a> {
    entry: &'a ProviderEntry,
    environment: &'a Environment,
}

impl Finder<'_> {
    fn from(&self, start: Start, place: impl Into<String>) -> Source {
        Source {
            start,
            roles: Vec::new(),
            place: place.into(),
            otherwise: otherwise(self.entry),
        }
    }

    fn source(&self) -> Result<Source> {
        let Self { entry, environment } = *self;
        let here = format!("in `creds.json` entry `{}`", entry.name);
        let mut own = ["KeyId", "SecretKey"].iter();
        let has_keys = own.any(|key| entry.field(key).is_some());
        match entry.field("Profile") {
            Some(_) if has_keys => {
                return Err(with_hint(
                    anyhow!("there are both `Profile` and `KeyId` or `SecretKey` {here}"),
                    "take one of them out",
                ));
            }
            Some(profile) => return self.named(profile, &format!("`Profile` {here}")),
            None => {}
        }
        if has_keys {
            let (id, secret) = (entry.required("KeyId")?, entry.required("SecretKey")?);
            let keys = Keys::new(id, secret, entry.field("Token"));
            let place = format!("`KeyId` and `SecretKey` {here}");
            return Ok(self.from(Start::Keys(Arc::new(keys)), place));
        }
        if let Some(start) = self.variables()? {
            return Ok(self.from(start, format!("`{KEY_ID}` and `{SECRET_KEY}`")));
        }
        if let Some(file) = environment.get("AWS_WEB_IDENTITY_TOKEN_FILE") {
            return self.web_identity(file);
        }
        match environment.get("AWS_PROFILE") {
            Some(profile) => self.named(profile, "`AWS_PROFILE`"),
            None => self.of_the_machine(),
        }
    }

    /// The keys in the environment.
    fn variables(&self) -> Result<Option<Start>> {
        let variable = |name: &str| self.environment.get(name);
        let (set, missing) = match (variable(KEY_ID), variable(SECRET_KEY)) {
            (Some(id), Some(secret)) => {
                let keys = Keys::new(id, secret, variable("AWS_SESSION_TOKEN"));
                return Ok(Some(Start::Keys(Arc::new(keys))));
            }
            (None, None) => return Ok(None),
            (Some(_), None) => (KEY_ID, SECRET_KEY),
            (None, Some(_)) => (SECRET_KEY, KEY_ID),
        };
        Err(with_hint(
            anyhow!("`{set}` is set and `{missing}` is not"),
            "set both, or none for credentials from elsewhere",
        ))
    }

    fn web_identity(&self, file: &str) -> Result<Source> {
        let role = self.environment.get("AWS_ROLE_ARN").ok_or_else(|| {
            with_hint(
                anyhow!("`AWS_WEB_IDENTITY_TOKEN_FILE` is set and `AWS_ROLE_ARN` is not"),
                "set `AWS_ROLE_ARN` to the role that trusts the token's issuer",
            )
        })?;
        let session = self.environment.get("AWS_ROLE_SESSION_NAME");
        let start = Start::WebIdentity {
            token_file: file.into(),
            role: Role {
                arn: role.to_owned(),
                session: session.unwrap_or(SESSION).to_owned(),
                external_id: None,
            },
        };
        let place = "`AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`";
        Ok(self.from(start, place))
    }

    /// A profile that `place` asks for.
    fn named(&self, name: &str, place: &str) -> Result<Source> {
        let profiles = Profiles::read(self.environment)?;
        let found = self.in_profile(&profiles, name, place).hint(|| {
            format!("{place} names a profile of `~/.aws/config` or `~/.aws/credentials`")
        })?;
        found.ok_or_else(|| {
            with_hint(
                anyhow!("the AWS profile `{name}` has no credentials"),
                "it needs `aws_access_key_id` and `aws_secret_access_key`, or `role_arn`",
            )
        })
    }

    /// The default profile, the container, the instance.
    fn of_the_machine(&self) -> Result<Source> {
        let profiles = Profiles::read(self.environment)?;
        if profiles.get(DEFAULT).is_some() {
            let place = format!("the AWS profile `{DEFAULT}`");
            if let Some(found) = self.in_profile(&profiles, DEFAULT, &place)? {
                return Ok(found);
            }
        }
        if let Some(start) = machine::container(self.environment)? {
            return Ok(self.from(start, "the role of the container"));
        }
        match machine::instance(self.environment)? {
            Some(start) => Ok(self.from(start, "the role of the instance")),
            None => Err(with_hint(
                anyhow!("there are no AWS credentials"),
                otherwise(self.entry),
            )),
        }
    }

    /// Follows `source_profile` to the keys; none for a profile that has none and names no role.
    fn in_profile(&self, profiles: &Profiles, first: &str, place: &str) -> Result<Option<Source>> {
        let mut roles = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        let mut name = first.to_owned();
        let start = loop {
            let Some(profile) = profiles.get(&name) else {
                bail!("there is no AWS profile `{name}`");
            };
            let refuse = |setting: &str| {
                anyhow!(
                    "the AWS profile `{name}` has `{setting}`, which git-certs does not support"
                )
            };
            let is_again = seen.contains(&name);
            let role = role(profile).filter(|_| !is_again);
            let Some(role) = role else {
                match (keys(profile, &name)?, profile.first_of(&UNSUPPORTED)) {
                    (Some(start), _) => break start,
                    (None, Some(setting)) => return Err(refuse(setting)),
                    (None, None) if roles.is_empty() => return Ok(None),
                    (None, None) => {
                        bail!("the AWS profile `{name}` has no keys, and `{first}` leads to it")
                    }
                }
            };
            if profile.get(MFA).is_some() {
                return Err(refuse(MFA));
            }
            if let Some(token_file) = profile.get("web_identity_token_file") {
                break Start::WebIdentity {
                    token_file: token_file.into(),
                    role,
                };
            }
            roles.push(role);
            let settings = (
                profile.get("source_profile"),
                profile.get("credential_source"),
            );
            let next = match settings {
                (Some(next), None) => next.to_owned(),
                (None, Some(kind)) => break self.credential_source(kind, &name)?,
                _ => bail!(
                    "the AWS profile `{name}` has `role_arn`, and not one of `source_profile` and `credential_source`"
                ),
            };
            seen.push(std::mem::replace(&mut name, next));
        };
        // The role of the first profile is assumed last.
        roles.reverse();
        Ok(Some(Source {
            roles,
            ..self.from(start, place)
        }))
    }

    fn credential_source(&self, kind: &str, profile: &str) -> Result<Start> {
        let about = || format!("the AWS profile `{profile}` has `credential_source = {kind}`");
        let found = match kind {
            "Environment" => self.variables()?,
            "EcsContainer" => machine::container(self.environment)?,
            "Ec2InstanceMetadata" => machine::instance(self.environment)?,
            _ => bail!("{}, which AWS does not know", about()),
        };
        found.ok_or_else(|| anyhow!("{}, and there are no credentials", about()))
    }
}

/// The role that a profile names.
fn role(profile: &Profile) -> Option<Role> {
    Some(Role {
        arn: profile.get("role_arn")?.to_owned(),
        session: profile
            .get("role_session_name")
            .unwrap_or(SESSION)
            .to_owned(),
        external_id: profile.get("external_id").map(str::to_owned),
    })
}

/// The keys that a profile holds.
fn keys(profile: &Profile, name: &str) -> Result<Option<Start>> {
    let (id, secret) = ("aws_access_key_id", "aws_secret_access_key");
    match (profile.get(id), profile.get(secret)) {
        (Some(key), Some(word)) => {
            let keys = Keys::new(key, word, profile.get("aws_session_token"));
            Ok(Some(Start::Keys(Arc::new(keys))))
        }
        (None, None) => Ok(None),
        (Some(_), None) => bail!("the AWS profile `{name}` has `{id}` and no `{secret}`"),
        (None, Some(_)) => bail!("the AWS profile `{name}` has `{secret}` and no `{id}`"),
    }
}

/// All the ways to give credentials; first the variables that the entry names in vain.
fn otherwise(entry: &ProviderEntry) -> String {
    let name = &entry.name;
    let unset: Vec<String> = entry
        .unset
        .values()
        .map(|variable| format!("`{variable}`"))
        .collect();
    let unset = if unset.is_empty() {
        String::new()
    } else {
        let unset = unset.join(" and ");
        format!("set {unset}, which `creds.json` entry `{name}` names; or ")
    };
    format!(
        "{unset}add `KeyId` and `SecretKey`, or `Profile`, to `creds.json` entry `{name}`; or set \
         `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, `AWS_WEB_IDENTITY_TOKEN_FILE` and \
         `AWS_ROLE_ARN`, or `AWS_PROFILE`"
    )
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write as _;

    use pretty_assertions::assert_eq;
    use tempfile::TempDir;

    use super::*;
    use crate::model::hint::explain;
    use crate::provider::servers::entry;

    /// Finds the source with `config` as `~/.aws/config`.
    fn find(
        fields: &[(&str, &str)],
        variables: &[(&str, &str)],
        config: &str,
    ) -> Result<Source, (String, Vec<String>)> {
        let home = TempDir::new().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        let path = home.path().join(".aws/config");
        let file = OpenOptions::new().create_new(true).write(true).open(path);
        file.unwrap().write_all(config.as_bytes()).unwrap();
        let home = ("HOME", home.path().to_str().unwrap());
        let environment = [&[home], variables].concat();
        let environment: Environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Source::find(&entry("ROUTE53", fields), &environment).map_err(|error| {
            let explained = explain(&error);
            (explained.what, explained.hints)
        })
    }

    /// What the source begins with, and its roles in the order in which they are assumed.
    fn shown(fields: &[(&str, &str)], variables: &[(&str, &str)], config: &str) -> String {
        let source = find(fields, variables, config).unwrap();
        let start = match &source.start {
            Start::Keys(keys) => keys.id().to_owned(),
            Start::WebIdentity { token_file, role } => {
                format!(
                    "{} as {} ({})",
                    token_file.display(),
                    role.arn,
                    role.session
                )
            }
            Start::Container { url, .. } => url.to_string(),
            Start::Instance { service } => service.to_string(),
        };
        let roles = source.roles.iter().map(|role| {
            let external_id = role.external_id.as_deref().unwrap_or("-");
            format!(", {} ({}, {external_id})", role.arn, role.session)
        });
        format!("{}: {start}{}", source.place, roles.collect::<String>())
    }

    const CONFIG: &str = "[default]\naws_access_key_id=D\naws_secret_access_key=d\n\
        [profile own]\nrole_arn=R1\nsource_profile=own\naws_access_key_id=O\naws_secret_access_key=o\n\
        [profile outer]\nrole_arn=R2\nsource_profile=own\nexternal_id=x\nrole_session_name=s\n\
        [profile web]\nrole_arn=R3\nweb_identity_token_file=/t\n\
        [profile ec2]\nrole_arn=R4\ncredential_source=Ec2InstanceMetadata\n\
        [profile env]\nrole_arn=R5\ncredential_source=Environment\n\
        [profile sso]\nsso_session=corp\n[profile mfa]\nrole_arn=R\nsource_profile=own\nmfa_serial=m\n\
        [profile a]\nrole_arn=R\nsource_profile=b\n[profile b]\nrole_arn=R\nsource_profile=a\n\
        [profile empty]\nregion=eu-west-1\n[profile half]\naws_access_key_id=H\n\
        [profile lost]\nrole_arn=R\n[profile odd]\nrole_arn=R\ncredential_source=Moon\n";

    #[test]
    fn sources_have_an_order() {
        let own = [("KeyId", "K"), ("SecretKey", "k")];
        let env = [("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "e")];
        let web = [
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/w"),
            ("AWS_ROLE_ARN", "RW"),
        ];
        let named = [("AWS_PROFILE", "own")];
        let ecs = [("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x")];
        let all = [&env[..], &web, &named, &ecs].concat();
        let here = "in `creds.json` entry `main`";
        let check = |fields: &[(&str, &str)], variables, expected: &str| {
            assert_eq!(shown(fields, variables, CONFIG), expected);
        };
        check(&own, &all, &format!("`KeyId` and `SecretKey` {here}: K"));
        let profile = [("Profile", "default")];
        check(&profile, &all, &format!("`Profile` {here}: D"));
        let keys = "`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`";
        check(&[], &all, &format!("{keys}: E"));
        let token = "`AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`: /w as RW (git-certs)";
        check(&[], &all[2..], token);
        check(&[], &all[4..], "`AWS_PROFILE`: O, R1 (git-certs, -)");
        check(&[], &ecs, "the AWS profile `default`: D");
        let role = [("RoleArn", "R"), ("ExternalId", "x")];
        let expected = format!("`RoleArn` {here}, and {keys}: E, R (git-certs, x)");
        check(&role, &env, &expected);
        // A default profile without credentials.
        assert_eq!(
            shown(&[], &ecs, "[default]\nregion=x\n"),
            "the role of the container: http://169.254.170.2/v2/x"
        );
        assert_eq!(
            shown(&[], &[], ""),
            "the role of the instance: http://169.254.169.254/"
        );
    }

    #[test]
    fn profiles_lead_to_keys() {
        let env = [("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "e")];
        for (profile, expected) in [
            ("outer", "O, R1 (git-certs, -), R2 (s, x)"),
            ("web", "/t as R3 (git-certs)"),
            ("ec2", "http://169.254.169.254/, R4 (git-certs, -)"),
            ("env", "E, R5 (git-certs, -)"),
        ] {
            assert_eq!(
                shown(&[("Profile", profile)], &env, CONFIG),
                format!("`Profile` in `creds.json` entry `main`: {expected}")
            );
        }
    }

    #[test]
    fn profiles_that_lead_nowhere_say_so() {
        for (profile, expected) in [
            ("absent", "there is no AWS profile `absent`"),
            ("empty", "the AWS profile `empty` has no credentials"),
            (
                "half",
                "the AWS profile `half` has `aws_access_key_id` and no `aws_secret_access_key`",
            ),
            (
                "sso",
                "the AWS profile `sso` has `sso_session`, which git-certs does not support",
            ),
            (
                "mfa",
                "the AWS profile `mfa` has `mfa_serial`, which git-certs does not support",
            ),
            ("a", "the AWS profile `a` has no keys, and `a` leads to it"),
            (
                "lost",
                "the AWS profile `lost` has `role_arn`, and not one of `source_profile` and `credential_source`",
            ),
            (
                "odd",
                "the AWS profile `odd` has `credential_source = Moon`, which AWS does not know",
            ),
            (
                "env",
                "the AWS profile `env` has `credential_source = Environment`, and there are no credentials",
            ),
        ] {
            let (what, hints) = find(&[("Profile", profile)], &[], CONFIG).unwrap_err();
            assert_eq!(what, expected);
            assert_eq!(hints.len(), 1, "{hints:?}");
        }
    }

    #[test]
    fn entries_and_variables_that_are_half_say_so() {
        let problem = |fields: &[(&str, &str)], variables: &[(&str, &str)]| {
            find(fields, variables, "").unwrap_err().0
        };
        let keys = ("KeyId", "K");
        for (fields, variables, expected) in [
            (
                &[keys][..],
                &[][..],
                "the entry `main` (ROUTE53) in `creds.json` has no `SecretKey`",
            ),
            (
                &[keys, ("Profile", "p")],
                &[],
                "there are both `Profile` and `KeyId` or `SecretKey` in `creds.json` entry `main`",
            ),
            (
                &[("ExternalId", "x")],
                &[("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "e")],
                "the entry `main` (ROUTE53) in `creds.json` has no `RoleArn`",
            ),
            (
                &[],
                &[("AWS_SECRET_ACCESS_KEY", "e")],
                "`AWS_SECRET_ACCESS_KEY` is set and `AWS_ACCESS_KEY_ID` is not",
            ),
            (
                &[],
                &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/t")],
                "`AWS_WEB_IDENTITY_TOKEN_FILE` is set and `AWS_ROLE_ARN` is not",
            ),
            (
                &[],
                &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/x")],
                "`AWS_CONTAINER_CREDENTIALS_FULL_URI` leads to another machine without encryption",
            ),
            (
                &[],
                &[("AWS_EC2_METADATA_DISABLED", "true")],
                "there are no AWS credentials",
            ),
        ] {
            assert_eq!(problem(fields, variables), expected);
        }
    }

    #[test]
    fn variables_that_the_entry_names_in_vain_come_first() {
        let mut entry = entry("ROUTE53", &[]);
        entry.unset = [("KeyId", "R53_ID"), ("SecretKey", "R53_KEY")]
            .map(|(field, variable)| (field.to_owned(), variable.to_owned()))
            .into();
        let disabled = ("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned());
        let environment: Environment = [disabled].into_iter().collect();
        let explained = explain(&Source::find(&entry, &environment).unwrap_err());
        assert_eq!(
            explained.hints,
            [
                "set `R53_ID` and `R53_KEY`, which `creds.json` entry `main` names; or add `KeyId` and \
                 `SecretKey`, or `Profile`, to `creds.json` entry `main`; or set `AWS_ACCESS_KEY_ID` and \
                 `AWS_SECRET_ACCESS_KEY`, `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`, or `AWS_PROFILE`"
            ]
        );
    }
}
