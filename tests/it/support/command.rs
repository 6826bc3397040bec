//! Runs programs inside a lab's namespace, and compares what they say.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use regex::Regex;

use crate::support::namespace::{PATH, program};
use crate::support::secrets;

/// A command that has not ended after this is a failure.
const DEADLINE: Duration = Duration::from_mins(6);

/// A program to run inside, with nothing of our environment.
#[derive(Clone, Debug)]
pub struct Command {
    enter: Vec<OsString>,
    lab: PathBuf,
    program: PathBuf,
    args: Vec<OsString>,
    variables: BTreeMap<OsString, OsString>,
    folder: PathBuf,
    stdin: Vec<u8>,
    deadline: Duration,
    shown_on_purpose: Vec<String>,
}

impl Command {
    /// A program by name (looked up) or by path. It starts in the lab's home folder.
    pub(super) fn new(enter: &[OsString], lab: &Path, name: &OsStr) -> Self {
        let path = Path::new(name);
        let home = lab.join("home");
        let variables = [
            ("PATH", PATH.into()),
            ("HOME", home.clone()),
            ("TMPDIR", lab.join("tmp")),
            ("TZ", "UTC".into()),
            ("LC_ALL", "C.UTF-8".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ];
        Self {
            enter: enter.to_vec(),
            lab: lab.to_path_buf(),
            program: if path.is_absolute() {
                path.to_path_buf()
            } else {
                program(name.to_str().unwrap())
            },
            args: Vec::new(),
            variables: variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            folder: home,
            stdin: Vec::new(),
            deadline: DEADLINE,
            shown_on_purpose: Vec::new(),
        }
    }

    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// The same command, run by another program such as `time`.
    pub fn under(mut self, outer: &str, args: &[&str]) -> Self {
        let inner = std::mem::replace(&mut self.program, program(outer));
        let mut words: Vec<OsString> = args.iter().map(OsString::from).collect();
        words.push(inner.into());
        self.args.splice(0..0, words);
        self
    }

    /// Longer than this is a failure; two minutes if nothing is said.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// A secret that a command of the test's own prints: the one exception from [`secrets::check`].
    pub fn shows_on_purpose(mut self, secret: impl Into<String>) -> Self {
        self.shown_on_purpose.push(secret.into());
        self
    }

    /// The folder to run in.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    /// What the program reads; nothing by default. No more than a pipe holds (64 KiB).
    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = text.into();
        self
    }

    /// The words after our program, where another one starts it.
    fn own_words(&self) -> Vec<OsString> {
        let ours = env!("CARGO_BIN_EXE_git-certs");
        let inner = self.args.iter().position(|word| word == ours);
        let start = inner.map_or(0, |position| position + 1);
        self.args[start..].to_vec()
    }

    /// Runs it to its end.
    pub fn run(&self) -> Output {
        self.spawn().wait()
    }

    /// Runs it, and fails the test if it does not exit with 0.
    pub fn succeed(&self) -> Output {
        self.run().expect_code(0)
    }

    /// Starts it; what it says goes to files.
    pub fn spawn(&self) -> Running {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = self.program.file_name().unwrap().to_string_lossy();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        self.spawn_to(&self.lab.join(format!("output/{name}-{count}")))
    }

    /// Starts it with the output in files of this name, with `.out`, `.err` and `.pid` after it.
    pub(super) fn spawn_to(&self, output: &Path) -> Running {
        let (stdout, stderr) = (output.with_extension("out"), output.with_extension("err"));
        let pid_file = output.with_extension("pid");
        let append = |path| {
            File::options()
                .create(true)
                .append(true)
                .open(path)
                .unwrap()
        };
        // A server that starts again has the file of its last time.
        drop(fs::remove_file(&pid_file));
        // nsenter's process stays outside; the shell notes the id that counts inside.
        let mut command = process::Command::new(&self.enter[0]);
        command
            .args(&self.enter[1..])
            .args(["sh", "-c", r#"echo $$ > "$0"; exec "$@""#])
            .arg(&pid_file)
            .args(["env", "--ignore-environment", "--chdir"])
            .arg(&self.folder);
        for (name, value) in &self.variables {
            let mut assignment = name.clone();
            assignment.push("=");
            assignment.push(value);
            command.arg(assignment);
        }
        let mut child = command
            .arg(&self.program)
            .args(&self.args)
            .env_clear()
            .env("PATH", PATH)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(append(&stdout))
            .stderr(append(&stderr))
            .spawn()
            .unwrap();
        // A program that does not read its input may be gone already.
        drop(child.stdin.take().unwrap().write_all(&self.stdin));
        Running {
            child,
            enter: self.enter.clone(),
            lab: self.lab.clone(),
            line: format!("{} {:?}", self.program.display(), self.args),
            words: self.own_words(),
            folder: self.folder.clone(),
            variables: self.variables.clone(),
            shown_on_purpose: self.shown_on_purpose.clone(),
            pid_file,
            stdout,
            stderr,
            started: Instant::now(),
            deadline: self.deadline,
        }
    }
}

/// A program that runs inside.
#[derive(Debug)]
pub struct Running {
    child: Child,
    enter: Vec<OsString>,
    lab: PathBuf,
    line: String,
    /// What our program was called with, whoever called it.
    words: Vec<OsString>,
    folder: PathBuf,
    variables: BTreeMap<OsString, OsString>,
    shown_on_purpose: Vec<String>,
    pid_file: PathBuf,
    stdout: PathBuf,
    stderr: PathBuf,
    started: Instant,
    deadline: Duration,
}

impl Running {
    /// Whether it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends a signal, such as `TERM`, to the program itself.
    pub fn signal(&self, name: &str) {
        let status = process::Command::new(&self.enter[0])
            .args(&self.enter[1..])
            .args(["kill", "-s", name, &self.pid().to_string()])
            .status()
            .unwrap();
        assert!(status.success(), "cannot signal {}", self.line);
    }

    /// Lets a stopped program go on.
    ///
    /// nsenter and sudo stop with the program that they brought inside, so the whole process group is meant.
    pub fn resume(&self) {
        let kill = ["sudo", "-n", "kill"];
        let words = if self.enter[0] == "sudo" {
            &kill[..]
        } else {
            &kill[2..]
        };
        let status = process::Command::new(words[0])
            .args(&words[1..])
            .args(["-s", "CONT", "--", &format!("-{}", self.child.id())])
            .status()
            .unwrap();
        assert!(status.success(), "cannot resume {}", self.line);
    }

    /// The process id that counts inside.
    pub fn pid(&self) -> u32 {
        let started = Instant::now();
        loop {
            let text = fs::read_to_string(&self.pid_file).unwrap_or_default();
            if let Some(pid) = text.strip_suffix('\n') {
                return pid.parse().unwrap();
            }
            assert!(started.elapsed() < DEADLINE, "{} did not start", self.line);
            sleep(Duration::from_millis(2));
        }
    }

    /// Waits until the program has written the words to standard error.
    pub fn wait_for_stderr(&mut self, words: &str) {
        while !read(&self.stderr).contains(words) {
            let ended = self.ended();
            assert!(
                ended.is_none() && self.started.elapsed() < self.deadline,
                "{} did not say `{words}` ({ended:?}):\n{}{}",
                self.line,
                read(&self.stderr),
                logs(&self.lab)
            );
            sleep(Duration::from_millis(2));
        }
    }

    /// Waits for its end. Whatever our program said, there must be no secret in it.
    #[track_caller]
    pub fn wait(mut self) -> Output {
        let status = loop {
            if let Some(status) = self.ended() {
                break status;
            }
            assert!(
                self.started.elapsed() < self.deadline,
                "{} did not end:\n{}{}",
                self.line,
                read(&self.stderr),
                logs(&self.lab)
            );
            sleep(Duration::from_millis(2));
        };
        let (stdout, stderr) = (read(&self.stdout), read(&self.stderr));
        if self.line.contains(env!("CARGO_BIN_EXE_git-certs")) {
            let variables = self.variables.iter();
            let variables =
                variables.filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
            let [stdout, stderr] = [&stdout, &stderr].map(|text| {
                let secrets = self.shown_on_purpose.iter();
                secrets.fold(text.clone(), |text, secret| text.replace(secret, ""))
            });
            let variables: Vec<_> = variables.collect();
            secrets::check(&self.line, variables.iter().copied(), [&stdout, &stderr]);
            let words: Vec<_> = self.words.iter().filter_map(|word| word.to_str()).collect();
            secrets::check_reports(&words, variables, (&self.folder, &self.shown_on_purpose));
        }
        Output {
            status,
            stdout,
            stderr,
            took: self.started.elapsed(),
            line: self.line,
            lab: self.lab,
        }
    }
}

/// What a program said, and how it ended.
#[derive(Debug)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
    line: String,
    lab: PathBuf,
}

impl Output {
    /// Fails with all that is known if the exit code is another.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert!(
            self.status.code() == Some(code),
            "{} ended with {}, not {code}\n--- stdout\n{}--- stderr\n{}{}",
            self.line,
            self.status,
            self.stdout,
            self.stderr,
            logs(&self.lab)
        );
        self
    }

    /// Standard output with everything that differs from run to run replaced.
    pub fn normal_stdout(&self) -> String {
        normalise(&self.stdout, &self.lab)
    }

    /// Standard error with everything that differs from run to run replaced.
    pub fn normal_stderr(&self) -> String {
        normalise(&self.stderr, &self.lab)
    }
}

/// Replaces what differs from run to run: the lab's folder, random names in it, dates, durations, serials,
/// commit ids, names of Pebble's authorities and accounts, numbers of requests, ports above 32767.
pub fn normalise(text: &str, lab: &Path) -> String {
    static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (
                r"\b(Pebble (Root|Intermediate) CA) [0-9a-f]{6}\b",
                "$1 [ID]",
            ),
            (
                r"\bwith [0-9]+ requests to the CA",
                "with [N] requests to the CA",
            ),
            (r"/my-account/[0-9a-zA-Z]+", "/my-account/[ID]"),
            (r"\[LAB\]/tmp/[A-Za-z0-9._-]+", "[TMP]"),
            (
                r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z| UTC|[+-][0-9:]+)?)?",
                "[DATE]",
            ),
            (r"\b[0-9]+(\.[0-9]+)? ?(ms|s|min)\b", "[TIME]"),
            (r"\b([0-9a-fA-F]{2}:){7,}[0-9a-fA-F]{2}\b", "[SERIAL]"),
            (r"\b[0-9a-f]{40}\b", "[COMMIT]"),
            (r"\btmp_object_git2_[0-9a-f]+", "tmp_object_git2_[ID]"),
            // Pebble's have 63 random bits, without zeros before them.
            (r"\b([Ss]erial:?) [0-9A-F]{8,}\b", "$1 [SERIAL]"),
            (r"\b[0-9a-fA-F]{13,36}\b", "[SERIAL]"),
            // Not the second half of `ssh-ed25519`.
            (r"(^|[^0-9A-Za-z_-])[0-9a-f]{7,12}\b", "$1[COMMIT]"),
            (r":(32[7-9]|3[3-9][0-9]|[4-6][0-9]{2})[0-9]{2}\b", ":[PORT]"),
        ]
        .map(|(pattern, word)| (Regex::new(pattern).unwrap(), word))
        .into()
    });
    let text = text.replace(lab.to_str().unwrap(), "[LAB]");
    RULES.iter().fold(text, |text, (pattern, word)| {
        pattern.replace_all(&text, *word).into_owned()
    })
}

/// The last lines of every server's log, for failure messages.
pub fn logs(lab: &Path) -> String {
    let mut paths: Vec<_> = fs::read_dir(lab.join("log"))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_none_or(|extension| extension != "pid"))
        .collect();
    paths.sort();
    let mut all = String::new();
    for path in paths {
        let text = read(&path);
        let lines: Vec<_> = text.lines().collect();
        if !lines.is_empty() {
            let name = path.file_name().unwrap().display();
            let end = lines[lines.len().saturating_sub(25)..].join("\n");
            all.push_str(&format!("\n--- {name}\n{end}"));
        }
    }
    all
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
