//! Who commits.

use anyhow::{Result, ensure};
use git2::Config;

/// Author and committer of the commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct People {
    pub(crate) author: Person,
    pub(crate) committer: Person,
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
        })
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
