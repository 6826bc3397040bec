"""GitHub's releases, as strict as its documentation: https://docs.github.com/rest/releases.

Knows the requests that `gh release` sends, and refuses all others. Keeps what was published in FOLDER: releases.json, and a file for
each asset. Prints each request and the status of its answer. While FOLDER/refuses is there, nothing is changed any more.
"""

import json
import os
import re
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

address, certificate, key, folder, token, repositories = sys.argv[1:]
NAME = "/repos/(git-certs/git-certs)/releases"
API = "https://api.github.com"
UPLOADS = "https://uploads.github.com"
one_at_a_time = threading.Lock()
releases = []
last_id = 0


def new_id():
    global last_id
    last_id += 1
    return last_id


def keep():
    with open(f"{folder}/new.json", "w") as file:
        json.dump(releases, file, indent=1)
    os.rename(f"{folder}/new.json", f"{folder}/releases.json")


def find(id):
    return next((release for release in releases if release["id"] == int(id)), None)


def published(tag):
    return next((release for release in releases if release["tag_name"] == tag and not release["draft"]), None)


def invalid(code, field):
    return 422, {"message": "Validation Failed", "errors": [{"resource": "Release", "code": code, "field": field}]}


NOT_FOUND = 404, {"message": "Not Found"}


def create(repository, body):
    known = {"tag_name", "target_commitish", "name", "body", "draft", "prerelease", "generate_release_notes", "make_latest"}
    if not set(body) <= known or not body.get("tag_name"):
        return invalid("missing_field", "tag_name")
    if published(body["tag_name"]):
        return invalid("already_exists", "tag_name")
    id = new_id()
    release = {
        "id": id,
        "url": f"{API}/repos/{repository}/releases/{id}",
        "html_url": f"https://github.com/{repository}/releases/{id}",
        "upload_url": f"{UPLOADS}/repos/{repository}/releases/{id}/assets{{?name,label}}",
        "target_commitish": "main",
        "prerelease": False,
        "draft": False,
        "assets": [],
    }
    release.update(body)
    releases.append(release)
    return 201, release


def edit(release, body):
    if not body.get("draft", True):
        other = published(body.get("tag_name", release["tag_name"]))
        if other and other is not release:
            return invalid("already_exists", "tag_name")
        # GitHub would make a tag that is not there, of target_commitish: not the one that was meant.
        tag = f"refs/tags/{release['tag_name']}"
        git = ["git", "-C", f"{repositories}/git-certs/git-certs.git", "rev-parse", "--quiet", "--verify", tag]
        if subprocess.run(git, stdout=subprocess.DEVNULL).returncode != 0:
            return invalid("custom", "the tag is not there")
    release.update(body)
    return 200, release


def upload(repository, release, name, body):
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        return invalid("invalid", "name")
    if any(asset["name"] == name for asset in release["assets"]):
        return invalid("already_exists", "name")
    id = new_id()
    with open(f"{folder}/{name}", "wb") as file:
        file.write(body)
    asset = {"id": id, "name": name, "size": len(body), "url": f"{API}/repos/{repository}/releases/assets/{id}", "state": "uploaded"}
    release["assets"].append(asset)
    return 201, asset


def remove(id):
    for release in releases:
        kept = [asset for asset in release["assets"] if asset["id"] != int(id)]
        if len(kept) < len(release["assets"]):
            release["assets"] = kept
            return 204, None
    return NOT_FOUND


def asset(id, accepts):
    for release in releases:
        for asset in release["assets"]:
            if asset["id"] == int(id):
                if accepts != "application/octet-stream":
                    return 200, asset
                with open(f"{folder}/{asset['name']}", "rb") as file:
                    return 200, file.read()
    return NOT_FOUND


def by_tag(query, variables):
    """Drafts have no address of their own by tag: `gh` asks for their id."""
    assert "release(tagName: $tagName)" in query and "databaseId" in query, query
    matching = [release for release in releases if release["tag_name"] == variables["tagName"]]
    found = {"databaseId": matching[0]["id"], "isDraft": matching[0]["draft"]} if matching else None
    return 200, {"data": {"repository": {"release": found}}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def decide(self, host, path, query, body):
        def asks(method, at, pattern):
            return re.fullmatch(pattern, path) if (self.command, host) == (method, at) else None

        if self.headers["Authorization"] not in (f"token {token}", f"Bearer {token}"):
            return 401, {"message": "Bad credentials"}
        changes = self.command != "GET" and path != "/graphql"
        if changes and os.path.exists(f"{folder}/refuses"):
            return 503, {"message": "Service Unavailable"}
        if found := asks("POST", "api.github.com", NAME):
            return create(found[1], json.loads(body))
        if found := asks("GET", "api.github.com", rf"{NAME}/tags/([^/]+)"):
            release = published(found[2])
            return (200, release) if release else NOT_FOUND
        if found := asks("GET", "api.github.com", rf"{NAME}/(\d+)"):
            release = find(found[2])
            return (200, release) if release else NOT_FOUND
        if found := asks("PATCH", "api.github.com", rf"{NAME}/(\d+)"):
            release = find(found[2])
            return edit(release, json.loads(body)) if release else NOT_FOUND
        if found := asks("POST", "uploads.github.com", rf"{NAME}/(\d+)/assets"):
            release = find(found[2])
            return upload(found[1], release, query["name"][0], body) if release else NOT_FOUND
        if found := asks("GET", "api.github.com", rf"{NAME}/assets/(\d+)"):
            return asset(found[2], self.headers["Accept"])
        if found := asks("DELETE", "api.github.com", rf"{NAME}/assets/(\d+)"):
            return remove(found[2])
        if asks("POST", "api.github.com", "/graphql"):
            asked = json.loads(body)
            return by_tag(asked["query"], asked["variables"])
        return 501, {"message": "this request is not known here"}

    def answer(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        address = urlsplit(self.path)
        with one_at_a_time:
            status, said = self.decide(self.headers["Host"], address.path, parse_qs(address.query), body)
            print(self.command, address.path, status, flush=True)
            keep()
        is_file = isinstance(said, bytes)
        said = said if is_file else b"" if said is None else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if is_file else "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass

    do_GET = do_POST = do_PATCH = do_DELETE = answer


server = ThreadingHTTPServer((address, 443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
