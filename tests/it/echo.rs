//! Servers that repeat what they were sent, and a dnsconfig.js: both try to speak to the terminal and to the CI system.

use std::fs;

use pretty_assertions::assert_eq;

use crate::support::command::Command;
use crate::support::lab::Lab;
use crate::support::nightly::{Nightly, wait_until};
use crate::support::repos::Files;

const ADDRESS: &str = "127.0.0.1:8700";

/// Refuses everything in its own words: the request's headers and body, as they are and in Base64's plain text.
const SERVER: &str = r#"
import base64, http.server, json, sys
folder = sys.argv[1]
class Handler(http.server.BaseHTTPRequestHandler):
    def refuse(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        if self.path.endswith("/approle/login"):
            return self.answer(200, json.dumps({"auth": {"client_token": "planted-token-of-the-login", "lease_duration": 0}}))
        heard = [value for name, value in self.headers.items() if name.lower() in ("authorization", "x-vault-token")]
        heard += [base64.b64decode(value[6:]).decode() for value in heard if value.startswith("Basic ")]
        words = "no " + " ".join(heard) + body + " \x1b[2J ##[stop-commands]t\n::add-mask::e"
        is_git = "info/refs" in self.path
        self.answer(403, words if is_git else json.dumps({"errors": [words]}))
    def answer(self, status, text):
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    do_GET = do_POST = refuse
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8700), Handler)
open(folder + "/server-is-up", "w").close()
server.serve_forever()
"#;

/// What each command says before one that repeats everything, and that no secret is in a summary or a report.
fn said(commands: &[&dyn Fn(&Nightly) -> Command]) -> Vec<String> {
    let lab = Lab::builder().start();
    let nightly = Nightly::new(lab, &[("www", &["www.bench.test"])]);
    let lab = &nightly.lab;
    let server = lab
        .command("python3")
        .args(["-c", SERVER])
        .arg(lab.folder())
        .spawn();
    wait_until(lab, "the server", || {
        lab.folder().join("server-is-up").exists()
    });
    let summary = lab.folder().join("summary.md");
    let said = commands
        .iter()
        .map(|command| {
            let command = command(&nightly)
                .env("GIT_CERTS_CA_BUNDLE", "")
                .env("GIT_CERTS_QUIET", "true")
                .env("GITHUB_STEP_SUMMARY", &summary);
            let output = command.run().expect_code(2);
            let page = fs::read_to_string(&summary).unwrap();
            for said in [&output.stderr, &page] {
                assert!(said.contains("***"), "{said}");
                assert!(!said.contains("planted"), "{said}");
                assert!(!said.contains("##["), "{said}");
                assert!(!said.contains('\u{1b}'), "{said}");
            }
            output.normal_stderr()
        })
        .collect();
    server.signal("KILL");
    server.wait();
    said
}

#[test]
fn vault_repeats_no_secret() {
    fn vault(nightly: &Nightly) -> Command {
        nightly
            .command(&["renew", "--vault"])
            .env("VAULT_ADDR", format!("http://{ADDRESS}"))
    }
    let token = |nightly: &Nightly| vault(nightly).env("VAULT_TOKEN", "planted-token-of-vault");
    let role = |nightly: &Nightly| {
        vault(nightly)
            .env("VAULT_ROLE_ID", "planted-role")
            .env("VAULT_SECRET_ID", "planted-secret-of-the-role")
    };
    let refused = "\
error: cannot find out which engine `secret/certs` of Vault belongs to
  caused by: `http://127.0.0.1:8700` answered 403 Forbidden: no *** \\u{1b}[2J ##\\[stop-commands]t ::add-mask::e
hint: the token may be wrong or over, or its policy may not allow it: docs/vault.md has the policy that a run needs
";
    assert_eq!(said(&[&token, &role]), [refused, refused]);
}

#[test]
fn git_repeats_no_secret() {
    let given = |nightly: &Nightly| {
        nightly
            .command(&["renew"])
            .env("GIT_CERTS_REPO", format!("http://{ADDRESS}/certs.git"))
            .env("GIT_CERTS_TOKEN", "planted-token-of-git")
    };
    let in_url = |nightly: &Nightly| {
        let url = format!("http://user:planted-password@{ADDRESS}/certs.git");
        nightly.command(&["renew"]).env("GIT_CERTS_REPO", url)
    };
    let all = said(&[&given, &in_url]);
    let hint = "hint: the token or key needs read access\n";
    for said in all {
        let words = "\
error: cannot read `http://127.0.0.1:8700/certs.git`: the server does not allow it
  caused by: HTTP 403 Forbidden: no Basic ";
        assert!(said.starts_with(words), "{said}");
        let end = format!(":*** [2J ##\\[stop-commands]t\n    \\::add-mask::e\n{hint}");
        assert!(said.ends_with(&end), "{said}");
    }
}

/// Everything that a workflow command could be hidden in: a line of its own, the middle of one, an annotation.
#[test]
fn dnsconfig_js_gives_no_command() {
    const WORDS: &str = r"a\n::add-mask::e\n  ::stop-commands::x\r::error::y ##[set-output name=x]z \u001b[2J\u202e";
    let nightly = Nightly::new(Lab::builder().start(), &[("www", &["www.bench.test"])]);
    let lab = &nightly.lab;
    let script = format!("console.log(\"{WORDS}\");\nthrow \"{WORDS}\";\n");
    Files::dns()
        .with("dnsconfig.js", &script)
        .commit(lab, &nightly.dns, "words");
    let [summary, outputs] = ["summary.md", "outputs"].map(|name| lab.folder().join(name));
    for format in ["text", "json"] {
        let output = nightly
            .command(&["renew", "--log-format", format])
            .env("GIT_CERTS_CA_BUNDLE", "")
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", &summary)
            .env("GITHUB_OUTPUT", &outputs)
            .run()
            .expect_code(2);
        let page = fs::read_to_string(&summary).unwrap();
        let values = fs::read_to_string(&outputs).unwrap();
        for said in [&output.stdout, &output.stderr, &page, &values] {
            assert!(!said.contains("##["), "{said}");
            assert!(!said.contains(['\u{1b}', '\r', '\u{202e}']), "{said}");
            let commands = said
                .lines()
                .filter(|line| line.trim_start().starts_with("::"));
            for command in commands {
                let is_ours = [
                    "::error title=git-certs::",
                    "::group::",
                    "::endgroup::",
                    "::add-mask::AGE-SECRET-KEY-",
                ];
                assert!(
                    is_ours.iter().any(|ours| command.starts_with(ours)),
                    "{said}"
                );
            }
        }
        assert!(output.stderr.contains("::error::y ##"), "{}", output.stderr);
        assert!(
            page.contains("\n\\::add-mask::e\n") || page.contains("    \\::add-mask::e"),
            "{page}"
        );
    }
}
