//! The images that `scripts/check-image` made, run in the lab.

use std::fs;

use crate::docs::root;
use crate::support::lab::Lab;
use crate::support::nightly::Nightly;
use crate::support::repos::variables;
use crate::support::{git_server, pebble};

#[test]
#[ignore = "needs images: `make image` makes them and runs this"]
fn the_images_renew() {
    let nightly = Nightly::new(
        Lab::builder().all().start(),
        &[("www", &["www.bench.test", "www.pdns.test"])],
    );
    let lab = &nightly.lab;
    let place = root().join("target/image");
    let ca = lab.ca();
    let key = fs::read_to_string(&nightly.identity.file).unwrap();
    let settings = [
        ("GIT_CERTS_REPO", "https://git.test/certs.git"),
        ("GIT_CERTS_DNS_REPO", "https://git.test/dns.git"),
        ("GIT_CERTS_TOKEN", git_server::TOKEN),
        ("GIT_CERTS_AGE_KEY", &key),
        ("GIT_CERTS_ACME", pebble::DIRECTORY),
        ("GIT_CERTS_AGREE_TOS", "true"),
        ("GIT_CERTS_CA_BUNDLE", "/ca.pem"),
    ];
    let run = |image: &str| {
        // As scripts/check-image does; the tests' namespace is the container's network.
        let mut podman = lab
            .command("podman")
            .args(["--log-level", "error", "--cgroup-manager", "cgroupfs"])
            .args(["--runtime", "runc", "--root"])
            .arg(place.join("storage"))
            .arg("--runroot")
            .arg(place.join("run"))
            .args(["run", "--rm", "--network", "host", "--read-only"])
            .args(["--cap-drop", "all", "--tmpfs", "/tmp", "--volume"])
            .arg(format!("{}:/ca.pem", ca.display()))
            .args([
                "--ulimit",
                "nofile=1024:4096",
                "--ulimit",
                "nproc=1024:1024",
            ])
            .env("STORAGE_DRIVER", "vfs");
        let of_the_lab = variables(lab);
        let of_the_lab = of_the_lab
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        for (name, value) in settings.into_iter().chain(of_the_lab) {
            podman = podman.args(["--env", name]).env(name, value);
        }
        let image = format!("localhost/git-certs:{image}");
        podman.args([&image, "git-certs", "renew"]).succeed().stdout
    };
    let checkout = lab.folder().join("checkout-certs");
    for image in ["prebuilt", "distroless"] {
        let said = run(image);
        assert!(
            said.contains("\n1 issued, 0 failed, 0 up to date\n"),
            "{said}"
        );
        nightly.assert_valid("www");
        assert!(lab.challenges().is_empty(), "{:?}", lab.challenges());
        let said = run(image);
        assert!(said.starts_with("nothing is due: 1 up to date"), "{said}");
        lab.git(
            &checkout,
            &["pull", "--quiet", "--rebase", "origin", "main"],
        );
        lab.git(&checkout, &["rm", "-r", "--quiet", "certificates"]);
        lab.git(&checkout, &["commit", "--quiet", "--message", "once more"]);
        lab.git(&checkout, &["push", "--quiet", "origin", "main"]);
    }
}
