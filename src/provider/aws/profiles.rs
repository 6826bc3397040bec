//! AWS's shared configuration files: <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::model::environment::Environment;
use crate::model::file;

/// The name of the profile that is used where none is named.
pub(super) const DEFAULT: &str = "default";

/// The settings of one profile, names in lower case.
#[derive(Clone, Default)]
pub(super) struct Profile(BTreeMap<String, String>);

impl Profile {
    /// A setting; none where it is absent or empty.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let value = self.0.get(key).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// The first of these settings that there is.
    pub(super) fn first_of<'k>(&self, keys: &[&'k str]) -> Option<&'k str> {
        keys.iter().find(|key| self.get(key).is_some()).copied()
    }
}

/// The profiles of both files.
#[derive(Default)]
pub(super) struct Profiles(BTreeMap<String, Profile>);

/// What a section of the two files is called.
#[derive(Clone, Copy)]
enum Kind {
    /// `[profile NAME]`, and `[default]`.
    Config,
    /// `[NAME]`.
    Credentials,
}

impl Profiles {
    /// Reads `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE`, by default in `~/.aws`.
    ///
    /// A file that is not there is empty; settings of the second win.
    pub(super) fn read(environment: &Environment) -> Result<Self> {
        let mut profiles = Self::default();
        for (variable, name, kind) in [
            ("AWS_CONFIG_FILE", "config", Kind::Config),
            (
                "AWS_SHARED_CREDENTIALS_FILE",
                "credentials",
                Kind::Credentials,
            ),
        ] {
            let named = environment.get(variable).map(PathBuf::from);
            let usual = || {
                let home = environment.get("HOME")?;
                Some(Path::new(home).join(".aws").join(name))
            };
            if let Some(path) = named.or_else(usual) {
                profiles.add(&text(&path)?, kind);
            }
        }
        Ok(profiles)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Profile> {
        self.0.get(name)
    }

    fn add(&mut self, text: &str, kind: Kind) {
        let mut section: Option<String> = None;
        for line in text.lines() {
            let is_nested = line.starts_with([' ', '\t']);
            let line = line.trim();
            if line.is_empty() || is_nested || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(rest) = line.strip_prefix('[') {
                let (name, _) = rest.split_once(']').unwrap_or((rest, ""));
                section = profile_name(name.trim(), kind);
                if let Some(name) = &section {
                    self.0.entry(name.clone()).or_default();
                }
            } else if let (Some(name), Some((key, value))) = (&section, line.split_once('=')) {
                let profile = self.0.entry(name.clone()).or_default();
                let key = key.trim().to_ascii_lowercase();
                profile.0.insert(key, without_comment(value).to_owned());
            }
        }
    }
}

/// The profile of a section; none for sections of other kinds, such as `[sso-session NAME]`.
fn profile_name(section: &str, kind: Kind) -> Option<String> {
    let unquoted = |name: &str| name.trim().trim_matches(['"', '\'']).to_owned();
    match kind {
        Kind::Credentials => Some(unquoted(section)),
        Kind::Config if section == DEFAULT => Some(DEFAULT.to_owned()),
        Kind::Config => match section.split_once([' ', '\t']) {
            Some(("profile", name)) => Some(unquoted(name)),
            _ => None,
        },
    }
}

/// A comment behind a value begins with white space.
fn without_comment(value: &str) -> &str {
    let marks = [" #", " ;", "\t#", "\t;"];
    let end = marks.iter().filter_map(|mark| value.find(mark)).min();
    value
        .get(..end.unwrap_or(value.len()))
        .unwrap_or(value)
        .trim()
}

fn text(path: &Path) -> Result<String> {
    match file::read_text(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        read => read
            .with_context(|| format!("cannot read AWS's configuration file `{}`", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn both_files_make_a_profile() {
        let mut profiles = Profiles::default();
        profiles.add(
            "; a comment\n[default]\nregion = eu-west-1\n[profile prod]\nRole_ARN=arn:aws:iam::1:role/x # why\n\
             source_profile = base\ns3 =\n  max_concurrent_requests = 20\n[profile \"two words\"]\nregion=x\n\
             [sso-session corp]\nsso_region = us-east-1\n[stray]\nregion = nowhere\n",
            Kind::Config,
        );
        profiles.add(
            "[prod]\nsource_profile = other\n[base]\naws_access_key_id = AKIA#1\naws_secret_access_key=a=b;c\n",
            Kind::Credentials,
        );
        let get = |name: &str, key: &str| profiles.get(name).and_then(|profile| profile.get(key));
        assert_eq!(get("default", "region"), Some("eu-west-1"));
        assert_eq!(get("prod", "role_arn"), Some("arn:aws:iam::1:role/x"));
        assert_eq!(get("prod", "source_profile"), Some("other"));
        assert_eq!(get("prod", "s3"), None);
        assert_eq!(get("prod", "max_concurrent_requests"), None);
        assert_eq!(get("two words", "region"), Some("x"));
        assert_eq!(get("base", "aws_access_key_id"), Some("AKIA#1"));
        assert_eq!(get("base", "aws_secret_access_key"), Some("a=b;c"));
        let names: Vec<_> = profiles.0.keys().collect();
        assert_eq!(names, ["base", "default", "prod", "two words"]);
    }
}
