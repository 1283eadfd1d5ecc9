"""Traffic on a folder of uploads, and a journal of what was done and seen."""

import hashlib
import os
import pathlib
import random
import threading
import time

PER_SECOND = 20
# Arrivals are changed some seconds later, long before they fall due.
CHANGED_AFTER = 3 * PER_SECOND
WATCHED_EVERY = 10


class File:
    """A file of the journal. `key` is the path that it was registered under."""

    def __init__(self, path, is_held):
        self.path = path
        self.key = path
        self.is_held = is_held
        self.digest = hashlib.sha256()
        self.size = 0
        self.written_at = 0.0
        self.last_seen = None
        self.gone_at = None


class Traffic:
    """Folder with files that arrive, change and are renamed, and the journal. The thread that works holds `lock`."""

    def __init__(self, folder, owner, held):
        self.folder = pathlib.Path(folder)
        self.owner = owner
        self.held = held
        self.lock = threading.Lock()
        self.files = {}
        self.done = {"arrived": 0, "renamed": 0, "replaced": 0, "overwritten": 0, "appended": 0}
        self.random = random.Random(18)
        self.failure = None
        self._young = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def arrive(self, path):
        """Writes a new file."""
        file = File(path, path.startswith(self.held))
        self._write(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        self.files[path] = file
        self.done["arrived"] += 1
        return file

    def rename(self, file, path):
        os.rename(self.folder / file.path, self.folder / path)
        del self.files[file.path]
        file.path = path
        file.is_held |= path.startswith(self.held)
        self.files[path] = file
        self.done["renamed"] += 1

    def replace(self, file):
        """Puts another file in the place of one, as most programs save."""
        new = File(file.path, file.is_held)
        new.key = file.path
        self._write(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, f"new/{self.done['replaced']}")
        os.rename(self.folder / f"new/{self.done['replaced']}", self.folder / file.path)
        self.files[file.path] = new
        self.done["replaced"] += 1

    def overwrite(self, file):
        file.digest, file.size = hashlib.sha256(), 0
        self._write(file, os.O_WRONLY | os.O_TRUNC)
        self.done["overwritten"] += 1

    def append(self, file):
        self._write(file, os.O_WRONLY | os.O_APPEND)
        self.done["appended"] += 1

    def _write(self, file, flags, path=None):
        content = self.random.randbytes(self.random.randrange(1, 4_000))
        opened = os.open(self.folder / (path or file.path), flags, 0o640)
        try:
            os.fchown(opened, *self.owner)
            os.write(opened, content)
            file.written_at = os.fstat(opened).st_mtime
        finally:
            os.close(opened)
        file.digest.update(content)
        file.size += len(content)

    def watch(self):
        """Notes which files are there. A file may be away for a moment while the store looks at it."""
        there = set()
        for folder in os.scandir(self.folder):
            if folder.is_dir() and not folder.name.startswith("."):
                there.update(f"{folder.name}/{entry.name}" for entry in os.scandir(folder))
        now = time.time()
        for path, file in self.files.items():
            if path in there:
                file.last_seen, file.gone_at = now, None
            elif file.gone_at is None:
                file.gone_at = now
        return there

    def known(self):
        """Returns the files of the journal."""
        with self.lock:
            return list(self.files.values())

    def begin(self):
        self._thread.start()

    def end(self):
        """Ends the traffic, and fails if it failed."""
        self._stop.set()
        self._thread.join()
        if self.failure:
            raise self.failure

    def _work(self):
        tick, due = 0, time.monotonic()
        try:
            while not self._stop.is_set():
                with self.lock:
                    self._step(tick)
                    if tick % WATCHED_EVERY == 0:
                        self.watch()
                tick += 1
                due = max(due + 1 / PER_SECOND, time.monotonic() - 1)
                time.sleep(max(0, due - time.monotonic()))
        except Exception as error:  # The main thread raises it.
            self.failure = error

    def _step(self, tick):
        """One arrival; and one change of a file that arrived before."""
        folder = self.held if tick % 10 == 0 else f"in-{tick % 7}/"
        self._young.append(self.arrive(f"{folder}new-{tick}"))
        if len(self._young) <= CHANGED_AFTER:
            return
        file = self._young.pop(0)
        changes = [self.replace, self.overwrite, self.append]
        match tick % 5:
            case 0:
                pass
            case 1:
                self.rename(file, f"{os.path.dirname(file.path)}/renamed-{tick}")
            case kind:
                changes[kind - 2](file)
