//! The files of a new cert repository: those of examples/cert-repo, with answers in place of its examples. Pure.

use std::fmt::Write;

use serde_json::json;

use crate::model::certificate::CertificateName;
use crate::model::name::Identifier;
use crate::repo::certs_json::CERTS_JSON;
use crate::repo::layout::RECIPIENTS;

/// What the examples say where answers belong.
const EXAMPLE_DNS: &str = "https://github.com/example/dns";
const EXAMPLE_GITLAB_DNS: &str = "https://gitlab.example.com/ops/dns.git";
const EXAMPLE_FOLDER: &str = "../dns";

/// How far inputs of the action are indented.
const GITHUB_INPUT: &str = "          ";

/// What the example says of pull requests, what is true without a DNS repository elsewhere, and where that needs a key.
const WITH_TOKEN: &str = "Those from forks get a summary, but no comment, and no token for a private DNSControl repository.";
const FOR_EVERYBODY: &str =
    "Needs no secret, so it works for those from forks; they get a summary, but no comment.";
const FOR_MEMBERS: &str =
    "Those from forks get no SSH key, without which the DNSControl repository cannot be read.";

/// What the example says of GitLab's variables, and what is true where one is an SSH key.
const MASKED: &str = "are masked and protected CI/CD variables.";
const KEY_NOT_MASKED: &str = "are protected CI/CD variables,
# masked but for the SSH key: GitLab masks no value of several lines.";

/// A step before the others of a job.
const KNOWN_HOSTS: &str = "      \
# The line of the DNSControl repository's server in known_hosts.
      - run: mkdir -p ~/.ssh && echo \"$KNOWN_HOSTS\" >> ~/.ssh/known_hosts
        env:
          KNOWN_HOSTS: ${{ vars.DNS_REPO_KNOWN_HOSTS }}
";

/// More of the job that the component makes.
const KNOWN_HOSTS_GITLAB: &str = "
# DNS_REPO_KNOWN_HOSTS is a CI/CD variable, too: the line of the DNSControl repository's server in known_hosts.
git-certs:
  before_script:
    - mkdir -p ~/.ssh
    - echo \"$DNS_REPO_KNOWN_HOSTS\" >> ~/.ssh/known_hosts
";

pub(crate) const SETTINGS: &str = "git-certs.toml";
pub(crate) const MAKEFILE: &str = "Makefile";

/// Paths of the files that every cert repository gets.
pub(crate) const PATHS: [&str; 7] = [
    RECIPIENTS,
    CERTS_JSON,
    SETTINGS,
    MAKEFILE,
    ".gitattributes",
    ".gitignore",
    "README.md",
];

/// Files of every cert repository that say the same everywhere.
const SAME: [(&str, &str); 3] = [
    (
        ".gitattributes",
        include_str!("../../examples/cert-repo/.gitattributes"),
    ),
    (
        ".gitignore",
        include_str!("../../examples/cert-repo/.gitignore"),
    ),
    (
        "README.md",
        include_str!("../../examples/cert-repo/README.md"),
    ),
];

/// What a new repository is to say.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// The first certificate; none where there is a list already.
    pub(crate) certificate: Option<(CertificateName, Vec<Identifier>)>,
    /// One a line; empty where there is a list already.
    pub(crate) recipients: Vec<String>,
    pub(crate) dns: Dns,
    pub(crate) ci: Ci,
    pub(crate) email: Option<String>,
    /// Whether the CA's terms of service are agreed to.
    pub(crate) agreed: bool,
}

/// Where the DNS repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dns {
    /// In the cert repository itself.
    Here,
    /// A folder, which CI does not have.
    Folder(String),
    /// Over HTTP.
    Url(String),
    /// Over SSH.
    Ssh(String),
}

/// Who runs git-certs at night.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ci {
    GitHub,
    GitLab,
    None,
}

impl Ci {
    /// Paths of the files that it reads.
    pub(crate) fn paths(self) -> &'static [&'static str] {
        match self {
            Self::GitHub => &[".github/workflows/renew.yml", ".github/workflows/plan.yml"],
            Self::GitLab => &[".gitlab-ci.yml"],
            Self::None => &[],
        }
    }
}

/// Every file, by path.
pub(crate) fn files(start: &Start) -> Vec<(&'static str, String)> {
    let mut files = vec![
        (RECIPIENTS, recipients(start)),
        (CERTS_JSON, list(start)),
        (SETTINGS, settings(start)),
        (MAKEFILE, makefile(start)),
    ];
    files.extend(SAME.map(|(path, text)| (path, text.to_owned())));
    let renew = include_str!("../../examples/cert-repo/.github/workflows/renew.yml");
    let plan = include_str!("../../examples/cert-repo/.github/workflows/plan.yml");
    // The job that deploys calls a script that is everybody's own: docs/deploy.md.
    let gitlab = include_str!("../../examples/cert-repo/.gitlab-ci.yml").split("\n\n");
    let gitlab = gitlab.take(1).map(|part| format!("{part}\n"));
    let gitlab = gitlab.collect::<String>();
    let texts: &[&str] = match start.ci {
        Ci::GitHub => &[renew, plan],
        Ci::GitLab => &[&gitlab],
        Ci::None => &[],
    };
    let texts = texts.iter().map(|text| in_ci(text, &start.dns));
    files.extend(start.ci.paths().iter().copied().zip(texts));
    files
}

/// The first line of the example says what the file is; its others are about the example.
fn recipients(start: &Start) -> String {
    let example = include_str!("../../examples/cert-repo/.age-recipients");
    let about = example.lines().take(1).map(str::to_owned);
    let lines = about.chain(start.recipients.iter().cloned());
    lines.map(|line| line + "\n").collect()
}

fn list(start: &Start) -> String {
    let entries = start.certificate.iter().map(|(name, names)| {
        let names = names.iter().map(|name| json!(name.as_str()).to_string());
        let names = names.collect::<Vec<_>>().join(", ");
        let name = json!(name.as_str());
        format!("  {{\n    \"cert_name\": {name},\n    \"names\": [{names}]\n  }}\n")
    });
    format!("[\n{}]\n", entries.collect::<String>())
}

fn settings(start: &Start) -> String {
    let example = include_str!("../../examples/cert-repo/git-certs.toml");
    let mut text = String::new();
    for line in example.lines() {
        let key = line.split(" = ").next().unwrap_or_default();
        let value = match (key, &start.dns) {
            ("email", _) => start.email.clone(),
            ("dns-repo", Dns::Url(place) | Dns::Ssh(place) | Dns::Folder(place)) => {
                Some(place.clone())
            }
            ("dns-repo", Dns::Here) => None,
            ("agree-tos", _) if !start.agreed => {
                text += "# Says that you agree to the CA's terms of service; needed once, to register an account.\n";
                let _ = writeln!(text, "# {line}");
                continue;
            }
            _ => {
                let _ = writeln!(text, "{line}");
                continue;
            }
        };
        if let Some(value) = value {
            let _ = writeln!(text, "{key} = {}", toml::Value::from(value));
        }
    }
    text
}

fn makefile(start: &Start) -> String {
    let example = include_str!("../../examples/cert-repo/Makefile");
    let folder = match &start.dns {
        Dns::Here => ".".to_owned(),
        Dns::Folder(folder) => folder.clone(),
        // As it is called where it is cloned beside this one.
        Dns::Url(url) | Dns::Ssh(url) => {
            let name = url.trim_end_matches('/').rsplit(['/', ':']).next();
            let name = name.unwrap_or_default();
            format!("../{}", name.strip_suffix(".git").unwrap_or(name))
        }
    };
    // The script that it calls is everybody's own: docs/deploy.md.
    let parts = example
        .split("\n\n")
        .filter(|part| !part.starts_with("deploy:"));
    let text = parts.collect::<Vec<_>>().join("\n\n");
    text.replace(" deploy ", " ")
        .replace(EXAMPLE_FOLDER, &folder)
}

fn in_ci(example: &str, dns: &Dns) -> String {
    match dns {
        Dns::Url(url) => example
            .replace(EXAMPLE_DNS, url)
            .replace(EXAMPLE_GITLAB_DNS, url),
        Dns::Ssh(url) => over_ssh(example, url),
        Dns::Here | Dns::Folder(_) => {
            let is_elsewhere = |line: &&str| {
                let line = line.trim_start();
                line.starts_with("dns_repo:") || line.starts_with("dns_token:")
            };
            let lines = example.lines().filter(|line| !is_elsewhere(line));
            let text: String = lines.map(|line| format!("{line}\n")).collect();
            text.replace(WITH_TOKEN, FOR_EVERYBODY)
        }
    }
}

/// With a key in place of the token, and with the server's own key.
fn over_ssh(example: &str, url: &str) -> String {
    let is_token = |line: &&str| line.trim_start().starts_with("dns_token:");
    let mut text = String::new();
    for line in example.lines().filter(|line| !is_token(line)) {
        let line = line
            .replace(EXAMPLE_DNS, url)
            .replace(EXAMPLE_GITLAB_DNS, url)
            .replace(WITH_TOKEN, FOR_MEMBERS)
            .replace("GIT_CERTS_DNS_TOKEN", "GIT_CERTS_SSH_KEY")
            .replace(MASKED, KEY_NOT_MASKED);
        let _ = writeln!(text, "{line}");
        match line.trim() {
            "steps:" => text += KNOWN_HOSTS,
            // The file of GitLab has neither.
            setting if setting.starts_with("dns_repo:") && line.starts_with(GITHUB_INPUT) => {
                text += "          ssh_key: ${{ secrets.DNS_REPO_SSH_KEY }}\n";
            }
            _ => {}
        }
    }
    if example.contains("\n  - remote:") {
        text += KNOWN_HOSTS_GITLAB;
    }
    text
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn start(dns: Dns, ci: Ci) -> Start {
        Start {
            certificate: Some((
                "www".parse().unwrap(),
                vec!["www.a.test".parse().unwrap(), "*.a.test".parse().unwrap()],
            )),
            recipients: vec!["age1one".to_owned(), "age1two".to_owned()],
            dns,
            ci,
            email: Some("me\"@a.test".to_owned()),
            agreed: true,
        }
    }

    fn text(start: &Start, path: &str) -> String {
        let mut files = files(start).into_iter();
        files.find(|(at, _)| *at == path).unwrap().1
    }

    #[test]
    fn answers_take_the_place_of_examples() {
        let url = "https://git.test/ops/zones.git";
        for ci in [Ci::GitHub, Ci::GitLab, Ci::None] {
            let start = start(Dns::Url(url.to_owned()), ci);
            let files = files(&start);
            let all: String = files.iter().map(|(_, text)| text.as_str()).collect();
            for example in [
                EXAMPLE_DNS,
                EXAMPLE_GITLAB_DNS,
                EXAMPLE_FOLDER,
                "ops@example.com",
            ] {
                assert!(!all.contains(example), "{example}");
            }
            assert_eq!(files.len(), 7 + ci.paths().len());
            for path in ci.paths() {
                assert!(text(&start, path).contains(url), "{path}");
            }
            let makefile = text(&start, MAKEFILE);
            assert!(makefile.contains("GIT_CERTS_DNS_REPO ?= ../zones\n"));
            assert!(!makefile.contains("deploy"), "{makefile}");
        }
    }

    #[test]
    fn a_dns_repository_behind_https_is_read_with_a_token_by_every_step() {
        let start = start(Dns::Url("https://git.test/zones".to_owned()), Ci::GitHub);
        for (path, uses) in [
            (".github/workflows/renew.yml", 1),
            (".github/workflows/plan.yml", 2),
        ] {
            let workflow = text(&start, path);
            let pair = "          dns_repo: https://git.test/zones\n          \
                        dns_token: ${{ secrets.DNS_REPO_TOKEN }}\n";
            assert_eq!(workflow.matches("- uses: git-certs/").count(), uses);
            assert_eq!(workflow.matches(pair).count(), uses, "{workflow}");
        }
        let plan = text(&start, ".github/workflows/plan.yml");
        assert!(plan.contains(WITH_TOKEN), "{plan}");
    }

    #[test]
    fn a_dns_repository_behind_ssh_gets_a_key_and_no_token() {
        let dns = Dns::Ssh("git@git.test:ops/zones.git".to_owned());
        let start = start(dns, Ci::GitHub);
        for (path, uses) in [
            (".github/workflows/renew.yml", 1),
            (".github/workflows/plan.yml", 2),
        ] {
            let workflow = text(&start, path);
            assert_eq!(workflow.matches(KNOWN_HOSTS).count(), 1, "{workflow}");
            let pair = "          dns_repo: git@git.test:ops/zones.git\n          \
                        ssh_key: ${{ secrets.DNS_REPO_SSH_KEY }}\n";
            assert_eq!(workflow.matches(pair).count(), uses, "{workflow}");
            for wrong in ["dns_token", EXAMPLE_DNS, WITH_TOKEN, FOR_EVERYBODY] {
                assert!(!workflow.contains(wrong), "{workflow}");
            }
        }
        let plan = text(&start, ".github/workflows/plan.yml");
        assert!(plan.contains(FOR_MEMBERS), "{plan}");
        assert!(text(&start, MAKEFILE).contains("GIT_CERTS_DNS_REPO ?= ../zones\n"));
        let start = Start {
            ci: Ci::GitLab,
            ..start
        };
        let gitlab = text(&start, ".gitlab-ci.yml");
        assert!(
            gitlab.contains("GIT_CERTS_SSH_KEY\n# (may read")
                && gitlab.contains(&format!("credentials {KEY_NOT_MASKED}\n"))
                && gitlab.ends_with(KNOWN_HOSTS_GITLAB),
            "{gitlab}"
        );
        for wrong in [
            "TOKEN (may read",
            "DNS_TOKEN",
            "secrets.",
            MASKED,
            EXAMPLE_GITLAB_DNS,
        ] {
            assert!(!gitlab.contains(wrong), "{gitlab}");
        }
    }

    #[test]
    fn answers_are_written_as_their_formats_want_them() {
        let start = start(Dns::Folder("../dns zone".to_owned()), Ci::None);
        let settings: toml::Table = text(&start, SETTINGS).parse().unwrap();
        assert_eq!(settings["email"].as_str(), Some("me\"@a.test"));
        assert_eq!(settings["dns-repo"].as_str(), Some("../dns zone"));
        assert_eq!(settings["agree-tos"].as_bool(), Some(true));
        assert_eq!(
            text(&start, CERTS_JSON),
            "[\n  {\n    \"cert_name\": \"www\",\n    \"names\": [\"www.a.test\", \"*.a.test\"]\n  }\n]\n"
        );
        assert_eq!(
            text(&start, RECIPIENTS),
            "# Who can open the certificates' keys: one age or SSH recipient a line.\nage1one\nage1two\n"
        );
    }

    #[test]
    fn what_is_not_answered_is_not_said() {
        let start = Start {
            email: None,
            agreed: false,
            ..start(Dns::Here, Ci::GitHub)
        };
        let settings: toml::Table = text(&start, SETTINGS).parse().unwrap();
        assert_eq!(settings.len(), 0);
        assert!(text(&start, SETTINGS).ends_with("account.\n# agree-tos = true\n"));
        for path in Ci::GitHub.paths() {
            let workflow = text(&start, path);
            assert!(!workflow.contains("dns_"), "{workflow}");
        }
        let plan = text(&start, ".github/workflows/plan.yml");
        assert!(plan.contains(FOR_EVERYBODY), "{plan}");
        assert!(text(&start, MAKEFILE).contains("GIT_CERTS_DNS_REPO ?= .\n"));
    }
}
