//! Repositories for tests: certificates wanted, and the DNSControl configuration of the lab's zones.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::lab::Lab;
use crate::support::zones::ZONES;
use crate::support::{bind, git_server, powerdns};

/// Files of a repository, by path.
#[derive(Clone, Debug, Default)]
pub struct Files(BTreeMap<String, String>);

impl Files {
    /// certs.json with the certificates (name, DNS names), and `.age-recipients`.
    pub fn certificates(wanted: &[(&str, &[&str])], recipients: &[&str]) -> Self {
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(name, names)| serde_json::json!({"cert_name": name, "names": names}))
            .collect();
        Self::default()
            .with(
                "certs.json",
                &serde_json::to_string_pretty(&wanted).unwrap(),
            )
            .with(".age-recipients", &(recipients.join("\n") + "\n"))
    }

    /// dnsconfig.js of all the lab's zones, as they are on the servers, and creds.json, which takes what is
    /// secret or differs from lab to lab from [`variables`].
    pub fn dns() -> Self {
        Self::dns_of(&ZONES.map(|zone| zone.declaration()).join("\n"))
    }

    /// The same with other declarations of zones in dnsconfig.js.
    pub fn dns_of(zones: &str) -> Self {
        Self::default()
            .with(
                "dnsconfig.js",
                &format!(
                    r#"var REG_NONE = NewRegistrar("none");
var ddns = NewDnsProvider("ddns");
var powerdns = NewDnsProvider("powerdns");
var zonefiles = NewDnsProvider("zonefiles");

{zones}"#
                ),
            )
            .with(
                "creds.json",
                &format!(
                    r#"{{
  "none": {{ "TYPE": "NONE" }},
  // BIND: zone transfers and updates with one key.
  "ddns": {{
    "TYPE": "AXFRDDNS",
    "master": "{bind}",
    "transfer-key": "$LAB_TSIG_KEY",
    "update-key": "$LAB_TSIG_KEY"
  }},
  "powerdns": {{
    "TYPE": "POWERDNS",
    "apiUrl": "{api}",
    "apiKey": "$LAB_API_KEY",
    "serverName": "localhost"
  }},
  // BIND's own files, read again when it is told so.
  "zonefiles": {{
    "TYPE": "BIND",
    "directory": "$LAB_ZONE_FOLDER",
    "_reload_command": "$LAB_RELOAD_COMMAND"
  }}
}}
"#,
                    bind = crate::support::address::BIND,
                    api = powerdns::api_url(),
                ),
            )
    }

    /// One file more, or another text for it.
    pub fn with(mut self, path: &str, text: &str) -> Self {
        self.0.insert(path.to_owned(), text.to_owned());
        self
    }

    /// Without a file.
    pub fn without(mut self, path: &str) -> Self {
        assert!(self.0.remove(path).is_some(), "there is no `{path}`");
        self
    }

    /// Writes them to a folder that is no git repository.
    pub fn write(&self, folder: &Path) {
        for (path, text) in &self.0 {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    /// Commits them to branch `main` of a new bare repository of the lab's git servers.
    pub fn publish(&self, lab: &Lab, name: &str) -> Remote {
        let remote = Remote {
            name: name.to_owned(),
            folder: git_server::make_repository(lab.namespace(), name),
        };
        self.commit(lab, &remote, "files of the test");
        remote
    }

    /// Commits them, over what is there, to branch `main` of a repository.
    pub fn commit(&self, lab: &Lab, remote: &Remote, message: &str) {
        let checkout = lab.folder().join(format!("checkout-{}", remote.name));
        let git = |args: &[&str]| lab.git(&checkout, args);
        if checkout.is_dir() {
            git(&["pull", "--quiet", "--rebase", "origin", "main"]);
        } else {
            fs::create_dir(&checkout).unwrap();
            git(&["init", "--quiet", "--initial-branch=main"]);
            git(&["remote", "add", "origin", remote.folder.to_str().unwrap()]);
            if remote.has_main(lab) {
                git(&["pull", "--quiet", "origin", "main"]);
            }
        }
        self.write(&checkout);
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--message", message]);
        git(&["push", "--quiet", "origin", "main"]);
    }
}

/// Environment that creds.json of [`Files::dns`] asks for.
pub fn variables(lab: &Lab) -> [(&'static str, String); 4] {
    let namespace = lab.namespace();
    [
        ("LAB_TSIG_KEY", bind::TSIG.to_owned()),
        ("LAB_API_KEY", powerdns::API_KEY.to_owned()),
        (
            "LAB_ZONE_FOLDER",
            bind::zone_folder(namespace).to_str().unwrap().to_owned(),
        ),
        (
            "LAB_RELOAD_COMMAND",
            bind::reload_words(namespace, "%z").join(" "),
        ),
    ]
}

/// Ways to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A path of the file system.
    Path,
    /// `file://`
    File,
    /// `http://`, with the token in the URL.
    Http,
    /// `https://`, with the token in the URL; the root is [`Lab::ca`].
    Https,
    /// `ssh://`
    Ssh,
    /// `git@git.test:PATH`
    Scp,
}

/// A bare repository of the lab's git servers.
#[derive(Clone, Debug)]
pub struct Remote {
    name: String,
    /// Where it is.
    pub folder: PathBuf,
}

impl Remote {
    /// Its URL as seen inside; the same in every lab, except for [`Transport::Path`] and [`Transport::File`].
    pub fn url(&self, transport: Transport) -> String {
        let (name, token) = (&self.name, git_server::TOKEN);
        match transport {
            Transport::Path => self.folder.to_str().unwrap().to_owned(),
            Transport::File => format!("file://{}", self.folder.display()),
            Transport::Http => format!("http://git:{token}@git.test/{name}.git"),
            Transport::Https => format!("https://git:{token}@git.test/{name}.git"),
            Transport::Ssh => format!("ssh://git@git.test/srv/{name}.git"),
            Transport::Scp => format!("git@git.test:/srv/{name}.git"),
        }
    }

    /// A file at the tip of `main`.
    pub fn show(&self, lab: &Lab, path: &str) -> String {
        lab.git(&self.folder, &["show", &format!("main:{path}")])
            .stdout
    }

    /// Paths of all files at the tip of `main`.
    pub fn files(&self, lab: &Lab) -> Vec<String> {
        self.lines(lab, &["ls-tree", "-r", "--name-only", "main"])
    }

    /// Subjects of the commits of `main`, newest first.
    pub fn subjects(&self, lab: &Lab) -> Vec<String> {
        self.lines(lab, &["log", "--format=%s", "main"])
    }

    /// The commit at the tip of `main`.
    pub fn tip(&self, lab: &Lab) -> String {
        self.lines(lab, &["rev-parse", "main"]).remove(0)
    }

    /// Names of all refs.
    pub fn refs(&self, lab: &Lab) -> Vec<String> {
        self.lines(lab, &["for-each-ref", "--format=%(refname)"])
    }

    /// Takes the ACME account away, so that the next run registers another, for which nothing is proven.
    ///
    /// Pebble takes up a valid authorization again now and then, even with `PEBBLE_AUTHZREUSE=0`: once in a
    /// hundred times.
    pub fn forget_account(&self, lab: &Lab) {
        self.forget(lab, ".letsencrypt", "without an account");
    }

    /// Takes all certificates away.
    pub fn forget_certificates(&self, lab: &Lab) {
        self.forget(lab, "certificates", "without certificates");
    }

    fn forget(&self, lab: &Lab, folder: &str, message: &str) {
        let checkout = lab.folder().join(format!("checkout-{}", self.name));
        let git = |args: &[&str]| lab.git(&checkout, args);
        git(&["pull", "--quiet", "--rebase", "origin", "main"]);
        git(&["rm", "-r", "--quiet", folder]);
        git(&["commit", "--quiet", "--message", message]);
        git(&["push", "--quiet", "origin", "main"]);
    }

    /// Refuses pushes to branches, as a protected branch does, as long as this hook is there.
    pub fn refuse_pushes(&self) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;

        let hook = self.folder.join("hooks/update");
        let script = "#!/bin/sh\ncase $1 in refs/heads/*) echo 'this branch is protected' >&2; exit 1 ;; esac\n";
        fs::create_dir_all(hook.parent().unwrap()).unwrap();
        fs::write(&hook, script).unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
        hook
    }

    fn has_main(&self, lab: &Lab) -> bool {
        self.refs(lab).contains(&"refs/heads/main".to_owned())
    }

    fn lines(&self, lab: &Lab, args: &[&str]) -> Vec<String> {
        let output = lab.git(&self.folder, args).stdout;
        output.lines().map(str::to_owned).collect()
    }
}
