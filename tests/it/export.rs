//! `export`: what servers and other programs read, where it goes, and what is refused.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use pretty_assertions::assert_eq;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256,
};
use serde_json::json;

use crate::support::cert_repo::{CertRepo, Files, sha256};
use crate::support::folders::Said;
use crate::yaml;

const PASSWORD: &str = "a password, & \"more\"";

/// A certificate of an authority of its own, which goes with it.
struct Issued {
    leaf: String,
    issuer: String,
    key: String,
}

/// `www` with an RSA key and `mail_1` with one on P-256, encrypted for Alice.
pub fn repo() -> (CertRepo, [String; 2]) {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    repo.put(".age-recipients", format!("{alice}\n"));
    repo.list(&["www", "mail_1"]);
    let keys = [
        ("www", &PKCS_RSA_SHA256),
        ("mail_1", &PKCS_ECDSA_P256_SHA256),
    ]
    .map(|(name, kind)| {
        let key = KeyPair::generate_for(kind).unwrap();
        put(&repo, name, &key, &alice).key
    });
    repo.commit("first");
    (repo, keys)
}

fn put(repo: &CertRepo, name: &str, key: &KeyPair, recipient: &str) -> Issued {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let named = |name: &str| {
        let mut names = DistinguishedName::new();
        names.push(DnType::CommonName, name);
        names
    };
    authority.distinguished_name = named("Authority");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let Files { description, .. } = Files::with_key(name, key);
    let mut params =
        CertificateParams::new(vec![format!("{}.a.test", name.replace('_', "-"))]).unwrap();
    params.distinguished_name = named(name);
    params.not_before = time::macros::datetime!(2026-11-01 0:00 UTC);
    params.not_after = time::macros::datetime!(2126-11-01 0:00 UTC);
    let issued = Issued {
        leaf: params.signed_by(key, &authority).unwrap().pem(),
        issuer: authority.pem(),
        key: key.serialize_pem(),
    };
    let sealed = repo.sealed(&issued.key, &[recipient]);
    let mut description = description;
    description["key_age_sha256"] = sha256(sealed.as_bytes()).into();
    let file = |end: &str| format!("certificates/{name}/{name}.{end}");
    repo.put(&file("crt"), format!("{}{}", issued.leaf, issued.issuer));
    repo.put(&file("key.age"), sealed);
    repo.put(&file("json"), format!("{description:#}\n"));
    issued
}

/// Names of files in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn lines(what: &str, folder: &str, files: &[&str]) -> String {
    let lines = files
        .iter()
        .map(|file| format!("{what}  [ROOT]/{folder}/{file}\n"));
    lines.collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_command_inherits_no_key_and_keeps_what_is_its_own() {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    repo.put(".age-recipients", format!("{alice}\n"));
    repo.list(&["www"]);
    repo.certificate("www", &[&alice]);
    repo.commit("first");
    let key = fs::read_to_string(repo.path("alice")).unwrap();
    let variables = [
        ("SOPS_AGE_KEY", key.as_str()),
        ("GIT_CERTS_AGE_KEY", &key),
        ("GITHUB_TOKEN", "of-the-job"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let said = repo.run_with(
        "export www -- printenv GITHUB_TOKEN GIT_CERTS_AGE_KEY SOPS_AGE_KEY",
        "alice",
        &variables,
    );
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (Some(1), "of-the-job\n"),
        "{said:?}"
    );
}

#[test]
fn pem_files_are_for_their_user_alone_and_stay_where_nothing_changes() {
    let (repo, keys) = repo();
    let files = ["www.crt", "www.key", "www.cert.pem", "www.chain.pem"];
    let words = format!("export www --to {}", repo.path("new/out").display());
    let out = repo.path("new/out");
    assert_eq!(
        repo.run(&words, "alice"),
        Said::done(&lines("written  ", "new/out", &files))
    );
    assert_eq!(mode(&repo.path("new")), 0o700);
    assert_eq!(mode(&out), 0o700);
    for file in files {
        assert_eq!(mode(&out.join(file)), 0o600, "{file}");
    }
    assert_eq!(names(&out).len(), 4);
    let text = |file: &str| fs::read_to_string(out.join(file)).unwrap();
    assert_eq!(text("www.key"), keys[0]);
    assert_eq!(text("www.crt"), repo.read("certificates/www/www.crt"));
    assert_eq!(
        text("www.cert.pem") + &text("www.chain.pem"),
        text("www.crt")
    );
    let public = |words: &[&str], file: &str| {
        let file = out.join(file).display().to_string();
        repo.tool("openssl", &[words, &["-in", &file]].concat(), "")
    };
    let of_key = public(&["pkey", "-pubout"], "www.key");
    assert_eq!(public(&["x509", "-noout", "-pubkey"], "www.crt"), of_key);
    assert_eq!(
        public(&["x509", "-noout", "-pubkey"], "www.cert.pem"),
        of_key
    );

    // What is there already is not touched, be it made readable for a server.
    let key = out.join("www.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::metadata(&key).unwrap().modified().unwrap();
    assert_eq!(
        repo.run(&words, "alice"),
        Said::done(&lines("unchanged", "new/out", &files))
    );
    assert_eq!(fs::metadata(&key).unwrap().modified().unwrap(), before);
    assert_eq!(mode(&key), 0o640);
    fs::write(out.join("www.chain.pem"), "other").unwrap();
    let said = repo.run(&words, "alice").stdout;
    assert_eq!(said.matches("written").count(), 1, "{said}");
    assert!(
        said.ends_with("written    [ROOT]/new/out/www.chain.pem\n"),
        "{said}"
    );
}

#[test]
fn haproxy_nginx_and_apache_take_what_is_written_for_them() {
    let (repo, keys) = repo();
    let root = repo.path("tls");
    let export = |format: &str| {
        let to = root.join(format);
        let words = format!("export --all --format {format} --to {}", to.display());
        assert_eq!(repo.run(&words, "alice").code, Some(0));
        to
    };
    let out = export("haproxy");
    assert_eq!(names(&out), ["mail_1.pem", "www.pem"]);
    let whole = fs::read_to_string(out.join("www.pem")).unwrap();
    assert_eq!(whole, repo.read("certificates/www/www.crt") + &keys[0]);
    let configuration = repo.path("haproxy.cfg");
    fs::write(
        &configuration,
        format!(
            "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n\
             frontend https\n  bind 127.0.0.1:8443 ssl crt {}/\n",
            out.display()
        ),
    )
    .unwrap();
    repo.tool(
        "/usr/sbin/haproxy",
        &["-c", "-f", configuration.to_str().unwrap()],
        "",
    );

    let out = export("nginx");
    assert_eq!(
        names(&out),
        [
            "mail_1.conf",
            "mail_1.crt",
            "mail_1.key",
            "www.conf",
            "www.crt",
            "www.key"
        ]
    );
    let configuration = repo.path("nginx.conf");
    let log = repo.path("tmp");
    fs::write(
        &configuration,
        format!(
            "pid {log}/nginx.pid;\nerror_log {log}/nginx.log;\nevents {{}}\nhttp {{\naccess_log off;\n\
             server {{ listen 127.0.0.1:8443 ssl; server_name www.a.test; include {out}/www.conf; }}\n\
             server {{ listen 127.0.0.1:8443 ssl; server_name mail.a.test; include {out}/mail_1.conf; }}\n}}\n",
            log = log.display(),
            out = out.display()
        ),
    )
    .unwrap();
    repo.tool(
        "/usr/sbin/nginx",
        &["-t", "-q", "-c", configuration.to_str().unwrap()],
        "",
    );

    let out = export("apache");
    let configuration = repo.path("apache.conf");
    let hosts = ["www", "mail_1"].map(|name| {
        format!(
            "<VirtualHost 127.0.0.1:8443>\nServerName {name}.a.test\nSSLEngine on\nInclude {}/{name}.conf\n</VirtualHost>\n",
            out.display()
        )
    });
    let modules = ["mpm_event", "authz_core", "ssl"]
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"));
    fs::write(
        &configuration,
        format!(
            "ServerRoot {log}\nServerName a.test\nPidFile {log}/apache.pid\nErrorLog {log}/apache.log\nDefaultRuntimeDir {log}\n\
             Listen 127.0.0.1:8443\n{}{}",
            modules.concat(),
            hosts.concat(),
            log = log.display()
        ),
    )
    .unwrap();
    repo.tool(
        "/usr/sbin/apache2",
        &["-t", "-f", configuration.to_str().unwrap()],
        "",
    );

    // The programs do look: another key is none of the certificate.
    let place = root.join("nginx/www.key");
    let other = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    fs::write(place, other.serialize_pem()).unwrap();
    let configuration = repo.path("nginx.conf");
    let refused = std::process::Command::new("/usr/sbin/nginx")
        .args(["-t", "-c", configuration.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("key values mismatch"), "{said}");

    // They can be on another machine.
    let words = format!(
        "export www --format nginx --installed-in /srv/tls/ --to {}",
        repo.path("copy").display()
    );
    repo.run(&words, "alice");
    assert_eq!(
        fs::read_to_string(repo.path("copy/www.conf")).unwrap(),
        "ssl_certificate \"/srv/tls/www.crt\";\nssl_certificate_key \"/srv/tls/www.key\";\n"
    );
}

#[test]
fn pkcs12_is_opened_by_openssl_and_java() {
    let (repo, keys) = repo();
    fs::write(
        repo.path("password"),
        format!("{PASSWORD}\r\nsecond line\n"),
    )
    .unwrap();
    let password = repo.path("password").display().to_string();
    for (format, legacy) in [("pkcs12", &[][..]), ("pkcs12-legacy", &["-legacy"])] {
        let words = format!(
            "export --all --format {format} --password-file {password} --to {}",
            repo.path(format).display()
        );
        let files = ["mail_1.p12", "www.p12"];
        assert_eq!(
            repo.run(&words, "alice"),
            Said::done(&lines("written  ", format, &files))
        );
        // Salts are no reason to write them again.
        assert_eq!(
            repo.run(&words, "alice"),
            Said::done(&lines("unchanged", format, &files))
        );
        for (name, key) in ["www", "mail_1"].iter().zip(&keys) {
            let file = repo.path(format).join(format!("{name}.p12"));
            let file = file.to_str().unwrap();
            let pass = format!("pass:{PASSWORD}");
            let open = [&["pkcs12", "-in", file, "-passin", &pass], legacy].concat();
            let openssl = |words: &[&str]| repo.tool("openssl", &[&open, words].concat(), "");
            let key_out = openssl(&["-nocerts", "-noenc"]);
            assert!(key_out.contains(key.trim()), "{name}");
            assert!(
                key_out.contains(&format!("friendlyName: {name}\n")),
                "{key_out}"
            );
            let chain = repo.read(&format!("certificates/{name}/{name}.crt"));
            let certificates: String = openssl(&["-nokeys"])
                .split_inclusive('\n')
                .filter(|line| !line.contains(": ") && !line.contains('=') || line.ends_with("=\n"))
                .filter(|line| !line.starts_with("Bag Attributes") && !line.starts_with(' '))
                .collect();
            assert_eq!(certificates, chain.replace("\r\n", "\n"), "{name}");

            fs::write(repo.path("java-password"), PASSWORD).unwrap();
            let java_password = repo.path("java-password").display().to_string();
            let listed = repo.tool(
                "keytool",
                &[
                    "-J-Duser.language=en",
                    "-list",
                    "-v",
                    "-keystore",
                    file,
                    "-storepass:file",
                    &java_password,
                ],
                "",
            );
            for line in [
                &format!("Alias name: {name}"),
                "Entry type: PrivateKeyEntry",
                "Certificate chain length: 2",
                "Keystore type: PKCS12",
            ] {
                assert!(listed.contains(line), "{line}: {listed}");
            }
        }
    }
    // With the variable, as one file for a pipe.
    let variables = [("GIT_CERTS_EXPORT_PASSWORD".to_owned(), PASSWORD.to_owned())];
    let words = ["export", "www", "--format", "pkcs12", "--stdout"];
    let output = repo
        .program()
        .args(words)
        .env("GIT_CERTS_AGE_KEY_FILE", repo.path("alice"))
        .envs(variables)
        .output()
        .unwrap();
    assert_eq!(
        output.stdout,
        fs::read(repo.path("pkcs12/www.p12")).unwrap()
    );
    assert_eq!(output.stderr, b"");
    let variables = [(
        "GIT_CERTS_EXPORT_PASSWORD".to_owned(),
        "p\u{e4}ss".to_owned(),
    )];
    assert_eq!(
        repo.run_with("export www --format pkcs12 --stdout", "alice", &variables),
        Said::refused(
            "error: the password of the PKCS#12 file has characters that are not ASCII\n\
             hint: programs differ in how they encode them, and Java takes none\n"
        )
    );
}

#[test]
fn a_kubernetes_secret_is_a_manifest() {
    let (repo, keys) = repo();
    let out = repo.path("out");
    let words = format!(
        "export --all --format kubernetes --namespace web --to {}",
        out.display()
    );
    repo.run(&words, "alice");
    assert_eq!(names(&out), ["mail-1.yaml", "www.yaml"]);
    let manifest = yaml::parse(&fs::read_to_string(out.join("mail-1.yaml")).unwrap());
    let encoded = |text: &str| repo.tool("base64", &["--wrap=0"], text);
    assert_eq!(
        manifest,
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": "mail-1", "namespace": "web" },
            "type": "kubernetes.io/tls",
            "data": {
                "tls.crt": encoded(&repo.read("certificates/mail_1/mail_1.crt")),
                "tls.key": encoded(&keys[1]),
            },
        })
    );
    let both = repo.run("export --all --format kubernetes --stdout", "alice");
    assert_eq!(both.stdout.matches("---\napiVersion: v1\n").count(), 2);
    assert!(!both.stdout.contains("namespace"), "{}", both.stdout);
    assert_eq!(
        repo.run(
            "export www --format kubernetes --namespace Web --stdout",
            "alice"
        ),
        Said::refused(
            "error: `Web` of `--namespace` is no name of a namespace\n\
             hint: it has small letters, digits and `-`, at most 63\n"
        )
    );
}

#[test]
fn options_of_another_format_are_refused() {
    let (repo, _) = repo();
    for (words, stderr) in [
        (
            "--namespace web",
            "error: `--namespace` is of no use to the format `pem`\n\
             hint: leave it out, or choose with `--format`: `kubernetes`\n",
        ),
        (
            "--format haproxy --password-file ../password",
            "error: `--password-file` is of no use to the format `haproxy`\n\
             hint: leave it out, or choose with `--format`: `pkcs12` or `pkcs12-legacy`\n",
        ),
        (
            "--format kubernetes --installed-in /etc/ssl",
            "error: `--installed-in` is of no use to the format `kubernetes`\n\
             hint: leave it out, or choose with `--format`: `nginx` or `apache`\n",
        ),
    ] {
        let said = repo.run(&format!("export www --stdout {words}"), "alice");
        assert_eq!(said, Said::refused(stderr));
    }
}

#[test]
fn standard_output_has_keys_only_where_it_is_asked_for() {
    let (repo, keys) = repo();
    let output = repo
        .program()
        .args(["export", "www", "mail_1", "--stdout"])
        .env("GIT_CERTS_AGE_KEY_FILE", repo.path("alice"))
        .output()
        .unwrap();
    let chain = |name: &str| repo.read(&format!("certificates/{name}/{name}.crt"));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        chain("mail_1") + &keys[1] + &chain("www") + &keys[0]
    );
    assert_eq!(output.stderr, b"");
    assert_eq!(
        repo.run("export www", "alice"),
        Said::refused(
            "error: `export` is not told where to\n\
             hint: name a folder with `--to`, a command after `--`, or say `--stdout`\n"
        )
    );
    assert_eq!(
        repo.run("export www --format nginx --stdout", "alice"),
        Said::refused(
            "error: certificate, key and configuration are three files\n\
             hint: write them to a folder with `--to`\n"
        )
    );
    let variables = [("GIT_CERTS_EXPORT_PASSWORD".to_owned(), PASSWORD.to_owned())];
    assert_eq!(
        repo.run_with("export --all --format pkcs12 --stdout", "alice", &variables),
        Said::refused(
            "error: a PKCS#12 file holds one certificate, and these are 2\n\
             hint: write them to a folder with `--to`\n"
        )
    );
}

#[test]
fn keys_are_written_nowhere_where_they_would_be_committed_or_lost() {
    let (repo, _) = repo();
    let to = |path: &Path| repo.run(&format!("export www --to {}", path.display()), "alice");
    let certs = repo.path("certs");
    for (path, shown) in [
        (certs.join("out"), "[ROOT]/certs/out"),
        (certs.clone(), "[ROOT]/certs"),
        (
            certs.join("certificates/www"),
            "[ROOT]/certs/certificates/www",
        ),
    ] {
        assert_eq!(
            to(&path),
            Said::refused(&format!(
                "error: `{shown}` is in the cert repository, where keys in plain text would be committed\n\
                 hint: name a folder outside of it\n"
            ))
        );
    }
    assert_eq!(repo.git(&["status", "--porcelain", "--ignored"]), "");

    // Another repository.
    let other = repo.path("other");
    fs::create_dir(&other).unwrap();
    repo.tool("git", &["init", "--quiet", "other"], "");
    fs::write(other.join(".gitignore"), "/tls/\n").unwrap();
    assert_eq!(
        to(&other.join("new/folder")),
        Said::refused(
            "error: `[ROOT]/other/new/folder/www.crt` is in a git repository, where keys in plain text would be committed\n\
             hint: name a folder outside of it, or one that its .gitignore lists\n"
        )
    );
    assert!(!other.join("new").exists());
    assert_eq!(to(&other.join("tls")).code, Some(0));
    // A .gitignore that lists some of the files, all but the unfinished ones, or one that was added all the same.
    let refused = |file: &str| {
        Said::refused(&format!(
            "error: `[ROOT]/other/some/{file}` is in a git repository, where keys in plain text would be committed\n\
             hint: name a folder outside of it, or one that its .gitignore lists\n"
        ))
    };
    let some = other.join("some");
    fs::write(other.join(".gitignore"), "/tls/\nfile\n*.crt\n").unwrap();
    assert_eq!(to(&some), refused("www.key"));
    fs::write(other.join(".gitignore"), "/tls/\n/some/*\n!/some/www.key\n").unwrap();
    assert_eq!(to(&some), refused("www.key"));
    for ours in ["", ".git-certs-*\n", ".git-certs.pending-*\n"] {
        let list = format!("/tls/\nwww.*\n{ours}");
        fs::write(other.join(".gitignore"), list).unwrap();
        assert_eq!(
            to(&some),
            Said::refused(
                "error: `[ROOT]/other/some` is in a git repository, where keys in plain text would be committed: \
                 files are called `.git-certs*` there until they are whole, and so is the mark of a command\n\
                 hint: let its .gitignore list the folder, or `.git-certs*` as well; or name a folder outside of it\n"
            )
        );
    }
    assert!(!some.exists());
    fs::write(
        other.join(".gitignore"),
        "/tls/\nwww.*\nmail_1.*\n.git-certs*\n",
    )
    .unwrap();
    assert_eq!(to(&some).code, Some(0));
    fs::remove_dir_all(&some).unwrap();
    fs::write(other.join(".gitignore"), "/tls/\n/some/\n").unwrap();
    fs::create_dir(&some).unwrap();
    fs::write(some.join("www.key"), "").unwrap();
    repo.tool(
        "git",
        &["-C", "other", "add", "--force", "some/www.key"],
        "",
    );
    assert_eq!(to(&some), refused("www.key"));
    assert_eq!(fs::read_to_string(some.join("www.key")).unwrap(), "");
    repo.tool(
        "git",
        &["-C", "other", "rm", "--quiet", "--cached", "some/www.key"],
        "",
    );
    assert_eq!(
        repo.tool("git", &["-C", "other", "status", "--porcelain"], ""),
        "?? .gitignore\n"
    );

    // Links, and what is no file.
    symlink(other.join("tls"), repo.path("link")).unwrap();
    assert_eq!(
        to(&repo.path("link")),
        Said::refused(
            "error: `[ROOT]/link` is a symbolic link\n\
             hint: name the folder that it leads to\n"
        )
    );
    let out = repo.path("out");
    fs::create_dir(&out).unwrap();
    fs::write(repo.path("precious"), "precious").unwrap();
    symlink(repo.path("precious"), out.join("www.key")).unwrap();
    assert_eq!(
        to(&out),
        Said::refused(
            "error: `[ROOT]/out/www.key` is a symbolic link, which would be replaced\n\
             hint: remove it, or name another folder\n"
        )
    );
    assert_eq!(
        fs::read_to_string(repo.path("precious")).unwrap(),
        "precious"
    );
    assert_eq!(names(&out), ["www.key"]);
    fs::remove_file(out.join("www.key")).unwrap();
    fs::create_dir(out.join("www.key")).unwrap();
    assert_eq!(
        to(&out),
        Said::refused("error: `[ROOT]/out/www.key` is not a file\n")
    );
    assert_eq!(
        to(&repo.path("precious")),
        Said::refused("error: `[ROOT]/precious` is not a folder\n")
    );
    assert_eq!(
        to(&repo.path("nowhere/../certs/x")),
        Said::refused(
            "error: `[ROOT]/nowhere/../certs/x` leads through a folder that is not there\n"
        )
    );
}

#[test]
fn what_cannot_be_exported_is_said_and_nothing_is_written() {
    let (mut repo, keys) = repo();
    let bob = repo.identity("bob");
    let out = repo.path("out");
    let export = |words: &str, identity: &str| {
        repo.run(&format!("export {words} --to {}", out.display()), identity)
    };
    let is_refused = |words: &str, stderr: &str| {
        assert_eq!(export(words, "alice"), Said::refused(stderr), "{words}");
        assert!(!out.exists());
    };
    is_refused(
        "www nothing",
        "error: there is no certificate `nothing`: `certificates/nothing/nothing.crt` is not there\n\
         hint: it takes a `cert_name` of certs.json whose certificate was issued\n",
    );
    is_refused(
        "../www",
        "error: `export` names no certificate\n  \
         caused by: `../www` is not a certificate name\n\
         hint: it takes a `cert_name` of certs.json\n",
    );
    is_refused(
        "www --format pkcs12",
        "error: a PKCS#12 file needs a password\n\
         hint: name a file that holds it with `--password-file`, or set GIT_CERTS_EXPORT_PASSWORD\n",
    );
    is_refused(
        "www --format pkcs12 --password-file missing",
        "error: cannot read `missing` of `--password-file`\n  \
         caused by: No such file or directory\n\
         hint: a relative path starts at the current folder\n",
    );
    fs::write(repo.path("empty"), "\npassword\n").unwrap();
    is_refused(
        &format!(
            "www --format pkcs12 --password-file {}",
            repo.path("empty").display()
        ),
        "error: `[ROOT]/empty` of `--password-file` has no password\n\
         hint: its first line is the password\n",
    );
    is_refused(
        "www --format nginx --installed-in tls",
        "error: `tls` cannot be named in a server's configuration\n\
         hint: it takes an absolute path without quotes, `\\` and `$`: name one with `--installed-in`\n",
    );
    is_refused(
        "www --format apache --installed-in /a$b",
        "error: `/a$b` cannot be named in a server's configuration\n\
         hint: it takes an absolute path without quotes, `\\` and `$`: name one with `--installed-in`\n",
    );
    assert_eq!(
        repo.run("export www --format nginx -- true", "alice"),
        Said::refused(
            "error: nothing says where the server will find certificate and key\n\
             hint: name the folder that they are copied to with `--installed-in`\n"
        )
    );

    // One of two cannot be opened: neither is written.
    let for_bob = repo.sealed(&keys[1], &[&bob]);
    repo.put("certificates/mail_1/mail_1.key.age", for_bob);
    let refused = Said::refused(
        "error: cannot export `mail_1`\n  \
         caused by: cannot decrypt `certificates/mail_1/mail_1.key.age`\n  \
         caused by: no identity in `[ROOT]/alice` can open it\n\
         hint: it is encrypted for other recipients: give the identity of one of them (`--identity`, GIT_CERTS_AGE_KEY), \
         or let one of them encrypt it for yours\n",
    );
    assert_eq!(export("--all", "alice"), refused);
    assert_eq!(export("www mail_1", "alice"), refused);
    assert!(!out.exists());

    // A key that is another certificate's, and one in another form.
    let alice = repo.read(".age-recipients");
    let swapped = repo.sealed(&keys[0], &[alice.trim()]);
    repo.put("certificates/mail_1/mail_1.key.age", swapped);
    is_refused(
        "mail_1",
        "error: cannot export `mail_1`\n  \
         caused by: the key in `certificates/mail_1/mail_1.key.age` is not the certificate's\n\
         hint: somebody put another key there: `git log` says who; take the right one from an older commit, \
         or issue the certificate again: `git-certs renew --only mail_1 --renew 9999`\n",
    );
    let traditional = repo.tool("openssl", &["rsa", "-traditional"], &keys[0]);
    repo.put(
        "certificates/www/www.key.age",
        repo.sealed(&traditional, &[alice.trim()]),
    );
    is_refused(
        "www",
        "error: cannot export `www`\n  \
         caused by: the key in `certificates/www/www.key.age` is not in the form PKCS#8\n\
         hint: `git-certs renew --only NAME --renew 9999` makes a new one; or bring it into that form \
         (`openssl pkcs8 -topk8 -nocrypt`) and encrypt it again\n",
    );
}

#[test]
fn all_are_those_that_can_be_used() {
    let (mut repo, _) = repo();
    let alice = repo.read(".age-recipients").trim().to_owned();
    repo.identity("bob");
    let revoked = put(&repo, "revoked", &KeyPair::generate().unwrap(), &alice);
    assert!(!revoked.key.is_empty());
    let description = repo.read("certificates/revoked/revoked.json");
    let mut description: serde_json::Value = serde_json::from_str(&description).unwrap();
    description["revoked"] = json!({"at": "2026-11-20T10:00:00Z", "reason": "superseded"});
    repo.put("certificates/revoked/revoked.json", description.to_string());
    put(&repo, "elsewhere", &KeyPair::generate().unwrap(), &alice);
    repo.remove("certificates/elsewhere/elsewhere.key.age");
    let out = repo.path("out");
    let words = |what: &str| format!("export {what} --format haproxy --to {}", out.display());
    assert_eq!(
        repo.run(&words("--all"), "alice"),
        Said {
            stderr: "warning: `elsewhere` is left out: its key is not in the repository\n\
                     warning: `revoked` is left out: it was revoked on 2026-11-20: superseded\n"
                .to_owned(),
            ..Said::done(&lines("written  ", "out", &["mail_1.pem", "www.pem"]))
        }
    );
    assert_eq!(
        repo.run(&words("revoked"), "alice"),
        Said::refused(
            "error: cannot export `revoked`\n  \
             caused by: certificate `revoked` was revoked on 2026-11-20: superseded\n\
             hint: `git-certs renew` issues it again\n"
        )
    );
    assert_eq!(
        repo.run(&words("elsewhere"), "alice"),
        Said::refused(
            "error: cannot export `elsewhere`\n  \
             caused by: certificate `elsewhere` has no encrypted key: `certificates/elsewhere/elsewhere.key.age` is not there\n\
             hint: whoever made its `csr` has the key; a key in plain text is encrypted by the next renewal\n"
        )
    );
    let empty = CertRepo::new();
    empty.list(&["www"]);
    empty.commit("first");
    assert_eq!(
        empty.run("export --all --stdout", "none"),
        Said::refused("error: the cert repository has no certificate\n")
    );
}
