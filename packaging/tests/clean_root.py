"""Clean root folder with a systemd of its own.

The files of this machine lie below an overlay that takes every change, so that the machine stays as it is. No unit of the
machine starts in it. The caller has a mount namespace of its own, which takes the mounts with it.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import time

DEVICES = ["null", "zero", "full", "random", "urandom", "tty"]
UNITS = ["etc/systemd/system", "usr/lib/systemd/system"]
BOOT_SECONDS = 120


class Impossible(Exception):
    """This machine has no clean root, for example because the caller may not mount."""


def run(*command, **options):
    """Runs a command of the machine and returns its standard output."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


class CleanRoot:
    """Running clean root. `close` ends its processes."""

    def __init__(self, scratch):
        self.scratch = pathlib.Path(scratch)
        self.path = self.scratch / "root"
        self.cgroup = self.scratch / "cgroup" / f"sexton-test-{os.getpid()}"
        self.init = ""
        try:
            self._mount()
            self.cgroup.mkdir()
        except (AssertionError, OSError) as error:
            raise Impossible(str(error)) from error
        self._forget_units()
        try:
            self._boot()
        except Impossible:
            self.close()
            raise

    def _mount(self):
        run("mount", "-t", "tmpfs", "-o", "mode=755", "sexton-test", self.scratch)
        for folder in ["upper", "work", "root", "cgroup"]:
            (self.scratch / folder).mkdir()
        run("mount", "-t", "cgroup2", "sexton-test", self.scratch / "cgroup")
        layers = f"lowerdir=/,upperdir={self.scratch}/upper,workdir={self.scratch}/work"
        run("mount", "-t", "overlay", "-o", layers, "sexton-test", self.path)
        # As systemd does it for a machine: services see what is mounted and unmounted later.
        run("mount", "--make-shared", self.path)
        # A writable /sys would have udev started, which would act on the devices of the machine.
        run("mount", "-t", "sysfs", "-o", "ro", "sexton-test", self.path / "sys")
        for folder in ["run", "tmp", "dev"]:
            run("mount", "-t", "tmpfs", "-o", "mode=755", "sexton-test", self.path / folder)
        os.chmod(self.path / "tmp", 0o1777)
        for device in DEVICES:
            (self.path / "dev" / device).touch()
            run("mount", "--bind", f"/dev/{device}", self.path / "dev" / device)

        (self.path / "dev/pts").mkdir()
        run("mount", "-t", "devpts", "-o", "newinstance,ptmxmode=666", "sexton-test", self.path / "dev/pts")
        (self.path / "dev/ptmx").symlink_to("pts/ptmx")

    def _forget_units(self):
        """Leaves of the machine's units only those that the service under test pulls in."""
        for units in UNITS:
            for wants in (self.path / units).glob("*.wants"):
                shutil.rmtree(wants)
        wants = self.path / "etc/systemd/system/sysinit.target.wants"
        wants.mkdir()
        (wants / "systemd-journald.service").symlink_to("/lib/systemd/system/systemd-journald.service")
        shutil.rmtree(self.path / "usr/lib/systemd/system-generators", ignore_errors=True)
        (self.path / "usr/sbin/policy-rc.d").unlink(missing_ok=True)

    def _boot(self):
        before = self._own_cgroup()
        (self.cgroup / "cgroup.procs").write_text("0")
        boot = (
            f"mount -t proc sexton-test {self.path}/proc && mount -t cgroup2 sexton-test {self.path}/sys/fs/cgroup && "
            f"exec env -i container=sexton-test PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot {self.path} "
            "/lib/systemd/systemd systemd.unit=basic.target"
        )
        # The mounts stay in the namespace of the caller, who mounts and unmounts below the root later.
        # It ends with this process, however that ends.
        unshare = ["setpriv", "--pdeathsig=KILL", "unshare", "--fork", "--pid", "--cgroup", "--kill-child=KILL"]
        self.process = subprocess.Popen(
            [*unshare, "sh", "-c", boot],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        (before / "cgroup.procs").write_text("0")
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for _ in range(BOOT_SECONDS * 10):
            if self.process.poll() is not None:
                raise Impossible("systemd does not start in a namespace of its own")
            if self._is_inside(children.read_text().strip()) and self._is_booted():
                return
            time.sleep(0.1)
        raise Impossible(f"systemd did not start within {BOOT_SECONDS} s")

    def _is_inside(self, init):
        """Notes the first process of the root, and returns `True` once the root is its own."""
        self.init = init
        try:
            return bool(init) and os.readlink(f"/proc/{init}/root") == str(self.path)
        except FileNotFoundError:
            return False

    def _is_booted(self):
        return self.exit_code("systemctl", "is-active", "basic.target") == 0

    def _own_cgroup(self):
        """Returns the folder of this process in the hierarchy of version 2."""
        lines = pathlib.Path("/proc/self/cgroup").read_text().splitlines()
        path = next(line[3:] for line in lines if line.startswith("0::"))
        return self.scratch / "cgroup" / path.lstrip("/")

    def command(self, *words, user=None):
        """Returns the command that runs `words` in the root, as root or as a user with its groups."""
        enter = ["nsenter", f"--target={self.init}", "--pid", "--root", "--wd=/"]
        as_user = ["setpriv", "--reuid", user, "--regid", user, "--init-groups"] if user else []
        return [*enter, *as_user, *(str(word) for word in words)]

    def start(self, *words, **options):
        """Runs a command in the root, and returns what became of it."""
        user = options.pop("user", None)
        return subprocess.run(
            self.command(*words, user=user), capture_output=True, text=True, check=False, **options
        )

    def exit_code(self, *words, **options):
        return self.start(*words, **options).returncode

    def run(self, *words, user=None):
        """Runs a command in the root and returns its standard output."""
        return run(*self.command(*words, user=user))

    def close(self):
        """Ends all processes of the root, with their cgroups."""
        if self.init and self.process.poll() is None:
            os.kill(int(self.init), signal.SIGKILL)
        self.process.wait()
        for folder in sorted(self.cgroup.glob("**/"), reverse=True):
            folder.rmdir()
