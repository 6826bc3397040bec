//! examples/cert-repo works as it stands.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use pretty_assertions::assert_eq;
use roxmltree::Document;
use serde_json::Value;

use crate::action::{self, keys};
use crate::docs::{blocks, git_certs, read, root, text};
use crate::export;
use crate::support::folders::Folders;
use crate::support::lab::Lab;
use crate::support::namespace::PATH;
use crate::support::repos::{Files, variables};
use crate::support::{git_server, pebble};
use crate::yaml;

pub const WORKFLOW: &str = "examples/cert-repo/.github/workflows/renew.yml";

pub const SHARDED: &str = "examples/cert-repo/.github/workflows/renew-sharded.yml";

const DNSCONFIG: &str =
    r#"D("example.com", NewRegistrar("none"), DnsProvider(NewDnsProvider("ddns")));"#;

#[test]
fn the_example_repository_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let (certs, dns) = copy_example(folder.path());
    let plan = |dns: &str| git_certs(&["plan", "--dir", &certs, "--dns-repo", dns]);
    let output = plan(&dns);
    assert_eq!(text(output.stderr), "");
    assert_eq!(
        text(output.stdout),
        "issue    wildcardCert  example.com, *.example.com: not in the repository\n\
         issue    mail          mail.example.com, smtp.example.com: not in the repository\n\
         \n2 due, 0 up to date\n"
    );
    // Its settings are read: one that does not exist is an error.
    let settings = Path::new(&certs).join("git-certs.toml");
    let more = fs::read_to_string(&settings).unwrap() + "no-such-setting = 1\n";
    fs::write(&settings, more).unwrap();
    assert_eq!(plan(&dns).status.code(), Some(2));
}

#[test]
fn nobody_encrypts_to_the_example_by_mistake() {
    let lab = Lab::builder().start();
    let (certs, dns) = copy_example(&lab.folder().join("home"));
    let output = lab
        .git_certs(["renew", "--dir", &certs, "--dns-repo", &dns])
        .run()
        .expect_code(2);
    assert!(
        output
            .stderr
            .contains("error: `.age-recipients` has no recipient\n"),
        "{}",
        output.stderr
    );
    assert!(!Path::new(&certs).join("certificates").exists());
}

/// Copies the example and puts a DNS repository beside it; returns both folders.
fn copy_example(parent: &Path) -> (String, String) {
    let [certs, dns] = ["certs", "dns"].map(|name| parent.join(name));
    for folder in [&certs, &dns] {
        fs::create_dir(folder).unwrap();
    }
    for name in ["certs.json", "git-certs.toml", ".age-recipients"] {
        fs::copy(
            root().join("examples/cert-repo").join(name),
            certs.join(name),
        )
        .unwrap();
    }
    fs::write(dns.join("dnsconfig.js"), DNSCONFIG).unwrap();
    fs::write(dns.join("creds.json"), "{}").unwrap();
    [certs, dns]
        .map(|folder| folder.into_os_string().into_string().unwrap())
        .into()
}

#[test]
fn workflows_give_inputs_that_the_action_has() {
    let inputs = keys(&action::action()["inputs"]);
    let page = read("README.md");
    let block = blocks(&page, "yaml").remove(0);
    let workflow = yaml::parse(&read(WORKFLOW));
    let plan = yaml::parse(&read("examples/cert-repo/.github/workflows/plan.yml"));
    let sharded = yaml::parse(&read(SHARDED));
    for step in [
        &sharded["jobs"]["plan"]["steps"][0],
        &sharded["jobs"]["renew"]["steps"][0],
        &workflow["jobs"]["renew"]["steps"][0],
        &plan["jobs"]["plan"]["steps"][0],
        &plan["jobs"]["plan"]["steps"][1],
        &yaml::parse(&block)[0],
    ] {
        assert_eq!(step["uses"], "git-certs/git-certs@main");
        let given = keys(&step["with"]);
        assert!(!given.is_empty() && given.is_subset(&inputs), "{given:?}");
    }
}

/// What is before and after `---` in GitLab's component, with its inputs filled in.
fn component(given: &[(&str, &str)]) -> (Value, Value) {
    let text = read("templates/git-certs.yml");
    let (header, body) = text.split_once("\n---\n").unwrap();
    let header = yaml::parse(header);
    let inputs = header["spec"]["inputs"].as_object().unwrap();
    let mut body = body.to_owned();
    for (name, input) in inputs {
        let given = given.iter().find(|(given, _)| given == name);
        let default = input["default"].to_string();
        let value = given.map_or_else(|| default.trim_matches('"'), |(_, value)| *value);
        let place = format!("$[[ inputs.{name} ]]");
        assert!(body.contains(&place), "`{name}` is not used");
        body = body.replace(&place, value);
    }
    assert!(!body.contains("$[["), "{body}");
    (header, yaml::parse(&body))
}

#[test]
fn the_component_renews() {
    let lab = Lab::builder().all().start();
    let identity = lab.age_identity("renewer");
    let wanted: [(&str, &[&str]); 1] = [("www", &["www.bench.test", "www.pdns.test"])];
    let certs = Files::certificates(&wanted, &[&identity.recipient]).publish(&lab, "certs");
    Files::dns().publish(&lab, "dns");
    let run = |command: &str, token: &str| {
        let (_, body) = component(&[
            ("command", command),
            ("dns_repo", "https://git.test/dns.git"),
        ]);
        let job = &body["git-certs"];
        // GitLab puts the lines of `script` together, and stops where one fails.
        let lines = job["script"].as_array().unwrap().iter();
        let lines: Vec<_> = lines.map(|line| line.as_str().unwrap()).collect();
        let program = Path::new(env!("CARGO_BIN_EXE_git-certs"));
        let path = format!("{}:{PATH}", program.parent().unwrap().display());
        let mut shell = lab
            .command("sh")
            .args(["-e", "-c", &lines.join("\n")])
            .env("PATH", path)
            .env("GITLAB_CI", "true")
            .env("CI_SERVER_HOST", "git.test");
        for (name, value) in job["variables"].as_object().unwrap() {
            let value = value.as_str().unwrap();
            let value = value.replace("$CI_PROJECT_URL", "https://git.test/certs");
            let value = value.replace("$CI_NODE_INDEX/$CI_NODE_TOTAL", "1/1");
            shell = shell.env(name, value.replace("$CI_DEFAULT_BRANCH", "main"));
        }
        let of_the_project = [
            (
                "GIT_CERTS_AGE_KEY",
                fs::read_to_string(&identity.file).unwrap(),
            ),
            (token, git_server::TOKEN.to_owned()),
            ("GIT_CERTS_ACME", pebble::DIRECTORY.to_owned()),
            ("GIT_CERTS_AGREE_TOS", "true".to_owned()),
            ("GIT_CERTS_CA_BUNDLE", lab.ca().display().to_string()),
        ];
        for (name, value) in variables(&lab).into_iter().chain(of_the_project) {
            shell = shell.env(name, value);
        }
        let output = shell.succeed();
        // The files that it hands over.
        let file = |path: &Value| {
            let file = lab.folder().join("home").join(path.as_str().unwrap());
            let text = fs::read_to_string(&file).unwrap();
            fs::remove_file(file).unwrap();
            text
        };
        let artifacts = &job["artifacts"];
        let handed = file(&artifacts["paths"][0]) + &file(&artifacts["reports"]["dotenv"]);
        (output, handed)
    };
    let (output, handed) = run("renew", "GIT_CERTS_TOKEN");
    let done = "\n1 issued, 0 failed, 0 up to date\n";
    assert!(output.stdout.contains(done), "{}", output.stdout);
    action::assert_is_sealed(&lab, &certs);
    let title = "### git-certs: 1 issued, 0 up to date\n";
    assert!(handed.starts_with(title), "{handed}");
    assert!(
        handed.contains("\nCERTS_RENEWED_NAMES=[\"www\"]\n"),
        "{handed}"
    );
    assert!(handed.contains("\nCERTS_PUSHED=true\n"), "{handed}");
    // The job's own token does as well, where the project lets it push.
    let (_, handed) = run("plan", "CI_JOB_TOKEN");
    assert!(handed.contains("\nCERTS_DUE=0\n"), "{handed}");
}

#[test]
fn jobs_of_the_component_share_the_certificates() {
    let of = |given: &[(&str, &str)]| component(given).1["git-certs"].clone();
    let (one, eight) = (of(&[]), of(&[("shards", "8")]));
    assert_eq!(
        (&one["parallel"], &eight["parallel"]),
        (&1.into(), &8.into())
    );
    let shard = eight["variables"]["GIT_CERTS_SHARD"].as_str().unwrap();
    // As in `3/8`, which is what shards are tested with.
    assert_eq!(shard, "$CI_NODE_INDEX/$CI_NODE_TOTAL");
    // Jobs of one group wait for each other.
    assert_eq!(eight["resource_group"], "git-certs-$CI_NODE_INDEX");
}

#[test]
fn the_component_looks_for_mistakes_in_merge_requests() {
    let folders = Folders::new().with("certs/.age-recipients", "bob\n");
    let dns = folders.path("dns").display().to_string();
    let (_, body) = component(&[("check_dns_repo", &dns)]);
    let job = &body["git-certs-check"];
    let lines = job["script"].as_array().unwrap().iter();
    let lines: Vec<_> = lines.map(|line| line.as_str().unwrap()).collect();
    let program = Path::new(env!("CARGO_BIN_EXE_git-certs"));
    let run = || {
        let mut shell = Command::new("sh");
        shell
            .args(["-e", "-c", &lines.join("\n")])
            .current_dir(folders.path("certs"))
            .env_clear()
            .env("HOME", folders.path("home"))
            .env("CI_PROJECT_DIR", folders.path("certs"))
            .env(
                "PATH",
                format!("{}:{PATH}", program.parent().unwrap().display()),
            );
        for (name, value) in job["variables"].as_object().unwrap() {
            shell.env(name, value.as_str().unwrap());
        }
        let output = shell.output().unwrap();
        let reports = &job["artifacts"]["reports"];
        let [quality, junit] = ["codequality", "junit"].map(|kind| {
            let file = folders.path("certs").join(reports[kind].as_str().unwrap());
            fs::read_to_string(file).unwrap()
        });
        let quality: Value = serde_json::from_str(&quality).unwrap();
        let junit = Document::parse(&junit).unwrap();
        let failures = junit
            .root_element()
            .attribute("failures")
            .unwrap()
            .to_owned();
        (
            output.status.code(),
            quality.as_array().unwrap().len(),
            failures,
        )
    };
    assert_eq!(run(), (Some(1), 1, "1".to_owned()));
    let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    fs::write(folders.path("certs/.age-recipients"), recipient).unwrap();
    assert_eq!(run(), (Some(0), 0, "0".to_owned()));
}

#[test]
fn the_component_is_given_inputs_that_it_has_and_sets_what_is_known() {
    let (header, body) = component(&[]);
    let inputs = keys(&header["spec"]["inputs"]);
    let page = read("README.md");
    let start = yaml::parse(&blocks(&page, "yaml")[1]);
    for text in [
        yaml::parse(&read("examples/cert-repo/.gitlab-ci.yml")),
        start,
    ] {
        let include = &text["include"][0];
        let url = include["remote"].as_str().unwrap();
        assert!(
            url.ends_with("/git-certs/main/templates/git-certs.yml"),
            "{url}"
        );
        let given = keys(&include["inputs"]);
        assert!(given.is_subset(&inputs), "{given:?}");
    }
    let documented = read("docs/configuration.md");
    let mut names = keys(&body["git-certs"]["variables"]);
    names.retain(|name| name.starts_with("GIT_CERTS_"));
    assert_eq!(names.len(), 6, "{names:?}");
    for name in names {
        assert!(
            documented.contains(&format!("`{name}`")),
            "`{name}` is no setting"
        );
    }
}

/// A folder of programs that stand for `scp` and `ssh`: what is copied to a host goes into a folder of its name, what is to
/// run there into the file `ran`.
fn stand_ins(place: &Path) -> String {
    let bin = place.join("bin");
    fs::create_dir_all(&bin).unwrap();
    let place = place.display();
    let scp = format!(
        "#!/bin/sh\nset -eu\n[ \"$1\" = -q ]; shift\nfor last; do :; done\n\
         host=${{last%%:*}}; [ \"$last\" = \"$host:/etc/haproxy/certs/\" ]\nmkdir -p \"{place}/$host\"\n\
         while [ $# -gt 1 ]; do cp \"$1\" \"{place}/$host\"; shift; done\n"
    );
    let ssh = format!("#!/bin/sh\nset -eu\n[ -d \"{place}/$1\" ]\necho \"$@\" >> {place}/ran\n");
    let agent = "#!/bin/sh\necho SSH_AUTH_SOCK=/agent\n".to_owned();
    let add = format!("#!/bin/sh\n[ \"$*\" = '-q -' ] && cat > {place}/key\n");
    for (name, script) in [
        ("scp", scp),
        ("ssh", ssh),
        ("ssh-agent", agent),
        ("ssh-add", add),
    ] {
        let file = bin.join(name);
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    bin.into_os_string().into_string().unwrap()
}

/// Both load balancers have these files, and have been told.
fn assert_deployed(place: &Path, files: &[&str]) {
    let hosts = ["deploy@lb1.example.com", "deploy@lb2.example.com"];
    for host in hosts {
        let entries = fs::read_dir(place.join(host)).unwrap();
        let mut found: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        assert_eq!(found, files, "{host}");
        let text = fs::read_to_string(place.join(host).join(files[0])).unwrap();
        assert!(text.ends_with("-----END PRIVATE KEY-----\n"), "{host}");
    }
    let reload = hosts.map(|host| format!("{host} sudo systemctl reload haproxy\n"));
    let ran = fs::read_to_string(place.join("ran")).unwrap();
    assert_eq!(ran, reload.concat());
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn the_jobs_deploy_what_has_changed() {
    let (repo, _) = export::repo();
    repo.put("deploy", read("examples/cert-repo/deploy"));
    let deploy = repo.path("certs/deploy");
    fs::set_permissions(deploy, fs::Permissions::from_mode(0o755)).unwrap();
    let before = repo.commit("the script");
    let alice = repo.read(".age-recipients");
    repo.certificate("www", &[alice.trim()]);
    repo.commit("renewed");
    let identity = fs::read_to_string(repo.path("alice")).unwrap();
    let place = repo.path("servers");
    let program = Path::new(env!("CARGO_BIN_EXE_git-certs")).parent().unwrap();
    fs::create_dir_all(repo.path("home")).unwrap();
    let run = |script: &str, before: (&str, &str), secrets: [&str; 3]| {
        let [key, ssh_key, known_hosts] = secrets;
        let bin = stand_ins(&place);
        let output = Command::new("sh")
            .args(["-e", "-c", script])
            .current_dir(repo.path("certs"))
            .env_clear()
            .env("PATH", format!("{bin}:{}:/usr/bin:/bin", program.display()))
            .env("HOME", repo.path("home"))
            .env("TMPDIR", repo.path("tmp"))
            .env(before.0, before.1)
            .env(key, &identity)
            .env(ssh_key, "the key of ssh")
            .env(known_hosts, "lb1.example.com ssh-ed25519 AAAA")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let workflow = yaml::parse(&read("examples/cert-repo/.github/workflows/deploy.yml"));
    let steps = &workflow["jobs"]["deploy"]["steps"];
    let given = keys(&steps[1]["with"]);
    assert!(
        given.is_subset(&keys(&action::action()["inputs"])),
        "{given:?}"
    );
    let step = &steps[2];
    let mut variables = keys(&step["env"]);
    assert!(variables.remove("BEFORE"));
    let secrets = ["GIT_CERTS_AGE_KEY", "SSH_KEY", "KNOWN_HOSTS"];
    assert_eq!(variables, secrets.map(str::to_owned).into());
    let script = step["run"].as_str().unwrap();
    assert!(!script.contains("${{"), "{script}");
    // The job of the documentation gives what it takes.
    let page = read("docs/deploy.md");
    let call = &yaml::parse(&blocks(&page, "yaml")[0])["deploy"];
    let taken = &workflow["true"]["workflow_call"];
    assert_eq!(call["uses"], "./.github/workflows/deploy.yml");
    assert_eq!(keys(&call["with"]), keys(&taken["inputs"]));
    assert_eq!(keys(&call["secrets"]), keys(&taken["secrets"]));
    assert_eq!(run(script, ("BEFORE", &before), secrets), "");
    assert_deployed(&place, &["www.pem"]);
    run(script, ("BEFORE", &"0".repeat(40)), secrets);
    assert_deployed(&place, &["mail_1.pem", "www.pem"]);
    let said = run(script, ("BEFORE", "HEAD"), secrets);
    assert_eq!(said, "nothing has changed since `HEAD`\n");
    assert!(!place.join("ran").exists());

    let pipeline = yaml::parse(&read("examples/cert-repo/.gitlab-ci.yml"));
    let lines = pipeline["deploy"]["script"].as_array().unwrap();
    let lines: Vec<_> = lines.iter().map(|line| line.as_str().unwrap()).collect();
    let secrets = ["DEPLOY_AGE_KEY", "DEPLOY_SSH_KEY", "DEPLOY_KNOWN_HOSTS"];
    run(
        &lines.join("\n"),
        ("CI_COMMIT_BEFORE_SHA", &before),
        secrets,
    );
    assert_deployed(&place, &["www.pem"]);
}

#[test]
fn the_makefile_does_what_it_says() {
    let lab = Lab::builder().all().start();
    let identity = lab.age_identity("renewer");
    let wanted: [(&str, &[&str]); 1] = [("www", &["www.bench.test"])];
    let makefile = read("examples/cert-repo/Makefile");
    let files = Files::certificates(&wanted, &[&identity.recipient]).with("Makefile", &makefile);
    let certs = files.publish(&lab, "certs");
    Files::dns().write(&lab.folder().join("dns"));
    let checkout = lab.folder().join("checkout-certs");
    lab.git(&checkout, &["branch", "--set-upstream-to=origin/main"]);
    let program = Path::new(env!("CARGO_BIN_EXE_git-certs"));
    let path = format!("{}:{PATH}", program.parent().unwrap().display());
    let make = |target: &str| {
        let mut make = lab
            .command("make")
            .arg(target)
            .folder(&checkout)
            .env("PATH", &path)
            .env("GIT_AUTHOR_NAME", "Lab")
            .env("GIT_AUTHOR_EMAIL", "lab@example.test")
            .env("GIT_CERTS_ACME", pebble::DIRECTORY)
            .env("GIT_CERTS_AGREE_TOS", "true")
            .env("GIT_CERTS_CA_BUNDLE", lab.ca());
        for (name, value) in variables(&lab) {
            make = make.env(name, value);
        }
        make
    };
    // The identity is not there yet: a plan needs none.
    let plan = make("plan").succeed();
    assert!(
        plan.stdout.ends_with("\n1 due, 0 up to date\n"),
        "{}",
        plan.stdout
    );
    assert_eq!(make("check").succeed().stdout, "0 errors, 0 warnings\n");
    let place = lab.folder().join("home/.config/age");
    fs::create_dir_all(&place).unwrap();
    fs::copy(&identity.file, place.join("key.txt")).unwrap();
    make("renew").succeed();
    action::assert_is_sealed(&lab, &certs);
    let servers = stand_ins(&lab.folder().join("servers"));
    fs::copy(
        root().join("examples/cert-repo/deploy"),
        checkout.join("deploy"),
    )
    .unwrap();
    make("deploy")
        .env("PATH", format!("{servers}:{path}"))
        .succeed();
    assert_deployed(&lab.folder().join("servers"), &["www.pem"]);
    let verify = make("verify").succeed().stdout;
    assert_eq!(verify, "1 commit, 8 files: 0 faults, 0 notes\n");
    let doctor = make("doctor").succeed().stdout;
    assert_eq!(
        doctor,
        "1 certificate, 1 zone: 0 errors, 0 warnings, 0 notes\n"
    );
    let rekey = make("rekey").succeed().stdout;
    assert_eq!(rekey, "0 rekeyed, 0 failed, 2 up to date\n");
    let status = make("status").succeed().stdout;
    assert!(status.ends_with("\n1 good\n"), "{status}");
    let targets: Vec<_> = makefile
        .lines()
        .filter_map(|line| line.split_once(": ## "))
        .map(|(target, what)| format!("{target}\t{what}\n"))
        .collect();
    assert_eq!(targets.len(), 9);
    assert_eq!(make("help").succeed().stdout, targets.concat());
}
