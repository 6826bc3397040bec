//! Bad input that needs no server: what failed, why, what to do about it, and nothing is written.

use std::fs;
use std::os::unix::fs::symlink;

use pretty_assertions::assert_eq;

use crate::support::folders::Folders;

#[test]
fn certs_json_that_is_no_list_of_certificates() {
    for (text, stderr) in [
        ("nonsense", ""),
        ("", ""),
        ("[]", ""),
        (r#"{"cert_name": "www"}"#, ""),
        (
            r#"[{"cert_name": "www", "names": ["www.a.test"]}, {"cert_name": "www", "names": ["a.test"]}]"#,
            "",
        ),
        (r#"[{"cert_name": "www", "names": []}]"#, ""),
        (r#"[{"cert_name": "www"}]"#, ""),
        (r#"[{"cert_name": "www", "names": "a.test"}]"#, ""),
        (r#"[{"cert_name": "..", "names": ["a.test"]}]"#, ""),
        (r#"[{"cert_name": "../www", "names": ["a.test"]}]"#, ""),
        (r#"[{"cert_name": "a/b", "names": ["a.test"]}]"#, ""),
        (r#"[{"cert_name": "www", "names": ["192.0.2.1"]}]"#, ""),
        (r#"[{"cert_name": "www", "names": ["2001:db8::1"]}]"#, ""),
        (r#"[{"cert_name": "www", "names": ["my_host.a.test"]}]"#, ""),
        (r#"[{"cert_name": "www", "names": ["*.*.a.test"]}]"#, ""),
        (r#"[{"cert_name": "www", "names": ["www.b.test"]}]"#, ""),
        (
            r#"[{"cert_name": "www", "names": ["www.a.test"], "key_type": "p521"}]"#,
            "",
        ),
    ] {
        let folders = Folders::new().with("certs/certs.json", text);
        let said = folders.run("plan --dns-repo ../dns");
        println!(
            "--- {text}\n{} {}{}{stderr}",
            said.code.unwrap(),
            said.stdout,
            said.stderr
        );
    }
    let names: Vec<_> = (0..101).map(|n| format!(r#""n{n}.a.test""#)).collect();
    let text = format!(
        r#"[{{"cert_name": "www", "names": [{}]}}]"#,
        names.join(",")
    );
    let said = Folders::new()
        .with("certs/certs.json", &text)
        .run("plan --dns-repo ../dns");
    println!("--- 101 {said:?}");
    let said = Folders::new()
        .without("certs/certs.json")
        .run("plan --dns-repo ../dns");
    println!("--- missing {said:?}");
}
