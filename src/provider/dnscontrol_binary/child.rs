//! One run of `dnscontrol` as a child process: what it may see, how long it may take, what it said.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use crate::model::hint::with_hint;
use crate::model::lent;
use crate::model::outside::spawn_async;
use crate::model::secret::is_own_variable;
use crate::provider::ended::Ended;

/// Name of the program.
pub(super) const NAME: &str = "dnscontrol";

/// Longest run. Some providers are asked for each record of a zone one by one.
const TIME_LIMIT: Duration = Duration::from_mins(10);

/// Variables of programs that print `creds.json`: sops opens what it has encrypted, `vault` asks with its token.
const OF_COMMANDS: [&str; 2] = ["SOPS_AGE_KEY", "VAULT_"];

/// The program on `PATH`; none where it is not there.
pub(in crate::provider) fn find(search_path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(search_path)
        // It is started in another folder than ours.
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(NAME))
        .find(|path| {
            path.metadata()
                .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        })
}

/// How `dnscontrol` is started.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    /// Root of the DNS repository: paths that do not begin with a dot start here.
    pub(super) folder: PathBuf,
    /// The credentials come from a command, which may need the key that sops has.
    pub(super) runs_command: bool,
}

impl Program {
    /// Runs it to its end; it is killed with all its children when the limit passes, or on drop.
    pub(super) async fn run(&self, arguments: &[OsString]) -> Result<Ended> {
        self.run_for(TIME_LIMIT, arguments).await
    }

    async fn run_for(&self, limit: Duration, arguments: &[OsString]) -> Result<Ended> {
        let mut command = Command::new(&self.path);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        for (variable, _) in std::env::vars_os() {
            if self.hides(&variable.to_string_lossy()) {
                command.env_remove(variable);
            }
        }
        if self.runs_command {
            lent::lend(command.as_std_mut());
        }
        let child = spawn_async(command)
            .with_context(|| format!("cannot run `{}`", self.path.display()))?;
        tokio::time::timeout(limit, finish(child))
            .await
            .map_err(|_| {
                with_hint(
                    anyhow!("no end after {} s", limit.as_secs()),
                    "run `dnscontrol preview` by hand: it may wait for a server",
                )
            })?
    }

    /// Whether a variable is kept from the child: it holds a key or a token of ours.
    fn hides(&self, variable: &str) -> bool {
        let is_for_command = OF_COMMANDS.iter().any(|start| variable.starts_with(start));
        is_own_variable(variable) && !(self.runs_command && is_for_command)
    }
}

async fn finish(child: Child) -> Result<Ended> {
    let group = Group::of(&child);
    let ended = Ended::of(child).await?;
    group.has_ended();
    Ok(ended)
}

/// The process group of a child, which is killed on drop.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            // Fails only where nobody is left in it.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::model::file;
    use crate::model::hint::explain;

    fn shell(runs_command: bool) -> Program {
        Program {
            path: "/bin/sh".into(),
            folder: "/".into(),
            runs_command,
        }
    }

    async fn run(limit: Duration, script: &str) -> Result<Ended> {
        let arguments = ["-c".into(), script.into()];
        shell(false).run_for(limit, &arguments).await
    }

    #[tokio::test]
    async fn the_end_of_what_a_run_says_is_kept() {
        let minute = Duration::from_mins(1);
        let ended = run(minute, "pwd; echo no >&2; exit 3").await.unwrap();
        assert_eq!(ended.stdout, "/\n");
        assert_eq!(ended.words(), "exit status: 3: no");
        let ended = run(minute, "echo only this; exit 1").await.unwrap();
        assert_eq!(ended.words(), "exit status: 1: only this");
        let script = "head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2; exit 1";
        let ended = run(minute, script).await.unwrap();
        assert_eq!(ended.stdout.len(), 1 << 20);
        let long = Ended {
            stderr: "a".repeat(1_000) + "b",
            ..ended
        };
        assert_eq!(
            long.words(),
            format!("exit status: 1: {}b", "a".repeat(599))
        );
    }

    #[tokio::test]
    async fn a_run_that_does_not_end_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 300 & echo $! > {}; wait", file.display());
        let started = Instant::now();
        let error = run(Duration::from_secs(5), &script).await.err().unwrap();
        let explained = explain(&error);
        assert_eq!(explained.what, "no end after 5 s");
        assert_eq!(
            explained.hints,
            ["run `dnscontrol preview` by hand: it may wait for a server"]
        );
        let pid = file::read_text(&file).unwrap();
        let status = format!("/proc/{}/status", pid.trim());
        // Gone, or dead and not yet collected by the process that it was left to.
        while file::read_text(&status).is_ok_and(|text| !text.contains("State:\tZ")) {
            assert!(started.elapsed() < Duration::from_mins(1), "still there");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_program_that_cannot_be_run_is_named() {
        let program = Program {
            path: "/nonexistent/dnscontrol".into(),
            ..shell(false)
        };
        let error = program.run(&[]).await.err().unwrap();
        assert_eq!(error.to_string(), "cannot run `/nonexistent/dnscontrol`");
    }

    #[test]
    fn our_keys_and_tokens_are_hidden() {
        for variable in [
            "GIT_CERTS_AGE_KEY",
            "GIT_CERTS_TOKEN",
            "GITHUB_TOKEN",
            "CI_JOB_TOKEN",
            "SOPS_AGE_KEY",
            "SOPS_AGE_KEY_FILE",
        ] {
            assert!(shell(false).hides(variable), "{variable}");
            // A command that prints the credentials opens them with the key of sops.
            let is_sops = variable.starts_with("SOPS");
            assert_eq!(shell(true).hides(variable), !is_sops, "{variable}");
        }
        for variable in ["PATH", "CLOUDNS_AUTH_PASSWORD", "SOPS_KMS_ARN"] {
            assert!(!shell(false).hides(variable), "{variable}");
        }
    }

    #[test]
    fn the_program_is_the_first_on_path_that_can_be_run() {
        let folder = tempfile::tempdir().unwrap();
        let [missing, plain, good] =
            ["missing", "plain", "good"].map(|name| folder.path().join(name));
        for (folder, mode) in [(&plain, 0o644), (&good, 0o755)] {
            std::fs::create_dir(folder).unwrap();
            let file = std::fs::File::create(folder.join(NAME)).unwrap();
            file.set_permissions(std::fs::Permissions::from_mode(mode))
                .unwrap();
        }
        let path = std::env::join_paths([&missing, &plain, &good]).unwrap();
        assert_eq!(find(&path), Some(good.join(NAME)));
        assert_eq!(find(plain.as_os_str()), None);
        assert_eq!(find(OsStr::new("")), None);
    }
}
