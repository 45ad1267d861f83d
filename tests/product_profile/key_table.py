"""The keys of product profiles as a table of Markdown, which docs/reference/product-profiles.md must have."""

from __future__ import annotations

from collections.abc import Iterator

from atcaprov.product_profile.keys import Key, Table
from atcaprov.product_profile.profile_keys import PROFILE


def key_table() -> str:
    """Return the table: a row for each key, those of a table after it."""
    head = ["| Key | Value | Meaning | Without it |", "|---|---|---|---|"]
    return "\n".join([*head, *_rows(PROFILE, "")]) + "\n"


def _rows(table: Table, above: str) -> Iterator[str]:
    for key in table.keys:
        path = f"{above}{key.name}"
        yield f"| `{path}` | {_escaped(key.kind.words)} | {_escaped(key.meaning)} | {_without(key, table)} |"
        if isinstance(key.kind, Table) and key.name != "directory_name":  # its keys are those of the subject
            yield from _rows(key.kind, f"{path}.")


def _without(key: Key, table: Table) -> str:
    if key.needed:
        return "needed"
    if key.name in table.one_of:
        others = " or ".join(f"`{name}`" for name in table.one_of if name != key.name)
        return f"{others} is needed"
    return _escaped(key.default) or "nothing"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
