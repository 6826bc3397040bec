# Pebble at https://faulty.test with faults. Host is passed on, so that Pebble's URLs lead back here.
#
# Arguments: address, certificate, key, CA of Pebble's API, RULES. RULES is JSON, read again for every request:
# {"set": N, "rules": [...]}; another N counts from the start. Of the rules whose "match" (a regular expression)
# is found in "METHOD PATH" and that were not yet used up, the first acts:
#   times    how often it acts (1); null: always
#   status   answered without Pebble, with "headers" and "body"; "nonce": with a fresh nonce
#   drop     "before": Pebble gets nothing; "after": its answer is lost; "half": half of the body arrives
#   sub      [regular expression, replacement] in the body of Pebble's answer
#   headers  replace those of Pebble's answer
#   delay    seconds before the answer
#   drip     seconds between two bytes of the answer's body
#
# Each request is a line on standard output: method, path, status, what the rule did, the status in the body.

import http.client
import http.server
import json
import re
import ssl
import sys
import threading
import time

ADDRESS, CERTIFICATE, KEY, CA, RULES = sys.argv[1:]
PEBBLE = "acme.test"
HOP_BY_HOP = ("connection", "content-length", "transfer-encoding", "keep-alive", "accept-encoding")

lock = threading.Lock()
used = {}


def rule_for(line):
    with open(RULES) as file:
        rules = json.load(file)
    with lock:
        for number, rule in enumerate(rules["rules"]):
            key = (rules["set"], number)
            times = rule.get("times", 1)
            if re.search(rule["match"], line) and (times is None or used.get(key, 0) < times):
                used[key] = used.get(key, 0) + 1
                return rule
    return {}


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    pebble = None

    def ask(self, method, path, body=None, headers=None):
        for attempt in (1, 2):
            if self.pebble is None:
                context = ssl.create_default_context(cafile=CA)
                self.pebble = http.client.HTTPSConnection(PEBBLE, context=context)
            try:
                self.pebble.request(method, path, body, headers or {})
                answer = self.pebble.getresponse()
                return answer.status, dict(answer.headers), answer.read()
            except http.client.RemoteDisconnected:
                # A connection that Pebble closed while nothing was asked.
                self.pebble = None
                if attempt == 2:
                    raise

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        rule = rule_for(f"{self.command} {self.path}")
        time.sleep(rule.get("delay", 0))
        if rule.get("drop") == "before":
            self.hang_up(0, "dropped before")
            return
        if "status" in rule:
            status, headers, answer = rule["status"], {}, rule.get("body", "").encode()
            if rule.get("nonce"):
                headers["Replay-Nonce"] = self.ask("HEAD", "/nonce-plz", None, {"User-Agent": "faults"})[1]["Replay-Nonce"]
        else:
            passed_on = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
            status, headers, answer = self.ask(self.command, self.path, body or None, passed_on)
            headers = {k: v for k, v in headers.items() if k.lower() not in HOP_BY_HOP}
        if rule.get("drop") == "after":
            self.hang_up(status, "dropped after")
            return
        if "sub" in rule:
            answer = re.sub(*rule["sub"], answer.decode()).encode()
        for name, value in rule.get("headers", {}).items():
            headers = {k: v for k, v in headers.items() if k.lower() != name.lower()}
            headers[name] = value
        # Noted first: whoever has the answer may look.
        self.note(status, "fault" if rule else "-", answer)
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if rule.get("drop") == "half":
            self.wfile.write(answer[: len(answer) // 2])
            self.close_connection = True
        elif "drip" in rule:
            for byte in answer:
                self.wfile.write(bytes([byte]))
                time.sleep(rule["drip"])
        else:
            self.wfile.write(answer)

    do_POST = do_HEAD = do_GET

    def hang_up(self, status, what):
        self.note(status, what, b"")
        self.close_connection = True

    def note(self, status, what, answer):
        found = re.match(rb'\s*\{\s*"status": "(\w+)"', answer)
        state = found.group(1).decode() if found else "-"
        print(self.command, self.path, status, what.replace(" ", "-"), state, flush=True)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 100

    def finish_request(self, request, client_address):
        # In the connection's own thread: a client that is slow to greet keeps nobody else waiting.
        with context.wrap_socket(request, server_side=True) as tls:
            super().finish_request(tls, client_address)

    def handle_error(self, request, client_address):
        # Clients hang up, on purpose too; anything else is shown.
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError)):
            super().handle_error(request, client_address)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
Server((ADDRESS, 443), Proxy).serve_forever()
