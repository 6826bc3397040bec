//! creds.json: TYPE and credentials of providers. Its values never print.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value};

use crate::dnscontrol::config::Source;
use crate::dnscontrol::ir::Declaration;
use crate::dnscontrol::relaxed;
use crate::model::file;
use crate::model::hint::{Hint, with_hint};
use crate::model::lent;
use crate::model::outside::spawn;
use crate::model::provider::ProviderEntry;
use crate::model::secret::is_own_variable;

/// Entries that need not be written down.
/// The file that DNSControl takes.
pub(super) const DEFAULT_CREDS: &str = "creds.json";

const IMPLIED: [(&str, &str); 2] = [("none", "NONE"), ("bind", "BIND")];

/// All bits that let somebody execute a file.
const EXECUTABLE: u32 = 0o111;

/// Longest time that a command may take.
const TIME_LIMIT: Duration = Duration::from_mins(1);

/// The entry that is no provider: whom DNSControl and get-certs told of what they did.
const NOTIFICATIONS: &str = "notifications";

/// Looks up an environment variable.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The entries, as they were written. `Debug` shows names only.
pub(super) struct Creds {
    /// What the user calls it.
    shown: String,
    entries: Map<String, Value>,
    /// There is no such file.
    is_missing: bool,
}

impl Creds {
    /// Reads `source`: a path relative to `root`, or absolute, or `!command args`.
    ///
    /// A command, and an executable file whose name does not end with `.json`, is run in `root`,
    /// without a shell, and its standard output read; after a minute it is killed. A file that does not exist is empty: the
    /// implied entries `none` and `bind` need none.
    pub(super) fn read(source: &str, root: &Path) -> Result<Self> {
        if let Some(command) = source.strip_prefix('!') {
            let words = shlex::split(command).unwrap_or_default();
            let Some((program, arguments)) = words.split_first() else {
                return Err(anyhow!(
                    "`--creds` has no command after `!`, or quotes without an end"
                ))
                .hint(|| "write `--creds '!sops -d creds.json'`");
            };
            let mut command = Command::new(program);
            command.args(arguments);
            let output = run(command, program, root, TIME_LIMIT)?;
            return Self::parse(&output, &format!("output of `{program}`"));
        }
        let path = root.join(source);
        let shown = format!("`{source}`");
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            // Zones of BIND alone need none; one that was named is meant to be there.
            Err(error) if error.kind() == io::ErrorKind::NotFound && source == DEFAULT_CREDS => {
                return Ok(Self {
                    shown,
                    entries: Map::new(),
                    is_missing: true,
                });
            }
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot open {shown}"))
                    .hint(|| "`--creds` names a file of the DNS repository, or a command");
            }
        };
        ensure!(metadata.is_file(), "{shown} is not a file");
        let executable = metadata.permissions().mode() & EXECUTABLE == EXECUTABLE;
        let named_json = path
            .extension()
            .is_some_and(|extension| extension == "json");
        let bytes = if executable && !named_json {
            run(Command::new(&path), source, root, TIME_LIMIT)?
        } else {
            file::read(&path).with_context(|| format!("cannot read {shown}"))?
        };
        Self::parse(&bytes, &shown)
    }

    fn parse(bytes: &[u8], shown: &str) -> Result<Self> {
        let text = relaxed::decode(bytes)
            .with_context(|| format!("{shown} is neither UTF-8 nor UTF-16"))?;
        let strict = relaxed::to_json(&text);
        if strict.trim().is_empty() {
            return Ok(Self {
                shown: shown.to_owned(),
                entries: Map::new(),
                is_missing: false,
            });
        }
        let value: Value = serde_json::from_str(&strict)
            // serde_json's own words can quote a value.
            .map_err(|error| {
                anyhow!(
                    "{shown} is not JSON: line {}, column {}",
                    error.line(),
                    error.column()
                )
            })
            .hint(|| "comments and trailing commas are allowed; everything else must be JSON")?;
        match value {
            Value::Object(entries) => Ok(Self {
                shown: shown.to_owned(),
                entries,
                is_missing: false,
            }),
            _ => bail!("{shown} is not a JSON object of entries"),
        }
    }

    /// The entry of a provider that dnsconfig.js declares, checked.
    ///
    /// Only this entry has to be valid. A variable that is not set or empty makes an empty field, and the
    /// provider that needs the field names the variable.
    pub(super) fn provider(
        &self,
        declared: &Declaration,
        environment: Lookup<'_>,
    ) -> Result<ProviderEntry> {
        let name = &declared.name;
        let mut unset = BTreeMap::new();
        let mut fields = match self.entry(name)? {
            Some(written) => resolved(written, environment, &mut unset)
                .with_context(|| format!("cannot use the entry `{name}` in {}", self.shown))?,
            None => BTreeMap::new(),
        };
        let present = self.entry(name)?.is_some();
        let here = fields.remove("TYPE").filter(|kind| !kind.is_empty());
        let kind = match (declared_kind(declared), here) {
            (None, None) => return Err(self.no_type(name, present)),
            (Some(script), Some(here)) if script != here => {
                return Err(anyhow!(
                    "dnsconfig.js declares `{name}` as {script}, but its entry in {} has TYPE {here}",
                    self.shown
                ))
                .hint(|| {
                    format!("leave the type out of `NewDnsProvider(\"{name}\")`, or correct the entry")
                });
            }
            (_, Some(here)) => {
                ensure!(
                    here != "-",
                    "the entry `{name}` in {} has TYPE `-`",
                    self.shown
                );
                here
            }
            (Some(script), None) => script.to_owned(),
        };
        Ok(ProviderEntry {
            name: name.clone(),
            kind,
            fields,
            unset,
            meta: declared.meta.clone().unwrap_or_default(),
        })
    }

    fn no_type(&self, name: &str, present: bool) -> anyhow::Error {
        if present {
            with_hint(
                anyhow!("the entry `{name}` in {} has no TYPE", self.shown),
                "add `\"TYPE\": \"...\"` with the provider's name, such as `CLOUDFLAREAPI`",
            )
        } else if self.is_missing {
            with_hint(
                anyhow!(
                    "there is no {} with the credentials of `{name}`",
                    self.shown
                ),
                "it belongs into the DNS repository; `--creds` names another file or a command",
            )
        } else {
            with_hint(
                anyhow!("{} has no entry `{name}`", self.shown),
                format!(
                    "add `\"{name}\": {{\"TYPE\": \"...\"}}` with the credentials of the provider"
                ),
            )
        }
    }

    /// The fields of an entry, as they were written; none if it is not there.
    fn entry(&self, name: &str) -> Result<Option<BTreeMap<&str, &str>>> {
        let Some(entry) = self.entries.get(name) else {
            let implied = IMPLIED.iter().find(|(implied, _)| *implied == name);
            return Ok(implied.map(|(_, kind)| BTreeMap::from([("TYPE", *kind)])));
        };
        let Value::Object(fields) = entry else {
            bail!("the entry `{name}` in {} is not an object", self.shown);
        };
        let texts = fields.iter().map(|(key, value)| {
            let text = value.as_str().ok_or_else(|| {
                with_hint(
                    anyhow!(
                        "the entry `{name}` in {} has a value that is not a string: `{key}`",
                        self.shown
                    ),
                    "put the value in quotes",
                )
            })?;
            Ok((key.as_str(), text))
        });
        texts.collect::<Result<_>>().map(Some)
    }
}

/// The fields of the entry `notifications` that have a value; none if it is not there.
pub(crate) fn notifications(source: &Source) -> Result<BTreeMap<String, String>> {
    let creds = Creds::read(&source.creds, &source.root)?;
    let written = creds.entry(NOTIFICATIONS)?.unwrap_or_default();
    let environment = |variable: &str| std::env::var(variable).ok();
    let mut fields = resolved(written, &environment, &mut BTreeMap::new())
        .with_context(|| format!("cannot use the entry `{NOTIFICATIONS}` in {}", creds.shown))?;
    fields.retain(|_, value| !value.is_empty());
    Ok(fields)
}

impl fmt::Debug for Creds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries.keys()).finish()
    }
}

fn declared_kind(declared: &Declaration) -> Option<&str> {
    Some(declared.kind.as_str()).filter(|kind| !matches!(*kind, "" | "-"))
}

/// Replaces `$VAR`, which is always a whole value.
fn resolved(
    written: BTreeMap<&str, &str>,
    environment: Lookup<'_>,
    unset: &mut BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let mut fields = BTreeMap::new();
    for (key, text) in written {
        let value = match text.strip_prefix('$') {
            None => text.to_owned(),
            // Whoever may write creds.json must not get to see the account's key.
            Some(variable) if is_own_variable(variable) => {
                return Err(anyhow!(
                    "`{key}` is taken from `{variable}`, which no provider may see"
                ))
                .hint(|| "give the provider a variable of its own");
            }
            // CI systems set a variable to the empty string where its secret is missing.
            Some(variable) => environment(variable)
                .filter(|value| !value.is_empty())
                .unwrap_or_else(|| {
                    unset.insert(key.to_owned(), variable.to_owned());
                    String::new()
                }),
        };
        fields.insert(key.to_owned(), value);
    }
    Ok(fields)
}

fn run(mut command: Command, shown: &str, root: &Path, limit: Duration) -> Result<Vec<u8>> {
    // Our own variables hold the account's key and tokens.
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("GIT_CERTS_") {
            command.env_remove(variable);
        }
    }
    lent::lend(&mut command);
    let what = || format!("cannot run `{shown}`, which should print the credentials");
    command
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let child = spawn(command).with_context(what)?;
    let id = Pid::from_child(&child);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(output(child)));
    let (printed, status) = match receiver.recv_timeout(limit) {
        Ok(ended) => ended.with_context(what)?,
        Err(RecvTimeoutError::Disconnected) => {
            return Err(anyhow!("its thread ended").context(what()));
        }
        Err(RecvTimeoutError::Timeout) => {
            // The thread has yet to wait for the child, so the id is still its own.
            kill_process(id, Signal::KILL).with_context(|| format!("cannot end `{shown}`"))?;
            return Err(with_hint(
                anyhow!(
                    "`{shown}`, which should print the credentials, did not end within {} s",
                    limit.as_secs()
                ),
                "run it by hand: it may wait for a password or for a server",
            ));
        }
    };
    let printed = printed.with_context(|| {
        format!("cannot read what `{shown}` prints, which should be the credentials")
    })?;
    ensure!(
        status.success(),
        "`{shown}`, which should print the credentials, failed: {status}"
    );
    Ok(printed)
}

/// What a child prints, and how it ends: at the limit of files it is killed.
fn output(mut child: Child) -> io::Result<(io::Result<Vec<u8>>, ExitStatus)> {
    let printed = child
        .stdout
        .take()
        .map_or_else(|| Ok(Vec::new()), |pipe| file::whole(pipe, file::LARGEST));
    if printed.is_err() {
        child.kill()?;
    }
    Ok((printed, child.wait()?))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "fixtures in temporary folders")]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::model::hint::explain;

    fn declared(name: &str, kind: &str) -> Declaration {
        Declaration {
            name: name.to_owned(),
            kind: kind.to_owned(),
            meta: None,
        }
    }

    fn environment(variable: &str) -> Option<String> {
        (variable == "SET").then(|| "from the environment".to_owned())
    }

    fn creds(text: &str) -> Result<Creds> {
        Creds::parse(text.as_bytes(), "`creds.json`")
    }

    /// What the user reads when `name`, declared with `kind`, is asked for.
    fn refused(text: &str, name: &str, kind: &str) -> String {
        let result =
            creds(text).and_then(|creds| creds.provider(&declared(name, kind), &environment));
        let explained = explain(&result.unwrap_err());
        assert_eq!(explained.causes, [""; 0]);
        [vec![explained.what], explained.hints]
            .concat()
            .join("\nhint: ")
    }

    #[test]
    fn entries_are_read_when_they_are_needed() {
        let creds = creds(
            r#"{
                // the account of the company
                "x": {"TYPE": "POWERDNS", "apiUrl": "http://h/?a=$SET", "apiKey": "$SET", "gone": "$UNSET", "empty": "",},
                "broken": {"TYPE": 1}, /* nobody asks for it */
                "notifications": {"slack_url": "https://s"},
                "typeless": {"token": "t"}
            }"#,
        )
        .unwrap();
        let entry = creds.provider(&declared("x", "-"), &environment).unwrap();
        assert_eq!(entry.kind, "POWERDNS");
        assert_eq!(entry.field("apiKey"), Some("from the environment"));
        assert_eq!(entry.field("apiUrl"), Some("http://h/?a=$SET"));
        assert_eq!(entry.fields["gone"], "");
        assert!(!entry.fields.contains_key("TYPE"));
        let missing = |key| {
            let explained = explain(&entry.required(key).unwrap_err());
            format!("{}, {}", explained.what, explained.hints.join(", "))
        };
        assert_eq!(
            missing("gone"),
            "the entry `x` (POWERDNS) in `creds.json` takes `gone` from the environment variable `UNSET`, which is not set or empty, set `UNSET`"
        );
        assert_eq!(
            missing("empty"),
            "the entry `x` (POWERDNS) in `creds.json` has no `empty`, add `empty` to the entry"
        );
        let typeless = creds.provider(&declared("typeless", "DESEC"), &environment);
        assert_eq!(typeless.unwrap().kind, "DESEC");
        let absent = creds.provider(&declared("absent", "BIND"), &environment);
        assert_eq!(absent.unwrap().fields.len(), 0);
        assert_eq!(
            format!("{creds:?}"),
            r#"["x", "broken", "notifications", "typeless"]"#
        );
    }

    #[test]
    fn none_and_bind_are_implied() {
        let creds = creds(r#"{"bind": {"TYPE": "POWERDNS"}}"#).unwrap();
        let kind = |name| {
            creds
                .provider(&declared(name, ""), &environment)
                .unwrap()
                .kind
        };
        assert_eq!(
            (kind("none").as_str(), kind("bind").as_str()),
            ("NONE", "POWERDNS")
        );
        let empty = Creds::parse(b"\xef\xbb\xbf // nothing", "`creds.json`").unwrap();
        assert_eq!(
            empty
                .provider(&declared("bind", "-"), &environment)
                .unwrap()
                .kind,
            "BIND"
        );
    }

    #[test]
    fn mistakes_are_named_and_values_are_not() {
        for (text, kind, expected) in [
            (
                "{\n  \"x\": \"hunter2\" 1\n}",
                "-",
                "`creds.json` is not JSON: line 2, column 18\nhint: comments and trailing commas are allowed; everything else must be JSON",
            ),
            (
                "[\"hunter2\"]",
                "-",
                "`creds.json` is not a JSON object of entries",
            ),
            (
                "{\"x\": \"hunter2\"}",
                "-",
                "the entry `x` in `creds.json` is not an object",
            ),
            (
                "{\"x\": {\"port\": 443}}",
                "-",
                "the entry `x` in `creds.json` has a value that is not a string: `port`\nhint: put the value in quotes",
            ),
            (
                "{\"x\": {\"token\": \"hunter2\"}}",
                "-",
                "the entry `x` in `creds.json` has no TYPE\nhint: add `\"TYPE\": \"...\"` with the provider's name, such as `CLOUDFLAREAPI`",
            ),
            (
                "{\"y\": {\"token\": \"hunter2\"}}",
                "-",
                "`creds.json` has no entry `x`\nhint: add `\"x\": {\"TYPE\": \"...\"}` with the credentials of the provider",
            ),
            (
                "{\"x\": {\"TYPE\": \"-\"}}",
                "-",
                "the entry `x` in `creds.json` has TYPE `-`",
            ),
            (
                "{\"x\": {\"TYPE\": \"BIND\", \"token\": \"hunter2\"}}",
                "DESEC",
                "dnsconfig.js declares `x` as DESEC, but its entry in `creds.json` has TYPE BIND\nhint: leave the type out of `NewDnsProvider(\"x\")`, or correct the entry",
            ),
        ] {
            assert_eq!(refused(text, "x", kind), expected);
        }
    }

    #[test]
    fn commands_and_executable_files_are_run_without_a_shell() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let json = r#"{"x": {"TYPE": "BIND"}}"#;
        let script = format!("#!/bin/sh\necho '{json}'; pwd >&2\n");
        for (path, mode, text) in [
            ("script", "755", &*script),
            ("with space.json", "777", json),
        ] {
            fs::write(root.join("draft"), text).unwrap();
            // What this process wrote could not be run while a child of another test has a copy of the open file.
            let mut install = Command::new("install");
            let install = install.args(["-m", mode, "draft", path]).current_dir(root);
            assert!(install.status().unwrap().success());
        }
        for source in [
            "script",
            "with space.json",
            "!cat 'with space.json'",
            "!./script",
        ] {
            let creds = Creds::read(source, root).unwrap();
            assert_eq!(
                creds
                    .provider(&declared("x", "-"), &environment)
                    .unwrap()
                    .kind,
                "BIND"
            );
        }
        let refused = |source: &str| {
            let explained = explain(&Creds::read(source, root).unwrap_err());
            [vec![explained.what], explained.causes, explained.hints]
                .concat()
                .join("\n")
        };
        assert_eq!(
            refused("!cat $HOME"),
            "`cat`, which should print the credentials, failed: exit status: 1"
        );
        assert_eq!(
            refused("!no-such-command --token hunter2"),
            "cannot run `no-such-command`, which should print the credentials\nNo such file or directory"
        );
        for empty in ["!", "!cat 'x"] {
            assert_eq!(
                refused(empty),
                "`--creds` has no command after `!`, or quotes without an end\nwrite `--creds '!sops -d creds.json'`"
            );
        }
        assert_eq!(
            refused("!echo hunter2"),
            "output of `echo` is not JSON: line 1, column 1\ncomments and trailing commas are allowed; everything else must be JSON"
        );
        assert_eq!(refused("."), "`.` is not a file");
        let missing = Creds::read("creds.json", root).unwrap();
        assert_eq!(missing.entries.len(), 0);
    }

    fn is_killed(root: &Path) {
        let id = file::read_text(root.join("pid")).unwrap();
        let process = Path::new("/proc").join(id.trim());
        let until = Instant::now() + Duration::from_mins(1);
        while process.exists() {
            assert!(Instant::now() < until, "it still runs");
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_command_that_prints_without_an_end_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        // The signal of a closed pipe does not end it.
        let command = "!sh -c 'trap \"\" PIPE; echo $$ > pid; yes; exec sleep 60'";
        let error = explain(&Creds::read(command, root).unwrap_err());
        assert_eq!(
            [vec![error.what], error.causes].concat(),
            [
                "cannot read what `sh` prints, which should be the credentials",
                "it is larger than 64 MiB, which is the limit"
            ]
        );
        is_killed(root);
    }

    #[test]
    fn a_command_without_an_end_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let mut slow = Command::new("sh");
        slow.args(["-c", "echo $$ > pid; exec sleep 60"]);
        let error = run(slow, "slow", root, Duration::from_secs(5)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`slow`, which should print the credentials, did not end within 5 s"
        );
        is_killed(root);
    }
}
