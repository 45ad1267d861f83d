"""The page is readable for everyone, and its files hold nothing that its own security policy would block."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

import atcaprov.web
import provisioning_server.web
from tests.support.colour_contrast import ENOUGH_FOR_EDGES, ENOUGH_FOR_TEXT, contrast, luminance

FOLDERS = [Path(package.__path__[0]) for package in (atcaprov.web, provisioning_server.web)]
TEMPLATES = [path for folder in FOLDERS for path in sorted((folder / "templates").iterdir())]
SCRIPTS = [path for folder in FOLDERS for path in sorted((folder / "static").glob("*.js"))]
STYLE = "\n".join(path.read_text() for folder in FOLDERS for path in sorted((folder / "static").glob("*.css")))
STATES = ("waiting", "ready", "low", "used-up", "quarantined", "unplugged")
TEXT_ON_GROUND = [
    *((text, ground) for text in ("ink", "soft", "accent", "complaint") for ground in ("page", "card")),
    ("ink", "field"),
    ("on-accent", "accent"),
    *(("on-state", state) for state in STATES),
]


def colours(scheme: str) -> dict[str, str]:
    """Return the colours of the light or dark scheme."""
    blocks: list[str] = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", blocks[("light", "dark").index(scheme)]))


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(scheme: str) -> None:
    found = colours(scheme)
    for text, ground in TEXT_ON_GROUND:
        assert contrast(found[text], found[ground]) >= ENOUGH_FOR_TEXT, (text, ground)
    for state in STATES:
        assert contrast(found[state], found["page"]) >= ENOUGH_FOR_EDGES, state


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_plots_are_seen_without_seeing_colours(scheme: str) -> None:
    found = colours(scheme)
    kinds = ("retry", "set-aside", "scrap")
    for kind in ("series", *kinds):
        assert contrast(found[kind], found["card"]) >= ENOUGH_FOR_EDGES, kind
    for one, other in pairwise(sorted(kinds, key=lambda kind: luminance(found[kind]))):
        assert contrast(found[one], found[other]) >= 1.25, (one, other)


def test_each_state_has_its_colour_and_its_sign() -> None:
    for state in STATES:
        assert f'[data-state="{state}"] .sign::before' in STYLE
        assert f'.signer[data-state="{state}"]' in STYLE


@pytest.mark.parametrize(
    "page",
    [path for folder in FOLDERS for path in sorted((folder / "templates").iterdir())],
    ids=lambda path: path.name,
)
def test_pages_hold_no_script_or_style_of_their_own(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|\|\s*safe|://", text)
    assert all(" src=" in tag for tag in re.findall(r"<script[^>]*>", text))


@pytest.mark.parametrize(
    "script",
    [path for folder in FOLDERS for path in sorted((folder / "static").glob("*.js"))],
    ids=lambda path: path.name,
)
def test_scripts_never_make_markup_of_texts(script: Path) -> None:
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|localStorage", script.read_text()
    )
