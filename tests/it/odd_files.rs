//! A named pipe, a device, a folder or a huge file in the place of a file: no hang, no gigabytes, and a clear error.

use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use std::process::Command;

use pretty_assertions::assert_eq;

use crate::support::cert_repo::CertRepo;
use crate::support::folders::{Folders, Said};

/// What can be in the place of a file.
const KINDS: [&str; 4] = ["pipe", "device", "folder", "huge"];

const NO_FILE: &str = "it is no file, but a device or a pipe";
const TOO_LARGE: &str = "it is larger than 64 MiB, which is the limit";
const IS_FOLDER: &str = "Is a directory";

fn put(kind: &str, path: &Path) {
    if path.exists() {
        fs::remove_file(path).unwrap();
    }
    match kind {
        "pipe" => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        "device" => symlink("/dev/zero", path).unwrap(),
        "folder" => fs::create_dir(path).unwrap(),
        _ => File::create(path).unwrap().set_len(2 << 30).unwrap(),
    }
}

/// The program with a time limit of 20 s, and 3 GB of addresses.
fn limited() -> Command {
    let mut command = Command::new("timeout");
    command
        .args(["120", "prlimit", "--as=3000000000"])
        .arg(env!("CARGO_BIN_EXE_git-certs"))
        .env_clear()
        .env("PATH", "/usr/bin:/bin");
    command
}

/// What the program says of each kind at this place.
fn said(place: &str, words: &str) -> [String; 4] {
    KINDS.map(|kind| {
        let folders = Folders::new().with(
            "certs/.age-recipients",
            "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\n",
        );
        put(kind, &folders.path(place));
        let output = limited()
            .args(words.split(' '))
            .current_dir(folders.path("certs"))
            .env("HOME", folders.path("home"))
            .env("TMPDIR", folders.path("tmp"))
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{kind}: {said}");
        said
    })
}

/// Files of the cert repository, where links are not followed.
fn of_repository(path: &str) -> [String; 4] {
    [
        format!("error: cannot read `{path}`\n  caused by: {NO_FILE}\n"),
        format!("error: `{path}` is a symbolic link, or below one; it is not followed\n"),
        format!("error: cannot read `{path}`\n  caused by: {IS_FOLDER}\n"),
        format!(
            "error: `{path}` has 2048 MiB, and 64 MiB are read of a file at most\n\
             hint: `git log --stat` says who has put it there\n"
        ),
    ]
}

#[test]
fn what_is_no_file_or_huge_is_not_read() {
    let plan = "plan --dns-repo ../dns";
    for path in ["certs.json", "git-certs.toml"] {
        assert_eq!(said(&format!("certs/{path}"), plan), of_repository(path));
    }
    assert_eq!(
        said("certs/.age-recipients", "recipients list"),
        of_repository(".age-recipients")
    );
    assert_eq!(
        said("dns/dnsconfig.js", plan),
        [
            "error: `dnsconfig.js` is not a file\n",
            "error: `dnsconfig.js` leads outside the DNS repository\n",
            "error: `dnsconfig.js` is not a file\n",
            "error: `dnsconfig.js` is larger than the memory limit\n",
        ]
    );
    let no_file = "error: cannot issue `www`
  caused by: `creds.json` is not a file
";
    let too_large = format!(
        "error: cannot issue `www`
  caused by: cannot read `creds.json`
  caused by: {TOO_LARGE}
"
    );
    assert_eq!(
        said(
            "dns/creds.json",
            "renew --dry-run --quiet --dns-repo ../dns"
        ),
        [no_file, no_file, no_file, too_large.as_str()]
    );
    let hint = "hint: a relative path starts at the current folder\n";
    let roots = "`../home/roots.pem` of `--ca-bundle`";
    let no_file = format!("error: {roots} is no file\n{hint}");
    assert_eq!(
        said(
            "home/roots.pem",
            "plan --dns-repo ../dns --ca-bundle ../home/roots.pem"
        ),
        [
            no_file.clone(),
            no_file.clone(),
            no_file,
            format!("error: cannot read {roots}\n  caused by: {TOO_LARGE}\n{hint}"),
        ]
    );
}

#[test]
fn an_identity_is_a_file_or_what_the_shell_has_opened() {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    repo.put(".age-recipients", format!("{alice}\n"));
    repo.list(&["www"]);
    repo.certificate("www", &[&alice]);
    repo.commit("www");
    for (kind, cause) in KINDS
        .into_iter()
        .zip([NO_FILE, NO_FILE, IS_FOLDER, TOO_LARGE])
    {
        let identity = repo.path(kind);
        put(kind, &identity);
        let said = repo.run("export www --to ../out", kind);
        assert_eq!(said.code, Some(2));
        assert_eq!(
            said.stderr,
            format!(
                "error: cannot export `www`\n  caused by: cannot read the identity `[ROOT]/{kind}`\n  caused by: {cause}\n\
                 hint: an identity is a file of `age-keygen`, or an SSH private key\n"
            )
        );
    }
    let program = repo.program();
    let shell = format!(
        "GIT_CERTS_AGE_KEY_FILE=<(cat {}) {} export www --to ../out",
        repo.path("alice").display(),
        program.get_program().to_str().unwrap()
    );
    let output = repo.under("bash", &["-c", &shell], "").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(repo.path("out/www.key").is_file());
}

#[test]
fn what_is_written_replaces_no_pipe_and_no_device() {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    repo.put(".age-recipients", format!("{alice}\n"));
    repo.list(&["www"]);
    repo.commit("www");
    let pipe = repo.path("pipe");
    put("pipe", &pipe);
    symlink("/dev/null", repo.path("null")).unwrap();
    let hint = "name a file, or none: without one it goes to standard output";
    let in_dev = format!("it leads into `/dev`, whose entries are not replaced\nhint: {hint}");
    for (file, why) in [
        ("../pipe", NO_FILE),
        ("/dev/null", &in_dev),
        ("../null", &in_dev),
        ("/dev/git-certs/page", &in_dev),
    ] {
        let said = repo.run(&format!("status --format html --output {file}"), "alice");
        let shown = file.replace("..", "[ROOT]/certs/..");
        assert_eq!(
            (said.code, said.stderr),
            (
                Some(2),
                format!("error: cannot write `{shown}`\n  caused by: {why}\n")
            )
        );
    }
    assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
    let null = fs::symlink_metadata("/dev/null").unwrap().file_type();
    assert!(null.is_char_device());
    assert!(!Path::new("/dev/git-certs").exists());
    let link = fs::symlink_metadata(repo.path("null")).unwrap().file_type();
    assert!(link.is_symlink());
    fs::create_dir(repo.path("pages")).unwrap();
    let said = repo.run("status --format html --output ../pages", "alice");
    assert_eq!(
        said,
        Said::refused(&format!(
            "error: cannot write `[ROOT]/certs/../pages`\n  caused by: {IS_FOLDER}\n"
        ))
    );
    let entries = fs::read_dir(repo.path("")).unwrap();
    let mut left = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(left.find(|name| name.starts_with(".git-certs")), None);
    // A link to a file is where somebody wants the page.
    fs::write(repo.path("old.html"), "old").unwrap();
    symlink("old.html", repo.path("link")).unwrap();
    let said = repo.run("status --format html --output ../link", "alice");
    assert_eq!((said.code, said.stderr), (Some(0), String::new()));
    assert!(repo.path("link").is_symlink());
    let page = fs::read_to_string(repo.path("old.html")).unwrap();
    assert!(page.ends_with("</html>\n"), "{page}");
}
