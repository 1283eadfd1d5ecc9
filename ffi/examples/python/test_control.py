#!/usr/bin/env python3
"""Steers an engine of this process with the `sexton` command and with raw requests.

    SEXTON_LIBRARY=PREFIX/lib/libsexton.so.0 SEXTON_COMMAND=PATH python3 test_control.py

The command needs its feature `serve`, as installed ones have it.
"""

import http.client
import json
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from control import ControlServer  # noqa: E402
from example import Clock  # noqa: E402
from sexton import API_BODY_BYTES_MAX, Answer, Engine, Options, Registration  # noqa: E402

COMMAND = os.environ.get("SEXTON_COMMAND") or shutil.which("sexton")
DECISION = ["--reason", "court order 7/26", "--author", "Ada"]
CLASSES = """
[class.uploads]
within = "3h"
start = "registered"
"""


class ControlTestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.assertTrue(COMMAND, "give the path of the sexton command in SEXTON_COMMAND")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data, self.socket = pathlib.Path(folder.name, "data"), pathlib.Path(folder.name, "control.sock")
        self.clock = Clock()
        named = {"origin": "example.com/python", "builtin_classes": False, "classes": CLASSES, "threads": 0}
        with Options(clock=self.clock, **named) as options:
            self.engine = Engine(self.data, options)
        self.addCleanup(self.engine.free)
        self.server = ControlServer(self.engine, self.socket)
        self.addCleanup(lambda: self.server.close())

    def sexton(self, *arguments: object, codes: tuple[int, ...] = (0,)) -> str:
        """Runs the command. Returns its output, or what it complains of."""
        command = [COMMAND, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertIn(done.returncode, codes, done.stdout + done.stderr)
        return done.stdout or done.stderr

    def json(self, *arguments: object) -> dict:
        # Code 1: something needs an operator.
        return json.loads(self.sexton(*arguments, "--json", codes=(0, 1)))

    def ask(self, method: str, target: str, body: bytes | None = None, **headers: str) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.socket))
        self.addCleanup(connection.close)
        connection.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()

    def delete_due(self) -> list[bytes]:
        """Deletes everything that is due. Returns the keys."""
        keys: list[bytes] = []
        while True:
            while self.engine.run(50) <= self.engine.now_ms():
                pass
            batch = self.engine.next_batch()
            if batch is None:
                return keys
            keys += [wanted.key for wanted in batch.objects]
            self.engine.complete(batch, [(i, Answer.DELETED) for i in range(len(batch.objects))])


class CommandTest(ControlTestCase):
    def test_commands_see_and_hold_the_objects_of_the_process(self) -> None:
        ids = [registered.id for registered in self.engine.register([Registration(b"a", "uploads"),
                                                                     Registration(b"b", "uploads")])]
        self.assertEqual(self.json("status", self.data)["classes"]["uploads"]["live"], 2)
        self.sexton("hold", "place", self.data, "--name", "case 7", "--key", "b", "--review", "2099-01-01", *DECISION)
        [hold] = json.loads(self.ask("GET", "/v1/holds")[2])["holds"]
        self.assertEqual((hold["name"], hold["uid"]), ("case 7", os.getuid()))
        self.assertIn("case 7", self.sexton("plan", self.data, "--until", "+4h"))
        self.clock.advance(minutes=179)
        self.assertEqual(self.delete_due(), [b"a"])
        self.sexton("hold", "lift", self.data, "case 7", "--grace", "0", *DECISION)
        self.clock.advance(minutes=1)
        self.assertEqual(self.delete_due(), [b"b"])
        out = self.data.with_name("receipts")
        self.sexton("receipt", self.data, "a", "--id", ids[0], "--out", out)
        self.sexton("verify", out, "--policy", out / "trust.policy")

    def test_alarm_is_resumed(self) -> None:
        self.engine.register([Registration(b"a", "uploads")])
        self.assertEqual(self.delete_due(), [])
        self.clock.wall_ms += 365 * 86_400_000
        self.assertEqual(self.delete_due(), [])
        [alarm] = self.json("status", self.data)["alarms"]
        self.sexton("alarm", "resume", self.data, alarm["id"], *DECISION)
        self.assertEqual(self.delete_due(), [b"a"])
        self.assertEqual(self.json("status", self.data)["state"], "running")

    def test_pause_stops_deleting_until_resumed(self) -> None:
        self.engine.register([Registration(b"a", "uploads")])
        self.clock.advance(minutes=179)
        alarm = self.json("pause", self.data, "--for", "1d", *DECISION)["alarm"]
        self.assertEqual(self.delete_due(), [])
        self.sexton("alarm", "resume", self.data, alarm["id"], *DECISION)
        self.assertEqual(self.delete_due(), [b"a"])

    def test_refused_command_says_why(self) -> None:
        why = self.sexton("hold", "lift", self.data, "none", *DECISION, codes=(2,))
        self.assertIn("none", why)

    def test_folder_of_a_stopped_process_opens_only_offline(self) -> None:
        self.server.close()
        self.server.close = lambda: None
        self.engine.close()
        self.assertFalse(self.socket.exists())
        self.assertIn(str(self.socket), self.sexton("hold", "list", self.data, codes=(2,)))
        self.sexton("hold", "list", self.data, "--offline")


class RequestTest(ControlTestCase):
    def check_problem(self, answer: tuple[int, str, bytes], status: int, kind: str) -> None:
        problem = json.loads(answer[2])
        self.assertEqual(answer[:2], (status, "application/problem+json"), problem)
        self.assertEqual((problem["status"], problem["kind"]), (status, kind))
        self.assertTrue(problem["detail"])

    def test_refused_requests_get_problems(self) -> None:
        path, json_type = "/v1/holds/lift", {"Content_Type": "application/json"}
        self.check_problem(self.ask("GET", "/v1/nothing"), 404, "no-such-path")
        self.check_problem(self.ask("GET", path), 405, "wrong-method")
        self.check_problem(self.ask("DELETE", path), 405, "wrong-method")
        self.check_problem(self.ask("OPTIONS", path), 405, "wrong-method")
        self.check_problem(self.ask("GET", "/v1/status?x=1"), 400, "invalid")
        self.check_problem(self.ask("POST", path, b"{", **json_type), 400, "invalid")
        self.check_problem(self.ask("POST", path, b"{}", Content_Type="text/plain"), 415, "no-json")
        self.check_problem(self.ask("POST", path, b"{}", Idempotency_Key="1", **json_type), 400, "invalid")
        self.check_problem(self.ask("POST", path, b"{}", Transfer_Encoding="chunked"), 400, "invalid")
        self.check_problem(self.ask("POST", path, bytes(API_BODY_BYTES_MAX + 1), **json_type), 413, "too-long")
        unknown = b'{"name": "none", "decision": {"author": "Ada", "reason": "closed"}, "grace_ms": 0}'
        self.check_problem(self.ask("POST", path, unknown, **json_type), 404, "not-found")
        self.assertEqual(self.ask("GET", "/v1/time")[:2], (200, "application/json"))

    def test_many_clients_are_answered(self) -> None:
        statuses = []
        threads = [threading.Thread(target=lambda: statuses.append(self.ask("GET", "/v1/status")[0]))
                   for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(statuses, [200] * 40)

    def test_client_that_says_nothing_delays_no_other(self) -> None:
        with socket.socket(socket.AF_UNIX) as idle:
            idle.connect(str(self.socket))
            self.assertEqual(self.ask("GET", "/v1/time")[0], 200)

    def test_socket_is_for_its_user_only_and_a_second_one_is_refused(self) -> None:
        self.assertEqual(stat.S_IMODE(self.socket.stat().st_mode), 0o600)
        with self.assertRaises(OSError):
            ControlServer(self.engine, self.socket)
        self.assertEqual(self.ask("GET", "/v1/time")[0], 200)


if __name__ == "__main__":
    unittest.main()
