#!/usr/bin/env python3
"""age-plugin-lab: an age plugin as https://c2sp.org/age-plugin has it, strict about every line.

It masks file keys with the payload of its identities: a plugin for tests, and no encryption. Without
arguments it prints an identity and its recipient. Where there is a file `asks` beside it, it asks for
everything that a plugin may ask for, before it encrypts or opens something.
"""
import base64
import hashlib
import os
import pathlib
import sys

# git-certs' own secrets are not for plugins.
OURS = ["AGE_KEY", "SIGNING_KEY", "SSH_KEY", "TOKEN", "DNS_TOKEN", "EAB_HMAC"]
inherited = [name for name in OURS if f"GIT_CERTS_{name}" in os.environ]
assert not inherited, inherited
keys = [name for name, value in os.environ.items() if "AGE-SECRET-KEY-" in value or "PRIVATE KEY" in value]
assert not keys, keys

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def checksum(prefix, words):
    values = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + words + [0] * 6
    state = 1
    for value in values:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate([0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3]):
            state ^= generator if top >> bit & 1 else 0
    return [(state ^ 1) >> 5 * (5 - place) & 31 for place in range(6)]


def bech32(prefix, data):
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    words = [int(bits[place:place + 5], 2) for place in range(0, len(bits), 5)]
    return prefix + "1" + "".join(ALPHABET[word] for word in words + checksum(prefix, words))


def receive():
    """Command, arguments and body of the next stanza."""
    line = sys.stdin.readline()
    assert line.startswith("-> ") and line.endswith("\n"), line
    words, text = line[3:-1].split(" "), ""
    while True:
        line = sys.stdin.readline()
        assert line.endswith("\n") and len(line) <= 65 and "=" not in line, line
        text += line[:-1]
        if len(line) < 65:
            return words[0], words[1:], base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def send(words, body=b"", answer="ok"):
    """Sends a stanza. Returns arguments and body of the answer, which must be the expected one."""
    text = base64.b64encode(body).decode().rstrip("=")
    lines = [text[place:place + 64] for place in range(0, len(text), 64)]
    if not lines or len(lines[-1]) == 64:
        lines.append("")
    print("-> " + " ".join(words), *lines, sep="\n", flush=True)
    if answer:
        command, arguments, body = receive()
        if command == "fail":
            # What a plugin does whose question nobody answers.
            send(["error", "internal"], b"nobody answered")
            send(["done"], answer=None)
            sys.exit()
        assert command == answer, command
        return arguments, body


def ask():
    """Asks for everything; the answers are known to the test."""
    encoded = [base64.b64encode(word).decode().rstrip("=") for word in (b"the first", b"the second")]
    send(["msg"], b"touch the \x1b[1mkey")
    assert send(["request-secret"], b"Enter the PIN") == ([], b"123 456"), "PIN"
    assert send(["request-public"], b"Name the slot") == ([], b"slot 9"), "slot"
    assert send(["confirm", *encoded], b"Which key?") == (["no"], b""), "key"
    assert send(["confirm", encoded[0]], b"Sure?") == (["yes"], b""), "sure"


def mask(payload, key):
    return bytes(a ^ b for a, b in zip(key, hashlib.sha256(payload).digest()))


PAYLOAD = b"the only identity"
RECIPIENT = bech32("age1lab", PAYLOAD)
IDENTITY = bech32("age-plugin-lab-", PAYLOAD).upper()

if sys.argv[1:] == ["--age-plugin=recipient-v1"]:
    keys = []
    while (stanza := receive())[0] != "done":
        command, words, body = stanza
        if command == "add-recipient":
            assert words == [RECIPIENT], words
        elif command == "wrap-file-key":
            assert len(body) == 16, body
            keys.append(body)
    if pathlib.Path(__file__).with_name("asks").exists():
        ask()
    for place, key in enumerate(keys):
        send(["recipient-stanza", str(place), "lab", "argument"], mask(PAYLOAD, key))
    send(["done"], answer=None)
elif sys.argv[1:] == ["--age-plugin=identity-v1"]:
    found = {}
    while (stanza := receive())[0] != "done":
        command, words, body = stanza
        if command == "add-identity":
            assert words == [IDENTITY], words
        elif command == "recipient-stanza" and words[1] == "lab":
            assert words[2:] == ["argument"], words
            found[words[0]] = body
    if pathlib.Path(__file__).with_name("asks").exists():
        ask()
    for place, body in found.items():
        send(["file-key", place], mask(PAYLOAD, body))
    send(["done"], answer=None)
else:
    assert not sys.argv[1:], sys.argv
    print(IDENTITY, RECIPIENT, sep="\n")
