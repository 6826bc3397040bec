//! What is in the memory of a run: private keys are gone as soon as they are encrypted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pretty_assertions::assert_eq;

use crate::support::lab::Lab;
use crate::support::nightly::{Nightly, open, wait_until};

const LIST: &str = r#"[
    {"cert_name": "ecdsa", "names": ["ecdsa.bench.test"], "key_type": "p256"},
    {"cert_name": "rsa", "names": ["rsa.bench.test"], "key_type": "rsa2048"}
]"#;

/// Where the private number of a P-256 key is in its PKCS#8 (RFC 5915 within RFC 5208).
const P256: std::ops::Range<usize> = 36..68;

/// Part of the private exponent of an RSA key of 2048 bits: what is before it is public.
const RSA: std::ops::Range<usize> = 330..362;

/// What only a private key has, in the forms that it can be in: PEM, DER, and a number as processors have it.
fn forms(pem: &str) -> [Vec<u8>; 3] {
    let lines: Vec<_> = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = BASE64_STANDARD.decode(lines.concat()).unwrap();
    let private = if der[34..36] == [4, 32] { P256 } else { RSA };
    // A whole line, in which the private part has begun.
    let line = lines[(private.start * 4 / 3).div_ceil(64)];
    let number = der[private.clone()].iter().rev().copied().collect();
    [line.into(), der[private].into(), number]
}

/// How often a memory has each form.
fn count(memory: &[u8], forms: &[Vec<u8>]) -> Vec<usize> {
    let search = |form: &Vec<u8>| memchr::memmem::find_iter(memory, form).count();
    forms.iter().map(search).collect()
}

/// Copies the memory at each push of a run, and lets it go on.
fn memories(nightly: &Nightly) -> Vec<Vec<u8>> {
    let Nightly { lab, certs, .. } = nightly;
    let gate = lab.folder().join("gate");
    let script = format!(
        "#!/bin/sh\ncd {}\nn=$(ls | grep -c '^at-')\n: > at-$n\n\
         while [ ! -e go-$n ]; do sleep 0.02; done\n",
        gate.display()
    );
    let hook = certs.folder.join("hooks/post-receive");
    for folder in [&gate, hook.parent().unwrap()] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let file = |name: &str, n: usize| -> PathBuf { gate.join(format!("{name}-{n}")) };
    let mut run = nightly.command(&["renew"]).spawn();
    let mut pushes = 0;
    loop {
        wait_until(lab, "a push, or the end", || {
            file("at", pushes).exists() || run.ended().is_some()
        });
        if run.ended().is_some() {
            break;
        }
        lab.command("python3")
            .args(["-c", include_str!("support/memory.py")])
            .arg(run.pid().to_string())
            .arg(file("memory", pushes))
            .succeed();
        fs::write(file("go", pushes), "").unwrap();
        pushes += 1;
    }
    run.wait().expect_code(0);
    (0..pushes)
        .map(|n| fs::read(file("memory", n)).unwrap())
        .collect()
}

#[test]
fn keys_are_gone_from_memory_when_they_are_encrypted() {
    let lab = Lab::builder().bind().pebble().start();
    let nightly = Nightly::with(lab, &[], |files, _| files.with("certs.json", LIST));
    nightly.command(&["account", "register"]).succeed();
    let memories = memories(&nightly);
    let key = |path: &str| {
        let sealed = nightly.certs.show(&nightly.lab, path);
        let opened = open(&nightly.lab, &sealed, &nightly.identity.file);
        forms(&opened.expect_code(0).stdout)
    };
    let account = key(".letsencrypt/acme.test/account.key.age");
    let counts = |forms: &[Vec<u8>]| -> Vec<Vec<usize>> {
        let counts = memories.iter().map(|memory| count(memory, forms));
        counts.collect()
    };
    // The journal begins, and has the orders; the branch, and the journal's end.
    assert_eq!(memories.len(), 4);
    let nothing = vec![vec![0; 3]; memories.len()];
    for name in ["ecdsa", "rsa"] {
        let forms = key(&format!("certificates/{name}/{name}.key.age"));
        assert_eq!(counts(&forms), nothing, "{name}");
    }
    // The account's key is there as long as orders are signed with it, so the search finds what is there.
    let account = counts(&account);
    assert_eq!(account[1], [0, 0, 1], "{account:?}");
    assert_eq!(account[3], [0, 0, 0], "{account:?}");
}
