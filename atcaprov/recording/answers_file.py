"""The file that keeps the readings of a chip: a run that was cut continues with the questions that have no answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from atcaprov import durable_files
from atcaprov.bounded_reading import MalformedError, parse_json, read_text
from atcaprov.errors import Code, UsageError
from atcaprov.recording.questions import UNDECIDED, Reading
from atcaprov.recording.reading_texts import reading_text

_FORMAT: Final = "atcaprov open points"
_VERSION: Final = 1
_MODE: Final = 0o644
"""It holds no secret: the keys of a given-up chip can be computed by everyone."""


class AnswersFile:
    """Readings of one chip, each with the packets that show it. With a file, each reading is written at once."""

    def __init__(self, path: Path | None, serial: bytes) -> None:
        """Read the file if it exists; None keeps the readings in memory only. `serial`: 9 bytes.

        Raises:
            UsageError: it cannot be read (FILE_UNREADABLE), or is not an answers file of this chip (FILE_INVALID).
        """
        self._path = path
        self._serial = serial.hex().upper()
        self._answers: dict[str, dict[str, Any]] = {}
        if path is not None and path.exists():
            self._answers = {answer["name"]: answer for answer in self._read(path)}

    @property
    def done(self) -> frozenset[str]:
        """Names of the questions that have an answer."""
        return frozenset(name for name, answer in self._answers.items() if answer["value"] is not UNDECIDED)

    def keep(self, reading: Reading, packets: list[tuple[str, str]]) -> None:
        """Add or replace a reading, with the packets that show it (sent and received, hexadecimal).

        Raises:
            UsageError: the file cannot be written (FILE_UNWRITABLE).
        """
        self._answers[reading.name] = {
            "name": reading.name,
            "switch": reading.point,
            "value": reading.value,
            "software_chip": reading.expected,
            "words": reading_text(reading),
            "packets": [{"sent": sent, "got": got} for sent, got in packets],
        }
        if self._path is not None:
            self._write(self._path)

    def _write(self, path: Path) -> None:
        document = {"format": _FORMAT, "version": _VERSION, "serial": self._serial}
        text = json.dumps(document | {"answers": list(self._answers.values())}, indent=1) + "\n"
        try:
            durable_files.replace(path, text.encode("ascii"), _MODE)
        except OSError as error:
            raise UsageError(
                f"The answers file {path} cannot be written: {error.strerror}.",
                advice="Free some space or choose another folder, and start again: answered questions are skipped.",
                code=Code.FILE_UNWRITABLE,
            ) from error

    def _read(self, path: Path) -> list[dict[str, Any]]:
        try:
            document = parse_json(read_text(path))
        except MalformedError as error:
            raise _invalid(path, f"it is not JSON: {error}") from None
        if not isinstance(document, dict) or document.get("format") != _FORMAT or document.get("version") != _VERSION:
            raise _invalid(path, f"it is not an '{_FORMAT}' file of version {_VERSION}")
        if document.get("serial") != self._serial:
            raise _invalid(path, f"it belongs to another chip, not to {self._serial}")
        answers = document.get("answers")
        if not isinstance(answers, list) or not all(map(_is_answer, answers)):
            raise _invalid(path, "its answers are damaged")
        return answers


def _is_answer(answer: object) -> bool:
    return isinstance(answer, dict) and isinstance(answer.get("name"), str) and "value" in answer


def _invalid(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"The answers file {path} cannot be used: {reason}.",
        advice="The chip was not asked anything. Give another file for --answers.",
        code=Code.FILE_INVALID,
    )
