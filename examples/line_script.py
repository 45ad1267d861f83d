"""A production line in one script: provision the board in each place, and say into which bin it goes.

    python examples/line_script.py --certinfo signer/atcaprov_cert_info_0.c --port 11235 emulator:a.json emulator:b.json

It runs `provisioning-client --json` once for each device URL and decides by the JSON lines alone. Keys and events that
it does not know are ignored, as later versions may add some. One line for each board goes to standard output: device
URL, serial number, bin and error code, tab-separated. Exit code 0: all boards are good. 1: some are not. 3: the line
stands still, because nothing can be provisioned at all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass

BINS = {"good": "green", "scrap": "red"}
"""By what becomes of the board; every other board is set aside for the technician."""
ATTEMPTS = 2


class LineStopped(Exception):  # noqa: N818 - it is the state of a line
    """No board can be provisioned: no server, a missing file, a wrong option."""


@dataclass(frozen=True)
class Outcome:
    """What the client says of one board."""

    url: str
    serial: str
    board: str
    """good, retry, set-aside, scrap or untouched."""
    code: str
    """Stable code of the error; empty for a good board."""

    @property
    def bin(self) -> str:
        """Where the board goes."""
        return BINS.get(self.board, "aside")


def provision(url: str, options: list[str]) -> Outcome:
    """Run the client for one board. A board that can be tried again is tried once more."""
    for _ in range(ATTEMPTS):
        outcome = _run_client(url, options)
        if outcome.board != "retry":
            break
    return outcome


def _run_client(url: str, options: list[str]) -> Outcome:
    """Read the client's lines while it works. Raises LineStopped when it ends without a result for the board."""
    command = ["provisioning-client", "--json", "--auto", "--device", url, *options]
    outcome, reason = None, ""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        for event in map(json.loads, client.stdout):
            if event["event"] == "stage" and event["status"] == "start":
                print(f"{url}: stage {event['n']}", file=sys.stderr)  # the place for a progress bar
            elif event["event"] == "result":
                outcome = Outcome(url, event.get("sn") or "", event["board"], event.get("code", ""))
            elif event["event"] == "error":
                reason = f"{event['message']} {event['advice']} [{event['code']}]"
    if outcome is None:
        raise LineStopped(reason or f"provisioning-client ended with exit code {client.returncode}.")
    return outcome


def main() -> int:
    """Provision all boards; return the exit code."""
    parser = argparse.ArgumentParser(description="Provision a board in each place.")
    parser.add_argument("urls", nargs="+", metavar="URL", help="device URL of a place")
    parser.add_argument("--certinfo", required=True)
    parser.add_argument("--port", default="11235")
    given = parser.parse_args()
    outcomes = []
    try:
        for url in given.urls:
            outcome = provision(url, ["--certinfo", given.certinfo, "--port", given.port])
            print(url, outcome.serial, outcome.bin, outcome.code, sep="\t", flush=True)
            outcomes.append(outcome)
    except LineStopped as reason:
        print(f"The line has stopped: {reason}", file=sys.stderr)
        return 3
    return 0 if all(outcome.board == "good" for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
