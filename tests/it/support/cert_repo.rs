//! A cert repository in a checkout, with certificates that no CA issued, and what the program says of it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{CertificateParams, KeyPair, PublicKeyData, SerialNumber};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;
use x509_parser::pem::Pem;

use crate::support::folders::Said;
use crate::support::secrets;

/// A repository in the folder `certs`, and identities beside it.
pub struct CertRepo {
    root: tempfile::TempDir,
    /// Recipients, and what stands for them in [`CertRepo::run`].
    names: Vec<(String, String)>,
}

/// What belongs to a certificate.
pub struct Files {
    pub chain: String,
    pub description: Value,
    /// In plain text.
    pub key: String,
}

impl CertRepo {
    pub fn new() -> Self {
        let repo = Self {
            root: tempfile::tempdir().unwrap(),
            names: Vec::new(),
        };
        fs::create_dir_all(repo.path("tmp")).unwrap();
        fs::create_dir_all(repo.path("certs")).unwrap();
        repo.git(&["init", "--quiet", "--initial-branch=main"]);
        repo
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// Writes a file of the repository.
    pub fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path("certs").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path("certs").join(path)).unwrap()
    }

    pub fn remove(&self, path: &str) {
        fs::remove_file(self.path("certs").join(path)).unwrap();
    }

    /// Commits everything; returns the first ten digits of the commit.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        let id = self.git(&["rev-parse", "HEAD"]);
        id[..10].to_owned()
    }

    /// Makes a bare clone, as a server has it.
    pub fn server(&self) -> PathBuf {
        self.tool(
            "git",
            &["clone", "--quiet", "--bare", "certs", "remote"],
            "",
        );
        self.path("remote")
    }

    /// Makes an age identity in a file of this name; returns its recipient, which `run` shows as `[NAME]`.
    pub fn identity(&mut self, name: &str) -> String {
        let text = self.tool("age-keygen", &[], "");
        fs::write(self.path(name), &text).unwrap();
        let recipient = self.tool("age-keygen", &["-y"], &text).trim().to_owned();
        self.names.push((recipient.clone(), format!("[{name}]")));
        recipient
    }

    /// Encrypts for recipients, as `age` does.
    pub fn sealed(&self, text: &str, recipients: &[&str]) -> String {
        let list = recipients.join("\n");
        fs::write(self.path("list"), list).unwrap();
        let list = self.path("list");
        self.tool("age", &["-a", "-R", list.to_str().unwrap()], text)
    }

    /// Opens a file of the repository with an identity, as `age` does; none if it cannot.
    pub fn opened(&self, path: &str, identity: &str) -> Option<String> {
        let output = Command::new("age")
            .arg("-d")
            .arg("-i")
            .arg(self.path(identity))
            .arg(self.path("certs").join(path))
            .output()
            .unwrap();
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).unwrap())
    }

    /// Writes a certificate for `NAME.a.test` with its key for these recipients.
    pub fn certificate(&self, name: &str, recipients: &[&str]) -> Files {
        let files = Files::new(name);
        self.store(name, &files, recipients);
        files
    }

    /// Writes a certificate with its key for these recipients.
    pub fn store(&self, name: &str, files: &Files, recipients: &[&str]) {
        let sealed = self.sealed(&files.key, recipients);
        let mut description = files.description.clone();
        description["key_age_sha256"] = sha256(sealed.as_bytes()).into();
        let file = |end: &str| format!("certificates/{name}/{name}.{end}");
        self.put(&file("crt"), &files.chain);
        self.put(&file("key.age"), sealed);
        self.put(&file("json"), format!("{description:#}\n"));
    }

    /// certs.json with certificates for `NAME.a.test`.
    pub fn list(&self, names: &[&str]) {
        let entry = |name: &&str| json!({"cert_name": name, "names": [format!("{name}.a.test")]});
        let list: Vec<_> = names.iter().map(entry).collect();
        self.put("certs.json", Value::from(list).to_string());
    }

    /// Runs the program in the repository with words that blanks separate, and this identity.
    #[track_caller]
    pub fn run(&self, words: &str, identity: &str) -> Said {
        self.run_with(words, identity, &[])
    }

    /// The same with more variables.
    #[track_caller]
    pub fn run_with(&self, words: &str, identity: &str, variables: &[(String, String)]) -> Said {
        let output = self
            .program()
            .args(words.split_whitespace())
            .env("GIT_CERTS_AGE_KEY_FILE", self.path(identity))
            .envs(variables.iter().cloned())
            .output()
            .unwrap();
        let variables = variables.iter();
        let variables = variables.map(|(name, value)| (name.as_str(), value.as_str()));
        let own: Vec<_> = words.split_whitespace().collect();
        secrets::check_reports(&own, variables, (&self.path("certs"), &[]));
        self.said(words, output)
    }

    /// The same on a terminal, where `dialogue` waits for words and types answers. What was typed is in
    /// stdout as far as the terminal showed it, and at the end whether it would show more.
    #[track_caller]
    pub fn run_on_terminal(&self, words: &str, identity: &str, dialogue: &[(&str, &str)]) -> Said {
        let mut command = Command::new("python3");
        command
            .args(["-c", include_str!("terminal.py")])
            .arg(serde_json::to_string(dialogue).unwrap())
            .arg(env!("CARGO_BIN_EXE_git-certs"))
            .args(words.split_whitespace())
            // Spinners, which come and go, are not compared.
            .env("TERM", "dumb");
        let output = self
            .with_variables(command)
            .env("GIT_CERTS_AGE_KEY_FILE", self.path(identity))
            .output()
            .unwrap();
        self.said(words, output)
    }

    #[track_caller]
    fn said(&self, words: &str, output: Output) -> Said {
        let said = Said {
            code: output.status.code(),
            stdout: self.shown(output.stdout),
            stderr: self.shown(output.stderr),
        };
        secrets::check(words, [], [&said.stdout, &said.stderr]);
        said
    }

    /// The program, in the repository, with nothing of our environment.
    pub fn program(&self) -> Command {
        self.with_variables(Command::new(env!("CARGO_BIN_EXE_git-certs")))
    }

    /// The program with words that blanks separate, run by another program with words of its own.
    pub fn under(&self, program: &str, options: &[&str], words: &str) -> Command {
        let mut command = Command::new(program);
        command
            .args(options)
            .arg(env!("CARGO_BIN_EXE_git-certs"))
            .args(words.split_whitespace());
        self.with_variables(command)
    }

    fn with_variables(&self, mut command: Command) -> Command {
        command
            .current_dir(self.path("certs"))
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.path("bin").display()),
            )
            .env("HOME", self.path("home"))
            .env("GIT_CERTS_NO_DNS", "true")
            .env("TMPDIR", self.path("tmp"));
        command
    }

    /// Text of the program with what differs from run to run replaced.
    pub fn shown(&self, bytes: Vec<u8>) -> String {
        let text = String::from_utf8(bytes).unwrap();
        let text = text.replace(self.root.path().to_str().unwrap(), "[ROOT]");
        let names = self.names.iter();
        let text = names.fold(text, |text, (recipient, name)| {
            text.replace(recipient, name)
        });
        let lines = text.split_inclusive('\n');
        let is_step = |line: &&str| line.ends_with("s)\n") && line.contains(" (");
        lines.filter(|line| !is_step(line)).collect()
    }

    pub fn git(&self, words: &[&str]) -> String {
        let output = Command::new("git")
            .args(words)
            .current_dir(self.path("certs"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Test")
            .env("GIT_AUTHOR_EMAIL", "test@example.test")
            .env("GIT_COMMITTER_NAME", "Test")
            .env("GIT_COMMITTER_EMAIL", "test@example.test")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a program makes of its input.
    pub fn tool(&self, program: &str, words: &[&str], input: &str) -> String {
        use std::io::Write;

        let mut child = Command::new(program)
            .args(words)
            .current_dir(self.root.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("`{program}` is needed: {error}"));
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(input.as_bytes()).unwrap();
        drop(pipe);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{program} {words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Files {
    /// A certificate for `NAME.a.test` with a key of its own, and NAME.json but for the key's ciphertext.
    pub fn new(name: &str) -> Self {
        Self::with_key(name, &KeyPair::generate().unwrap())
    }

    pub fn with_key(name: &str, key: &KeyPair) -> Self {
        let (from, until) = (
            datetime!(2026-11-01 0:00 UTC),
            datetime!(2126-11-01 0:00 UTC),
        );
        Self::valid(&[&format!("{name}.a.test")], key, (from, until))
    }

    /// The same for these names and this time.
    pub fn valid(
        names: &[&str],
        key: &KeyPair,
        (from, until): (OffsetDateTime, OffsetDateTime),
    ) -> Self {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        (params.not_before, params.not_after) = (from, until);
        // A CA knows a certificate by its issuer's key and its serial.
        params.use_authority_key_identifier_extension = true;
        // A key can have several certificates.
        let mut serial = [0x40; 9];
        aws_lc_rs::rand::fill(&mut serial[1..]).unwrap();
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let chain = params.self_signed(key).unwrap().pem();
        let pem = Pem::iter_from_buffer(chain.as_bytes())
            .next()
            .unwrap()
            .unwrap();
        let serial = pem.parse_x509().unwrap().serial.to_bytes_be();
        let serial: String = serial.iter().map(|byte| format!("{byte:02X}")).collect();
        let description = json!({
            "domain": names[0],
            "certUrl": "https://ca.test/1",
            "certStableUrl": "https://ca.test/1",
            "names": names,
            "not_before": from.format(&Rfc3339).unwrap(),
            "not_after": until.format(&Rfc3339).unwrap(),
            "serial": serial,
            "issuer": "Test",
            "key_type": "p256",
            "public_key_sha256": sha256(&key.subject_public_key_info()),
            "directory": "https://ca.test/dir",
            "action": "issue",
        });
        Self {
            chain,
            description,
            key: key.serialize_pem(),
        }
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    let hash = digest(&SHA256, bytes);
    hash.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
