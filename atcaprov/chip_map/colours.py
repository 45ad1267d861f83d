"""The colours of a map, light and dark. Each text has a contrast of 4.5:1 or more on each ground that it stands on.

Blue, orange and grey differ for every kind of colour vision, and each has a shape and words beside it.
"""

from __future__ import annotations

from importlib import resources
from typing import Final

LIGHT: Final = {
    "page": "#ffffff",
    "card": "#f4f6f9",
    "line": "#c9d1da",
    "ink": "#1b2026",
    "soft": "#56616d",
    "free": "#0b5cad",
    "on-free": "#ffffff",
    "bound": "#a04b00",
    "on-bound": "#ffffff",
    "none": "#8a949e",
    "now": "#1b2026",
    "changed": "#a2125f",
    "changed-ground": "#fdeef6",
    "encrypts": "#a04b00",
    "authorizes": "#6b3fa0",
    "validates": "#0f6b5c",
    "fills": "#0b5cad",
}
DARK: Final = {
    "page": "#14171c",
    "card": "#1e232b",
    "line": "#3a434f",
    "ink": "#eef1f4",
    "soft": "#a9b3be",
    "free": "#7cb7ff",
    "on-free": "#10141a",
    "bound": "#ffb066",
    "on-bound": "#10141a",
    "none": "#7f8a95",
    "now": "#eef1f4",
    "changed": "#ff9ccb",
    "changed-ground": "#3a1c2c",
    "encrypts": "#ffb066",
    "authorizes": "#cbb0ff",
    "validates": "#67d5bf",
    "fills": "#7cb7ff",
}
TEXT_ON_GROUND: Final = (
    *(
        (text, ground)
        for text in ("ink", "soft", "free", "bound", "encrypts", "authorizes", "validates", "fills", "changed")
        for ground in ("page", "card")
    ),
    *((text, "changed-ground") for text in ("ink", "soft", "free", "bound", "changed")),
    ("on-free", "free"),
    ("on-bound", "bound"),
    ("page", "changed"),
)
"""Which colours carry text on which; a test computes their contrast."""


def style(selector: str, file: str) -> str:
    """Return a style sheet: the colours as variables on `selector`, light and dark, and the rules of a file here."""
    light, dark = (_variables(colours) for colours in (LIGHT, DARK))
    return (
        f"{selector} {{ color-scheme: light dark; {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ {selector} {{ {dark} }} }}\n"
        f"@media print {{ {selector} {{ color-scheme: light; {light} }} }}\n"
        + resources.files(__package__).joinpath(file).read_text("utf-8")
    )


def _variables(colours: dict[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in colours.items())
