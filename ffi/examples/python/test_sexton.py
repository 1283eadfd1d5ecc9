#!/usr/bin/env python3
"""Compares the binding with the header, and tests the library through the binding.

    SEXTON_LIBRARY=PREFIX/lib/libsexton.so.0 SEXTON_HEADER=PREFIX/include/sexton.h python3 test_sexton.py
"""

import ctypes
import os
import pathlib
import re
import select
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import sexton_abi as abi  # noqa: E402
from example import Clock  # noqa: E402
from sexton import (  # noqa: E402
    START,
    Answer,
    Batch,
    Change,
    Compliance,
    Engine,
    Error,
    Id,
    Options,
    Previous,
    Registration,
    State,
    Status,
    does_not_prove,
    verify,
)

HEADER = pathlib.Path(os.environ.get("SEXTON_HEADER", HERE / ".." / ".." / "include" / "sexton.h"))
WAIT_S_MAX = 60
CLASSES = """
[class.uploads]
within = "3h"
start = "registered"

[class.open]
within = "3h"
start = "explicit"
max_open = "24h"
"""


def header() -> str:
    """Returns the header without comments and the keyword struct, with single spaces."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", HEADER.read_text(), flags=re.S)
    return re.sub(r"[ \t]+", " ", re.sub(r"(?<!typedef )\bstruct\b", " ", text))


def functions(text: str) -> dict[str, tuple[str, list[str]]]:
    """Maps each function to the types of its result and its arguments."""
    plain = re.sub(r"^#[^\n]*$", " ", text.replace("\\\n", " "), flags=re.M)
    found = {}
    for result, name, arguments in re.findall(r"([\w *]+?)\b(sexton_\w+) ?\(([^()]*)\) ?;", plain):
        if "typedef" not in result:
            listed = [] if arguments.strip() in ("", "void") else arguments.split(",")
            found[name] = result.strip(), [re.sub(r"\w+$", "", argument.strip()).strip() for argument in listed]
    return found


def constants(text: str) -> dict[str, int]:
    """Maps each numeric constant to its value."""
    known = {"INT64_MIN": -(2**63), "INT64_MAX": 2**63 - 1, "UINT64_MAX": 2**64 - 1}
    found = {}
    for name, value in re.findall(r"^ ?# ?define (SEXTON_\w+) (.+)$", text, flags=re.M):
        value = value.strip().strip("()")
        if value in known:
            found[name] = known[value]
        elif re.fullmatch(r"-?\d+[uU]?[lL]*", value):
            found[name] = int(value.rstrip("uUlL"))
    return found


def structs(text: str) -> dict[str, list[tuple[str, str]]]:
    """Maps each struct to its fields and their types."""
    found = {}
    for name, body in re.findall(r"typedef struct (sexton_\w+) ?\{([^}]*)\}", text):
        found[name] = []
        for declaration in filter(None, (part.strip() for part in body.split(";"))):
            kind, names = re.match(r"((?:const )?(?:struct )?\w+ ?\*?) ?(.+)$", " ".join(declaration.split())).groups()
            for field in names.split(","):
                array = "[]" if "[" in field else ""
                pointer = "*" if "*" in field else ""
                found[name].append((re.sub(r"\[.*|[* ]", "", field), kind.replace(" ", "") + pointer + array))
    return found


SCALARS = {
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "size_t": ctypes.c_size_t,
    "int": ctypes.c_int,
    "void": None,
    "bool": ctypes.c_bool,
}


class BindingTest(unittest.TestCase):
    """Checks that sexton_abi equals the header."""

    def setUp(self) -> None:
        self.text = header()

    def check_type(self, what: str, c: str, here: object) -> None:
        kind = re.sub(r"\b(const|struct)\b", "", c).replace(" ", "")
        if kind.endswith("*"):
            self.assertTrue(
                here in (ctypes.c_void_p, ctypes.c_char_p) or issubclass(here, ctypes._Pointer), f"{what}: {c}, {here}"
            )
        elif kind in SCALARS:
            self.assertIs(here, SCALARS[kind], what)
        elif kind.endswith("_fn"):
            self.assertTrue(issubclass(here, ctypes._CFuncPtr), what)
        else:
            self.assertEqual(here.__name__, kind, what)

    def test_functions_have_the_types_of_the_header(self) -> None:
        declared = functions(self.text)
        self.assertGreater(len(declared), 80)
        for name, (result, arguments) in abi.FUNCTIONS.items():
            self.assertIn(name, declared)
            c_result, c_arguments = declared[name]
            self.assertEqual(len(arguments), len(c_arguments), f"{name}: {c_arguments}")
            self.check_type(f"result of {name}", c_result, result)
            for index, (here, c) in enumerate(zip(arguments, c_arguments)):
                self.check_type(f"argument {index} of {name}", c, here)

    def test_constants_have_the_values_of_the_header(self) -> None:
        """Also checks that no member of an enumeration is missing."""
        declared = constants(self.text)
        numbers = [(name, value) for name, value in vars(abi).items() if name.isupper() and isinstance(value, int)]
        here = {f"SEXTON_{name}": value for name, value in numbers}
        for prefix, kind in abi.ENUMERATIONS.items():
            here |= {f"SEXTON_{prefix}{member.name}": member.value for member in kind}
            others = [name for name in declared if prefix and name.startswith(f"SEXTON_{prefix}")]
            self.assertLessEqual(set(others), set(here))
        self.assertGreaterEqual(len(here), 60)
        for name, value in here.items():
            self.assertIn(name, declared)
            self.assertEqual(value, declared[name], name)

    def test_structs_have_the_fields_of_the_header(self) -> None:
        declared = structs(self.text)
        for kind in abi.STRUCTS:
            self.assertIn(kind.__name__, declared)
            fields = declared[kind.__name__]
            self.assertEqual([name for name, _ in kind._fields_], [name for name, _ in fields], kind.__name__)
            for (name, here), (_, c) in zip(kind._fields_, fields):
                if c.endswith("[]"):
                    self.assertTrue(issubclass(here, ctypes.Array), name)
                else:
                    self.check_type(f"{kind.__name__}.{name}", c, here)

    def test_library_exports_every_function_of_the_header(self) -> None:
        for name in functions(self.text):
            self.assertTrue(hasattr(abi.lib, name), name)


class EngineTestCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name, "data")
        self.clock = Clock()

    def open(self, **options: object) -> Engine:
        named = {"origin": "example.com/python", "builtin_classes": False, "classes": CLASSES, "clock": self.clock}
        with Options(**(named | options)) as made:
            engine = Engine(self.folder, made)
        self.addCleanup(engine.free)
        return engine

    def run_until_idle(self, engine: Engine) -> None:
        """Runs an engine without threads until it has nothing left to do now."""
        for _ in range(1000):
            if engine.run(50) > self.clock.wall_ms:
                return
        self.fail("the engine is never idle")

    def delete_due(self, engine: Engine, answer: Answer = Answer.DELETED) -> list[bytes]:
        """Answers everything that is due. Returns the keys."""
        keys: list[bytes] = []
        self.run_until_idle(engine)
        for batch in engine.batches():
            keys += [wanted.key for wanted in batch.objects]
            taken = engine.complete(batch, [(i, answer) for i in range(len(batch.objects))])
            self.assertEqual(taken, len(batch.objects))
        self.run_until_idle(engine)
        return keys


class LifecycleTest(EngineTestCase):
    def test_registered_object_gets_a_receipt_that_verifies(self) -> None:
        engine = self.open(threads=0)
        [registered] = engine.register([Registration(b"cat.jpg", "uploads", version=b"1", size_bytes=5)])
        self.assertEqual(registered.previous, Previous.NONE)
        self.assertEqual(engine.find(b"cat.jpg"), registered.id)
        self.assertEqual(Id.parse(str(registered.id)), registered.id)
        self.assertEqual(self.delete_due(engine), [])
        with self.assertRaises(Error) as raised:
            engine.receipt(registered.id, key=b"cat.jpg")
        self.assertEqual(raised.exception.status, Status.NOT_FOUND)
        self.clock.advance(minutes=179)
        self.assertEqual(self.delete_due(engine), [b"cat.jpg"])
        receipt, policy = engine.receipt(registered.id, key=b"cat.jpg"), engine.policy()
        verdict = verify(receipt, policy)
        self.assertEqual((verdict.compliance, verdict.by_ms), (Compliance.KEPT, 0))
        self.assertEqual((verdict.key, verdict.class_name, verdict.method), (b"cat.jpg", "uploads", "deleted"))
        self.assertEqual((verdict.id, verdict.origin), (registered.id, "example.com/python"))
        self.assertLessEqual(verdict.time_ms, verdict.ceiling_ms)
        self.assertGreater(len(does_not_prove()), 0)
        self.assertEqual(engine.status()["classes"]["uploads"]["deleted"], 1)
        self.assertEqual(engine.state(), State.RUNNING)

    def test_receipt_with_a_flipped_bit_is_not_verified(self) -> None:
        engine = self.open(threads=0)
        [registered] = engine.register([Registration(b"cat.jpg", "uploads")])
        self.clock.advance(minutes=179)
        self.delete_due(engine)
        receipt, policy = engine.receipt(registered.id, key=b"cat.jpg"), engine.policy()
        for index in range(0, len(receipt), max(1, len(receipt) // 50)):
            flipped = receipt[:index] + bytes([receipt[index] ^ 1]) + receipt[index + 1 :]
            with self.assertRaises(Error, msg=index) as raised:
                verify(flipped, policy)
            self.assertEqual(raised.exception.status, Status.NOT_VERIFIED)
            self.assertTrue(str(raised.exception))

    def test_start_set_later_determines_the_ceiling(self) -> None:
        engine = self.open(threads=0)
        [registered] = engine.register([Registration(b"film.mp4", "open", version=b"1")])
        self.clock.advance(minutes=60)
        start = Change(START, id=registered.id, start_ms=engine.now_ms())
        unknown = Change(START, key=b"nothing", start_ms=engine.now_ms())
        started, refused = engine.change([start, unknown])
        self.assertEqual((started.status, refused.status), (Status.OK, Status.NOT_FOUND))
        self.assertEqual(started.ceiling_ms, self.clock.wall_ms + 180 * 60_000)
        self.assertTrue(refused.message)
        self.clock.advance(minutes=179)
        self.assertEqual(self.delete_due(engine), [b"film.mp4"])
        verdict = verify(engine.receipt(registered.id, key=b"film.mp4"), engine.policy())
        self.assertEqual(verdict.compliance, Compliance.KEPT)

    def test_hold_prevents_deletion_until_lifted(self) -> None:
        engine = self.open(threads=0)
        engine.register([Registration(b"a", "uploads"), Registration(b"b", "uploads")])
        in_three_years = self.clock.wall_ms + 10**11
        engine.place_hold("case 7", keys=[b"b"], reason="court order", author="Ada", review_ms=in_three_years)
        self.assertEqual([hold["name"] for hold in engine.holds()], ["case 7"])
        self.clock.advance(minutes=179)
        self.assertEqual(self.delete_due(engine), [b"a"])
        self.assertEqual(engine.status()["classes"]["uploads"]["held"], 1)
        engine.lift_hold("case 7", reason="case closed", author="Ada")
        self.clock.advance(minutes=1)
        self.assertEqual(self.delete_due(engine), [b"b"])

    def test_failed_call_raises_error_with_status_and_message(self) -> None:
        engine = self.open(threads=0)
        with self.assertRaises(Error) as raised:
            engine.register([Registration(b"x", "nothing")])
        self.assertEqual(raised.exception.status, Status.INVALID)
        self.assertIn("nothing", str(raised.exception))
        with self.assertRaises(Error) as raised:
            engine.find(b"nothing")
        self.assertEqual(raised.exception.status, Status.NOT_FOUND)
        with self.assertRaises(Error) as raised:
            self.open()
        self.assertEqual(raised.exception.status, Status.BUSY)
        with self.assertRaises(Error) as raised:
            Options(nothing=1)
        self.assertEqual(raised.exception.status, Status.INVALID)
        engine.close()
        with self.assertRaises(Error) as raised:
            engine.now_ms()
        self.assertEqual(raised.exception.status, Status.CLOSED)

    def test_refused_and_failed_objects_stay_live(self) -> None:
        engine = self.open(threads=0)
        engine.register([Registration(b"a", "uploads"), Registration(b"b", "uploads")])
        self.clock.advance(minutes=179)
        self.run_until_idle(engine)
        [batch] = engine.batches()
        answers = [(0, Answer.REFUSED, b"locked"), (1, Answer.FAILED, b"no disk")]
        self.assertEqual(engine.complete(batch, answers), 2)
        self.assertEqual(engine.complete(batch, answers), 0)
        self.run_until_idle(engine)
        self.assertEqual(engine.status()["classes"]["uploads"]["live"], 2)


class ThreadsTest(EngineTestCase):
    def wait(self, engine: Engine) -> None:
        self.assertTrue(select.select([engine], [], [], WAIT_S_MAX)[0], "the descriptor did not become readable")

    def wait_until(self, condition) -> None:
        deadline = time.monotonic() + WAIT_S_MAX
        while not condition():
            self.assertLess(time.monotonic(), deadline, "timed out")
            time.sleep(0.02)

    def test_submissions_complete_and_make_the_fd_readable(self) -> None:
        engine = self.open()
        self.assertEqual(select.select([engine], [], [], 0)[0], [])
        for token in range(10):
            keys = [f"{token}-{i}".encode() for i in range(3)]
            engine.submit_register(token, [Registration(key, "open", version=b"1") for key in keys])
        completions = []
        while len(completions) < 10:
            self.wait(engine)
            completions += engine.completions()
        self.assertEqual(sorted(completion.token for completion in completions), list(range(10)))
        self.assertEqual({completion.status for completion in completions}, {Status.OK})
        ids = {registered.id for completion in completions for registered in completion.registered}
        self.assertEqual(len(ids), 30)
        engine.submit_change(77, [Change(START, id=id, start_ms=engine.now_ms()) for id in ids])
        engine.submit_register(78, [Registration(b"x", "nothing")])
        answers = {}
        while len(answers) < 2:
            self.wait(engine)
            answers |= {completion.token: completion for completion in engine.completions()}
        self.assertEqual({changed.status for changed in answers[77].changed}, {Status.OK})
        self.assertEqual(answers[78].status, Status.INVALID)
        self.assertIn("nothing", answers[78].message)
        self.wait_until(lambda: select.select([engine], [], [], 0)[0] == [])

    def test_sub_batches_are_answered_object_by_object(self) -> None:
        engine = self.open(sub_batch_objects=10)
        engine.register([Registration(f"{i:02}".encode(), "uploads") for i in range(35)])
        self.clock.advance(minutes=179)
        keys = []
        while len(keys) < 35:
            self.wait(engine)
            for batch in engine.batches():
                self.assertLessEqual(len(batch.objects), 10)
                for index, wanted in enumerate(batch.objects):
                    self.assertEqual(engine.complete(batch, [(index, Answer.DELETED)]), 1)
                    keys.append(wanted.key)
        self.assertEqual(sorted(keys), [f"{i:02}".encode() for i in range(35)])
        self.wait_until(lambda: engine.status()["classes"]["uploads"]["deleted"] == 35)

    def test_callback_that_raises_is_called_again(self) -> None:
        seen, lock = [], threading.Lock()

        def delete(engine: Engine, batch: Batch) -> None:
            with lock:
                seen.append(batch)
                first = len(seen) == 1
            if first:
                raise RuntimeError("no disk (this traceback is part of the test)")
            engine.complete(batch, [(i, Answer.DELETED) for i in range(len(batch.objects))])

        lines: list[str] = []
        engine = self.open(delete=delete, log=lambda level, line: lines.append(line))
        [registered] = engine.register([Registration(b"a", "uploads")])
        self.clock.advance(minutes=179)
        self.wait_until(lambda: seen)
        # Failed objects come again after a second.
        self.wait_until(lambda: self.clock.advance(minutes=1) or engine.status()["classes"]["uploads"]["deleted"] == 1)
        self.assertGreaterEqual(len(seen), 2)
        self.assertEqual({batch.objects[0].key for batch in seen}, {b"a"})
        verdict = verify(engine.receipt(registered.id, key=b"a"), engine.policy())
        self.assertEqual(verdict.method, "deleted")
        engine.close()
        self.assertTrue(lines)


class ExampleTest(unittest.TestCase):
    def test_example_prints_a_kept_promise(self) -> None:
        ran = subprocess.run([sys.executable, str(HERE / "example.py")], capture_output=True, text=True, timeout=120)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertIn("anna.txt: deleted, promise KEPT", ran.stdout)
        self.assertIn("['carla.txt']", ran.stdout)


if __name__ == "__main__":
    unittest.main()
