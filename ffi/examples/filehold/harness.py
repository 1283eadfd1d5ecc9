"""Test harness of filehold: a server that can be killed and restarted, HTTP clients, and a verifier."""

import collections
import http.client
import json
import pathlib
import subprocess
import threading
import time
import urllib.parse

DELETION_S_MAX = 120  # limit for the deletion of all files, on a slow machine
START_S_MAX = 60


class Tally:
    """Number of checks that passed and failed."""

    def __init__(self) -> None:
        self.passed, self.failed = 0, 0

    def check(self, title: str, is_ok: object, details: object = "") -> None:
        """Counts and prints a check. `details` are printed if it failed."""
        if is_ok:
            self.passed += 1
        else:
            self.failed += 1
        print(f"{'ok  ' if is_ok else 'FAIL'}  {title}{'' if is_ok else f': {details}'}", flush=True)


tally = Tally()
check = tally.check


def say(text: str) -> None:
    print(f"--    {text}", flush=True)


class Server:
    """Process of filehold, which can be ended and started again."""

    def __init__(self, command: list[str], data: pathlib.Path, log: pathlib.Path, environment: dict[str, str]):
        self.command, self.data, self.log, self.environment = command, data, log, environment
        self.port = 0
        self.is_up = threading.Event()
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self.command, stdout=subprocess.PIPE, stderr=log, text=True, env=self.environment
            )
        watchdog = threading.Timer(START_S_MAX, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        if "http://" not in line:
            raise SystemExit(f"filehold did not start; its log:\n{self.log.read_text()}")
        self.port = int(line.rsplit(":", 1)[1])
        self.is_up.set()

    def end(self, number: int) -> int:
        """Sends a signal and waits. Returns the exit code."""
        self.is_up.clear()
        self.process.send_signal(number)
        code = self.process.wait(START_S_MAX)
        self.process.stdout.close()
        return code


class Answer(collections.namedtuple("Answer", "status headers body")):
    def json(self) -> dict:
        return json.loads(self.body)


class Client:
    """HTTP client with one connection, which is opened again after an error."""

    def __init__(self, server: Server):
        self.server, self.connection = server, None

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            self.connection.request(method, path, body, headers or {})
            answer = self.connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def put_until_accepted(self, name: str, body: bytes) -> Answer:
        """Repeats a PUT until the server answers other than 503. It may be down or shutting down."""
        deadline = time.monotonic() + DELETION_S_MAX
        while time.monotonic() < deadline:
            self.server.is_up.wait(DELETION_S_MAX)
            try:
                answer = self.ask("PUT", f"/files/{name}", body)
                if answer.status != 503:
                    return answer
            except (OSError, http.client.HTTPException):
                self.close()
            time.sleep(0.02)
        raise TimeoutError(f"PUT {name} did not succeed in {DELETION_S_MAX} s")


def receipt_path(answer: Answer) -> str:
    upload = answer.json()
    return f"/receipt/{upload['id']}?name={urllib.parse.quote(upload['name'])}"


def file_class(client: Client) -> dict:
    return client.ask("GET", "/status").json()["classes"]["file"]


def wait_until(what: str, condition) -> bool:
    """Polls a condition until it is true. Returns False after a time limit."""
    deadline = time.monotonic() + DELETION_S_MAX
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.25)
    say(f"timed out after {DELETION_S_MAX} s, waiting until {what}")
    return False


def is_gone(client: Client, name: str) -> bool:
    return client.ask("HEAD", f"/files/{name}").status == 404


class Verifier:
    """Runs `sexton verify` on a folder of receipts, under the policy of the server."""

    def __init__(self, sexton: str, folder: pathlib.Path):
        self.sexton, self.folder = sexton, folder
        folder.mkdir()

    def fetch(self, client: Client, answers: list[Answer]) -> list[int]:
        """Saves the receipts of these uploads. Returns the HTTP status of each request for one."""
        statuses = []
        (self.folder / "trust.policy").write_bytes(client.ask("GET", "/policy").body)
        for answer in answers:
            receipt = client.ask("GET", receipt_path(answer))
            statuses.append(receipt.status)
            if receipt.status == 200:
                (self.folder / f"{answer.json()['id']}.tlog-proof").write_bytes(receipt.body)
        return statuses

    def verify(self) -> dict:
        command = [self.sexton, "verify", str(self.folder), "--policy", str(self.folder / "trust.policy"), "--json"]
        lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
        *receipts, summary = [json.loads(line) for line in lines]
        return {**summary, "receipts": receipts}
