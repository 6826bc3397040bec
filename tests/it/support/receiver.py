"""Services that take notices, on loopback, as strict as their makers' documentation; mail by aiosmtpd.

Writes a line of JSON for each notice that was taken to the file that is its argument, and prints its ports.
"""

import json
import re
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

log = open(sys.argv[1], "a", buffering=1)
certificate, key = sys.argv[2:4]


def text_alone(body, most):
    return set(body) == {"text"} and isinstance(body["text"], str) and 0 < len(body["text"]) <= most


def discord(body):
    good = set(body) <= {"content", "allowed_mentions"} and 0 < len(body.get("content", "")) <= 2000
    return good and body["allowed_mentions"] == {"parse": []}


def teams(body):
    if set(body) != {"type", "attachments"} or body["type"] != "message" or len(body["attachments"]) != 1:
        return False
    attachment = body["attachments"][0]
    card = attachment["content"]
    return (
        attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
        and card["$schema"] == "http://adaptivecards.io/schemas/adaptive-card.json"
        and card["type"] == "AdaptiveCard"
        and all(block["type"] == "TextBlock" and block["text"] for block in card["body"])
    )


def telegram(body):
    good = set(body) <= {"chat_id", "text", "link_preview_options"}
    return good and body.get("chat_id") == "-100" and 0 < len(body.get("text", "")) <= 4096


def matrix(body):
    return body.get("msgtype") == "m.notice" and isinstance(body.get("body"), str)


# Method, path, check of the body, status of a good answer, its body.
SERVICES = [
    ("POST", r"/services/T0/B0/good", lambda body: text_alone(body, 40000), 200, "ok"),
    ("POST", r"/hooks/good", lambda body: text_alone(body, 16383), 200, "ok"),
    ("POST", r"/api/webhooks/1/good", discord, 204, ""),
    ("POST", r"/workflows/good\?sig=x", teams, 202, ""),
    ("POST", r"/bot1:good/sendMessage", telegram, 200, '{"ok":true,"result":{}}'),
    (
        "PUT",
        r"/_matrix/client/v3/rooms/!room:matrix\.test/send/m\.room\.message/[0-9a-f]{16}",
        matrix,
        200,
        '{"event_id":"$1"}',
    ),
    ("POST", r"/hook", lambda body: body["version"] == 1, 200, ""),
]


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/slow":
            time.sleep(60)
        status, said = 404, "no_service"
        for method, path, is_good, good, words in SERVICES:
            if self.command != method or not re.fullmatch(path, self.path):
                continue
            has_token = method == "POST" or self.headers["Authorization"] == "Bearer a+b@c"
            if not has_token:
                status, said = 401, "M_UNKNOWN_TOKEN"
            elif self.headers["Content-Type"] != "application/json" or not is_good(body):
                status, said = 400, "invalid_payload"
            else:
                status, said = good, words
                log.write(json.dumps({"path": self.path, "body": body}) + "\n")
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())

    do_POST = do_PUT = answer

    def log_message(self, *_):
        pass


class Mails:
    async def handle_DATA(self, server, session, envelope):
        mail = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "text": envelope.content.decode()}
        log.write(json.dumps({"path": "mail", "body": mail}) + "\n")
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = mechanism == "PLAIN" and (data.login, data.password) == (b"user", b"p@ss+word")
    return AuthResult(success=good, handled=False)


class Loud(Controller):
    """Whose port the system chooses."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=http.serve_forever, daemon=True).start()
plain = Loud(
    Mails(),
    hostname="127.0.0.1",
    port=0,
    auth_required=True,
    auth_require_tls=False,
    authenticator=authenticate,
)
plain.start()
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)
encrypted = Loud(Mails(), hostname="127.0.0.1", port=0, ssl_context=context)
encrypted.start()
print(http.server_address[1], plain.port, encrypted.port, flush=True)
threading.Event().wait()
