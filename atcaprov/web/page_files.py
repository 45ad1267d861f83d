"""Templates, style and icon that all pages share; each page adds its own."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import jinja2

_SHARED: Final = Path(__file__).parent
_MEDIA_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class StaticFile(NamedTuple):
    """A file that is served as it is."""

    content: bytes
    media_type: str


def static_files(page: Path) -> dict[str, StaticFile]:
    """Return the files in `static` of all pages and of one page, by name; `page` is the folder of its package."""
    paths = [path for folder in (_SHARED, page) for path in sorted((folder / "static").iterdir())]
    return {path.name: StaticFile(path.read_bytes(), _MEDIA_TYPES[path.suffix]) for path in paths}


def templates(page: Path, program: str) -> jinja2.Environment:
    """Return the templates of all pages and of one page, which show the name of a `program`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([page / "templates", _SHARED / "templates"]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals["program"] = program
    return environment
