"""A chip's memory in a JSON file, written whole or not at all.

Layout: `{"format": "atcaprov chip", "version": 1, "revision": hex, "config": hex, "otp": hex, "data": hex}`. A file
without `revision`, the answer of Info, means the one in the configuration zone. The twin of a real chip, made by
`atcaprov chip dump`, has version 2 and `"twin": true`: its slots may hold marks in place of what the chip did not show
(`MemorySlot`). The file holds the chip's private keys: only its owner can read it. Moving the file away unplugs the
chip; it is never written again at the old place, so that there are no two chips with the same key.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from atcaprov import durable_files
from atcaprov.bounded_reading import MAX_FILE, MalformedError, parse_json, shown
from atcaprov.emulator.memory import Memory, Zones
from atcaprov.errors import Code, TransportError, UsageError

_FORMAT: Final = "atcaprov chip"
_VERSION: Final = 1
_TWIN_VERSION: Final = 2
_OWNER_ONLY: Final = 0o600
_ZONES: Final = ("config", "otp", "data")
_ADVICE: Final = "Free some space or choose another folder. The file still has the state before this command."
_FIRST_ADVICE: Final = "Check that its folder exists and has free space, or choose another folder. No file was created."


def chip_file(memory: Memory) -> bytes:
    """Return the content of the file for a memory."""
    zones = {name: zone.hex() for name, zone in zip(_ZONES, memory.image(), strict=True)}
    head = {"format": _FORMAT, "version": _VERSION, "revision": memory.revision.hex()}
    twin = {"version": _TWIN_VERSION, "twin": True} if memory.is_twin else {}
    return (json.dumps(head | twin | zones, indent=1) + "\n").encode("ascii")


class StateFile:
    """The file at `path` with one chip's memory; the `Keeper` of that chip."""

    def __init__(self, path: Path) -> None:
        # A link would be replaced by a file. os.path.islink does not raise, unlike Path.is_symlink.
        self.path = Path(os.path.realpath(path)) if os.path.islink(path) else path  # noqa: PTH114
        self._kept: Zones | None = None
        self._file: os.stat_result | None = None

    def load(self) -> Memory | None:
        """Return the memory in the file, or None if there is no file.

        Raises:
            UsageError: the file cannot be read (FILE_UNREADABLE), or is not a state file or damaged (FILE_INVALID).
        """
        try:
            with self.path.open(encoding="ascii") as file:
                text, status = file.read(MAX_FILE + 1), os.fstat(file.fileno())
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            raise self._invalid("it is not text") from None
        except OSError as error:
            raise UsageError(
                f"The chip file {self.path} cannot be read: {error.strerror}.", code=Code.FILE_UNREADABLE
            ) from error
        if len(text) > MAX_FILE:
            raise self._invalid(f"it is longer than {MAX_FILE} bytes")
        memory = self._parse(text)
        self._kept, self._file = memory.image(), status
        return memory

    def keep(self, memory: Memory) -> None:
        """Write the memory durably, as a whole file, if it differs from what the file holds.

        Raises:
            UsageError: the file cannot be written (FILE_UNREADABLE); the old file is still whole, and the memory is
                restored from it.
            TransportError: the file was moved away or replaced (DEVICE_NOT_FOUND).
        """
        image = memory.image()
        if image == self._kept:
            self._require_there()
            return
        try:
            self._require_there()
            self._file = durable_files.replace(self.path, chip_file(memory), _OWNER_ONLY, check=self._require_there)
        except (OSError, TransportError) as error:
            if self._kept is not None:
                memory.restore(self._kept)
            if isinstance(error, TransportError):
                raise
            raise UsageError(
                f"The chip file {self.path} cannot be written: {error.strerror}.",
                advice=_ADVICE if self._kept is not None else _FIRST_ADVICE,
                code=Code.FILE_UNREADABLE,
            ) from error
        self._kept = image

    def _require_there(self) -> None:
        """Raise TransportError if there was a file and it was moved away or replaced."""
        if self._file is None:
            return
        try:
            there = os.path.samestat(self.path.stat(), self._file)
        except OSError:
            there = False
        if not there:
            raise TransportError(
                f"The chip file {self.path} was moved or replaced.",
                advice="That unplugs the chip. Put the file back and open the chip again.",
                code=Code.DEVICE_NOT_FOUND,
            )

    def _parse(self, text: str) -> Memory:
        try:
            document = parse_json(text)
        except MalformedError as error:
            raise self._invalid(f"it is not JSON: {error}") from None
        if not isinstance(document, dict) or document.get("format") != _FORMAT:
            raise self._invalid("it is not a chip file")
        is_twin = document.get("twin", False)
        if not isinstance(is_twin, bool):
            raise self._invalid(f"its 'twin' is {shown(is_twin)}, not true or false")
        wanted = _TWIN_VERSION if is_twin else _VERSION
        if document.get("version") != wanted:
            raise self._invalid(f"its version is {shown(document.get('version'))}, not {wanted}")
        config, otp, data = (self._zone(document, name) for name in _ZONES)
        try:
            revision = self._zone(document, "revision") if "revision" in document else None
            return Memory(config, otp, data, revision, is_twin=is_twin)
        except ValueError as error:
            raise self._invalid(str(error)) from None

    def _zone(self, document: dict[str, Any], name: str) -> bytes:
        try:
            return bytes.fromhex(document[name])
        except (KeyError, TypeError, ValueError):
            raise self._invalid(f"its '{name}' is missing or not hexadecimal") from None

    def _invalid(self, reason: str) -> UsageError:
        return UsageError(
            f"The chip file {self.path} is damaged: {reason}.",
            advice="Restore it from a copy, or name a new file for a blank chip.",
            code=Code.FILE_INVALID,
        )
