//! Plugins of age (<https://c2sp.org/age-plugin>), and what they want to know.

use std::collections::{BTreeSet, HashSet};
use std::slice;
use std::sync::Arc;

use age::secrecy::{ExposeSecret, SecretString};
use age::{Callbacks, DecryptError, EncryptError, Identity, NoCallbacks, Recipient, plugin};
use age_core::format::{FileKey, Stanza};
use anyhow::{Result, anyhow};

use crate::model::hint::{Hint, with_hint};
use crate::model::outside::outside;
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
    Ok(Box::new(Outside(Arc::new(plugin))))
}

/// One plugin for each kind of recipient. Nobody is asked when keys are encrypted: runs do it unattended.
pub(super) fn recipients(
    all: &[plugin::Recipient],
    why: &Why,
) -> Result<Vec<impl Recipient + use<>>> {
    let names: BTreeSet<_> = all.iter().map(plugin::Recipient::plugin).collect();
    let plugins = names.into_iter().map(|name| {
        let asker = Asker {
            inner: NoCallbacks,
            name: format!("age-plugin-{name}"),
            unanswered: UNATTENDED,
            why: why.clone(),
        };
        plugin::RecipientPluginV1::new(name, all, &[], asker)
            .map(|plugin| Outside(Arc::new(plugin)))
            .map_err(|_| anyhow!("there is no `age-plugin-{name}` on PATH"))
            .hint(|| format!("install `age-plugin-{name}`, or take its recipients out"))
    });
    plugins.collect()
}

/// A plugin as the library has it, which starts it when it is asked: that is done outside of the confinement.
struct Outside<P>(Arc<P>);

impl<P: Identity + Send + Sync + 'static> Identity for Outside<P> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap_stanzas(slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        let plugin = Arc::clone(&self.0);
        let copied = |Stanza { tag, args, body }: &Stanza| Stanza {
            tag: tag.clone(),
            args: args.clone(),
            body: body.clone(),
        };
        let stanzas: Vec<_> = stanzas.iter().map(copied).collect();
        outside(move || plugin.unwrap_stanzas(&stanzas))
            .unwrap_or_else(|error| Some(Err(error.into())))
    }
}

impl<P: Recipient + Send + Sync + 'static> Recipient for Outside<P> {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let plugin = Arc::clone(&self.0);
        let file_key = FileKey::new(Box::new(*file_key.expose_secret()));
        outside(move || plugin.wrap_file_key(&file_key))?
    }
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
struct Asker<C> {
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
