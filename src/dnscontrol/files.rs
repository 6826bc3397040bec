//! What a script may read: files of the DNS repository and nothing else.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::model::file;
use crate::model::hint::Hint;

/// Files below one folder. Paths are resolved, symbolic links and `..` first, before they are opened.
pub(super) struct Files {
    /// Resolved.
    root: PathBuf,
    /// Folder of the configuration, resolved.
    home: PathBuf,
    /// Folders of the scripts that are running, innermost last; resolved.
    running: RefCell<Vec<PathBuf>>,
    /// The innermost script that ended with an error.
    failed: RefCell<Option<String>>,
    /// Largest file that is read, bytes.
    largest: usize,
}

/// A file of the repository.
pub(super) struct Loaded {
    /// Relative to the repository, for messages.
    pub(super) shown: String,
    pub(super) text: String,
    folder: PathBuf,
}

impl Files {
    /// `config` is relative to `root`, or absolute. It is the one file that may lie outside.
    pub(super) fn open(root: &Path, config: &Path, largest: usize) -> Result<(Self, Loaded)> {
        let shown = config.display();
        let root = root
            .canonicalize()
            .with_context(|| format!("cannot open the DNS repository `{}`", root.display()))?;
        let path = match root.join(config).canonicalize() {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(error)
                    .with_context(|| format!("no `{shown}` in the DNS repository"))
                    .hint(|| {
                        "go to the DNS repository, or name it with `--dns-repo` where a command has that; `--config` names the file in it"
                    });
            }
            Err(error) => return Err(error).with_context(|| format!("cannot open `{shown}`")),
        };
        // Who names a file outside means it; a link in the repository may lead anywhere.
        let inside = flattened(&root.join(config)).starts_with(&root);
        ensure!(
            !inside || path.starts_with(&root),
            "`{shown}` leads outside the DNS repository"
        );
        let home = path.parent().map_or_else(PathBuf::new, Path::to_owned);
        let files = Self {
            root,
            home,
            running: RefCell::new(Vec::new()),
            failed: RefCell::new(None),
            largest,
        };
        let loaded = files.read(&path, &files.shown(&path))?;
        Ok((files, loaded))
    }

    /// Notes that a script runs, so that its relative paths are found.
    pub(super) fn enter(&self, file: &Loaded) {
        self.running.borrow_mut().push(file.folder.clone());
    }

    /// The innermost script ended.
    pub(super) fn leave(&self, file: &Loaded, well: bool) {
        self.running.borrow_mut().pop();
        if !well {
            self.failed
                .borrow_mut()
                .get_or_insert_with(|| file.shown.clone());
        }
    }

    /// The innermost script that ended with an error.
    pub(super) fn failed(&self) -> Option<String> {
        self.failed.borrow().clone()
    }

    /// Reads what `require(path)` names.
    ///
    /// A path that begins with `.` is relative to the script that says it. Any other path is
    /// relative to the repository, or else to the folder of the configuration.
    pub(super) fn require(&self, path: &str) -> Result<Loaded> {
        let candidates = if path.starts_with('.') {
            vec![self.here()]
        } else {
            vec![self.root.clone(), self.home.clone()]
        };
        for base in candidates {
            if let Some(resolved) = self.resolve(&base, path)? {
                return self.read(&resolved, &self.shown(&resolved));
            }
        }
        bail!("no file `{path}` in the DNS repository")
    }

    /// What is below `folder`, which is relative to the running script, and has `extension`, a dot
    /// and what follows the last one; `*` for everything, folders included.
    ///
    /// In the order of their names, folder by folder; relative to the repository, with slashes.
    pub(super) fn glob(
        &self,
        folder: &str,
        recursive: bool,
        extension: &str,
    ) -> Result<Vec<String>> {
        let Some(folder_path) = self.resolve(&self.here(), folder)? else {
            bail!("no folder `{folder}` in the DNS repository");
        };
        let mut found = Vec::new();
        self.note(&folder_path, extension, &mut found);
        if folder_path.is_dir() {
            self.walk(&folder_path, recursive, extension, &mut found)
                .with_context(|| format!("cannot list the folder `{folder}`"))?;
        }
        Ok(found)
    }

    fn walk(
        &self,
        folder: &Path,
        recursive: bool,
        extension: &str,
        found: &mut Vec<String>,
    ) -> io::Result<()> {
        let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            // A link to a folder is not followed, so the walk ends and stays inside.
            if entry.file_type()?.is_dir() {
                if recursive {
                    self.note(&entry.path(), extension, found);
                    self.walk(&entry.path(), recursive, extension, found)?;
                }
            } else {
                self.note(&entry.path(), extension, found);
            }
        }
        Ok(())
    }

    fn note(&self, path: &Path, extension: &str, found: &mut Vec<String>) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let last_dot = name.rfind('.').and_then(|dot| name.get(dot..));
        if extension == "*" || last_dot == Some(extension) {
            found.push(self.shown(path));
        }
    }

    /// The file that `path` names, none if it is not there, an error if it is outside.
    fn resolve(&self, base: &Path, path: &str) -> Result<Option<PathBuf>> {
        let joined = base.join(path);
        let outside = || format!("`{path}` is outside the DNS repository");
        // Said before looking, so that a script learns nothing of what exists elsewhere.
        ensure!(flattened(&joined).starts_with(&self.root), outside());
        match joined.canonicalize() {
            Ok(resolved) => {
                ensure!(resolved.starts_with(&self.root), outside());
                Ok(Some(resolved))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot open `{path}`")),
        }
    }

    fn read(&self, path: &Path, shown: &str) -> Result<Loaded> {
        let about = || format!("cannot read `{shown}`");
        let metadata = fs::metadata(path).with_context(about)?;
        // A pipe would block for ever.
        ensure!(metadata.is_file(), "`{shown}` is not a file");
        let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
        ensure!(
            length <= self.largest,
            "`{shown}` is larger than the memory limit"
        );
        let bytes = file::read(path).with_context(about)?;
        let text = String::from_utf8(bytes)
            .ok()
            .with_context(|| format!("`{shown}` is not UTF-8"))?;
        ensure!(!text.contains('\0'), "`{shown}` contains a NUL byte");
        Ok(Loaded {
            shown: shown.to_owned(),
            text: match text.strip_prefix('\u{feff}') {
                Some(rest) => rest.to_owned(),
                None => text,
            },
            folder: path.parent().map_or_else(PathBuf::new, Path::to_owned),
        })
    }

    fn here(&self) -> PathBuf {
        self.running
            .borrow()
            .last()
            .cloned()
            .unwrap_or_else(|| self.home.clone())
    }

    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .to_string_lossy()
            .into_owned()
    }
}

/// `path` without `.` and `..`, as text alone says.
fn flattened(path: &Path) -> PathBuf {
    let mut flat = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                flat.pop();
            }
            Component::CurDir => {}
            other => flat.push(other),
        }
    }
    flat
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "fixtures in temporary folders")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn repository() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("repo");
        fs::create_dir_all(root.join("zones/sub")).unwrap();
        fs::write(root.join("dnsconfig.js"), "\u{feff}var main;").unwrap();
        fs::write(root.join("zones/b.js"), "b").unwrap();
        fs::write(root.join("zones/a.js"), "a").unwrap();
        fs::write(root.join("zones/a.json"), "{}").unwrap();
        fs::write(root.join("zones/sub/c.js"), "c").unwrap();
        fs::write(folder.path().join("secret.js"), "secret").unwrap();
        (folder, root)
    }

    fn opened(root: &Path) -> Files {
        let (files, main) = Files::open(root, Path::new("dnsconfig.js"), 1000).unwrap();
        assert_eq!(main.text, "var main;");
        files.enter(&main);
        files
    }

    fn refused(files: &Files, path: &str) -> String {
        match files.require(path) {
            Ok(loaded) => panic!("{path} gave {}", loaded.shown),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn relative_to_the_script_or_to_the_repository() {
        let (_folder, root) = repository();
        let files = opened(&root);
        let inner = files.require("./zones/a.js").unwrap();
        assert_eq!(
            (inner.shown.as_str(), inner.text.as_str()),
            ("zones/a.js", "a")
        );
        files.enter(&inner);
        assert_eq!(files.require("./sub/c.js").unwrap().text, "c");
        assert_eq!(files.require("../zones/b.js").unwrap().text, "b");
        assert_eq!(files.require("zones/b.js").unwrap().text, "b");
        files.leave(&inner, true);
        assert_eq!(
            refused(&files, "./sub/c.js"),
            "no file `./sub/c.js` in the DNS repository"
        );
    }

    #[test]
    fn nothing_outside_is_read() {
        let (folder, root) = repository();
        symlink(folder.path().join("secret.js"), root.join("link.js")).unwrap();
        symlink(folder.path(), root.join("up")).unwrap();
        let files = opened(&root);
        let absolute = folder.path().join("secret.js").display().to_string();
        for path in [
            "../secret.js",
            "./zones/../../secret.js",
            "../absent.js",
            "./link.js",
            "./up/secret.js",
            &absolute,
            "/etc/hostname",
        ] {
            assert_eq!(
                refused(&files, path),
                format!("`{path}` is outside the DNS repository")
            );
        }
        assert!(files.glob("..", true, ".js").is_err());
        assert!(files.glob("./up", true, ".js").is_err());
    }

    #[test]
    fn the_configuration_may_be_elsewhere_but_no_link_leads_there() {
        let (folder, root) = repository();
        symlink(folder.path().join("secret.js"), root.join("link.js")).unwrap();
        let open = |config: &str| Files::open(&root, Path::new(config), 1000);
        let (files, main) = open("../secret.js").unwrap();
        assert_eq!(main.text, "secret");
        files.enter(&main);
        assert!(files.require("./secret.js").is_err());
        assert_eq!(
            open("link.js").map(|_| ()).unwrap_err().to_string(),
            "`link.js` leads outside the DNS repository"
        );
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let (_folder, root) = repository();
        fs::write(root.join("nul.js"), "a\0b").unwrap();
        fs::write(root.join("latin1.js"), [0xe9]).unwrap();
        fs::write(root.join("large.js"), "x".repeat(1001)).unwrap();
        let files = opened(&root);
        assert_eq!(refused(&files, "nul.js"), "`nul.js` contains a NUL byte");
        assert_eq!(refused(&files, "latin1.js"), "`latin1.js` is not UTF-8");
        assert_eq!(refused(&files, "zones"), "`zones` is not a file");
        assert_eq!(
            refused(&files, "large.js"),
            "`large.js` is larger than the memory limit"
        );
    }

    #[test]
    fn glob_goes_folder_by_folder() {
        let (_folder, root) = repository();
        let files = opened(&root);
        assert_eq!(
            files.glob("./zones", true, ".js").unwrap(),
            ["zones/a.js", "zones/b.js", "zones/sub/c.js"]
        );
        assert_eq!(
            files.glob("zones/", false, ".json").unwrap(),
            ["zones/a.json"]
        );
    }
}
