"""The log as JSON lines: one object a line, with the text for people and its parts for programs."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from atcaprov.log import LogEvent
from atcaprov.program.log_output import LineFormatter, is_of_library, masked
from atcaprov.terminal.printable import printable


class JsonLineFormatter(LineFormatter):
    """Makes lines such as `{"time": "2026-11-30T08:15:31.250Z", "level": "info", "event": "certified", "text": ...}`.

    What LineFormatter masks or leaves out is masked or left out here too.
    """

    def __init__(self, now: Callable[[], datetime] | None = None) -> None:
        super().__init__(now)
        self._moment = now

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end."""
        when = datetime.fromtimestamp(record.created, UTC)
        level = record.levelname.lower()
        if is_of_library(record):
            return self._object(level, when, {"event": "library", "logger": record.name}, masked(record.getMessage()))
        if isinstance(record.msg, LogEvent):
            return self._object(level, when, {"event": record.msg.name, **record.msg.fields}, str(record.msg))
        return self._object(level, when, {"event": "message"}, record.getMessage())

    def line(self, level: str, text: str, when: datetime | None = None) -> str:
        """Return a line of the log without its end."""
        return self._object(level, when or datetime.now(UTC), {"event": "message"}, text)

    def _object(self, level: str, when: datetime, parts: Mapping[str, str], text: str) -> str:
        moment = (self._moment() if self._moment is not None else when).astimezone(UTC)
        time = f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
        shown = {key: printable(value) for key, value in parts.items()}
        return json.dumps({"time": time, "level": level, **shown, "text": printable(text)})
