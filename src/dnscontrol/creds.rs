//! creds.json: TYPE and credentials of providers. Its values never print.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Map, Value};

use crate::dnscontrol::ir::Declaration;
use crate::dnscontrol::relaxed;
use crate::model::hint::{Hint, with_hint};
use crate::model::provider::ProviderEntry;

/// Entries that need not be written down.
const IMPLIED: [(&str, &str); 2] = [("none", "NONE"), ("bind", "BIND")];

/// All bits that let somebody execute a file.
const EXECUTABLE: u32 = 0o111;

/// Looks up an environment variable.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The entries, as they were written. `Debug` shows names only.
pub(super) struct Creds {
    /// What the user calls it.
    shown: String,
    entries: Map<String, Value>,
}

impl Creds {
    /// Reads `source`: a path relative to `root`, or absolute, or `!command args`.
    ///
    /// A command, and an executable file whose name does not end with `.json`, is run in `root`,
    /// without a shell, and its standard output read. A file that does not exist is empty: the
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
            let output = run(Command::new(program).args(arguments), program, root)?;
            return Self::parse(&output, &format!("output of `{program}`"));
        }
        let path = root.join(source);
        let shown = format!("`{source}`");
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self {
                    shown,
                    entries: Map::new(),
                });
            }
            Err(error) => return Err(error).with_context(|| format!("cannot open {shown}")),
        };
        ensure!(metadata.is_file(), "{shown} is not a file");
        let executable = metadata.permissions().mode() & EXECUTABLE == EXECUTABLE;
        let bytes = if executable && !source.ends_with(".json") {
            run(&mut Command::new(&path), source, root)?
        } else {
            fs::read(&path).with_context(|| format!("cannot read {shown}"))?
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
            }),
            _ => bail!("{shown} is not a JSON object of entries"),
        }
    }

    /// The entry of a provider that dnsconfig.js declares, checked.
    ///
    /// Only this entry has to be valid. A variable that is not set makes an empty field, and the
    /// provider that needs the field names the variable.
    pub(super) fn provider(
        &self,
        declared: &Declaration,
        environment: Lookup<'_>,
    ) -> Result<ProviderEntry> {
        let name = &declared.name;
        let mut unset = BTreeMap::new();
        let mut fields = match self.entry(name)? {
            Some(written) => resolved(written, environment, &mut unset),
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
            meta: declared.meta.clone(),
        })
    }

    fn no_type(&self, name: &str, present: bool) -> anyhow::Error {
        if present {
            with_hint(
                anyhow!("the entry `{name}` in {} has no TYPE", self.shown),
                "add `\"TYPE\": \"...\"` with the provider's name, such as `CLOUDFLAREAPI`",
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
) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    for (key, text) in written {
        let value = match text.strip_prefix('$') {
            None => text.to_owned(),
            Some(variable) => environment(variable).unwrap_or_else(|| {
                unset.insert(key.to_owned(), variable.to_owned());
                String::new()
            }),
        };
        fields.insert(key.to_owned(), value);
    }
    fields
}

fn run(command: &mut Command, shown: &str, root: &Path) -> Result<Vec<u8>> {
    let output = command
        .current_dir(root)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run `{shown}`, which should print the credentials"))?;
    ensure!(
        output.status.success(),
        "`{shown}`, which should print the credentials, failed: {}",
        output.status
    );
    Ok(output.stdout)
}
