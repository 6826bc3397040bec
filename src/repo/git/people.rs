//! Who commits, and how others know it.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use git2::{Commit, Config, Oid, Repository, Signature, Tree};
use time::OffsetDateTime;

use crate::model::hint::Hint;
use crate::repo::allowed_signers::{ALLOWED_SIGNERS, AllowedSigners};
use crate::repo::signature;
use crate::repo::ssh_key::SshKey;

/// Author and committer of the commits, and what makes these recognisable.
#[derive(Clone, Debug)]
pub(crate) struct People {
    pub(crate) author: Person,
    pub(crate) committer: Person,
    /// Signs every commit.
    pub(crate) key: Option<Arc<SshKey>>,
    /// What every commit says of the run that made it.
    pub(crate) run: Option<String>,
    /// One of these has to have signed the commit that is worked on; none: whoever could push is believed.
    pub(crate) trusted: Option<Arc<AllowedSigners>>,
}

/// Name and mail address as git keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) email: String,
}

impl Default for Person {
    fn default() -> Self {
        Self {
            name: "git-certs".to_owned(),
            email: "git-certs@localhost".to_owned(),
        }
    }
}

impl People {
    /// As git finds them: `GIT_AUTHOR_NAME` and its three relatives, then `user.name` and
    /// `user.email` of the configuration, then `git-certs <git-certs@localhost>`.
    pub(crate) fn find(
        environment: impl Fn(&str) -> Option<String>,
        config: Option<&Config>,
    ) -> Result<Self> {
        let find = |variable: &str, key: &str, default: String| {
            environment(variable)
                .or_else(|| config.and_then(|config| config.get_string(key).ok()))
                .filter(|value| !value.trim().is_empty())
                .unwrap_or(default)
        };
        let person = |role: &str| {
            let Person { name, email } = Person::default();
            let found = Person {
                name: find(&format!("GIT_{role}_NAME"), "user.name", name),
                email: find(&format!("GIT_{role}_EMAIL"), "user.email", email),
            };
            let broken = |text: &str| text.contains(['<', '>', '\n', '\0']);
            ensure!(
                !broken(&found.name) && !broken(&found.email),
                "`GIT_{role}_NAME` or `GIT_{role}_EMAIL` has a character that git does not allow in names"
            );
            Ok(found)
        };
        Ok(Self {
            author: person("AUTHOR")?,
            committer: person("COMMITTER")?,
            key: None,
            run: None,
            trusted: None,
        })
    }

    /// Fails where commits would lack a signature that a list of allowed signers asks for.
    pub(super) fn may_sign(&self, list: &str) -> Result<()> {
        let list = AllowedSigners::parse(list, ALLOWED_SIGNERS)?;
        let Some(key) = &self.key else {
            return Err(anyhow!("`{ALLOWED_SIGNERS}` asks for signed commits, and there is no key"))
                .hint(|| "`--signing-key` names its file; in CI GIT_CERTS_SIGNING_KEY holds the key itself");
        };
        let now = OffsetDateTime::now_utc().unix_timestamp();
        if list.allows(key.public().key_data(), now) {
            return Ok(());
        }
        let line = key.public().to_openssh()?;
        Err(anyhow!(
            "the signing key `{}` is not in `{ALLOWED_SIGNERS}`",
            key.fingerprint()
        ))
        .hint(|| {
            format!(
                "whoever may sign can add it: `{} namespaces=\"git\" {line}`",
                self.committer.email
            )
        })
    }

    /// Makes a commit, signed where there is a key. No reference leads to it.
    pub(crate) fn commit(
        &self,
        repository: &Repository,
        (author, committer): (&Signature<'_>, &Signature<'_>),
        message: &str,
        (tree, parents): (&Tree<'_>, &[&Commit<'_>]),
    ) -> Result<Oid> {
        let cannot = "cannot make the commit";
        let Some(key) = &self.key else {
            let made = repository.commit(None, author, committer, message, tree, parents);
            return made.context(cannot);
        };
        let text = repository.commit_create_buffer(author, committer, message, tree, parents);
        let text = text.context(cannot)?;
        let text = std::str::from_utf8(&text).context(cannot)?;
        let signature = signature::sign(key, text.as_bytes())?;
        let made = repository.commit_signed(text, &signature, None);
        made.context(cannot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_as_git_does() {
        let environment = |name: &str| match name {
            "GIT_AUTHOR_NAME" => Some("Ada".to_owned()),
            "GIT_COMMITTER_EMAIL" => Some("ci@x.test".to_owned()),
            _ => None,
        };
        let people = People::find(environment, None).unwrap();
        assert_eq!(people.author.name, "Ada");
        assert_eq!(people.author.email, "git-certs@localhost");
        assert_eq!(people.committer.name, "git-certs");
        assert_eq!(people.committer.email, "ci@x.test");
        let error = People::find(|_| Some("a\nb".to_owned()), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`GIT_AUTHOR_NAME` or `GIT_AUTHOR_EMAIL` has a character that git does not allow in names"
        );
    }
}
