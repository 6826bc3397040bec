//! Vault besides git: what git has and Vault lacks is copied there, with its key where that can be had.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use futures_util::stream;

use crate::acme::key::CertificateKey;
use crate::model::certificate::Wanted;
use crate::model::chain::Leaf;
use crate::model::hint::Hint;
use crate::model::outcome::Outcome;
use crate::model::secret::Secret;
use crate::model::wording::count;
use crate::nightly::run::Nightly;
use crate::nightly::vault_store::AT_ONCE;
use crate::nightly::vaulting::{Role, Vaulting};
use crate::repo::in_git::{self, InGit};
use crate::repo::vault::{Bundle, Kept, Vault};

impl Nightly {
    /// Copies what Vault lacks or has older. What cannot be copied is left over, and stays in git.
    pub(super) async fn copy_to_vault(&self, wanted: Vec<Wanted>, outcome: &mut Outcome) {
        let Some(vaulting) = &self.job.vault else {
            return;
        };
        if vaulting.role != Role::Copy || wanted.is_empty() {
            return;
        }
        let copied = async {
            let vault = vaulting.open(&self.progress).await?;
            Ok::<_, anyhow::Error>((vault.shown(), self.copy_all(vaulting, vault, &wanted).await))
        };
        let copied = self.stop.ends(copied).await;
        match copied.context(
            "nothing is copied to Vault: what is in git stays there, and the next run copies it",
        ) {
            Ok((place, (copied, failed))) => {
                if copied > 0 {
                    let copied = count(copied, "certificate");
                    self.progress
                        .say(&format!("copied {copied} to `{place}` in Vault"));
                }
                outcome.left_over.extend(failed);
            }
            Err(error) => outcome.left_over.push(error),
        }
    }

    async fn copy_all(
        &self,
        vaulting: &Vaulting,
        vault: &Vault,
        wanted: &[Wanted],
    ) -> (usize, Vec<anyhow::Error>) {
        let copies = wanted.iter().map(|wanted| async move {
            let copied = self.copy_one(vaulting, vault, wanted).await;
            copied.with_context(|| {
                format!(
                    "certificate `{}` is in git, but not copied to Vault",
                    wanted.name
                )
            })
        });
        let results: Vec<_> = stream::iter(copies).buffered(AT_ONCE).collect().await;
        let copied = results.iter().flatten().filter(|copied| **copied).count();
        let failed = results.into_iter().filter_map(Result::err);
        (copied, failed.collect())
    }

    /// Whether there was something to copy.
    async fn copy_one(&self, vaulting: &Vaulting, vault: &Vault, wanted: &Wanted) -> Result<bool> {
        let name = wanted.name.clone();
        let in_git = self
            .workspaces
            .with(move |workspace| in_git::in_git(workspace, &name))
            .await?;
        let Some(InGit {
            chain,
            description,
            key,
        }) = in_git
        else {
            return Ok(false);
        };
        let leaf = Leaf::from_pem(chain.as_bytes())?;
        let there = vault.certificate(&wanted.name).await?;
        let is_elsewhere = wanted.key_source.is_elsewhere();
        let is_good = |leaf: &Leaf, there: &Leaf| {
            there.serial == leaf.serial || there.not_before > leaf.not_before
        };
        if let Some(there) = &there
            && let Some(other) = there.leaf()
            && is_good(&leaf, &other)
            && (there.key.is_some() || is_elsewhere)
        {
            return Ok(false);
        }
        let secret = match (is_elsewhere, vaulting.remembered(&wanted.name)) {
            (true, _) => None,
            (false, Some(made)) if is_key_of(&made, &leaf) => Some(made),
            (false, _) => {
                let (sealed, path) = key.context("its key is not in git")?;
                let opened = self.accounts().decrypt(&sealed, &path).await;
                let opened = opened.hint(|| {
                    "a run copies the keys that it makes, and older ones with an identity that opens them: \
                     `git-certs renew` with `--identity FILE` does so once"
                })?;
                ensure!(
                    is_key_of(&opened, &leaf),
                    "the key in `{path}` is not the certificate's"
                );
                Some(Arc::new(opened))
            }
        };
        let bundle = Bundle {
            chain: &chain,
            key: secret.as_deref(),
            description: &description,
            leaf: &leaf,
        };
        match vault.keep(&wanted.name, &bundle).await? {
            Kept::Here => Ok(true),
            Kept::Superseded => Ok(false),
        }
    }
}

fn is_key_of(key: &Secret, leaf: &Leaf) -> bool {
    CertificateKey::parse(key).is_ok_and(|key| key.public_key_der() == leaf.public_key)
}
