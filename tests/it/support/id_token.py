"""GitHub's endpoint for ID tokens: gives a token to who shows the job's own, for the audience that it was signed for.

https://docs.github.com/actions/reference/security/oidc#methods-for-requesting-the-oidc-token
"""

import http.server
import json
import sys
import urllib.parse

port, bearer, audience, token = sys.argv[1:]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        query = urllib.parse.parse_qs(url.query)
        if url.path != "/token" or query.get("api-version") != ["2.0"]:
            return self.answer(404, {"message": "not found"})
        if self.headers.get("Authorization") != f"bearer {bearer}":
            return self.answer(401, {"message": "unauthorized"})
        if query.get("audience") != [audience]:
            return self.answer(400, {"message": "another audience"})
        return self.answer(200, {"count": len(token), "value": token})

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


http.server.HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
