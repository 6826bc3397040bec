//! A small disk of its own, below the lab's folder. Only programs inside see what is on it.

use std::path::{Path, PathBuf};

use crate::support::lab::Lab;

/// What fills it up.
const BALLAST: &str = "ballast";

/// A file system in memory, gone with the lab.
#[derive(Debug)]
pub struct Disk<'lab> {
    pub lab: &'lab Lab,
    pub folder: PathBuf,
}

impl<'lab> Disk<'lab> {
    /// Of so many megabytes, at a folder that is made if it is missing. What the folder holds is copied.
    pub fn mount(lab: &'lab Lab, folder: &Path, megabytes: u32) -> Self {
        let script = r#"
            mkdir -p "$1" "$1.before"
            mount --bind "$1" "$1.before"
            mount -t tmpfs -o "size=$2m,mode=1777" tmpfs "$1"
            cp -a "$1.before/." "$1/"
        "#;
        let disk = Self {
            lab,
            folder: folder.to_owned(),
        };
        disk.as_root(script, &[&megabytes.to_string()]);
        disk
    }

    /// Until [`Self::free`] there is no room for anything more.
    pub fn fill(&self) {
        let script = r#"
            cd "$1"
            if dd if=/dev/zero of="$2" bs=4k 2> /dev/null; then exit 1; fi
        "#;
        self.inside(script, &[BALLAST]);
    }

    pub fn free(&self) {
        self.inside(r#"rm "$1/$2""#, &[BALLAST]);
    }

    /// Nothing can be written below its path any more. Files that are open for writing, as a lock is, keep no kernel
    /// from that where the path is a mount of its own.
    pub fn make_read_only(&self) {
        self.as_root(
            r#"mount --bind "$1" "$1"; mount -o remount,bind,ro "$1""#,
            &[],
        );
    }

    pub fn make_writable(&self) {
        self.as_root(r#"umount "$1""#, &[]);
    }

    /// Names of what is there.
    pub fn names(&self) -> Vec<String> {
        let list = self.lab.command("ls").arg("-A").arg(&self.folder).succeed();
        list.stdout.lines().map(str::to_owned).collect()
    }

    fn inside(&self, script: &str, words: &[&str]) {
        let command = self.lab.command("bash").args(["-euc", script, "disk"]);
        command.arg(&self.folder).args(words.to_vec()).succeed();
    }

    fn as_root(&self, script: &str, words: &[&str]) {
        let command = self.lab.namespace().command_as_root("bash");
        let command = command.args(["-euc", script, "disk"]).arg(&self.folder);
        command.args(words.to_vec()).succeed();
    }
}
