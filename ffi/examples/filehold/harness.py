"""What the test drives filehold with: a server that is killed and started again, clients, and a verifier."""

import collections
import http.client
import json
import pathlib
import subprocess
import threading
import time
import urllib.parse

GONE_S_MAX = 120  # so long everything may take to go, on a slow machine
START_S_MAX = 60


class Tally:
    """What was checked."""

    def __init__(self) -> None:
        self.passed, self.failed = 0, 0

    def check(self, what: str, fine: object, more: object = "") -> None:
        if fine:
            self.passed += 1
        else:
            self.failed += 1
        print(f"{'ok  ' if fine else 'FAIL'}  {what}{'' if fine else f': {more}'}", flush=True)


tally = Tally()
check = tally.check


def say(text: str) -> None:
    print(f"--    {text}", flush=True)


class Server:
    """filehold in a process of its own, which is killed and started again."""

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
            raise SystemExit(f"filehold did not start; it said:\n{self.log.read_text()}")
        self.port = int(line.rsplit(":", 1)[1])
        self.is_up.set()

    def end(self, number: int) -> int:
        """Sends a signal and waits: the exit code."""
        self.is_up.clear()
        self.process.send_signal(number)
        code = self.process.wait(START_S_MAX)
        self.process.stdout.close()
        return code


class Answer(collections.namedtuple("Answer", "status headers body")):
    def json(self) -> dict:
        return json.loads(self.body)


class Client:
    """One connection, made anew where it broke."""

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

    def put_until_taken(self, name: str, body: bytes) -> Answer:
        """PUTs again until it is taken: the server may be down or ending."""
        deadline = time.monotonic() + GONE_S_MAX
        while time.monotonic() < deadline:
            self.server.is_up.wait(GONE_S_MAX)
            try:
                answer = self.ask("PUT", f"/files/{name}", body)
                if answer.status != 503:
                    return answer
            except (OSError, http.client.HTTPException):
                self.close()
            time.sleep(0.02)
        raise TimeoutError(f"{name} was not taken in {GONE_S_MAX} s")


def receipt_path(answer: Answer) -> str:
    told = answer.json()
    return f"/receipt/{told['id']}?name={urllib.parse.quote(told['name'])}"


def file_class(client: Client) -> dict:
    return client.ask("GET", "/status").json()["classes"]["file"]


def wait_until(what: str, is_so) -> bool:
    deadline = time.monotonic() + GONE_S_MAX
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.25)
    say(f"waited {GONE_S_MAX} s in vain until {what}")
    return False


def is_gone(client: Client, name: str) -> bool:
    return client.ask("HEAD", f"/files/{name}").status == 404


class Verifier:
    """`sexton verify` over a folder of receipts, under the policy of the server."""

    def __init__(self, sexton: str, folder: pathlib.Path):
        self.sexton, self.folder = sexton, folder
        folder.mkdir()

    def fetch(self, client: Client, answers: list[Answer]) -> list[int]:
        """Writes the receipts of these uploads, and gives the status with which each was answered."""
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
        return json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
