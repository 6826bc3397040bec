//! The environment that the program was started in, for rooms that do not look at it themselves.

use std::collections::BTreeMap;
use std::fmt;

/// Environment variables by name, as they were when the program started. Values may be secret.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// A variable; none where it is not set or empty.
    ///
    /// CI systems set variables to the empty string where an input was left out.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

/// The names, without their values.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_not_set_and_values_do_not_print() {
        let variables = [("AWS_PROFILE", ""), ("AWS_SECRET_ACCESS_KEY", "hunter2")];
        let environment: Environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(environment.get("AWS_SECRET_ACCESS_KEY"), Some("hunter2"));
        assert_eq!(environment.get("AWS_PROFILE"), None);
        assert_eq!(environment.get("PATH"), None);
        assert_eq!(
            format!("{environment:?}"),
            r#"{"AWS_PROFILE", "AWS_SECRET_ACCESS_KEY"}"#
        );
    }
}
