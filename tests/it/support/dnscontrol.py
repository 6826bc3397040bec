# A stand-in for the `dnscontrol` binary (v4.40) that keeps zones in the lab's PowerDNS.
#
# Arguments, output, report and exit codes are those of DNSControl, from its documentation and
# sources at 7a079bc2:
#   arguments      https://docs.dnscontrol.org/commands/preview-push, /commands/globalflags
#   report         https://docs.dnscontrol.org/advanced-features/json-reports
#   flow, errors   commands/ppreviewPush.go; output pkg/printer/printer.go
#   IGNORE() etc.  pkg/diff2/handsoff.go; changes pkg/diff2/analyze.go
#   duplicates     pkg/normalize/validate.go; creds.json pkg/credsfile/providerConfig.go
# The configuration is evaluated by `git-certs print-ir`. What a careful user would not forgive is
# refused as well: a configuration that others can read, and a key of ours in the environment.
#
# Set by the test that writes this file: FOLDER (state), EVALUATOR, API, API_KEY, PASSWORD, VERSION.

import fnmatch
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

GLOBAL_FLAGS = {"--no-colors", "--allow-fetch", "--debug", "--disableordering"}
FLAGS = {"--no-populate", "--notify", "--expect-no-changes", "--full", "--populate-on-preview"}
OPTIONS = {"--config", "--creds", "--variable", "--providers", "--domains", "--report", "--cmode", "--cmax"}
COMPARED = {"A", "AAAA", "CNAME", "MX", "NS", "TXT"}


def fail(words):
    print(words, file=sys.stderr)
    sys.exit(1)


def state(name):
    return os.path.join(FOLDER, name)


def parse(words):
    while words and words[0].startswith("--"):
        if words[0] not in GLOBAL_FLAGS:
            fail("Incorrect Usage: flag provided but not defined: " + words[0])
        words = words[1:]
    if words == ["version"]:
        print(VERSION)
        sys.exit(0)
    if not words or words[0] not in ("preview", "push"):
        fail("No help topic for '%s'" % " ".join(words))
    verb, words, options = words[0], words[1:], {"--config": "dnsconfig.js", "--creds": "creds.json"}
    while words:
        if words[0] in FLAGS:
            options[words[0]], words = True, words[1:]
        elif words[0] in OPTIONS and len(words) > 1:
            options[words[0]], words = words[1], words[2:]
        else:
            fail("Incorrect Usage: flag provided but not defined: " + words[0])
    return verb, options


def check_surroundings(options):
    ours = [name for name in os.environ if re.match("GIT_CERTS_|SOPS_AGE_KEY|GITHUB_TOKEN|CI_JOB_TOKEN", name)]
    if ours:
        fail("the environment has " + ", ".join(sorted(ours)))
    if os.stat(options["--config"]).st_mode & 0o077:
        fail("others can read " + options["--config"])
    if os.path.isabs(options["--config"]):
        # A path of require() would be resolved in another folder than the user's.
        fail("an absolute configuration: " + options["--config"])


def credentials(path):
    if path.startswith("!"):
        text = subprocess.run(path[1:].split(), check=True, capture_output=True, text=True).stdout
    else:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    text = re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    entries = json.loads(text)
    for entry in entries.values():
        for key, value in entry.items():
            if value.startswith("$"):
                entry[key] = os.environ.get(value[1:], "")
    entries.setdefault("none", {"TYPE": "NONE"})
    return entries


def evaluate(options):
    run = subprocess.run(
        [EVALUATOR, "print-ir", "--config", options["--config"]], capture_output=True, text=True, check=False
    )
    if run.returncode:
        fail("executing %s: %s" % (options["--config"], run.stderr))
    config = json.loads(run.stdout)
    for zone in config["domains"]:
        seen = set()
        for record in zone["records"]:
            diffable = "%(name)s %(type)s %(target)s" % record
            if diffable in seen:
                fail("1 Validation errors:\nERROR: exact duplicate record found: %s\n"
                     "exiting due to validation errors" % diffable)
            seen.add(diffable)
    return config


def request(method, path, body=None):
    data = json.dumps(body).encode() if body is not None else None
    call = urllib.request.Request(API + path, data=data, method=method, headers={"X-API-Key": API_KEY})
    with urllib.request.urlopen(call, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def comparable(rtype, data):
    if rtype != "TXT":
        return data
    return '"%s"' % data.replace("\\", "\\\\").replace('"', '\\"')


def existing_records(zone):
    records = []
    for rrset in request("GET", "/api/v1/servers/localhost/zones/%s." % zone)["rrsets"]:
        if rrset["type"] in COMPARED:
            for record in rrset["records"]:
                data = record["content"]
                if rrset["type"] == "TXT":
                    data = re.sub(r"\\(.)", r"\1", data[1:-1])
                records.append((rrset["name"].rstrip("."), rrset["type"], data, rrset["ttl"]))
    return records


def qualified(label, zone):
    return zone if label == "@" else "%s.%s" % (label, zone)


def desired_records(zone):
    name = zone["name"]
    records = [
        (qualified(one["name"], name), one["type"], one["target"], one.get("ttl", 300))
        for one in zone["records"]
        if one["type"] in COMPARED
    ]
    for server in zone.get("nameservers", []):
        records.append((name, "NS", server["name"].rstrip(".") + ".", 300))
    return records


def ignored(zone, record):
    label = "@" if record[0] == zone["name"] else record[0][: -len(zone["name"]) - 1]
    for pattern in zone.get("unmanaged", []):
        types = pattern.get("rType_pattern") or "*"
        if (
            fnmatch.fnmatchcase(label, (pattern.get("label_pattern") or "*").replace("**", "*"))
            and (types == "*" or record[1] in [one.strip() for one in types.split(",")])
            and fnmatch.fnmatchcase(record[2], pattern.get("target_pattern") or "*")
        ):
            return True
    return False


def hands_off(zone, existing, desired):
    """What is not declared and stays: appended to what is desired."""
    conflicts = [one for one in desired if ignored(zone, one)]
    if conflicts and not zone.get("unmanaged_disable_safety_check"):
        lines = ["%d records that are both IGNORE*()'d and not ignored:" % len(conflicts)]
        lines += ["    %s %s %s" % one[:3] for one in conflicts]
        lines += ["ERROR: Unsafe to continue. Add DISABLE_IGNORE_SAFETY_CHECK to D() to override"]
        raise ValueError("\n".join(lines))
    sets = {one[:2] for one in desired}
    absent = {(qualified(one["name"], zone["name"]), one["type"]) for one in zone.get("recordsabsent", [])}
    kept = []
    for record in existing:
        if ignored(zone, record):
            kept.append(record)
        elif zone.get("keepunknown") and record[:2] not in sets and record[:2] not in absent:
            kept.append(record)
    return desired + kept


def differences(existing, desired):
    lines = []
    for name, rtype in sorted({one[:2] for one in existing + desired}):
        full = lambda one: "%s ttl=%d" % (comparable(rtype, one[2]), one[3])
        before = sorted({one for one in existing if one[:2] == (name, rtype)}, key=full)
        after = sorted({one for one in desired if one[:2] == (name, rtype)}, key=full)
        before, after = [one for one in before if one not in after], [one for one in after if one not in before]
        for old in list(before):
            for new in list(after):
                if old[2] == new[2] and old in before:
                    lines.append("± MODIFY-TTL %s %s ttl=(%d->%d) %s"
                                 % (name, rtype, old[3], new[3], comparable(rtype, old[2])))
                    before.remove(old)
                    after.remove(new)
        for old, new in zip(before, after):
            lines.append("± MODIFY %s %s (%s) -> (%s)" % (name, rtype, full(old), full(new)))
        changed = min(len(before), len(after))
        lines += ["- DELETE %s %s %s" % (name, rtype, full(old)) for old in before[changed:]]
        lines += ["+ CREATE %s %s %s" % (name, rtype, full(new)) for new in after[changed:]]
    return lines


def make_equal(zone, existing, desired):
    changed = {one[:2] for one in set(existing) ^ set(desired)}
    rrsets = []
    for name, rtype in changed:
        wanted = [one for one in desired if one[:2] == (name, rtype)]
        rrsets.append({
            "name": name + ".",
            "type": rtype,
            "ttl": wanted[0][3] if wanted else 0,
            "changetype": "REPLACE" if wanted else "DELETE",
            "records": [{"content": comparable(rtype, data), "disabled": False}
                        for data in sorted({one[2] for one in wanted})],
        })
    request("PATCH", "/api/v1/servers/localhost/zones/%s." % zone, {"rrsets": rrsets})


def wait_at_gate():
    if os.path.exists(state("gate")):
        open(state("reached"), "w", encoding="utf-8").close()
        while os.path.exists(state("gate")):
            time.sleep(0.02)


def item(domain, details, **who):
    found = {"domain": domain, "corrections": len(details)}
    if details:
        found["correction_details"] = details
    return {**found, **who}


def process(zone, entry, creds, push):
    """The items of the report, and whether something failed."""
    name, failed = zone["name"], False
    print("******************** Domain: %s" % zone["uniquename"])
    lines, existing, desired = [], [], []
    try:
        if creds[entry].get("password") != PASSWORD:
            raise ValueError("login with password %s refused" % creds[entry].get("password"))
        existing = existing_records(name)
        desired = hands_off(zone, existing, desired_records(zone))
        lines = differences(existing, desired)
    except (ValueError, urllib.error.URLError) as error:
        print('INFO#1: Domain "%s" provider %s Error: %s' % (name, entry, error))
        failed = True
    if lines:
        print("%d corrections (%s)" % (len(lines), entry))
        print("#1: " + "\n".join(lines))
        if push:
            try:
                make_equal(name, existing, desired)
                print("SUCCESS!")
            except urllib.error.URLError as error:
                print("FAILURE! %s" % error)
                failed = True
    items = [item(name, lines, provider=entry)]
    # The registrar is processed just because it is not among `--providers`.
    delegation = []
    if creds[zone["registrar"]]["TYPE"] != "NONE":
        delegation = ["Update nameservers (ns.old.test) -> (ns.new.test)"]
        if push:
            open(state("delegated"), "w", encoding="utf-8").close()
    items.append(item(name, delegation, registrar=zone["registrar"]))
    return items, failed


def main():
    verb, options = parse(sys.argv[1:])
    check_surroundings(options)
    config = evaluate(options)
    creds = credentials(options["--creds"])
    # Every registrar and provider of every zone is made, whether it is asked for or not.
    for zone in config["domains"]:
        for entry in [zone["registrar"], *zone["dnsProviders"]]:
            if entry not in creds:
                fail('ERROR: creds.json is missing an entry called "%s".' % entry)
    domains = options.get("--domains", "").split(",")
    providers = options.get("--providers", "").split(",")
    chosen = [zone for zone in config["domains"] if zone["uniquename"] in domains]
    with open(state("log"), "a", encoding="utf-8") as log:
        log.write("%s %s\n" % (verb, options.get("--domains", "")))
    if verb == "push":
        wait_at_gate()
    print("CONCURRENTLY gathering records of %d zone(s)" % len(chosen))
    report, any_failed = [], False
    for zone in chosen:
        for entry in sorted(set(zone["dnsProviders"]) & set(providers)):
            items, failed = process(zone, entry, creds, verb == "push")
            report += items
            any_failed |= failed
    print("Done. %d corrections." % sum(one["corrections"] for one in report))
    if "--report" in options:
        with open(options["--report"], "w", encoding="utf-8") as file:
            json.dump(report or None, file, indent=2, ensure_ascii=False)
    if any_failed:
        fail("completed with errors")


main()
