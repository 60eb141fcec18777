"""Who is told: Alertmanager, webhooks, a mail server."""

import email
import email.policy
import http.server
import json
import socketserver
import threading

from harness import Process, is_listening, wait_until
from waiting import free_port


class Alertmanager(Process):
    """The real one, on a free port, with no receivers of its own."""

    name = "alertmanager"

    def __init__(self, directory):
        super().__init__(directory)
        self.port = free_port()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        config = self.dir / "alertmanager.yml"
        config.write_text("route: {receiver: none}\n"
                          "receivers: [{name: none}]\n")
        self.spawn(["prometheus-alertmanager",
                    f"--config.file={config}",
                    f"--storage.path={self.dir}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--cluster.listen-address="])
        wait_until(lambda: is_listening(("127.0.0.1", self.port)),
                   what="Alertmanager")
        return self

    def stop(self):
        self.kill()


class Webhook:
    """Keeps what is posted; answers as `answer(number of the request)`.

    None as the answer hangs until the end.
    """

    def __init__(self, answer=lambda number: 200):
        self.posts = []
        self.over = threading.Event()
        webhook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                length = int(self.headers["Content-Length"])
                body = json.loads(self.rfile.read(length))
                webhook.posts.append((self.path, dict(self.headers), body))
                status = answer(len(webhook.posts))
                if status is None:
                    webhook.over.wait()
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def bodies(self):
        return [body for _, _, body in self.posts]

    def stop(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


class MailServer:
    """Enough of RFC 5321 for one client; keeps (sender, recipients, mail)."""

    def __init__(self):
        self.mails = []
        mails = self.mails

        class Handler(socketserver.StreamRequestHandler):
            def say(self, line):
                self.wfile.write(line.encode() + b"\r\n")

            def data(self):
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line[1:] if line.startswith(b"..") else line)
                return b"".join(lines)

            def handle(self):
                sender, recipients = None, []
                self.say("220 test ESMTP")
                while line := self.rfile.readline().decode().strip():
                    verb = line.split(":")[0].upper()
                    if verb.startswith("EHLO"):
                        self.say("250 test")
                    elif verb == "MAIL FROM":
                        sender = line.split(":")[1].split()[0]
                        self.say("250 ok")
                    elif verb == "RCPT TO":
                        recipients.append(line.split(":")[1].split()[0])
                        self.say("250 ok")
                    elif verb == "DATA":
                        self.say("354 go on")
                        mail = email.message_from_bytes(
                            self.data(), policy=email.policy.default)
                        mails.append((sender, recipients, mail))
                        sender, recipients = None, []
                        self.say("250 ok")
                    elif verb == "QUIT":
                        self.say("221 bye")
                        return
                    else:
                        self.say("502 what?")

        self.server = socketserver.ThreadingTCPServer(
            ("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    @property
    def url(self):
        return f"smtp://127.0.0.1:{self.server.server_address[1]}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
