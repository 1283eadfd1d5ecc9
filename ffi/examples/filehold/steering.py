"""Tests of filehold's control socket: the server is steered with the `sexton` command, and with raw requests."""

import http.client
import json
import os
import pathlib
import socket
import stat
import subprocess

from harness import Answer, Client, Server, check, is_gone, wait_until

DECISION = ["--reason", "court order 7/26", "--author", "Ada"]
BODY_BYTES_MAX = 8 << 20
UNKNOWN_HOLD = b'{"name": "none", "decision": {"author": "Ada", "reason": "closed"}, "grace_ms": 0}'


class Operator:
    """Person beside the server, with the command and a client of the control socket."""

    def __init__(self, server: Server, sexton: str):
        self.socket, self.folder, self.command = server.data / "control.sock", server.data / "sexton", sexton

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.command, *map(str, arguments)], capture_output=True, text=True, timeout=60)

    def json(self, *arguments: object) -> dict:
        done = self.run(*arguments, "--json")
        # Code 1: something needs an operator.
        return json.loads(done.stdout) if done.returncode in (0, 1) else {"failed": done.stderr}

    def ask(self, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.socket))
        try:
            connection.request(method, target, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()


def hold_and_lift(operator: Operator, client: Client, work: pathlib.Path) -> None:
    """Keeps a file under a hold, sees it in the plan, and lifts the hold."""
    place = ["hold", "place", operator.folder, "--name", "case 7", "--key", "kept.txt", "--review", "2099-01-01"]
    placed = operator.run(*place, *DECISION)
    check("sexton hold place: the hold stands", placed.returncode == 0, placed)
    kept = client.ask("PUT", "/files/kept.txt", b"kept\n").json()
    client.ask("PUT", "/files/goes.txt", b"goes\n")
    [hold] = operator.ask("GET", "/v1/holds").json()["holds"]
    check("the hold has the user of the command", (hold["name"], hold["uid"]) == ("case 7", os.getuid()), hold)
    wait_until("the other file is deleted", lambda: is_gone(client, "goes.txt"))
    held = wait_until("the held file is due",
                      lambda: operator.json("status", operator.folder)["classes"]["file"]["held"] == 1)
    check("the held file stays when its time has come", held and not is_gone(client, "kept.txt"))
    again = operator.run(*place, *DECISION)
    check("sexton hold place: a second hold of the name is refused", again.returncode == 2 and "case 7" in again.stderr,
          again)
    lifted = operator.run("hold", "lift", operator.folder, "case 7", "--grace", "0", *DECISION)
    check("sexton hold lift: the hold ends", lifted.returncode == 0, lifted)
    wait_until("the file is deleted", lambda: is_gone(client, "kept.txt"))
    made = []

    def receipt() -> bool:
        out = work / f"issued-{len(made)}"
        made.append(out)
        return operator.run("receipt", operator.folder, "kept.txt", "--id", kept["id"], "--out", out).returncode == 0

    check("sexton receipt: makes one", wait_until("the receipt is available", receipt))
    verified = operator.run("verify", made[-1], "--policy", made[-1] / "trust.policy")
    check("sexton verify: accepts it", verified.returncode == 0, verified)


def pause_and_resume(operator: Operator, client: Client) -> None:
    """Stops deleting, and ends the alarm that says so."""
    paused = operator.json("pause", operator.folder, "--for", "1h", *DECISION)
    check("sexton pause: raises an alarm", "alarm" in paused, paused)
    client.ask("PUT", "/files/waits.txt", b"waits\n")
    due = wait_until("the file is due", lambda: operator.json("status", operator.folder)["classes"]["file"]["due"] > 0)
    check("a paused server deletes nothing", due and not is_gone(client, "waits.txt"))
    plan = operator.run("plan", operator.folder, "--until", "+1d")
    check("sexton plan: shows the file that waits", plan.returncode in (0, 1) and "waits.txt" in plan.stdout, plan)
    alarms = operator.json("alarm", "list", operator.folder)
    resumed = operator.run("alarm", "resume", operator.folder, paused["alarm"]["id"], *DECISION)
    check("sexton alarm resume: ends the pause", resumed.returncode == 0, (alarms, resumed))
    check("a resumed server deletes", wait_until("the file is deleted", lambda: is_gone(client, "waits.txt")))


def refused_calls(operator: Operator) -> None:
    json_type = {"Content-Type": "application/json"}
    table = [
        ("an unknown path", ("GET", "/v1/nothing"), 404, "no-such-path"),
        ("another method", ("GET", "/v1/holds/lift"), 405, "wrong-method"),
        ("an unknown method", ("BREW", "/v1/holds/lift"), 405, "wrong-method"),
        ("an unknown field", ("GET", "/v1/status?x=1"), 400, "invalid"),
        ("a body that is no JSON", ("POST", "/v1/holds/lift", b"{", json_type), 400, "invalid"),
        ("a body of another type", ("POST", "/v1/holds/lift", b"{}", {"Content-Type": "text/plain"}), 415, "no-json"),
        ("an idempotency key", ("POST", "/v1/holds/lift", b"{}", {"Idempotency-Key": "1"}), 400, "invalid"),
        ("a body that is too long", ("POST", "/v1/holds/lift", bytes(BODY_BYTES_MAX + 1), json_type), 413, "too-long"),
        ("an unknown hold", ("POST", "/v1/holds/lift", UNKNOWN_HOLD, json_type), 404, "not-found"),
        ("the sources of a service", ("GET", "/v1/sources"), 400, "invalid"),
    ]
    for title, request, status, kind in table:
        answer = operator.ask(*request)
        found = (answer.status, answer.headers["Content-Type"], answer.json().get("kind"))
        check(f"{title} is a problem", found == (status, "application/problem+json", kind), answer)
    check("a query is answered", operator.ask("GET", "/v1/plan?until_ms=0&limit=1").status == 200)
    check("only the user of the server may connect", stat.S_IMODE(operator.socket.stat().st_mode) == 0o600)


def steer(server: Server, client: Client, work: pathlib.Path, sexton: str) -> None:
    operator = Operator(server, sexton)
    status = operator.json("status", operator.folder)
    check("sexton status: goes through the socket", status.get("state") == "running", status)
    curl = ["curl", "-sS", "--max-time", "60", "--unix-socket", str(operator.socket), "http://sexton/v1/status"]
    seen = json.loads(subprocess.run(curl, capture_output=True, text=True).stdout)
    check("curl: sees the same classes", seen["classes"].keys() == status["classes"].keys(), seen)
    hold_and_lift(operator, client, work)
    pause_and_resume(operator, client)
    refused_calls(operator)
