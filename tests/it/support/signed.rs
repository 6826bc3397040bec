//! Zones that BIND's own tools sign.

use crate::support::namespace::Namespace;
use crate::support::zones::Zone;

/// Signs a zone from one moment to another, such as `20260101000000`. The zone file, and the DS record that the parent
/// has to have.
pub fn sign(namespace: &Namespace, zone: Zone, period: Option<(&str, &str)>) -> (String, String) {
    let name = zone.name;
    let file = namespace.write(&format!("signed/{name}"), zone.file());
    let folder = file.parent().unwrap();
    let run = |program: &str, args: &[&str]| {
        let command = namespace.command(program).folder(folder);
        command
            .args(args.iter().map(|arg| (*arg).to_owned()))
            .succeed();
    };
    let algorithm = ["-a", "ECDSAP256SHA256"];
    run(
        "dnssec-keygen",
        &[&algorithm[..], &["-f", "KSK", name]].concat(),
    );
    run("dnssec-keygen", &[&algorithm[..], &[name]].concat());
    let mut args = vec!["-S", "-P", "-O", "full", "-o", name, "-f", "out"];
    if let Some((from, until)) = period {
        args.extend(["-s", from, "-e", until]);
    }
    args.push(name);
    run("dnssec-signzone", &args);
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let set = read(&format!("dsset-{name}."));
    let ds = set.lines().next().unwrap().split("DS").nth(1).unwrap();
    (read("out"), ds.trim().to_owned())
}
