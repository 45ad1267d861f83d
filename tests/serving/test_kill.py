"""kill -9 of a serving process at any moment: its state file is whole, and holds every change that was answered."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from atcaprov.emulator.counters import read_counter
from atcaprov.emulator.state_file import StateFile

pytestmark = pytest.mark.slow

TRIALS: Final = 200

_KILLER = """
import asyncio, json, os, random, signal, socket, struct, sys
from pathlib import Path
from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.emulator.images import load_image
from atcaprov.serving.bus import Buses
from atcaprov.serving.chips import make_chips
from atcaprov.serving.chips import ServedChip
from atcaprov.serving.serve import ServeOptions, serve

state, trials, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
image = load_image("atecc608a")
command = b"\\x03" + with_crc(bytes((7, Opcode.COUNTER, 1, 0, 0)))
chance = random.Random(seed)

def run_server(pipe):
    def say(line):
        os.write(pipe, line.rpartition(":")[2].encode() + b"\\n")
    buses = Buses([ServedChip(chip) for chip in make_chips(image, state=state)])
    asyncio.run(serve(buses, ServeOptions(wolfssl=0), say=say, report=print, stop=asyncio.Event()))

def trial():
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        run_server(writing)
        os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        port = int(pipe.readline())
    answered, wanted = 0, chance.randrange(12)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall((command + b"\\x02") * (wanted + 100))
        while answered < wanted:
            reply = client.recv(7, socket.MSG_WAITALL)
            last = int.from_bytes(reply[1:5], "little")
            answered += 1
        for _ in range(chance.randrange(200_000)):
            pass
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL, status
    return last if wanted else None

for _ in range(trials):
    print(json.dumps({"answered": trial(), "state": state.read_text()}), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_no_kill_leaves_an_unreadable_or_older_file(tmp_path: Path) -> None:
    state, copy = tmp_path / "chip.json", tmp_path / "copy.json"
    seed = random.Random(0).randrange(1 << 32)
    program = [sys.executable, "-c", _KILLER, str(state), str(TRIALS), str(seed)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == TRIALS
    before, cut = 0, 0
    for line in lines:
        found = json.loads(line)
        copy.write_text(found["state"])
        memory = StateFile(copy).load()
        assert memory is not None
        value = read_counter(memory, 0)
        assert value >= (found["answered"] or before)
        cut += value > (found["answered"] or before)
        before = value
    assert cut, "no trial killed the server while it worked"
    assert {path.name for path in tmp_path.iterdir()} <= {"chip.json", ".chip.json.new", "copy.json"}
