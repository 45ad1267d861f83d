"""Fill the disk at each step of `provisioning-server`: `python -m tests.support.full_disk OUT ARGUMENTS`.

The program runs with the data folder OUT/0, OUT/1, ... In run N the disk is full from its N-th file operation on:
nothing can be created or written any more. Each run is stopped in order once it listens. In the last run the disk
never got full. Prints one line of JSON for each run. It forks, so it must be a process of its own.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, TextIO

from provisioning_server import cli, log_writer

_MAKING: Final = os.O_CREAT
_LISTENS: Final = "Server listening on"
_NEVER_FULL: Final = b"the disk was never full"


def _full_from(number: int, told: int) -> None:
    left, written = number, log_writer._written
    os.write(told, _NEVER_FULL)

    def step() -> None:
        nonlocal left
        left -= 1
        if left == -1:
            os.lseek(told, 0, os.SEEK_SET)
            os.ftruncate(told, 0)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    def watch(event: str, details: tuple[Any, ...]) -> None:
        makes = event == "open" and details[2] & _MAKING and not str(details[0]).startswith("/dev/")
        if event == "os.mkdir" or makes:
            step()
            if left < 0:
                raise OSError(28, "No space left on device", details[0])

    def write_log(stream: TextIO | None, text: str) -> TextIO | None:
        if stream is not sys.stdout:
            step()
        return written(stream, text)

    log_writer._written = write_log
    sys.addaudithook(watch)


def _child(number: int, told: int, output: int, arguments: Sequence[str]) -> NoReturn:
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.argv = ["provisioning-server", *arguments]
    code = 99
    _full_from(number, told)
    try:
        cli.main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(code)


def _run(number: int, arguments: Sequence[str]) -> bool:
    """Run the program once; return whether the disk got full."""
    told = os.memfd_create("told")
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        _child(number, told, writer, arguments)
    os.close(writer)
    lines = []
    with open(reader, encoding="utf-8") as output:  # noqa: PTH123 - a descriptor has no Path
        for line in output:
            lines.append(line)
            if _LISTENS in line:
                os.kill(child, signal.SIGTERM)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    full = os.pread(told, 100, 0) != _NEVER_FULL
    os.close(told)
    print(json.dumps({"code": code, "full": full, "said": "".join(lines)}))
    return full


def main(out: Path, arguments: Sequence[str]) -> None:
    number = 0
    while _run(number, [*arguments, "--port", "0", "--data", str(out / str(number))]):
        number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
