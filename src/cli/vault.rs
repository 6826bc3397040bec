//! Vault: where it is and who logs in, from settings and from the variables of Vault's own programs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use clap::builder::BoolishValueParser;
use url::Url;

use crate::cli::arguments::Run;
use crate::cli::config;
use crate::cli::environment::{self, secret, variable};
use crate::cli::settings::Settings;
use crate::model::file;
use crate::model::hint::{Hint, with_hint};
use crate::model::secret::Secret;
use crate::net::http::Http;
use crate::nightly::vaulting::{Role, Vaulting};
use crate::repo::vault::{IdToken, Login, Place, Server};
use crate::report::masks;

/// Where get-certs kept certificates.
const PATH: &str = "/secret/certs";

/// What a run may take besides the waits that have limits.
const REST: Duration = Duration::from_mins(2);

/// What a command needs to know of Vault that makes no copies.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct InVault {
    /// Certificates, keys and accounts are in Vault or OpenBao instead of git
    #[arg(long, env = "GIT_CERTS_VAULT")]
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = BoolishValueParser::new())]
    vault: Option<bool>,

    /// Path in Vault [default: /secret/certs]
    #[arg(
        long,
        env = "GIT_CERTS_VAULT_PATH",
        alias = "vaultPath",
        value_name = "PATH"
    )]
    vault_path: Option<String>,

    /// Role of Vault that the CI job logs in as, with its ID token
    #[arg(long, env = "GIT_CERTS_VAULT_ROLE", value_name = "NAME")]
    vault_role: Option<String>,

    /// Where the way to log in is mounted in Vault [default: jwt, or approle]
    #[arg(long, env = "GIT_CERTS_VAULT_AUTH_MOUNT", value_name = "PATH")]
    vault_auth_mount: Option<String>,

    /// Whom GitHub's ID token is for [default: the URL of the repository's owner]
    #[arg(long, env = "GIT_CERTS_VAULT_AUDIENCE", value_name = "NAME")]
    vault_audience: Option<String>,
}

impl InVault {
    /// The same as settings of a run.
    pub(super) fn settings(self) -> Settings {
        Settings {
            vault: self.vault,
            vault_path: self.vault_path,
            vault_role: self.vault_role,
            vault_auth_mount: self.vault_auth_mount,
            vault_audience: self.vault_audience,
            ..Settings::default()
        }
    }
}

impl Run {
    /// For a run that only looks: what would be copied to Vault makes no difference, and the job may have no login.
    pub(super) fn without_copies(mut self) -> Self {
        self.settings.vault_copy = Some(false);
        self
    }
}

/// Who looks at git alone, and would find nothing there where certificates are in Vault.
#[derive(Clone, Copy, Debug)]
pub(super) struct GitOnly {
    pub(super) command: &'static str,
    /// What to do instead.
    pub(super) hint: &'static str,
}

impl GitOnly {
    pub(super) fn check(self, settings: &Settings) -> Result<()> {
        let Self { command, hint } = self;
        if settings.vault != Some(true) {
            return Ok(());
        }
        Err(anyhow!(
            "`{command}` is about files in git, and `--vault` keeps certificates in Vault"
        ))
        .hint(|| hint)
    }
}

/// Vault, where certificates and accounts are there instead of in git. A copy has no say.
pub(super) fn instead_of_git(
    settings: &Settings,
    waits: (&Http, Duration),
) -> Result<Option<Vaulting>> {
    match settings.vault {
        Some(true) => vaulting(settings, waits),
        _ => Ok(None),
    }
}

/// What the settings make of Vault; none: it is not used.
pub(super) fn vaulting(
    settings: &Settings,
    (http, dns_timeout): (&Http, Duration),
) -> Result<Option<Vaulting>> {
    let Some(role) = role(settings)? else {
        return Ok(None);
    };
    let option = match role {
        Role::Store => "--vault",
        Role::Copy => "--vault-copy",
    };
    let verifies =
        variable("VAULT_SKIP_VERIFY").is_none_or(|no| ["0", "false"].contains(&no.as_str()));
    if !verifies {
        return Err(anyhow!(
            "`VAULT_SKIP_VERIFY` is set, and TLS is always verified"
        ))
        .hint(
            || "unset it, and name the file with the root of Vault's certificate: `VAULT_CACERT`",
        );
    }
    let address = variable("VAULT_ADDR")
        .ok_or_else(|| {
            anyhow!("`{option}` needs the address of Vault, and `VAULT_ADDR` is not set")
        })
        .hint(|| "set it to `https://HOST:8200`")?;
    let roots = variable("VAULT_CACERT").map(|path| (PathBuf::from(path), "VAULT_CACERT"));
    let own_http = config::http_trusting(settings, roots)?;
    let (login, token_from) = login(settings)?;
    let place = Place {
        server: Server::new(own_http.clone(), &address, variable("VAULT_NAMESPACE"))?,
        http: own_http,
        login,
        path: settings.vault_path.as_deref().unwrap_or(PATH).to_owned(),
    };
    let longest = dns_timeout + 2 * http.longest_wait() + REST;
    Ok(Some(Vaulting::new(role, place, token_from, longest)))
}

/// What Vault is to a run; none: nothing.
pub(super) fn role(settings: &Settings) -> Result<Option<Role>> {
    let (store, copy) = (
        settings.vault == Some(true),
        settings.vault_copy == Some(true),
    );
    match (store, copy) {
        (false, false) => Ok(None),
        (true, false) => Ok(Some(Role::Store)),
        (false, true) => Ok(Some(Role::Copy)),
        (true, true) => Err(anyhow!("both `--vault` and `--vault-copy` are set")).hint(|| {
            "`--vault` keeps certificates in Vault instead of git, `--vault-copy` in both: leave one out"
        }),
    }
}

/// How to log in, and the file of the token where nobody has named it.
fn login(settings: &Settings) -> Result<(Login, Option<String>)> {
    let mount = |usual: &str| {
        settings
            .vault_auth_mount
            .as_deref()
            .unwrap_or(usual)
            .trim_matches('/')
            .to_owned()
    };
    let token = |name| secret(name).map(Arc::new);
    if let Some(token) = token(environment::VAULT_TOKEN) {
        return Ok((Login::Token(token), None));
    }
    if let Some(role_id) = token(environment::VAULT_ROLE_ID) {
        let login = Login::AppRole {
            mount: mount("approle"),
            role_id,
            secret_id: token(environment::VAULT_SECRET_ID),
        };
        return Ok((login, None));
    }
    if let Some(role) = settings.vault_role.clone() {
        let login = Login::Jwt {
            mount: mount("jwt"),
            role,
            token: id_token(settings)?,
        };
        return Ok((login, None));
    }
    let kept = environment::home().map(|home| home.join(".vault-token"));
    match kept.filter(|path| path.is_file()) {
        Some(path) => {
            let text = file::read_text(&path)
                .with_context(|| format!("cannot read `{}`", path.display()))?;
            let token = Secret::from(text.trim().to_owned());
            masks::mask(token.expose());
            Ok((
                Login::Token(Arc::new(token)),
                Some(path.display().to_string()),
            ))
        }
        None => Err(with_hint(
            anyhow!("there is nothing to log in to Vault with"),
            "set `VAULT_TOKEN`; or `VAULT_ROLE_ID` and `VAULT_SECRET_ID`; in CI, name a role for the job's ID token \
             with `--vault-role`; on a laptop, `vault login` keeps a token in `~/.vault-token`",
        )),
    }
}

/// What says which CI job this is: GitLab's `id_tokens`, or what GitHub gives.
fn id_token(settings: &Settings) -> Result<IdToken> {
    if let Some(token) = secret(environment::VAULT_ID_TOKEN) {
        return Ok(IdToken::Given(Arc::new(token)));
    }
    let bearer = secret(environment::ACTIONS_ID_TOKEN_REQUEST_TOKEN);
    let (Some(url), Some(bearer)) = (variable("ACTIONS_ID_TOKEN_REQUEST_URL"), bearer) else {
        return Err(with_hint(
            anyhow!("`--vault-role` needs the ID token of a CI job, and there is none"),
            "on GitHub the job needs `permissions: id-token: write`; on GitLab, `id_tokens: VAULT_ID_TOKEN: aud: ...`; \
             elsewhere, set `VAULT_ID_TOKEN` to a JWT",
        ));
    };
    Ok(IdToken::GitHub {
        url: Url::parse(&url).context("`ACTIONS_ID_TOKEN_REQUEST_URL` is no URL")?,
        bearer: Arc::new(bearer),
        audience: settings.vault_audience.clone(),
    })
}
