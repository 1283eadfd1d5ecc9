"""Control socket of an engine: answers the API of docs/api.md in threads of its own.

While it runs, `sexton` commands on the data folder and curl steer the engine:

    with ControlServer(engine, "/run/host/control.sock"):
        ...

Only the user of the process, and root, may connect. Needs only the standard library.
"""

from __future__ import annotations

import errno
import http.server
import json
import os
import socket
import socketserver
import stat
import struct
import threading
import time
from typing import Any

from sexton import API_BODY_BYTES_MAX, Engine, Error

CONNECTIONS_MAX = 16
READ_S_MAX = 30  # for a piece of a request, and for the body of a request
CHUNK_BYTES = 65536
SOCKET_MODE = 0o600


class _Handler(http.server.BaseHTTPRequestHandler):
    """One request on one connection."""

    protocol_version = "HTTP/1.1"
    timeout = READ_S_MAX
    server: ControlServer

    def answer(self) -> None:
        body = self._read_body()
        if body is None:
            return
        try:
            status, text = self.server.engine.api(
                self.command,
                self.path.encode("latin-1"),
                body,
                content_type=self._header("Content-Type"),
                idempotency_key=self._header("Idempotency-Key"),
                uid=self._peer_uid(),
            )
        except Error as error:
            # There is no response, since the engine is closed or has a defect.
            self.log_error("%s", error)
            self.close_connection = True
            return
        self._send(status, text)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answers a request that is no HTTP, or has no operation, as a problem document."""
        kind = {408: "timeout", 413: "too-long", 501: "wrong-method"}.get(code, "invalid")
        self._send_problem(code if kind != "wrong-method" else 405, kind, message or "this is no HTTP request")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Logs nothing: the decisions are in the engine."""

    def _read_body(self) -> bytes | None:
        """Reads the body, of which it keeps one byte more than the limit. Returns None if there is nothing to run."""
        if "Transfer-Encoding" in self.headers:
            return self._send_problem(400, "invalid", "send the body with Content-Length, not Transfer-Encoding")
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()):
            return self._send_problem(400, "invalid", f"the Content-Length {length!r} is no number")
        left, body, end = int(length), bytearray(), time.monotonic() + READ_S_MAX
        try:
            while left > 0:
                piece = self.rfile.read1(min(left, CHUNK_BYTES))
                if not piece:
                    return None
                body += piece[: API_BODY_BYTES_MAX + 1 - len(body)]
                left -= len(piece)
                if time.monotonic() > end:
                    raise TimeoutError
        except TimeoutError:
            return self._send_problem(408, "timeout", f"the body did not arrive within {READ_S_MAX} s")
        return bytes(body)

    def _header(self, name: str) -> bytes:
        return self.headers.get(name, "").encode("latin-1", "replace")

    def _peer_uid(self) -> int:
        """Returns the user of the peer, as the kernel authenticated it."""
        peer = self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return struct.unpack("iII", peer)[1]

    def _send_problem(self, status: int, kind: str, detail: str) -> None:
        title = http.HTTPStatus(status).phrase
        problem = {"status": status, "title": title, "kind": kind, "detail": detail}
        self._send(status, json.dumps(problem).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status == 200 else "application/problem+json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        if status in (429, 503):
            self.send_header("Retry-After", "1")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class ControlServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Server of an open engine, at a Unix socket. Close it before the engine."""

    daemon_threads = True
    request_queue_size = CONNECTIONS_MAX

    def __init__(self, engine: Engine, path: str | os.PathLike[str]):
        self.engine, self.path = engine, os.path.abspath(path)
        self._slots = threading.Semaphore(CONNECTIONS_MAX)
        _remove_stale(self.path)
        super().__init__(self.path, _Handler)
        engine.set_control_socket(self.path)
        self._thread = threading.Thread(target=self.serve_forever, name="control")
        self._thread.start()

    def server_bind(self) -> None:
        # The file gets the mode of the descriptor, so it never has another one.
        os.fchmod(self.socket.fileno(), SOCKET_MODE)
        super().server_bind()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._slots.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores a client that went away."""

    def close(self) -> None:
        """Stops listening. The note of the socket stays: commands open the folder only with --offline."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        os.unlink(self.path)

    def __exit__(self, *_: object) -> None:
        self.close()


def _remove_stale(path: str) -> None:
    """Removes a socket file at which no process listens. The data folder is locked, so it is of an earlier host."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "exists and is no socket", path)
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(path) == 0:
            raise OSError(errno.EADDRINUSE, "another process listens here", path)
    os.unlink(path)
