//! Secrets of a key-value engine, of either version: <https://openbao.org/api-docs/secret/kv/>.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde_json::Value;

use crate::model::hint::{Hint, find};
use crate::model::secret::Secret;
use crate::net::http::Repeat;
use crate::repo::vault::examine::is_forbidden;
use crate::repo::vault::login::Told;
use crate::repo::vault::server::{Failure, Question, Server, json};

/// What a secret holds: texts.
pub(super) type Fields = BTreeMap<String, Secret>;

/// A folder of secrets in an engine.
#[derive(Debug)]
pub(super) struct Kv {
    server: Server,
    /// Path of the engine.
    mount: Vec<String>,
    /// Path in it.
    folder: Vec<String>,
    /// Version 2: what is written names the version that it follows.
    has_versions: bool,
}

/// A secret as it is now.
pub(super) struct Found {
    /// None where there is none.
    pub(super) fields: Option<Fields>,
    /// What is no text, and so somebody else's.
    others: BTreeMap<String, Value>,
    /// The version that the next one follows; 0 before the first, and where the engine has none.
    version: u64,
}

/// What an engine of version 2 shows of a secret.
#[derive(Clone, Copy, Debug)]
pub(super) enum View {
    /// Its fields.
    Data,
    /// Its versions.
    Metadata,
}

/// Whether something was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Done,
    /// Somebody else has written meanwhile, and nothing was.
    Lost,
}

impl Kv {
    /// Finds the engine that a path leads to, and its version.
    pub(super) async fn find(server: Server, token: &Secret, path: &str) -> Result<Self> {
        let words: Vec<_> = path.split('/').filter(|word| !word.is_empty()).collect();
        if words.is_empty() || words.iter().any(|word| [".", ".."].contains(word)) {
            return Err(anyhow!("`{path}` of `--vault-path` is no path"))
                .hint(|| "it takes the path of a key-value engine and a folder in it, such as `secret/certs`");
        }
        let path = words.join("/");
        let question = Question {
            method: Method::GET,
            path: ["sys", "internal", "ui", "mounts"]
                .into_iter()
                .chain(words.iter().copied())
                .collect(),
            token: Some(token),
            body: None,
            repeat: Repeat::Safe,
        };
        let answer = server.ask(question).await;
        let answer = answer.with_context(|| {
            format!("cannot find out which engine `{path}` of Vault belongs to")
        })?;
        let data = answer.get("data").unwrap_or(&Value::Null);
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let kind = text(data.get("type")).unwrap_or_default();
        // What key-value engines were called before there was a second version.
        if !["kv", "generic"].contains(&kind.as_str()) {
            return Err(anyhow!(
                "`{path}` of Vault belongs to an engine of kind `{kind}`"
            ))
            .hint(|| "`--vault-path` takes a path in a key-value engine (`kv`)");
        }
        let mount = text(data.get("path")).unwrap_or_default();
        let mount: Vec<_> = mount
            .split('/')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        let version = data
            .get("options")
            .and_then(|options| options.get("version"));
        let owned = words.iter().map(|word| (*word).to_owned());
        Ok(Self {
            folder: owned.skip(mount.len()).collect(),
            mount,
            has_versions: text(version).as_deref() == Some("2"),
            server,
        })
    }

    /// The path of a secret, as people write it.
    pub(super) fn shown(&self, at: &[&str]) -> String {
        let folder = self.mount.iter().chain(&self.folder).map(String::as_str);
        folder
            .chain(at.iter().copied())
            .collect::<Vec<_>>()
            .join("/")
    }

    /// Reads a secret.
    pub(super) async fn read(&self, token: &Secret, at: &[&str]) -> Result<Found> {
        let context = || format!("cannot read `{}` in Vault", self.shown(at));
        let question = self.question(Method::GET, View::Data, at, token);
        let answer = match self.server.ask(question).await {
            Ok(answer) => answer,
            Err(error) => match find::<Failure>(&error) {
                Some(failure) if failure.status == StatusCode::NOT_FOUND => failure.answer.clone(),
                _ => return Err(error).with_context(context),
            },
        };
        let data = answer.get("data");
        let (data, version) = if self.has_versions {
            let metadata = data.and_then(|data| data.get("metadata"));
            let version = metadata.and_then(|metadata| metadata.get("version"));
            (data.and_then(|data| data.get("data")), version)
        } else {
            (data, None)
        };
        let data = data.and_then(Value::as_object);
        let fields = data.map(|fields| {
            let texts = fields.iter().filter_map(|(name, value)| {
                Some((name.clone(), Secret::from(value.as_str()?.to_owned())))
            });
            texts.collect()
        });
        let others = data.into_iter().flatten();
        let others = others.filter(|(_, value)| !value.is_string());
        Ok(Found {
            fields,
            others: others
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            version: version.and_then(Value::as_u64).unwrap_or_default(),
        })
    }

    /// What the folder has: names of secrets, and of folders with a final `/`. None where the token may not list it.
    pub(super) async fn list(&self, token: &Secret) -> Result<Option<Vec<String>>> {
        let method = Method::from_bytes(b"LIST").context("cannot make the request")?;
        let question = self.question(method, View::Metadata, &[], token);
        let answer = match self.server.ask(question).await {
            Ok(answer) => answer,
            Err(error) => match find::<Failure>(&error).map(|failure| failure.status) {
                Some(StatusCode::NOT_FOUND) => Value::Null,
                Some(StatusCode::FORBIDDEN) => return Ok(None),
                _ => {
                    let context = format!("cannot list `{}` in Vault", self.shown(&[]));
                    return Err(error.context(context));
                }
            },
        };
        let keys = answer.get("data").and_then(|data| data.get("keys"));
        let keys = keys.and_then(Value::as_array).into_iter().flatten();
        let keys = keys.filter_map(|key| Some(key.as_str()?.to_owned()));
        Ok(Some(keys.collect()))
    }

    /// The line of a policy that lets a token list the folder.
    pub(super) fn listing_policy(&self) -> String {
        policy(
            &format!("{}/", self.path(View::Metadata, &[]).join("/")),
            &["list"],
        )
    }

    /// Writes a secret after what was found there. What is no text stays.
    pub(super) async fn write(
        &self,
        token: &Secret,
        at: &[&str],
        (fields, after): (&Fields, &Found),
    ) -> Result<Written> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Field<'a> {
            Text(Told<'a>),
            Other(&'a Value),
        }
        #[derive(Serialize)]
        struct Versioned<'a> {
            data: &'a BTreeMap<&'a str, Field<'a>>,
            options: Options,
        }
        #[derive(Serialize)]
        struct Options {
            cas: u64,
        }
        let others = after.others.iter();
        let others = others.map(|(name, value)| (name.as_str(), Field::Other(value)));
        let texts = fields.iter();
        let texts = texts.map(|(name, value)| (name.as_str(), Field::Text(Told(value))));
        // Of two the later one is written.
        let data: BTreeMap<_, _> = others.chain(texts).collect();
        let body = if self.has_versions {
            let cas = after.version;
            json(&Versioned {
                data: &data,
                options: Options { cas },
            })?
        } else {
            json(&data)?
        };
        let question = Question {
            body,
            ..self.question(Method::POST, View::Data, at, token)
        };
        match self.server.ask(question).await {
            Ok(_) => Ok(Written::Done),
            Err(error) if find::<Failure>(&error).is_some_and(Failure::is_lost_race) => {
                Ok(Written::Lost)
            }
            Err(error) => {
                Err(error).with_context(|| format!("cannot write `{}` in Vault", self.shown(at)))
            }
        }
    }

    /// Removes a secret, with its versions before.
    pub(super) async fn remove(&self, token: &Secret, at: &[&str]) -> Result<()> {
        let question = self.question(Method::DELETE, View::Metadata, at, token);
        let removed = self.server.ask(question).await;
        removed.with_context(|| format!("cannot remove `{}` in Vault", self.shown(at)))?;
        Ok(())
    }

    /// Which of these secrets the token may not write; none where it may not even ask that.
    pub(super) async fn forbidden(
        &self,
        token: &Secret,
        secrets: &[Vec<&str>],
    ) -> Result<Vec<String>> {
        let paths = secrets.iter().map(|at| self.policy_path(View::Data, at));
        let allowed = self.capabilities(token, &paths.collect::<Vec<_>>()).await?;
        let may_write = |allowed: &Vec<String>| {
            let has = |word: &str| allowed.iter().any(|allowed| allowed == word);
            has("root") || (has("create") && has("update"))
        };
        let pairs = allowed.unwrap_or_default().into_iter().zip(secrets);
        let forbidden = pairs.filter(|(allowed, _)| !may_write(allowed));
        Ok(forbidden.map(|(_, at)| self.shown(at)).collect())
    }

    /// What the token may do at each of these paths of policies; none where it may not ask that.
    pub(super) async fn capabilities(
        &self,
        token: &Secret,
        paths: &[String],
    ) -> Result<Option<Vec<Vec<String>>>> {
        let question = Question {
            method: Method::POST,
            path: vec!["sys", "capabilities-self"],
            token: Some(token),
            body: json(&BTreeMap::from([("paths", &paths)]))?,
            repeat: Repeat::Safe,
        };
        let answer = match self.server.ask(question).await {
            Ok(answer) => answer,
            Err(error) if is_forbidden(&error) => return Ok(None),
            Err(error) => return Err(error.context("cannot find out what the Vault token may do")),
        };
        let data = answer.get("data").unwrap_or(&answer);
        let words = |path: &String| {
            let all = data.get(path).and_then(Value::as_array);
            let all = all.into_iter().flatten().filter_map(Value::as_str);
            all.map(str::to_owned).collect()
        };
        Ok(Some(paths.iter().map(words).collect()))
    }

    /// A path as policies name it.
    pub(super) fn policy_path(&self, view: View, at: &[&str]) -> String {
        self.path(view, at).join("/")
    }

    /// The path that is listed, as policies name it.
    pub(super) fn listed_path(&self) -> String {
        format!("{}/", self.policy_path(View::Metadata, &[]))
    }

    /// Path of the engine, if it keeps no older versions.
    pub(super) fn without_versions(&self) -> Option<String> {
        (!self.has_versions).then(|| self.mount.join("/"))
    }

    fn question<'a>(
        &'a self,
        method: Method,
        view: View,
        at: &[&'a str],
        token: &'a Secret,
    ) -> Question<'a> {
        Question {
            method,
            path: self.path(view, at),
            token: Some(token),
            body: None,
            repeat: Repeat::Safe,
        }
    }

    /// In the second version the engine has several views of a secret.
    fn path<'a>(&'a self, view: View, at: &[&'a str]) -> Vec<&'a str> {
        let mount = self.mount.iter().map(String::as_str);
        let view = self.has_versions.then_some(match view {
            View::Data => "data",
            View::Metadata => "metadata",
        });
        let folder = self.folder.iter().map(String::as_str);
        mount
            .chain(view)
            .chain(folder)
            .chain(at.iter().copied())
            .collect()
    }
}

/// A line of a policy.
pub(super) fn policy(path: &str, capabilities: &[&str]) -> String {
    let quoted: Vec<_> = capabilities
        .iter()
        .map(|word| format!("\"{word}\""))
        .collect();
    format!(
        "path \"{path}\" {{ capabilities = [{}] }}",
        quoted.join(", ")
    )
}
