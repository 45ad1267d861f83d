"""Write XML and HTML so that a text stays a text: everything is escaped, and no control character gets through."""

from __future__ import annotations

from html import escape
from typing import Final

from atcaprov.terminal.printable import printable

_EMPTY: Final = frozenset({"meta"})
"""Elements of HTML without an end tag."""


class Markup(str):
    """Text that is already markup."""

    __slots__ = ()


LINE_END: Final = Markup("\n")
"""Ends a line of the file; a line end in a text would be shown as a question mark."""


def element(name: str, /, *content: str, **attributes: str | float | None) -> Markup:
    """Return an element; texts in `content` are escaped, markup is kept.

    `class_` is the attribute class, other underscores become hyphens; an attribute of None is left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_text(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if not content:
        return Markup(f"<{name}{written}>" if name in _EMPTY else f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{joined(*content)}</{name}>")


def joined(*content: str) -> Markup:
    """Return texts, escaped, and markup one after another."""
    return Markup("".join(part if isinstance(part, Markup) else _text(part) for part in content))


def _number(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _text(text: str) -> str:
    return escape(printable(text))
