//! Plugins of age (<https://c2sp.org/age-plugin>), and what they want to know.

use std::collections::BTreeSet;

use age::secrecy::SecretString;
use age::{Callbacks, Identity, NoCallbacks, plugin};
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
        unanswered: UNANSWERED,
        why: why.clone(),
    };
    let plugin = plugin::IdentityPluginV1::new(&name, &[key], asker)
        .map_err(|_| anyhow!("there is no `age-plugin-{name}` on PATH"))
        .hint(|| format!("install `age-plugin-{name}`, or give another identity"))?;
    Ok(Box::new(plugin))
}

/// One plugin for each kind of recipient. Nobody is asked when keys are encrypted: runs do it unattended.
pub(super) fn recipients(
    all: &[plugin::Recipient],
    why: &Why,
) -> Result<Vec<plugin::RecipientPluginV1<Asker<NoCallbacks>>>> {
    let names: BTreeSet<_> = all.iter().map(plugin::Recipient::plugin).collect();
    let plugins = names.into_iter().map(|name| {
        let asker = Asker {
            inner: NoCallbacks,
            name: format!("age-plugin-{name}"),
            unanswered: UNATTENDED,
            why: why.clone(),
        };
        plugin::RecipientPluginV1::new(name, all, &[], asker)
            .map_err(|_| anyhow!("there is no `age-plugin-{name}` on PATH"))
            .hint(|| format!("install `age-plugin-{name}`, or take its recipients out"))
    });
    plugins.collect()
}

/// Why a question has no answer, and what to do.
type Unanswered = (&'static str, &'static str);

const UNANSWERED: Unanswered = (
    "which is answered on a terminal only",
    "run it where there is a terminal, or give an identity that asks for nothing",
);

const UNATTENDED: Unanswered = (
    "but nobody is asked when keys are encrypted",
    "take its recipients out, or use those of a plugin that encrypts without questions",
);

/// Says which plugin asks, and keeps in mind what nobody answered.
#[derive(Clone)]
pub(super) struct Asker<C> {
    inner: C,
    /// Of the program.
    name: String,
    unanswered: Unanswered,
    why: Why,
}

impl<C: Callbacks> Asker<C> {
    fn answer<T>(&self, question: &str, ask: impl FnOnce(&C, &str) -> Option<T>) -> Option<T> {
        let answer = ask(&self.inner, &format!("{}: {question}", self.name));
        if answer.is_none() {
            let (why, hint) = self.unanswered;
            self.why.set(with_hint(
                anyhow!("`{}` asks `{question}`, {why}", self.name),
                hint,
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
