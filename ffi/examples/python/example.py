#!/usr/bin/env python3
"""Three files, a promise of three hours, and the proof that it was kept; on a clock that is wound forward.

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
    """Wall and monotonic milliseconds, which stand still until they are wound."""

    def __init__(self) -> None:
        self.wall_ms, self.monotonic_ms = 1_800_000_000_000, 0

    def __call__(self) -> tuple[int, int]:
        return self.wall_ms, self.monotonic_ms

    def wind(self, minutes: int) -> None:
        # Threads of the engine's may look in between. A wall that is behind is waited for; one that is ahead of what
        # the monotonic clock counted would be a step, which stops all deleting until a person has looked.
        self.monotonic_ms += minutes * 60_000
        self.wall_ms += minutes * 60_000


class Folder:
    """Where the objects lie. What it answers is a fact: the folder is synced first."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def version(self, name: str) -> bytes:
        """What this very file is recognised by: an overwritten one is another file."""
        seen = (self.path / name).stat()
        return f"{seen.st_ino}-{seen.st_mtime_ns}".encode()

    def delete(self, batch: Batch) -> list[tuple[int, Answer]]:
        answers = []
        for number, wanted in enumerate(batch.objects):
            name = wanted.key.decode()
            if not (self.path / name).exists():
                answers.append((number, Answer.ABSENT))
            elif self.version(name) != wanted.version:
                answers.append((number, Answer.CHANGED))
            else:
                (self.path / name).unlink()
                answers.append((number, Answer.DELETED))
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return answers


def wait_for_batch(engine: Engine) -> Batch:
    """As a server waits: by the engine's descriptor, beside its sockets."""
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
                (path / name).write_text(f"what {name} says\n")
            registered = engine.register(
                [Registration(name.encode(), "uploads", version=folder.version(name)) for name in names]
            )
            clock.wind(minutes=60)
            (path / "carla.txt").unlink()
            (path / "carla.txt").write_text("another file of this name\n")
            print(f"after an hour there are {sorted(os.listdir(path))}")

            clock.wind(minutes=119)
            batch = wait_for_batch(engine)
            answers = folder.delete(batch)
            engine.complete(batch, answers)
            print(f"the engine asked for {len(batch.objects)} of them: {[answer.name for _, answer in answers]}")
            print(f"after three there is {sorted(os.listdir(path))}, which nobody registered")

            proof = receipt_of(engine, registered[0].id, b"anna.txt")
            policy = engine.policy()
    verdict = verify(proof, policy)
    early_s = (verdict.ceiling_ms - verdict.time_ms) // 1000
    print(f"{verdict.key.decode()}: {verdict.method}, promise {verdict.outcome.name}, {early_s} s before its ceiling")
    print("what this does not prove:", *does_not_prove(), sep="\n  ")


def receipt_of(engine: Engine, registration: bytes, key: bytes) -> bytes:
    """The answers are committed by a thread of the engine's; once they are, its descriptor or its status shows it."""
    while engine.status()["classes"]["uploads"]["deleted"] == 0:
        select.select([engine], [], [], 0.05)
    return engine.receipt(registration, key=key)


if __name__ == "__main__":
    main()
