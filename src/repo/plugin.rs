//! Plugins of age (<https://c2sp.org/age-plugin>), and what they want to know.

use age::secrecy::SecretString;
use age::{Callbacks, Identity, plugin};
use anyhow::{Result, anyhow};

use crate::model::hint::{Hint, with_hint};
use crate::repo::seal::Why;

/// Starts `age-plugin-NAME` for a plugin's identity whenever something is to be opened.
pub(super) fn identity(
    key: plugin::Identity,
    asker: &impl Callbacks,
    why: &Why,
) -> Result<Box<dyn Identity + Send + Sync>> {
    let name = key.plugin().to_owned();
    let asker = Asker {
        inner: asker.clone(),
        name: format!("age-plugin-{name}"),
        why: why.clone(),
    };
    let plugin = plugin::IdentityPluginV1::new(&name, &[key], asker)
        .map_err(|_| anyhow!("there is no `age-plugin-{name}` on PATH"))
        .hint(|| format!("install `age-plugin-{name}`, or give another identity"))?;
    Ok(Box::new(plugin))
}

/// Says which plugin asks, and keeps in mind what nobody answered.
#[derive(Clone)]
struct Asker<C> {
    inner: C,
    /// Of the program.
    name: String,
    why: Why,
}

impl<C: Callbacks> Asker<C> {
    fn answer<T>(&self, question: &str, ask: impl FnOnce(&C, &str) -> Option<T>) -> Option<T> {
        let answer = ask(&self.inner, &format!("{}: {question}", self.name));
        if answer.is_none() {
            self.why.set(with_hint(
                anyhow!(
                    "`{}` asks `{question}`, which is answered on a terminal only",
                    self.name
                ),
                "run it where there is a terminal, or give an identity that asks for nothing",
            ));
        }
        answer
    }
}

impl<C: Callbacks> Callbacks for Asker<C> {
    fn display_message(&self, message: &str) {
        self.inner
            .display_message(&format!("{}: {message}", self.name));
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.answer(message, |inner, message| inner.confirm(message, yes, no))
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        self.answer(description, C::request_public_string)
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        self.answer(description, C::request_passphrase)
    }
}
