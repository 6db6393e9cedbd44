"""A server between a client and MLflow's that fails as it is told."""

from __future__ import annotations

import base64
import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEPT_OFF = {"connection", "transfer-encoding", "keep-alive", "server", "date", "content-length"}


class Proxy:
    """Hands requests on to a port of 127.0.0.1, unless it is told to fail.

    Attributes:
        port: that it listens on.
        status: of the answer to what is failed; 0 hands on.
        method: what is failed; empty for all.
        delay: seconds that every request waits.
        password: `user:password` that every request must bring; empty for none.
        failed: how many requests were.
    """

    def __init__(self, behind: int) -> None:
        self.behind, self.status, self.method, self.delay = behind, 0, "", 0.0
        self.password, self.failed = "", 0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            """Answers one connection."""

            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                """Reads a request, and answers it in the proxy's way."""
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                proxy.answer(self)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answers a request: with a failure, or with what the server behind says."""
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        time.sleep(self.delay)
        expected = "Basic " + base64.b64encode(self.password.encode()).decode()
        if self.password and request.headers.get("Authorization") != expected:
            self.failed += 1
            send(request, 401, {}, b"a user and a password are needed")
        elif self.status and self.method in ("", request.command):
            self.failed += 1
            send(request, self.status, {}, b"told to fail")
        else:
            self.hand_on(request, body)

    def hand_on(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        """Asks the server behind, and hands its answer back."""
        line = http.client.HTTPConnection("127.0.0.1", self.behind, timeout=120)
        try:
            headers = {k: v for k, v in request.headers.items() if k.lower() != "connection"}
            line.request(request.command, request.path, body, headers)
            answer = line.getresponse()
            kept = {k: v for k, v in answer.getheaders() if k.lower() not in KEPT_OFF}
            send(request, answer.status, kept, answer.read())
        except OSError:
            send(request, 502, {}, b"nobody behind")
        finally:
            line.close()


def send(
    request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes
) -> None:
    """Sends an answer."""
    request.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


@contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    """Runs a proxy in front of a port."""
    proxy = Proxy(port)
    threading.Thread(target=proxy.server.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        proxy.server.server_close()
