"""The life of an installed package, as an operator sees it: install, serve under load, crash, upgrade, remove, purge.

Usage: package.py DEB SCRATCH, as root, in a mount namespace of its own.
"""

import hashlib
import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

from clean_root import CleanRoot, Impossible, run
from traffic import Traffic

KEEP_SECONDS, WITHIN_SECONDS = 40, 120
EXISTING, HELD_OF_THEM = 5_000, 200
MOVED = 20
DATA = "/var/lib/sexton/data"
HELD = "case-7/"
WHY = ["--reason", "court order", "--author", "Ada Lovelace"]
CLASSES = f"""[class.upload]
keep = "{KEEP_SECONDS}s"
within = "{WITHIN_SECONDS}s"
slot = "2s"
feed = true
"""


def say(text):
    print(f"package: {text}", flush=True)


def until(what, condition, seconds):
    """Waits for a condition, and returns what it returns."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"after {seconds} s still not: {what}"
        time.sleep(0.2)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Story:
    """A clean root, the package in it, and the uploads that it serves."""

    def __init__(self, root, deb):
        self.root = root
        self.deb = deb
        self.port = free_port()
        self.uploads = root.path / "srv/uploads"
        self.config = root.path / "etc/sexton/sexton.toml"
        self.has_disk = False

    def sexton(self, *words, codes=(0,)):
        """Runs a verb as ada, who is a member of the group `sexton`, and returns its JSON."""
        done = self.root.start("sexton", *words, "--json", user="ada")
        assert done.returncode in codes, f"{words}: exit {done.returncode}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        samples = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def counts(self):
        """Returns the metrics of the class: totals by their names, ends by their results."""
        counts = {}
        for name, value in self.metrics().items():
            if sample := re.fullmatch(r'sexton_(\w+){class="upload"(?:,result="(\w+)")?}', name):
                counts[sample[2] or sample[1]] = int(value)
        return counts

    def main_pid(self):
        return int(self.root.run("systemctl", "show", "--property=MainPID", "--value", "sexton"))

    def is_serving(self):
        return self.root.exit_code("systemctl", "is-active", "--quiet", "sexton") == 0

    def source_state(self):
        done = self.root.start("sexton", "source", "list", DATA, "--json", user="ada")
        return json.loads(done.stdout)["sources"][0]["state"] if done.stdout else None

    def install(self):
        """The package brings its user, its unit and its configuration, and starts nothing."""
        for path in ["etc/sexton", "var/lib/sexton", "usr/bin/sexton"]:
            assert not (self.root.path / path).exists(), f"/{path} is there before the installation"
        shutil.copy(self.deb, self.root.path / "tmp/sexton.deb")
        self.root.run("dpkg", "--install", "/tmp/sexton.deb")
        assert not self.is_serving(), "the installation started the service"
        self.root.run("id", "sexton")
        assert self.root.run("sexton", "--version").startswith("sexton ")
        for path in ["share/man/man1/sexton-serve.1.gz", "share/bash-completion/completions/sexton", "include/sexton.h"]:
            assert (self.root.path / "usr" / path).is_file(), f"/usr/{path} is missing"
        assert "libsexton.so.0 " in self.root.run("ldconfig", "--print-cache"), "the linker does not know the library"
        self.root.run("useradd", "--system", "--user-group", "web")
        self.root.run("useradd", "--system", "--user-group", "--groups", "sexton", "ada")

    def mount_disk(self):
        run("mount", *self.disk, self.uploads)

    def make_uploads(self):
        """A disk with files of a web server, which were there before Sexton."""
        passwd = (self.root.path / "etc/passwd").read_text()
        owner = re.search(r"^web:[^:]*:(\d+):(\d+):", passwd, re.MULTILINE)
        self.uploads.mkdir()
        image = self.root.scratch / "disk"
        with open(image, "wb") as file:
            file.truncate(1 << 30)
        run("mkfs.ext4", "-q", image)
        self.disk = ["-o", "loop", image]
        try:
            self.mount_disk()
            self.has_disk = True
        except AssertionError as error:
            say(f"SKIPPED: the disk is not unmounted, since this machine mounts no image: {error}")
        self.traffic = Traffic(self.uploads, (int(owner[1]), int(owner[2])), HELD)
        for folder in ["", HELD, "new", *(f"in-{n}" for n in range(7)), *(f"old-{n}" for n in range(50))]:
            path = self.uploads / folder
            path.mkdir(exist_ok=True)
            shutil.chown(path, int(owner[1]), int(owner[2]))
            path.chmod(0o2770)

    def configure(self):
        """The configuration that an operator writes, the drop-in that `--check` prints, and the start."""
        text = self.config.read_text()
        text = text.replace("example.com/uploads", "example.com/package")
        text += f"""
[sockets]
control_mode = "660"
[metrics]
listen = "127.0.0.1:{self.port}"
[[directory]]
name = "uploads"
path = "/srv/uploads"
class = "upload"
start = "modified"
exclude = ["new/", "lost+found/"]
"""
        self.config.write_text(text)
        checked = self.root.start("sexton", "serve", "--check").stdout
        name, _, drop_in = checked.partition("\n")
        drop_in_path = self.root.path / name.removeprefix("# /")
        drop_in_path.parent.mkdir()
        drop_in_path.write_text(drop_in)
        self.root.run("systemctl", "daemon-reload")
        self.root.run("systemctl", "enable", "--now", "sexton")
        refused = self.root.start("sexton", "status", DATA, user="web")
        assert refused.returncode == 2 and "the service cannot be reached" in refused.stderr, refused
        (self.root.path / "tmp/classes.toml").write_text(CLASSES)
        self.sexton("class", "set", DATA, "/tmp/classes.toml", *WHY)

    def serve(self):
        """Files arrive and change, while a hold is placed, the service is killed twice, and the disk is away."""
        traffic = self.traffic
        for n in range(EXISTING):
            traffic.arrive(f"{HELD}{n}" if n < HELD_OF_THEM else f"old-{n % 50}/{n}")
        assert self.sexton("source", "enable", DATA, "uploads", "--dry-run", *WHY)["files"] == EXISTING
        self.sexton("source", "enable", DATA, "uploads", *WHY)
        until("all files are registered", lambda: self.live() >= EXISTING, 60)
        traffic.begin()
        say("traffic begins")
        time.sleep(5)
        self.sexton("hold", "place", DATA, "--name", "case 7", "--prefix", f"uploads/{HELD}",
                    "--review", "2999-12-31", *WHY)
        assert not any(file.gone_at for file in traffic.known()), "too slow: files fell due before the hold was placed"
        self.move_held()
        self.kill()
        time.sleep(10)
        self.take_disk_away()
        until("the first files are deleted", lambda: any(file.gone_at for file in traffic.known()), KEEP_SECONDS + 60)
        self.kill()
        time.sleep(10)
        traffic.end()
        say(f"traffic ends: {traffic.done}")

    def live(self):
        return self.sexton("status", DATA, codes=(0, 1))["classes"]["upload"]["live"]

    def move_held(self):
        """Files that are moved into the folder of the hold, and out of it, are held."""
        traffic = self.traffic
        with traffic.lock:
            for n in range(MOVED):
                traffic.rename(traffic.files[f"{HELD}{n}"], f"old-0/out-{n}")
            for n in range(HELD_OF_THEM, HELD_OF_THEM + MOVED):
                traffic.rename(traffic.files[f"old-{n % 50}/{n}"], f"{HELD}in-{n}")
            for n in range(MOVED, 2 * MOVED):
                traffic.append(traffic.files[f"{HELD}{n}"])

    def kill(self):
        """The service is killed under load. systemd starts it again."""
        before = self.main_pid()
        self.root.run("systemctl", "kill", "--signal=KILL", "sexton")
        until("the service runs again", lambda: self.main_pid() not in (0, before) and self.is_serving(), 90)
        say("the service was killed, and runs again")

    def take_disk_away(self):
        if not self.has_disk:
            return
        with self.traffic.lock:
            until("the disk is unmounted", lambda: subprocess.run(["umount", self.uploads]).returncode == 0, 30)
            until("the source has lost its root", lambda: self.source_state() == "root_lost", 30)
            assert self.root.exit_code("sexton", "status", DATA, user="ada") == 1, "the status has no message"
            # Started without the disk, the hardened unit sees it once it is mounted.
            self.root.run("systemctl", "restart", "sexton")
            until("the source has lost its root", lambda: self.source_state() == "root_lost", 30)
            self.mount_disk()
            until("the source goes on", lambda: self.source_state() == "watching", 30)
        say("the disk was unmounted, and mounted again")

    def compare(self):
        """Each file is gone in its window, or held and whole."""
        files = self.traffic.files.values()
        held = [file for file in files if file.is_held]
        ended = [file for file in files if not file.is_held]
        last = max(file.written_at for file in ended) + WITHIN_SECONDS

        def all_gone():
            with self.traffic.lock:
                self.traffic.watch()
            return all(file.gone_at for file in ended) or time.time() > last

        until("the last window ends", all_gone, WITHIN_SECONDS + 10)
        for file in ended:
            assert file.gone_at, f"{file.path} is still there"
            assert file.last_seen - file.written_at <= WITHIN_SECONDS, f"{file.path} was late"
            assert file.gone_at - file.written_at >= KEEP_SECONDS, f"{file.path} was early"
        for file in held:
            content = (self.uploads / file.path).read_bytes()
            assert hashlib.sha256(content).digest() == file.digest.digest(), f"{file.path} has another content"
        left = self.traffic.watch() - {file.path for file in held}
        assert not left, f"{left} are no files of the journal"
        say(f"{len(ended)} files are gone in their windows, and {len(held)} are held")
        self.compare_metrics(ended, held)
        self.verify_receipts(ended)

    def compare_metrics(self, ended, held):
        """The metrics agree with the journal of what was done."""
        counts = self.counts()
        # An object counts as held once its own time has come.
        until(f"{len(held)} objects are held: {counts}", lambda: self.counts()["held_objects"] == len(held), 60)
        counts = self.counts()
        # An object whose file was deleted just before a crash is absent when its batch is done again.
        assert counts["deleted"] + counts["absent_after_intent"] == len(ended), counts
        assert counts["live_objects"] == len(held), counts
        assert counts["registered_objects_total"] - counts["replaced"] == self.traffic.done["arrived"], counts
        assert counts["replaced"] <= self.traffic.done["replaced"], counts
        for name in ["absent", "released", "early_objects_total", "late_objects_total"]:
            assert counts[name] == 0, counts
        if counts["absent_after_intent"] == 0:
            assert counts["deleted_bytes_total"] == sum(file.size for file in ended), counts
        say(f"the metrics agree with the journal: {counts}")

    def verify_receipts(self, ended):
        """Each file that is gone has a receipt, which a verifier accepts."""
        self.sexton("receipt", DATA, "--since", "-1h", "--out", "/tmp/receipts")
        verify = ["sexton", "verify", "/tmp/receipts", "--policy", "/tmp/receipts/trust.policy", "--json"]
        lines = [json.loads(line) for line in self.root.run(*verify, user="ada").splitlines()]
        receipts = [line["verdict"] for line in lines if "receipt" in line]
        assert all(line["result"] == "kept" for line in lines if "receipt" in line)
        assert len(receipts) == len(ended), f"{len(receipts)} receipts"
        # A file that was renamed before it was found is registered under its later name.
        unproved = {f"uploads/{name}": file for file in ended for name in (file.key, file.path)}
        for receipt in receipts:
            file = unproved[receipt["key"]]
            assert receipt["size_bytes"] == file.size, f"{receipt} is of another file than {file.path}"
            for name in (file.key, file.path):
                unproved.pop(f"uploads/{name}", None)
        assert not unproved, f"no receipt for {list(unproved)}"
        say(f"{len(receipts)} receipts are verified")

    def upgrade(self):
        """Another installation keeps configuration and data, and restarts the running service."""
        before, live, config = self.main_pid(), self.live(), self.config.read_text()
        self.root.run("dpkg", "--install", "/tmp/sexton.deb")
        assert self.is_serving() and self.main_pid() != before, "the service was not restarted"
        assert (self.live(), self.config.read_text()) == (live, config)
        assert self.sexton("hold", "list", DATA)[0]["name"] == "case 7"

    def remove(self):
        """Removal stops the service. Purging keeps the keys and the log, and says so."""
        self.root.run("dpkg", "--remove", "sexton")
        assert not self.is_serving() and self.config.is_file()
        said = self.root.run("dpkg", "--purge", "sexton")
        assert "/var/lib/sexton stays" in said, said
        enabled = self.root.path / "etc/systemd/system/multi-user.target.wants/sexton.service"
        assert not self.config.exists() and not enabled.is_symlink(), "the configuration stays"
        for path in ["keys", "log/checkpoint", "tombstones", "index/CURRENT"]:
            assert (self.root.path / DATA.lstrip("/") / path).exists(), f"{path} is gone"
        self.root.run("id", "sexton")


def main(deb, scratch):
    try:
        root = CleanRoot(scratch)
    except Impossible as why:
        say(f"SKIPPED: {why}")
        return
    story = Story(root, deb)
    try:
        for chapter in [
            story.install, story.make_uploads, story.configure, story.serve, story.compare, story.upgrade, story.remove
        ]:
            say(f"{chapter.__name__} ...")
            chapter()
    except BaseException:
        print(root.start("systemctl", "status", "--no-pager", "--full", "--lines=40", "sexton").stdout)
        print(root.start("journalctl", "--no-pager", "--lines=40").stdout)
        raise
    finally:
        root.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
