//! BIND: zone files in a directory.

use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use time::OffsetDateTime;
use tokio::process::Command;

use crate::model::change::{Effect, TxtBatch, with_effect};
use crate::model::file;
use crate::model::hint::{Hint, with_hint};
use crate::model::name::DnsName;
use crate::model::outside::{outside, spawn_async};
use crate::model::provider::ProviderEntry;
use crate::model::zone::{Record, ZoneRef};
use crate::provider::ended::Ended;
use crate::provider::port::{Answer, DnsProvider, Quirks, Unread};
use crate::provider::registry::{Context, Field, Spec, default_nameservers};
use crate::provider::{written, zonefile};

pub(super) const SPEC: Spec = Spec {
    kind: "BIND",
    name: "zone files (BIND, NSD, Knot, ...)",
    api: "https://www.rfc-editor.org/rfc/rfc1035#section-5",
    fields: &[
        Field {
            key: "directory",
            required: false,
            help: "where the zone files are, relative to the DNS repository; default: `zones`; must be \
                   absolute where that repository is cloned",
        },
        Field {
            key: "filenameformat",
            required: false,
            help: "DNSControl's format of a file's name; default: `%c.zone`",
        },
        Field {
            key: "_reload_command",
            required: false,
            help: "program and arguments that make the name server read the files again, such as \
                   `rndc reload %z` (`%z`: the zone); run after each change, without a shell, with \
                   nothing but `PATH` and `HOME` in its environment, for 60 seconds at most; \
                   another exit code than 0 is an error; default: nothing is run; git-certs only",
        },
    ],
    notes: &[
        "the right to write the files and their folder, and to run the reload command, is enough",
        "a zone file is edited in place: comments and layout stay, the SOA serial goes up",
        "the files must be the ones that the name server reads: no commit or deployment is made",
        "`$INCLUDE` and `$GENERATE` are not supported",
        "SOA records are compared where `dnsconfig.js` declares them; the serial is not",
    ],
    scope: "the zone files must be writable",
    rates: &[],
    connect,
};

/// Longest run of the reload command.
const RELOAD_TIMEOUT: Duration = Duration::from_mins(1);

/// A directory of zone files.
struct Bind {
    entry: String,
    directory: PathBuf,
    format: String,
    /// Program and arguments; empty for none.
    reload: Vec<String>,
    nameservers: Vec<DnsName>,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let directory = Path::new(entry.field("directory").unwrap_or("zones"));
    if context.dns_root_is_temporary && directory.is_relative() {
        return Err(with_hint(
            anyhow!(
                "`creds.json` entry `{}` (BIND): the zone files in `{}` are in a temporary clone, which no name server reads",
                entry.name,
                directory.display()
            ),
            format!(
                "skip the entry with `--skip {}`, give it an absolute `directory`, or run in a checkout",
                entry.name
            ),
        ));
    }
    let format = entry.field("filenameformat").unwrap_or("%c.zone");
    // Whether a format is good does not depend on the zone.
    file_name(format, ("example.com", "example.com"), "").with_context(|| {
        format!(
            "bad `filenameformat` in `creds.json` entry `{}`",
            entry.name
        )
    })?;
    let reload = match entry.field("_reload_command") {
        None => Vec::new(),
        Some(line) => shlex::split(line)
            .filter(|words| !words.is_empty())
            .ok_or_else(|| {
                anyhow!(
                    "`_reload_command` in `creds.json` entry `{}` is no command line",
                    entry.name
                )
            })?,
    };
    Ok(Box::new(Bind {
        entry: entry.name.clone(),
        directory: context.dns_root.join(directory),
        format: format.to_owned(),
        reload,
        nameservers: default_nameservers(entry)?,
    }))
}

impl fmt::Debug for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bind({})", self.entry)
    }
}

impl DnsProvider for Bind {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        Box::pin(async move {
            let (path, text) = self.read(zone)?;
            zonefile::records(&text, zone.name).with_context(|| self.failed("read", &path))
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        Box::pin(written::watched(async move {
            if batch.add.is_empty() && batch.remove.is_empty() {
                return Ok(());
            }
            let (path, text) = self.read(zone)?;
            let edited = zonefile::edit(&text, zone.name, batch, today())
                .with_context(|| self.failed("change", &path))?;
            if let Some(edited) = edited {
                let file = path.clone();
                let folder = outside(move || replace(&file, &edited))
                    .map_err(anyhow::Error::from)
                    .flatten()
                    .with_context(|| self.failed("change", &path))?;
                written::note();
                folder
                    .sync_all()
                    .with_context(|| self.failed("change", &path))?;
            }
            // Also where nothing changed: an earlier reload may have failed.
            let reload = self.reload(zone).await;
            reload.map_err(|error| with_effect(error, Effect::Untold))
        }))
    }

    fn unread(&self, zone: ZoneRef<'_>) -> Option<Unread> {
        let (_, text) = self.read(zone).ok()?;
        let records = zonefile::records(&text, zone.name).ok()?;
        let soa = records.iter().find(|record| record.rtype == "SOA")?;
        let serial = soa.data.split(' ').nth(2)?.parse().ok()?;
        let field = format!("`_reload_command` of `creds.json` entry `{}`", self.entry);
        Some(Unread {
            serial,
            remedy: if self.reload.is_empty() {
                format!(
                    "nothing makes the name server read its file again: name the command that does in {field}, \
                     such as `rndc reload %z`"
                )
            } else {
                format!(
                    "{field} ended well, but the name server has not read the file: run it by hand, and see the \
                     server's log"
                )
            },
        })
    }

    fn nameservers<'a>(&'a self, _: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        Box::pin(async { Ok(self.nameservers.clone()) })
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks {
            keeps_undeclared_soa: true,
            ..Quirks::default()
        }
    }
}

impl Bind {
    fn failed(&self, verb: &str, path: &Path) -> String {
        format!(
            "cannot {verb} zone file `{}` (`creds.json` entry `{}`)",
            path.display(),
            self.entry
        )
    }

    fn read(&self, zone: ZoneRef<'_>) -> Result<(PathBuf, String)> {
        let path = self.path(zone)?;
        let text = file::read_text(&path)
            .with_context(|| self.failed("read", &path))
            .hint(|| {
                format!(
                    "check `directory` and `filenameformat` in `creds.json` entry `{}`",
                    self.entry
                )
            })?;
        Ok((path, text))
    }

    /// The file of a zone. DNSControl's `%r`, `%D` and `%U` stand for the name as `D()` has it,
    /// which may be in Unicode.
    fn path(&self, zone: ZoneRef<'_>) -> Result<PathBuf> {
        let ascii = zone.name.as_str();
        let unicode = idna::domain_to_unicode(ascii).0;
        let named = |raw: &str| -> Result<PathBuf> {
            let name = file_name(&self.format, (ascii, raw), zone.tag)?;
            Ok(self.directory.join(name))
        };
        let path = named(ascii)?;
        if unicode != ascii && !path.exists() {
            return named(&unicode);
        }
        Ok(path)
    }

    async fn reload(&self, zone: ZoneRef<'_>) -> Result<()> {
        let Some((program, arguments)) = self.reload.split_first() else {
            return Ok(());
        };
        let failed = || {
            format!(
                "`_reload_command` in `creds.json` entry `{}` failed for zone `{zone}`",
                self.entry
            )
        };
        let arguments = arguments
            .iter()
            .map(|argument| argument.replace("%z", zone.name.as_str()));
        let environment = ["PATH", "HOME"]
            .into_iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let ended = async { Ended::of(spawn_async(command)?).await };
        let ended = tokio::time::timeout(RELOAD_TIMEOUT, ended)
            .await
            .map_err(|_| anyhow!("no end after {} s", RELOAD_TIMEOUT.as_secs()))
            .and_then(|ended| ended.with_context(|| format!("cannot run `{program}`")))
            .with_context(failed)?;
        if ended.status.success() {
            return Ok(());
        }
        Err(anyhow!(ended.words())).with_context(failed)
    }
}

fn today() -> u32 {
    let date = OffsetDateTime::now_utc().date();
    let year = u32::try_from(date.year()).unwrap_or_default();
    year * 10_000 + u32::from(u8::from(date.month())) * 100 + u32::from(date.day())
}

/// DNSControl's verbs of `filenameformat`; `names` are the name in ASCII and as `D()` has it.
fn file_name(format: &str, names: (&str, &str), tag: &str) -> Result<String> {
    let (ascii, raw) = names;
    let with_tag = |name: &str, separator: &str| {
        let separator = if tag.is_empty() { "" } else { separator };
        format!("{name}{separator}{tag}")
    };
    let mut result = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            result.push(character);
            continue;
        }
        let verb = characters.next();
        let text = match verb {
            Some('%') => "%".to_owned(),
            Some('a') => ascii.to_owned(),
            Some('u') => idna::domain_to_unicode(ascii).0,
            Some('r' | 'D') => raw.to_owned(),
            Some('c') => with_tag(ascii, "!"),
            Some('U') => with_tag(raw, "!"),
            Some('f') => with_tag(ascii, "_"),
            Some('F') if tag.is_empty() => ascii.to_owned(),
            Some('F') => format!("{tag}_{ascii}"),
            Some('T') => tag.to_owned(),
            Some('?') => match characters.next() {
                Some(_) if tag.is_empty() => String::new(),
                Some(optional) => optional.to_string(),
                None => bail!("`{format}` ends in `%?`"),
            },
            Some(other) => bail!("`{format}` has an unknown verb `%{other}`"),
            None => bail!("`{format}` ends in `%`"),
        };
        result.push_str(&text);
    }
    Ok(result)
}

/// Replaces a file whole; its mode and owner stay, and a symbolic link still leads to it. The folder has yet to reach
/// the disk.
fn replace(path: &Path, text: &str) -> Result<File> {
    let path = path.canonicalize()?;
    let folder = path.parent().context("no folder")?;
    let before = fs::metadata(&path)?;
    let mut file = tempfile::Builder::new()
        .prefix(".git-certs-")
        .tempfile_in(folder)
        .with_context(|| format!("cannot write in `{}`", folder.display()))?;
    file.write_all(text.as_bytes())?;
    let after = file.as_file().metadata()?;
    if (before.uid(), before.gid()) != (after.uid(), after.gid()) {
        chown(file.path(), Some(before.uid()), Some(before.gid()))
            .context("cannot keep the owner of the file")
            .hint(|| "run as the owner of the zone files")?;
    }
    file.as_file().set_permissions(before.permissions())?;
    file.as_file().sync_all()?;
    let folder = File::open(folder)?;
    // The error would hold the temporary file, and who drops that later may be confined and unable to remove it.
    file.persist(&path).map_err(|error| error.error)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::model::change::Txt;
    use crate::model::hint::explain;
    use crate::provider::servers::{context, entry};

    const FILE: &str = "@ 60 IN SOA ns1 host 1 1 1 1 1\n@ NS ns1 ; stays\n";

    fn bind(folder: &Path, fields: &[(&str, &str)]) -> Result<Box<dyn DnsProvider>> {
        let entry = ProviderEntry {
            name: "files".into(),
            ..entry("BIND", fields)
        };
        let context = Context {
            dns_root: folder.to_owned(),
            ..context()
        };
        connect(&entry, &context)
    }

    fn add(name: &str) -> TxtBatch {
        TxtBatch::adding(vec![Txt {
            name: name.parse().unwrap(),
            value: "x".to_owned(),
        }])
    }

    fn shown(error: &anyhow::Error) -> (String, Vec<String>) {
        let explained = explain(error);
        let lines = [vec![explained.what], explained.causes].concat();
        (lines.join(": "), explained.hints)
    }

    #[test]
    fn file_names_follow_the_format() {
        for (format, plain, tagged) in [
            ("%c.zone", "xn--p1ai.com.zone", "xn--p1ai.com!in.zone"),
            ("db_%f", "db_xn--p1ai.com", "db_xn--p1ai.com_in"),
            ("%F", "xn--p1ai.com", "in_xn--p1ai.com"),
            ("db_%a%?_%T", "db_xn--p1ai.com", "db_xn--p1ai.com_in"),
            ("%u", "рф.com", "рф.com"),
            ("%U/%D/%r", "raw/raw/raw", "raw!in/raw/raw"),
            ("100%%", "100%", "100%"),
        ] {
            let names = ("xn--p1ai.com", "raw");
            assert_eq!(file_name(format, names, "").unwrap(), plain);
            assert_eq!(file_name(format, names, "in").unwrap(), tagged);
        }
        for (format, error) in [
            ("%", "`%` ends in `%`"),
            ("%?", "`%?` ends in `%?`"),
            ("%x", "`%x` has an unknown verb `%x`"),
        ] {
            let found = file_name(format, ("a", "a"), "").unwrap_err();
            assert_eq!(found.to_string(), error);
        }
    }

    #[tokio::test]
    async fn a_change_keeps_mode_and_link_and_leaves_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real.zone");
        File::create(&real)
            .unwrap()
            .write_all(FILE.as_bytes())
            .unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        let link = folder.path().join("example.com!in.zone");
        std::os::unix::fs::symlink("real.zone", &link).unwrap();
        let provider = bind(folder.path(), &[("directory", ".")]).unwrap();
        let name: DnsName = "example.com".parse().unwrap();
        let zone = ZoneRef {
            tag: "in",
            ..ZoneRef::from(&name)
        };
        provider.change(zone, &add("a.example.com")).await.unwrap();
        assert!(link.is_symlink());
        assert_eq!(
            file::read_text(&real).unwrap(),
            FILE.replace("host 1", "host 2") + "a.example.com. 60 IN TXT \"x\"\n"
        );
        assert_eq!(
            fs::metadata(&real).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[tokio::test]
    async fn the_reload_command_gets_the_zone_and_a_clean_environment() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("example.com.zone");
        File::create(&file)
            .unwrap()
            .write_all(FILE.as_bytes())
            .unwrap();
        let name: DnsName = "example.com".parse().unwrap();
        let run = async |command: &str| {
            let fields = [("directory", "."), ("_reload_command", command)];
            let provider = bind(folder.path(), &fields).unwrap();
            provider
                .change((&name).into(), &add("a.example.com"))
                .await
                .map_err(|error| shown(&error).0)
        };
        assert_eq!(run("true").await, Ok(()));
        let failed =
            "`_reload_command` in `creds.json` entry `files` failed for zone `example.com`";
        assert_eq!(
            run("sh -c 'echo no $0 >&2; exit 3' %z").await,
            Err(format!("{failed}: exit status: 3: no example.com"))
        );
        assert_eq!(
            run("sh -c 'env | grep -vE \"^(PATH|HOME|PWD|SHLVL|_)=\"; exit 4'").await,
            Err(format!("{failed}: exit status: 4"))
        );
        // Of much that it prints the beginning is kept, and it is not held up.
        let flood = "sh -c '{ head -c 1048576 /dev/zero | tr \"\\0\" a; seq 100000; } >&2; exit 5'";
        assert_eq!(
            run(flood).await,
            Err(format!("{failed}: exit status: 5: {}", "a".repeat(600)))
        );
        assert_eq!(
            run("/nonexistent/rndc").await,
            Err(format!(
                "{failed}: cannot run `/nonexistent/rndc`: No such file or directory"
            ))
        );
    }

    #[tokio::test]
    async fn errors_name_file_and_entry() {
        let folder = tempfile::tempdir().unwrap();
        let name: DnsName = "example.com".parse().unwrap();
        let provider = bind(folder.path(), &[]).unwrap();
        let path = folder.path().join("zones/example.com.zone");
        assert_eq!(
            shown(&provider.records((&name).into()).await.unwrap_err()),
            (
                format!(
                    "cannot read zone file `{}` (`creds.json` entry `files`): No such file or directory",
                    path.display()
                ),
                vec![
                    "check `directory` and `filenameformat` in `creds.json` entry `files`"
                        .to_owned()
                ]
            )
        );
        for (field, value, expected) in [
            (
                "filenameformat",
                "%x",
                "bad `filenameformat` in `creds.json` entry `files`: `%x` has an unknown verb `%x`",
            ),
            (
                "_reload_command",
                "rndc 'x",
                "`_reload_command` in `creds.json` entry `files` is no command line",
            ),
        ] {
            let error = bind(folder.path(), &[(field, value)]).unwrap_err();
            assert_eq!(shown(&error).0, expected);
        }
    }

    #[test]
    fn zone_files_in_a_temporary_clone_are_refused() {
        let entry = ProviderEntry {
            name: "files".into(),
            ..entry("BIND", &[])
        };
        let context = Context {
            dns_root_is_temporary: true,
            ..context()
        };
        assert_eq!(
            shown(&connect(&entry, &context).unwrap_err()),
            (
                "`creds.json` entry `files` (BIND): the zone files in `zones` are in a temporary clone, which no name server reads".to_owned(),
                vec![
                    "skip the entry with `--skip files`, give it an absolute `directory`, or run in a checkout".to_owned()
                ]
            )
        );
    }
}
