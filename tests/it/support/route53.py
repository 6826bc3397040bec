# Route 53's API at 127.0.0.1:5001. moto, started here, keeps the zones and answers; while the file DENY
# exists, changes are refused as AWS refuses them where the policy lacks the permission:
#   form     https://docs.aws.amazon.com/Route53/latest/APIReference/requests-rest-responses.html
#   message  https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
#
# Arguments: moto's program, DENY.

import http.client
import http.server
import os
import subprocess
import sys

MOTO, DENY = sys.argv[1:]
HOST, PORT, MOTO_PORT = "127.0.0.1", 5001, 5000

DENIED = """<?xml version="1.0"?>
<ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error><Type>Sender</Type>\
<Code>AccessDenied</Code><Message>User: arn:aws:iam::123456789012:user/lab is not authorized to perform: \
route53:ChangeResourceRecordSets on resource: arn:aws:route53:::hostedzone/%s because no identity-based \
policy allows the route53:ChangeResourceRecordSets action</Message></Error>\
<RequestId>b25f48e8-84fd-11e6-80d9-574e0c4664cb</RequestId></ErrorResponse>
"""


class Proxy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        words = self.path.strip("/").split("/")
        if self.command == "POST" and words[-1] == "rrset" and os.path.exists(DENY):
            self.answer(403, "text/xml", (DENIED % words[-2]).encode())
            return
        moto = http.client.HTTPConnection(HOST, MOTO_PORT)
        try:
            moto.request(self.command, self.path, body, dict(self.headers))
            answer = moto.getresponse()
            self.answer(answer.status, answer.getheader("Content-Type", "text/xml"), answer.read())
        except OSError as error:
            self.send_error(502, str(error))
        finally:
            moto.close()

    do_POST = do_GET

    def log_request(self, code="-", size="-"):
        print(self.command, self.path, int(code), flush=True)

    def answer(self, status, content_type, body):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


subprocess.Popen([MOTO, "-H", HOST, "-p", str(MOTO_PORT)], stdin=subprocess.DEVNULL)
http.server.ThreadingHTTPServer((HOST, PORT), Proxy).serve_forever()
