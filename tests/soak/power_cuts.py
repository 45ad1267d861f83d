"""Power cuts: a server and its load in a virtual machine, on a disk that loses what was not flushed.

The machine runs over several cuts: each takes the disk as it is at that moment, together with what the server had
acknowledged before, as if the power had failed then. At the last one QEMU is killed; the next machine starts from the
disk that this one leaves.
"""

from __future__ import annotations

import contextlib
import shlex
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from tests.soak.acknowledged import Acknowledgement, whole_lines
from tests.soak.cut_disk import empty_disk
from virtual_bench.kernel import Kernel
from virtual_bench.machine import Guest
from virtual_bench.nbd_server import served_disk
from virtual_bench.volatile_disk import DiskAtCut, Loss, VolatileDisk

SERVER: Final = "provisioning_server"
SERVER_WITHOUT_SYNC: Final = "tests.soak.without_sync"
DATA: Final = "data"
_PATIENCE: Final = 240.0
"""Seconds for a machine to start and to reach all its cuts: Python is some 15 times slower there."""
_START: Final = Path(__file__).with_name("guest_start.sh")
_PORT: Final = "/dev/acknowledged"
_CHIPS_PER_BOOT: Final = 100_000
_ACKNOWLEDGEMENTS: Final = (1, 40)
_EVENTS: Final = (1, 120)
_AT_EVENTS: Final = 0.7
"""How many of the cuts come at an event of the disk: then something stands in its cache."""


@dataclass(frozen=True)
class Cut:
    """One cut: what it was given to repeat it, when it came, and what the server had acknowledged before.

    `disk` and `loss` with `seed` give the disk that is left.
    """

    seed: int
    loss: Loss
    moment: str
    disk: DiskAtCut
    acknowledged: Sequence[Acknowledgement]

    def image(self) -> bytes:
        """Return the disk that is left."""
        return self.disk.after_cut(self.loss, Random(self.seed))


@dataclass(frozen=True)
class Moment:
    """When a cut comes: after so many more acknowledgements, or so many more events of the disk (writes, flushes)."""

    acknowledgements: int = 0
    events: int = 0

    @classmethod
    def choose(cls, random: Random, *, at_writes: bool) -> Moment:
        """Return a moment at random."""
        if at_writes and random.random() < _AT_EVENTS:
            return cls(events=random.randint(*_EVENTS))
        return cls(acknowledgements=random.randint(*_ACKNOWLEDGEMENTS))

    def __str__(self) -> str:
        if self.events:
            return f"{self.events} events of the disk after the cut before"
        return f"{self.acknowledgements} acknowledgements after the cut before"


@dataclass
class Recorder:
    """Takes the cuts at their moments, from the thread of the disk and that of the acknowledgements.

    The first cut waits for the first acknowledgement: before that the server only starts.
    """

    disk: VolatileDisk
    moments: list[Moment]
    before: Sequence[Acknowledgement]
    told: bytearray = field(default_factory=bytearray)
    taken: list[tuple[Moment, DiskAtCut, list[Acknowledgement]]] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._acknowledgements = self._events = 0
        self.disk.watch = self.disk_event

    def receive(self, data: bytes) -> None:
        """Take what the guest tells of acknowledgements."""
        with self._lock:
            self.told += data
            self._acknowledgements += data.count(b"\n")
            self._look()

    def disk_event(self) -> None:
        """Count a write or a flush."""
        with self._lock:
            if self.told:
                self._events += 1
                self._look()

    def _look(self) -> None:
        if not self.moments:
            return
        moment = self.moments[0]
        reached = self._events >= moment.events if moment.events else self._acknowledgements >= moment.acknowledgements
        if reached and self._acknowledgements:
            self.moments.pop(0)
            acknowledged = [*self.before, *whole_lines(bytes(self.told))]
            self.taken.append((moment, self.disk.at_cut(), acknowledged))
            self._acknowledgements = self._events = 0
            if not self.moments:
                self.done.set()


@dataclass
class CutMachine:
    """A virtual machine that is cut off again and again. `signer_folder` is read by the guest over the host's files."""

    kernel: Kernel
    folder: Path
    signer_folder: Path
    signer_key: bytes
    server: str = SERVER
    at_writes: bool = True

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "signer.key").write_bytes(self.signer_key)
        self._image = empty_disk(self.folder)
        self._acknowledged: Sequence[Acknowledgement] = ()
        self._boots = 0

    def run(self, cuts: int, random: Random) -> list[Cut]:
        """Boot from what the last cut left, and take so many cuts.

        Raises:
            AssertionError: they do not come.
        """
        disk = VolatileDisk(self._image)
        moments = [Moment.choose(random, at_writes=self.at_writes) for _ in range(cuts)]
        recorder = Recorder(disk, moments, self._acknowledged)
        out = self.folder / "out"
        with self._connected(disk, recorder) as devices:
            guest = Guest(self.kernel, out, processors=2, devices=devices, start=_START)
            with guest.running(["/bin/sh", "-c", self._command(random.randrange(2**31))]):
                reached = recorder.done.wait(_PATIENCE)
        console = (out / "console.log").read_text(errors="replace")
        assert reached, f"the machine did not come to its cuts: {console[-4000:]}"
        assert disk.flushes or self.server == SERVER_WITHOUT_SYNC, "no flush arrives at the disk"
        taken = [
            Cut(random.randrange(2**31), random.choice(list(Loss)), str(moment), at_cut, acknowledged)
            for moment, at_cut, acknowledged in recorder.taken
        ]
        self._image, self._acknowledged = taken[-1].image(), taken[-1].acknowledged
        self._boots += 1
        return taken

    def _command(self, seed: int) -> str:
        first = 1 + self._boots * _CHIPS_PER_BOOT
        server = (sys.executable, "-m", self.server, "--port", "0", "--data", f"/mnt/{DATA}", "--signer")
        load = (sys.executable, "-m", "tests.soak.load", str(self.folder / "signer.key"), _PORT, str(seed), str(first))
        words = f"{shlex.join((*server, str(self.signer_folder)))} 2>&1 | {shlex.join(load)}"
        return f"export PYTHONUNBUFFERED=1; {words}"

    @contextlib.contextmanager
    def _connected(self, disk: VolatileDisk, recorder: Recorder) -> Iterator[list[str]]:
        """Serve the disk and the port; yield QEMU's arguments for them."""
        sockets = {name: self.folder / f"{name}.socket" for name in ("disk", "port")}
        with served_disk(disk, sockets["disk"]), _listening(sockets["port"], recorder):
            yield [
                # The host caches nothing, and the guest sees that the disk has a cache of its own.
                *("-blockdev", f"nbd,node-name=cut,cache.direct=on,server.type=unix,server.path={sockets['disk']}"),
                *("-device", "virtio-blk-pci,drive=cut,write-cache=on"),
                *("-device", "virtio-serial-pci", "-chardev", f"socket,id=told,path={sockets['port']}"),
                *("-device", "virtserialport,chardev=told,name=acknowledged"),
            ]


@contextlib.contextmanager
def _listening(path: Path, recorder: Recorder) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=_read, args=(listener, recorder), name="acknowledged")
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            path.unlink()


def _read(listener: socket.socket, recorder: Recorder) -> None:
    try:
        port, _ = listener.accept()
    except OSError:
        return
    with port, contextlib.suppress(ConnectionError):
        while data := port.recv(65536):
            recorder.receive(data)
