//! A configuration that declares TXT values beside everything that dnsconfig.js declares.
//!
//! It stands in the folder of dnsconfig.js, as `require()` resolves a path that begins with a dot
//! from the file that it is in, and all others from the working directory. The language goes the
//! same way in all versions, unlike IR, which loses records when it is read back
//! (<https://github.com/DNSControl/dnscontrol/issues/4854>).

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::model::change::Txt;
use crate::model::hint::Hint;
use crate::model::name::DnsName;
use crate::model::outside::outside;
use crate::model::zone::Zone;

/// Beginning of the files' names.
const PREFIX: &str = ".git-certs-";

/// End of the files' names: not `.js`, which `require_glob()` would load once more.
const SUFFIX: &str = ".dnscontrol";

/// Permissions of the files are those of the user alone: variables may be secret.
const MODE: u32 = 0o600;

/// A file of ours that nobody has locked and that is older than this was left by a killed run.
///
/// A run locks its file right after it made it.
const ABANDONED: Duration = Duration::from_mins(1);

/// What the configuration says of a zone besides.
pub(super) struct Extension<'a> {
    pub(super) zone: &'a Zone,
    /// Values, and their TTL in seconds.
    pub(super) values: Vec<(&'a Txt, u32)>,
    /// Names that values are taken from.
    pub(super) removed: Vec<&'a DnsName>,
}

/// The file. It is removed on drop, and locked until then.
#[derive(Debug)]
pub(super) struct Wrapper {
    path: PathBuf,
    /// Held, never read.
    _locked: File,
}

impl Wrapper {
    /// Writes the text beside dnsconfig.js, and removes what killed runs left there.
    pub(super) fn write(folder: &Path, text: &str) -> Result<Self> {
        let (at, text) = (folder.to_owned(), text.to_owned());
        let written = outside(move || {
            remove_abandoned(&at);
            Self::write_new(&at, &text)
        });
        written
            .map_err(anyhow::Error::from)
            .flatten()
            .with_context(|| {
                format!(
                    "cannot write a configuration for `dnscontrol` into `{}`",
                    folder.display()
                )
            })
            .hint(|| "it has to stand beside `dnsconfig.js` for a moment: make the folder writable")
    }

    fn write_new(folder: &Path, text: &str) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;

        let mut file = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(SUFFIX)
            .permissions(std::fs::Permissions::from_mode(MODE))
            .tempfile_in(folder)?;
        file.as_file().try_lock()?;
        file.write_all(text.as_bytes())?;
        let (locked, path) = file.keep()?;
        Ok(Self {
            path,
            _locked: locked,
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Wrapper {
    fn drop(&mut self) {
        let path = self.path.clone();
        // What stays is removed by a later run.
        let _ = outside(move || std::fs::remove_file(path));
    }
}

/// What cannot be removed is somebody else's.
fn remove_abandoned(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_wrapper = name
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        if is_wrapper && is_abandoned(&entry.path()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn is_abandoned(path: &Path) -> bool {
    let is_old = |file: &File| {
        let changed = file.metadata().and_then(|found| found.modified());
        changed.is_ok_and(|changed| {
            SystemTime::now()
                .duration_since(changed)
                .is_ok_and(|age| age > ABANDONED)
        })
    };
    // To open a pipe could take for ever.
    path.symlink_metadata().is_ok_and(|found| found.is_file())
        && File::open(path).is_ok_and(|file| is_old(&file) && file.try_lock().is_ok())
}

/// The configuration's text.
///
/// `config` is the file name of dnsconfig.js; `variables` are set here and not by `--variable`,
/// since arguments can be seen by every user and DNSControl splits them at commas.
pub(super) fn text(
    config: &str,
    variables: &[(String, String)],
    extensions: &[Extension<'_>],
) -> String {
    let mut text =
        "// Made by git-certs for one run of dnscontrol, and removed after it.\n".to_owned();
    for (name, value) in variables {
        text += &format!("this[{}] = {};\n", quote(name), quote(value));
    }
    text += &format!("require({});\n", quote(&format!("./{config}")));
    // A push would also change the delegation at the registrar of a zone
    // (`commands/ppreviewPush.go`), which is not ours to do: these zones have none.
    text += "(function (none) {\n";
    for extension in extensions {
        text += &extension.text();
    }
    text + "})(NewRegistrar(\"none\"));\n"
}

impl Extension<'_> {
    fn text(&self) -> String {
        let zone = self.zone;
        let mut parts = vec![self.modifier()];
        for (txt, ttl) in &self.values {
            parts.push(format!(
                "TXT({}, {}, TTL({ttl}))",
                label(&txt.name, zone),
                quote(&txt.value)
            ));
        }
        // Without this, records that are not declared stay.
        if zone.no_purge {
            for name in &self.removed {
                parts.push(format!(
                    "TXT({}, \"removed\", ENSURE_ABSENT_REC())",
                    label(name, zone)
                ));
            }
        }
        let declared = quote(&declared_name(zone));
        format!("  D_EXTEND({declared},\n    {});\n", parts.join(",\n    "))
    }

    /// What changes about the zone itself.
    fn modifier(&self) -> String {
        let mut steps = "domain.registrar = none;".to_owned();
        let changes = !self.values.is_empty() || !self.removed.is_empty();
        if changes && !self.zone.ignore.is_empty() {
            let ignored = self.ignored();
            for index in ignored.iter().rev() {
                steps += &format!(" domain.unmanaged.splice({index}, 1);");
            }
            // Refuses a value that could be added but never removed.
            if ignored.len() < self.zone.ignore.len() {
                steps += " domain.unmanaged_disable_safety_check = false;";
            }
        }
        format!("function (domain) {{ {steps} }}")
    }

    /// Which `IGNORE()`s of the zone are about challenges.
    ///
    /// DNSControl neither adds nor removes a record that one of them matches. Without them it
    /// would remove the values of others, which are therefore declared as well.
    fn ignored(&self) -> Vec<usize> {
        let patterns = self.zone.ignore.iter().enumerate();
        let about_challenges = patterns.filter(|(_, pattern)| {
            let types = pattern.types.as_str();
            pattern.label.contains("_acme-challenge")
                && (types == "*" || types.split(',').any(|rtype| rtype.trim() == "TXT"))
        });
        about_challenges.map(|(index, _)| index).collect()
    }
}

/// The zone as `D()` has it, which may be in Unicode or upper case.
fn declared_name(zone: &Zone) -> String {
    let name = zone
        .meta
        .get("dnscontrol_nameraw")
        .map_or(zone.name.as_str(), String::as_str);
    match zone.tag.as_str() {
        "" => name.to_owned(),
        tag => format!("{name}!{tag}"),
    }
}

fn label(name: &DnsName, zone: &Zone) -> String {
    quote(name.label_in(&zone.name).unwrap_or(name.as_str()))
}

/// A string of JavaScript.
fn quote(text: &str) -> String {
    // JSON allows two characters that end a line of JavaScript before ES2019.
    Value::from(text)
        .to_string()
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// Folder and file name of a configuration, which is relative to `root` or absolute.
pub(super) fn place(root: &Path, config: &Path) -> Result<(PathBuf, String)> {
    let path = root.join(config);
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("`{}` names no file", config.display()))?;
    let folder = path.parent().unwrap_or(root);
    Ok((folder.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::dnscontrol::{DnsConfig, Source, print_ir};
    use crate::model::file;
    use crate::model::hint::explain;

    fn txt(name: &str, value: &str) -> Txt {
        Txt {
            name: name.parse().unwrap(),
            value: value.to_owned(),
        }
    }

    /// A DNS repository whose configuration is in a folder and loads a file beside it.
    struct Repository(tempfile::TempDir);

    impl Repository {
        fn new(script: &str) -> Self {
            let repository = Self(tempfile::tempdir().unwrap());
            std::fs::create_dir(repository.folder()).unwrap();
            for (name, text) in [
                ("dnsconfig.js", script),
                ("part.js", "var PART = 'loaded';"),
            ] {
                let mut file = File::create_new(repository.folder().join(name)).unwrap();
                file.write_all(text.as_bytes()).unwrap();
            }
            repository
        }

        fn folder(&self) -> PathBuf {
            self.0.path().join("dns")
        }

        fn source(&self, config: &str) -> Source {
            Source {
                root: self.0.path().to_owned(),
                config: Path::new("dns").join(config),
                ..Source::default()
            }
        }

        fn zones(&self) -> Vec<Zone> {
            let mut source = self.source("dnsconfig.js");
            source.variables = vec![("zone".to_owned(), "Var.test".to_owned())];
            DnsConfig::load(&source).unwrap().zones
        }

        /// What the text means to the evaluator, in the place where `dnscontrol` reads it.
        fn evaluate(&self, text: &str) -> Value {
            let wrapper = Wrapper::write(&self.folder(), text).unwrap();
            let name = wrapper.path().file_name().unwrap().to_str().unwrap();
            let ir = print_ir(&self.source(name)).unwrap();
            serde_json::from_str(&ir).unwrap()
        }
    }

    const SCRIPT: &str = r#"
        require("./part.js");
        var REG = NewRegistrar("reg"), DNS = NewDnsProvider("main");
        D("bücher.test", REG, DnsProvider(DNS), TXT("@", PART));
        D("a.test!in", REG, DnsProvider(DNS), NO_PURGE);
        D("a.test!out", REG, DnsProvider(DNS));
        D("i.test", REG, DnsProvider(DNS), IGNORE("www"), IGNORE("_acme-challenge", "TXT, CAA"),
          IGNORE("_acme-challenge.**"), IGNORE("_acme-challenge.x", "A"), DISABLE_IGNORE_SAFETY_CHECK);
        D("o.test", REG, DnsProvider(DNS), IGNORE("_acme-challenge"));
        D("s.a.test", REG, DnsProvider(DNS));
    "#;

    /// Values in three zones, one of which keeps what is not declared, and a zone without any.
    fn sample(zones: &[Zone]) -> String {
        let values = [
            txt("_acme-challenge.bücher.test", "v1"),
            txt("_acme-challenge.www.a.test", "v\"2\\\u{2028}"),
            txt("i.test", "v3"),
        ];
        let removed: DnsName = "_acme-challenge.a.test".parse().unwrap();
        let extension = |zone: usize, value: Option<usize>| Extension {
            zone: &zones[zone],
            values: value.iter().map(|value| (&values[*value], 300)).collect(),
            removed: Vec::new(),
        };
        let mut with_removed = extension(1, Some(1));
        with_removed.removed.push(&removed);
        text(
            "dnsconfig.js",
            &[("key".to_owned(), "a,\"b\"".to_owned())],
            &[
                extension(0, Some(0)),
                with_removed,
                extension(3, Some(2)),
                extension(4, None),
            ],
        )
    }

    #[test]
    fn the_text_says_what_is_there_besides() {
        assert_eq!(
            sample(&Repository::new(SCRIPT).zones()),
            r#"// Made by git-certs for one run of dnscontrol, and removed after it.
this["key"] = "a,\"b\"";
require("./dnsconfig.js");
(function (none) {
  D_EXTEND("bücher.test",
    function (domain) { domain.registrar = none; },
    TXT("_acme-challenge", "v1", TTL(300)));
  D_EXTEND("a.test!in",
    function (domain) { domain.registrar = none; },
    TXT("_acme-challenge.www", "v\"2\\\u2028", TTL(300)),
    TXT("_acme-challenge", "removed", ENSURE_ABSENT_REC()));
  D_EXTEND("i.test",
    function (domain) { domain.registrar = none; domain.unmanaged.splice(2, 1); domain.unmanaged.splice(1, 1); domain.unmanaged_disable_safety_check = false; },
    TXT("@", "v3", TTL(300)));
  D_EXTEND("o.test",
    function (domain) { domain.registrar = none; });
})(NewRegistrar("none"));
"#
        );
    }

    #[test]
    fn the_text_means_what_it_says() {
        let repository = Repository::new(SCRIPT);
        let ir = repository.evaluate(&sample(&repository.zones()));
        let domains: BTreeMap<_, _> = ir["domains"]
            .as_array()
            .unwrap()
            .iter()
            .map(|domain| (domain["uniquename"].as_str().unwrap(), domain))
            .collect();
        let records = |zone: &str| {
            let records = domains[zone]["records"].as_array().unwrap().iter();
            let shown =
                records.map(|one| format!("{} {} {}", one["name"], one["target"], one["ttl"]));
            shown.collect::<Vec<_>>()
        };
        assert_eq!(
            records("xn--bcher-kva.test"),
            [r#""@" "loaded" 300"#, r#""_acme-challenge" "v1" 300"#]
        );
        assert_eq!(
            records("a.test!in"),
            ["\"_acme-challenge.www\" \"v\\\"2\\\\\u{2028}\" 300"]
        );
        assert_eq!(records("a.test!out"), [""; 0]);
        assert_eq!(domains["a.test!in"]["registrar"], "none");
        assert_eq!(domains["a.test!out"]["registrar"], "reg");
        let absent = &domains["a.test!in"]["recordsabsent"][0];
        assert_eq!(absent["name"], "_acme-challenge");
        let labels = |zone: &str| {
            let patterns = domains[zone]["unmanaged"].as_array().unwrap().iter();
            let labels = patterns.map(|pattern| pattern["label_pattern"].as_str().unwrap());
            labels.collect::<Vec<_>>()
        };
        assert_eq!(labels("i.test"), ["www", "_acme-challenge.x"]);
        let unsafely = domains["i.test"].get("unmanaged_disable_safety_check");
        assert!(unsafely.is_none_or(|unsafely| unsafely == false));
        // Nothing is written there: whatever is ignored stays so.
        assert_eq!(labels("o.test"), ["_acme-challenge"]);
    }

    #[test]
    fn variables_are_there_before_the_script() {
        let repository = Repository::new(
            "NewRegistrar('none'); NewDnsProvider('main'); CLI_DEFAULTS({zone: 'default.test'});\n\
             D(zone, 'none', DnsProvider('main'));",
        );
        let zones = repository.zones();
        let value = txt("_acme-challenge.var.test", "v");
        let extension = Extension {
            zone: &zones[0],
            values: vec![(&value, 60)],
            removed: Vec::new(),
        };
        let variables = [("zone".to_owned(), "Var.test".to_owned())];
        let text = text("dnsconfig.js", &variables, &[extension]);
        assert!(text.contains("D_EXTEND(\"Var.test\","), "{text}");
        let ir = repository.evaluate(&text);
        assert_eq!(ir["domains"][0]["name"], "var.test");
        assert_eq!(ir["domains"][0]["records"][0]["target"], "v");
    }

    #[test]
    fn the_file_is_the_users_alone_and_gone_afterwards() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let wrapper = Wrapper::write(folder.path(), "text").unwrap();
        let path = wrapper.path().to_owned();
        assert_eq!(file::read_text(&path).unwrap(), "text");
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(wrapper);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn files_of_killed_runs_are_removed_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, age: u64| {
            let file = File::create_new(folder.path().join(name)).unwrap();
            let changed = SystemTime::now() - Duration::from_secs(age);
            file.set_modified(changed).unwrap();
            file
        };
        make(".git-certs-old.dnscontrol", 120);
        make(".git-certs-new.dnscontrol", 1);
        make(".git-certs-old.js", 120);
        make("mine.dnscontrol", 120);
        let held = make(".git-certs-held.dnscontrol", 120);
        held.try_lock().unwrap();
        std::os::unix::fs::symlink(
            "mine.dnscontrol",
            folder.path().join(".git-certs-link.dnscontrol"),
        )
        .unwrap();
        drop(Wrapper::write(folder.path(), "").unwrap());
        let mut left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                ".git-certs-held.dnscontrol",
                ".git-certs-link.dnscontrol",
                ".git-certs-new.dnscontrol",
                ".git-certs-old.js",
                "mine.dnscontrol",
            ]
        );
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        let error = Wrapper::write(Path::new("/nonexistent"), "").err().unwrap();
        let explained = explain(&error);
        assert_eq!(
            explained.what,
            "cannot write a configuration for `dnscontrol` into `/nonexistent`"
        );
        assert_eq!(
            explained.hints,
            ["it has to stand beside `dnsconfig.js` for a moment: make the folder writable"]
        );
    }

    #[test]
    fn the_place_is_the_folder_of_the_configuration() {
        let root = Path::new("/srv/dns");
        for (config, folder) in [
            ("dnsconfig.js", "/srv/dns"),
            ("sub/dnsconfig.js", "/srv/dns/sub"),
            ("/etc/dnsconfig.js", "/etc"),
        ] {
            let found = place(root, Path::new(config)).unwrap();
            assert_eq!(found, (folder.into(), "dnsconfig.js".to_owned()));
        }
        assert_eq!(
            place(root, Path::new("..")).unwrap_err().to_string(),
            "`..` names no file"
        );
    }
}
