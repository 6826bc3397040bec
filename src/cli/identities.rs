//! Where identities come from.

use crate::cli::environment;
use crate::cli::settings::Settings;
use crate::nightly::keyring::{IdentitySource, Keyring};

/// Those of git-certs first, then those of sops; without any, the SSH keys of the user.
pub(super) fn keyring(settings: &Settings) -> Keyring {
    let text = |variable: &str| {
        environment::secret(variable).map(|text| IdentitySource::Text {
            variable: variable.to_owned(),
            text,
        })
    };
    let mut all: Vec<_> = text(environment::AGE_KEY).into_iter().collect();
    all.extend(settings.identity.clone().map(IdentitySource::File));
    all.extend(text(environment::SOPS_AGE_KEY));
    all.extend(
        environment::variable(environment::SOPS_AGE_KEY_FILE)
            .map(|path| IdentitySource::File(path.into())),
    );
    if all.is_empty()
        && let Some(home) = environment::home()
    {
        let keys = [".ssh/id_ed25519", ".ssh/id_rsa"].map(|key| home.join(key));
        all.extend(
            keys.into_iter()
                .filter(|key| key.is_file())
                .map(IdentitySource::File),
        );
    }
    Keyring::new(all)
}
