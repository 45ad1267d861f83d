"""The drawing and the page are well formed whatever the texts are, load nothing, and can be read in both schemes."""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atcaprov import ConfigZone, Part
from atcaprov.chip_map.colours import DARK, LIGHT, TEXT_ON_GROUND
from atcaprov.chip_map.contents import content_words
from atcaprov.chip_map.html import html_of
from atcaprov.chip_map.model import ChipMap, Subject, draw_map
from atcaprov.chip_map.svg import svg_of
from atcaprov.chip_map.text_width import fitted, width_of
from atcaprov.config_zone.defaults import DEFAULT_608A
from tests.support.certificates import SIGNER
from tests.support.colour_contrast import ENOUGH_FOR_EDGES, ENOUGH_FOR_TEXT, contrast

HOSTILE = "</text><script>alert(1)</script>&\x1b[2J\u202e\"'<!--]]>"
SVG = "{http://www.w3.org/2000/svg}"


def drawn(text: str = "A purpose") -> ChipMap:
    zone = ConfigZone(DEFAULT_608A)
    return draw_map(
        Subject(zone, Part.ATECC608, text, on_chip=True, purposes={0: text, 15: text}, contents={10: text}),
        Subject(zone, Part.ATECC608, text),
    )


PLAIN = drawn()


class Tags(HTMLParser):
    """Counts the elements of a page and checks that each is closed in its turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.texts = ""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts += data


def test_the_drawing_is_well_formed_and_says_what_it_shows() -> None:
    root = ElementTree.fromstring(svg_of(PLAIN))
    assert root.findtext(f"{SVG}title") == "Map of the chip: A purpose"
    description = root.findtext(f"{SVG}desc") or ""
    assert "Slot 4, 36 bytes: P-256 private key: external signatures, ECDH in clear" in description
    assert "Slot 4 puts a result or a derived key into slot 5." in description
    assert len([group for group in root.iter(f"{SVG}g") if group.get("id", "").startswith("slot-")]) == 16


def test_the_page_is_well_formed_and_allows_only_its_own_style() -> None:
    page = html_of(PLAIN)
    tags = Tags(page)
    assert tags.seen.count("tr") == 1 + 16 + 1 + len(PLAIN.fields)
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(style) == 1
    digest = base64.b64encode(sha256(style[0].encode()).digest()).decode()
    assert f"default-src &#x27;none&#x27;; style-src &#x27;sha256-{digest}&#x27;;" in page


@pytest.mark.parametrize("write", [svg_of, html_of])
def test_nothing_is_loaded_and_nothing_runs(write: object) -> None:
    text = (svg_of if write is svg_of else html_of)(PLAIN)
    assert not re.search(r"<script|\son[a-z]+=|javascript:|\ssrc=|url\(|@import|<use|<image|<link", text)
    assert set(re.findall(r"https?://[^\"' ]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r'href="([^"]*)"', text)) <= {f"#slot-{number}" for number in range(16)}


def test_hostile_names_stay_texts() -> None:
    hostile = drawn(HOSTILE)
    root = ElementTree.fromstring(svg_of(hostile))
    plain = ElementTree.fromstring(svg_of(PLAIN))
    assert {element.tag for element in root.iter()} == {element.tag for element in plain.iter()}
    tags = Tags(html_of(hostile))
    assert set(tags.seen) == set(Tags(html_of(PLAIN)).seen)
    assert "</text><script>alert(1)</script>&?[2J?" in tags.texts


@settings(max_examples=30)
@given(st.text(max_size=80))
def test_any_text_is_written(text: str) -> None:
    named = drawn_with(text)
    ElementTree.fromstring(svg_of(named).encode())
    Tags(html_of(named))


def drawn_with(text: str) -> ChipMap:
    from dataclasses import replace

    slots = (replace(PLAIN.slots[0], purpose=text, content=text, other=text), *PLAIN.slots[1:])
    return replace(PLAIN, title=text, against=text, state=text, slots=slots)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_stands_out(colours: dict[str, str]) -> None:
    for text, ground in TEXT_ON_GROUND:
        assert contrast(colours[text], colours[ground]) >= ENOUGH_FOR_TEXT, (text, ground)
    for edge in ("free", "bound", "none", "now", "changed", "encrypts", "authorizes", "validates", "fills"):
        assert contrast(colours[edge], colours["page"]) >= ENOUGH_FOR_EDGES, edge


def test_both_schemes_have_the_same_colours() -> None:
    assert LIGHT.keys() == DARK.keys()


@given(st.text(max_size=200), st.integers(1, 3), st.integers(60, 400))
def test_lines_fit(text: str, most: int, width: int) -> None:
    lines = fitted(text, 13, width, most)
    assert len(lines) <= most
    assert all(width_of(line, 13) <= width for line in lines)


def test_a_text_that_fits_is_whole_and_one_that_does_not_says_so() -> None:
    assert fitted("two words", 13, 400) == ["two words"]
    assert fitted("two words and more words", 13, 90, 2)[-1].endswith("\u2026")
    assert fitted("", 13, 100) == []


def test_contents_in_words() -> None:
    padded = bytes(4) + SIGNER.public[:32] + bytes(4) + SIGNER.public[32:]
    found = content_words(
        {8: b"\xff" * 416, 9: bytes(72), 11: padded, 13: b"\x30\x82" + bytes(range(70)), 14: bytes(range(72))},
        {0: True, 2: False, 3: True},
        {0: SIGNER.public},
    )
    key_id = found[11].removeprefix("a public key, key id ")
    assert found == {
        0: f"a private key, key id {key_id}",
        2: "no valid key",
        3: "a valid private key",
        8: "nothing: every byte is FF",
        9: "nothing: every byte is 00",
        11: f"a public key, key id {key_id}",
        13: "a certificate or another structure in DER",
        14: "data",
    }
    assert len(key_id) == 40
