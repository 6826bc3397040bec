//! Command lines that cannot be run.
#![expect(clippy::too_many_lines, reason = "tables of cases")]

use crate::support::folders::Folders;

#[test]
fn words_that_are_no_command_line() {
    for (words, stderr) in [
        (
            "frobnicate",
            r"error: unrecognized subcommand 'frobnicate'

Usage: git-certs [OPTIONS] <COMMAND>

For more information, try '--help'.
",
        ),
        (
            "plan --frobnicate",
            r"error: unexpected argument '--frobnicate' found

  tip: a similar argument exists: '--format'

Usage: git-certs plan --format <FORMAT>

For more information, try '--help'.
",
        ),
        (
            "plan extra",
            r"error: unexpected argument 'extra' found

  tip: `--only extra` names a certificate

Usage: git-certs plan [OPTIONS]

For more information, try '--help'.
",
        ),
        (
            "renew www --no-push",
            r"error: unexpected argument 'www' found

  tip: `--only www` names a certificate

Usage: git-certs renew [OPTIONS]

For more information, try '--help'.
",
        ),
        (
            "status --only www",
            r"error: unexpected argument '--only' found

  tip: the name of a certificate stands alone, without `--only`

Usage: git-certs status [OPTIONS] [CERT_NAME]...

For more information, try '--help'.
",
        ),
        (
            "verify www",
            r"error: unexpected argument 'www' found

Usage: git-certs verify [OPTIONS]

For more information, try '--help'.
",
        ),
        (
            "plan --repo x --dir .",
            r"error: the argument '--repo <URL|PATH>' cannot be used with '--dir <FOLDER>'

Usage: git-certs plan --repo <URL|PATH>

For more information, try '--help'.
",
        ),
        (
            "renew --repo ../certs --no-push",
            r"error: `--no-push` with `--repo` would keep nothing: the clone is deleted when the run ends
hint: leave one of them out; in a checkout `--no-push` keeps the commits
",
        ),
        (
            "plan --renew x",
            r"error: invalid value 'x' for '--renew <DAYS>': a whole number is needed

For more information, try '--help'.
",
        ),
        (
            "plan --renew -1",
            r"error: invalid value '-1' for '--renew <DAYS>': a whole number is needed

For more information, try '--help'.
",
        ),
        (
            "plan --acme-timeout 0",
            r"error: invalid value '0' for '--acme-timeout <SECONDS>': a whole number above 0 is needed

For more information, try '--help'.
",
        ),
        (
            "plan --js-timeout 0",
            r"error: invalid value '0' for '--js-timeout <SECONDS>': a whole number above 0 is needed

For more information, try '--help'.
",
        ),
        (
            "plan --js-memory much",
            r"error: invalid value 'much' for '--js-memory <MIB>': a whole number above 0 is needed

For more information, try '--help'.
",
        ),
        (
            "plan --key-type p521",
            r"error: invalid value 'p521' for '--key-type <TYPE>': one of rsa2048, rsa3072, rsa4096, p256, p384 is needed

For more information, try '--help'.
",
        ),
        (
            "plan --format yaml",
            r"error: invalid value 'yaml' for '--format <FORMAT>'
  [possible values: text, json]

For more information, try '--help'.
",
        ),
        (
            "plan --verbose=maybe",
            r"error: invalid value 'maybe' for '--verbose[=<VERBOSE>]': value was not a boolean

For more information, try '--help'.
",
        ),
        (
            "plan --config",
            r"error: a value is required for '--config <FILE>' but none was supplied

For more information, try '--help'.
",
        ),
        (
            "renew --dry-run=maybe",
            r"error: invalid value 'maybe' for '--dry-run[=<DRY_RUN>]': value was not a boolean

For more information, try '--help'.
",
        ),
        (
            "recipients add -----BEGIN-OPENSSH-PRIVATE-KEY-----",
            r"error: a word of the command line is a secret key
hint: other users of the machine have seen it: make a new key; secrets are given in variables and files
",
        ),
    ] {
        Folders::new().is_refused(words, stderr);
    }
}

#[test]
fn renew_refuses_what_plan_refuses() {
    for (words, stderr) in [
        (
            "--only api",
            r"error: `certs.json` has no certificate `api`
hint: it has `www`
",
        ),
        (
            "--vault",
            r"error: `--vault` needs the address of Vault, and `VAULT_ADDR` is not set
hint: set it to `https://HOST:8200`
",
        ),
        (
            "--acme nonsense",
            r"error: `nonsense` is neither the name of a CA nor the URL of an ACME directory
hint: `--acme` takes `live`, `staging`, `zerossl`, `google`, `google-staging`, `sslcom`, `sslcom-ecc`, `actalis`, or the URL of a CA's ACME directory
",
        ),
        (
            "--dry-run --variable a",
            r"error: `--variable a` has no value
hint: write `--variable KEY=VALUE`
",
        ),
    ] {
        Folders::new().is_refused(&format!("renew --dns-repo ../dns {words}"), stderr);
    }
    Folders::new().is_refused(
        "renew --dns-repo ../dns",
        r"to issue: `www`, not in the repository
error: there is no `.age-recipients` in the cert repository
hint: it lists who can open private keys, one age or SSH recipient a line: `age-keygen -o key.txt` makes an identity, `age-keygen -y key.txt > .age-recipients` lists it
",
    );
}

#[test]
fn repositories_that_are_not_there() {
    for (words, stderr) in [
        (
            "--dns-repo ../missing",
            r"error: cannot read `../missing`: there is no git repository
  caused by: fatal: '[ROOT]/certs/../missing' does not appear to be a git repository
hint: check the path (a relative one starts at the current folder); `git init` makes a repository of a folder
",
        ),
        (
            "--dns-repo https://",
            r"error: cannot parse the URL of the repository
  caused by: empty host
",
        ),
        (
            "--repo ../missing",
            r"error: cannot read `../missing`: there is no git repository
  caused by: fatal: '[ROOT]/certs/../missing' does not appear to be a git repository
hint: check the path (a relative one starts at the current folder); `git init` makes a repository of a folder
",
        ),
        (
            "--repo ftp://git.test/certs",
            r"error: cannot reach a repository by `ftp://`
hint: use `https://`, `ssh://`, `file://` or a path
",
        ),
    ] {
        Folders::new().is_refused(&format!("plan {words}"), stderr);
    }
}
