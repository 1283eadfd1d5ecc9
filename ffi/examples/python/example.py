#!/usr/bin/env python3
"""Three files with a promise of three hours, on an accelerated clock, and the proof that it was kept.

    PYTHONPATH=. SEXTON_LIBRARY=PREFIX/lib/libsexton.so.0 python3 example.py
"""

import os
import pathlib
import select
import tempfile

from sexton import Answer, Batch, Engine, Options, Registration, does_not_prove, verify

CLASSES = """
[class.uploads]
within = "3h"
start = "registered"
"""


class Clock:
    """Wall and monotonic clock that advance only on request."""

    def __init__(self) -> None:
        self.wall_ms, self.monotonic_ms = 1_800_000_000_000, 0

    def __call__(self) -> tuple[int, int]:
        return self.wall_ms, self.monotonic_ms

    def advance(self, minutes: int) -> None:
        # Threads of the engine may read between the two lines. If the wall clock is behind, the engine waits. A wall
        # clock ahead of the monotonic clock would be a clock step, which stops deleting until the operator resumes.
        self.monotonic_ms += minutes * 60_000
        self.wall_ms += minutes * 60_000


class Folder:
    """Store of the objects. It answers only after the folder was synced."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def version(self, name: str) -> bytes:
        """Returns the version of a file, which changes when the file is overwritten."""
        seen = (self.path / name).stat()
        return f"{seen.st_ino}-{seen.st_mtime_ns}".encode()

    def delete(self, batch: Batch) -> list[tuple[int, Answer]]:
        answers = []
        for index, wanted in enumerate(batch.objects):
            name = wanted.key.decode()
            if not (self.path / name).exists():
                answers.append((index, Answer.ABSENT))
            elif self.version(name) != wanted.version:
                answers.append((index, Answer.CHANGED))
            else:
                (self.path / name).unlink()
                answers.append((index, Answer.DELETED))
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return answers


def wait_for_batch(engine: Engine) -> Batch:
    """Waits on the engine's descriptor, as a server does beside its sockets."""
    while (batch := engine.next_batch()) is None:
        if not select.select([engine], [], [], 30)[0]:
            raise TimeoutError("nothing fell due in 30 seconds")
    return batch


def main() -> None:
    clock = Clock()
    with tempfile.TemporaryDirectory() as top:
        path = pathlib.Path(top, "uploads")
        path.mkdir()
        folder = Folder(path)
        with (
            Options(origin="example.com/uploads", builtin_classes=False, classes=CLASSES, clock=clock) as options,
            Engine(pathlib.Path(top, "sexton"), options) as engine,
        ):
            names = ["anna.txt", "ben.txt", "carla.txt"]
            for name in names:
                (path / name).write_text(f"content of {name}\n")
            registered = engine.register(
                [Registration(name.encode(), "uploads", version=folder.version(name)) for name in names]
            )
            clock.advance(minutes=60)
            (path / "carla.txt").unlink()
            (path / "carla.txt").write_text("another file of this name\n")
            print(f"after one hour: {sorted(os.listdir(path))}")

            clock.advance(minutes=119)
            batch = wait_for_batch(engine)
            answers = folder.delete(batch)
            engine.complete(batch, answers)
            print(f"the engine asked to delete {len(batch.objects)}, answers: {[answer.name for _, answer in answers]}")
            print(f"after three hours: {sorted(os.listdir(path))}, which is not registered")

            proof = receipt_of(engine, registered[0].id, b"anna.txt")
            policy = engine.policy()
    verdict = verify(proof, policy)
    early_s = (verdict.ceiling_ms - verdict.time_ms) // 1000
    kept = f"promise {verdict.compliance.name}, {early_s} s before its ceiling"
    print(f"{verdict.key.decode()}: {verdict.method}, {kept}")
    print("limits of this proof:", *does_not_prove(), sep="\n  ")


def receipt_of(engine: Engine, registration: bytes, key: bytes) -> bytes:
    """Waits until a thread of the engine has committed the answers, then returns the receipt."""
    while engine.status()["classes"]["uploads"]["deleted"] == 0:
        select.select([engine], [], [], 0.05)
    return engine.receipt(registration, key=key)


if __name__ == "__main__":
    main()
