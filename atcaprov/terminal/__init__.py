"""Raw keys of a console: the decoder without I/O, and its two rims, blocking and asyncio."""

from atcaprov.terminal.console import Console, open_console
from atcaprov.terminal.keys import ESC_WAIT_SECONDS, Key, KeyDecoder, KeyPress
from atcaprov.terminal.line import Line

__all__ = ["ESC_WAIT_SECONDS", "Console", "Key", "KeyDecoder", "KeyPress", "Line", "open_console"]
