"""One run of the guest: boots QEMU, runs one command in it, and tells how it ended."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from virtual_bench.kernel import Kernel
from virtual_bench.programs import BenchUnavailable, program

EXIT_TIME_LIMIT: Final = 124
EXIT_GUEST_DIED: Final = 125
PATIENCE: Final = 150.0
"""Seconds after which a test in there that waits for a program has failed: some 20 times what it takes on a busy
machine, and little enough for the other tests to come."""
START: Final = Path(__file__).with_name("start.sh")
"""The usual second program of a guest: it starts udev."""
_KEPT_ENVIRONMENT: Final = ("VIRTUAL_ENV", "PYTHONPATH", "CI", "LANG", "LC_ALL", "TZ", "PYTEST_ADDOPTS")
_MEMORY_MIB: Final = "1536"
OUT_VARIABLE: Final = "ATCAPROV_BENCH_OUT"
"""Environment variable in the guest: the folder that outlives it."""
FIGURES_FILE: Final = "figures.json"
"""In that folder: what tests have measured, in the form of `tests.benchmarks.report`."""


@dataclass(frozen=True)
class GuestOutcome:
    """How a run ended: exit code of the command, EXIT_TIME_LIMIT or EXIT_GUEST_DIED; and what it took."""

    exit_code: int
    boot_seconds: float
    """From the kernel's start to the machine's own files; 0 if the guest never got there."""
    whole_seconds: float


class Guest:
    """A virtual machine over the files of this machine, which it cannot change; only `out` is shared for writing.

    `out` holds afterwards what the command wrote there, and `rc`, `started`, `console.log`. `devices` are arguments of
    QEMU for more devices; `start` is the second program of the guest.
    """

    def __init__(
        self, kernel: Kernel, out: Path, *, processors: int, devices: Sequence[str] = (), start: Path = START
    ) -> None:
        if any(character.isspace() for character in str(out)):
            raise BenchUnavailable(f"the path {out} has blanks, and the kernel's command line cannot name it")
        self._kernel = kernel
        self._out = out
        self._processors = processors
        self._devices = devices
        self._start = start

    def run(self, command: Sequence[str], *, seconds: float, show: bool = False) -> GuestOutcome:
        """Boot, run `command` as root in the current directory, power off; stop the machine after `seconds`.

        The console goes into a file; with `show` it is printed as well.
        """
        begin = time.monotonic()
        with self.running(command, show=show) as qemu:
            in_time = _ends(qemu, seconds)
        whole = time.monotonic() - begin
        exit_code = self._exit_code() if in_time else EXIT_TIME_LIMIT
        return GuestOutcome(exit_code, self._boot_seconds(), whole)

    def _write_scripts(self, command: Sequence[str]) -> None:
        shutil.rmtree(self._out, ignore_errors=True)
        self._out.mkdir(parents=True)
        shutil.copy(self._start, self._out / "start.sh")
        kept = [f"export {name}={shlex.quote(os.environ[name])}" for name in _KEPT_ENVIRONMENT if name in os.environ]
        kept.append(f"export {OUT_VARIABLE}={shlex.quote(str(self._out))}")
        lines = (*kept, f"cd {shlex.quote(str(Path.cwd()))}", f"exec {shlex.join(command)}")
        (self._out / "command.sh").write_text("\n".join(lines) + "\n")

    @contextmanager
    def running(self, command: Sequence[str], *, show: bool = False) -> Iterator[subprocess.Popen[bytes]]:
        """Boot, run `command`, and yield QEMU's process; it is killed at the end, as when the power fails."""
        self._write_scripts(command)
        stdout = None if show else subprocess.DEVNULL
        with subprocess.Popen(self._qemu(), stdin=subprocess.DEVNULL, stdout=stdout, start_new_session=True) as qemu:
            try:
                yield qemu
            finally:
                if qemu.poll() is None:
                    os.killpg(qemu.pid, signal.SIGKILL)

    def _qemu(self) -> list[str]:
        # Never KVM: a /dev/kvm that opens may still not run such a guest, without any error.
        kernel_words = f"console=ttyS0 panic=-1 oops=panic loglevel=3 bench_out={self._out}"
        return [
            *(program("nice"), "-n", "10", program("qemu-system-x86_64")),
            *("-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(self._processors), "-m", _MEMORY_MIB),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-chardev", f"stdio,id=console,signal=off,logfile={self._out / 'console.log'}"),
            *("-serial", "chardev:console"),
            *("-kernel", str(self._kernel.image), "-initrd", str(self._kernel.initramfs), "-append", kernel_words),
            *_shared_folder("root", Path("/"), "readonly=on,multidevs=remap"),
            *_shared_folder("out", self._out, "multidevs=remap"),
            *self._devices,
        ]

    def _exit_code(self) -> int:
        try:
            return int((self._out / "rc").read_text())
        except (FileNotFoundError, ValueError):
            return EXIT_GUEST_DIED

    def _boot_seconds(self) -> float:
        try:
            return float((self._out / "started").read_text())
        except (FileNotFoundError, ValueError):
            return 0.0


def _ends(qemu: subprocess.Popen[bytes], seconds: float) -> bool:
    """Return whether QEMU ends by itself in time."""
    try:
        qemu.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _shared_folder(tag: str, path: Path, options: str) -> tuple[str, ...]:
    source = f"local,id={tag},path={path},security_model=none,{options}"
    return ("-fsdev", source, "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}")
