"""The drawing and the page in Chromium: no text leaves its box, both schemes are applied, nothing is requested."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from selenium.webdriver import Chrome

from atcaprov import ConfigZone, Part
from atcaprov.chip_map.colours import DARK, LIGHT
from atcaprov.chip_map.html import html_of
from atcaprov.chip_map.model import ChipMap, Subject, draw_map
from atcaprov.chip_map.svg import svg_of
from atcaprov.config_zone.defaults import DEFAULT_608A
from tests.support.browser import browser, complaints
from tests.support.colour_contrast import ENOUGH_FOR_TEXT, contrast
from tests.support.config_zones import PUBLISHED, part_of, zone_of

pytestmark = pytest.mark.slow
WIDEST: Final = {0: "W" * 90, 1: "MMMM WWWW @@@@ " * 9, 2: "\u6f22\u5b57 " * 40, 3: "\U0001f600" * 30, 4: "word " * 60}
OVERLAPS: Final = """
const boxes = [...document.querySelectorAll("g[id^=slot-]")].map(row => {
  const card = row.querySelector(".row").getBBox();
  return [...row.querySelectorAll("text")].map(text => {
    const box = text.getBBox();
    const room = [box.y - card.y, card.y + card.height - box.y - box.height];
    return [text.textContent, text.className.baseVal, box.x, box.x + box.width, ...room];
  });
});
return boxes.flat();
"""
OUTSIDE: Final = """
const frame = document.documentElement.viewBox.baseVal;
return [...document.querySelectorAll("text, path, rect")].map(each => [each.outerHTML.slice(0, 90), each.getBBox()])
  .filter(([, box]) => box.x < 0 || box.y < 0 || box.x + box.width > frame.width || box.y + box.height > frame.height)
  .map(([text]) => text);
"""
OVERFLOWS: Final = """
const page = document.documentElement;
const shown = [...document.querySelectorAll("body *")].filter(each => each.clientWidth && !each.closest("thead"));
const wide = shown.filter(each => each.scrollWidth > each.clientWidth + 1);
return [page.scrollWidth - page.clientWidth, wide.map(each => each.outerHTML.slice(0, 90))];
"""
PAINTED: Final = """
const ground = each => {
  for (; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if (colour !== "rgba(0, 0, 0, 0)") return colour;
  }
  return "rgb(255, 255, 255)";
};
return [...document.querySelectorAll("body *")]
  .filter(each => [...each.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
  .filter(each => each.checkVisibility())
  .map(each => [each.textContent.slice(0, 40), getComputedStyle(each).color, ground(each)]);
"""


def full_map() -> ChipMap:
    """Return a map with all that there is: a chip with locks, long purposes, contents, differences, every bond."""
    zone = bytearray(zone_of("cal-reference-608").data)
    zone[86:88] = bytes(2)
    zone[88] &= 0xFE
    subject = Subject(
        ConfigZone(bytes(zone)), Part.ATECC608, "Chip 0123456789ABCDEFEE", True, WIDEST, {10: "a public key " * 6}
    )
    return draw_map(subject, Subject(ConfigZone(DEFAULT_608A), Part.ATECC608, "W" * 200))


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


def show(driver: Chrome, folder: Path, name: str, text: str, *, scheme: str = "light", width: int = 1300) -> None:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.get(path.as_uri())


def columns(kind: str, left: float) -> float:
    """Return where the column of a text ends."""
    if left > 870:
        return 1098
    if left > 660:
        return 866
    if left > 470:
        return 656
    return 1098 if "unlike sign" in kind else 470


@pytest.mark.parametrize("name", ["full", "default", *PUBLISHED])
def test_no_text_of_the_drawing_leaves_its_box(driver: Chrome, tmp_path: Path, name: str) -> None:
    drawn = full_map() if name == "full" else draw_map(subject(name))
    show(driver, tmp_path, "map.svg", svg_of(drawn))
    for text, kind, left, right, above, below in driver.execute_script(OVERLAPS):
        assert right <= columns(kind, left), (text, left, right)
        assert above >= 0, text
        assert below >= 0, text
    assert driver.execute_script(OUTSIDE) == []


def subject(name: str) -> Subject:
    if name == "default":
        return Subject(ConfigZone(DEFAULT_608A), Part.ATECC608, name)
    return Subject(zone_of(name), part_of(name), name)


@pytest.mark.parametrize("width", [1300, 1000, 820, 440, 400, 320])
def test_the_page_fits_every_screen(driver: Chrome, tmp_path: Path, width: int) -> None:
    show(driver, tmp_path, "map.html", html_of(full_map()), width=width)
    too_wide, elements = driver.execute_script(OVERFLOWS)
    assert too_wide <= 0
    assert elements == []


@pytest.mark.parametrize(("scheme", "colours"), [("light", LIGHT), ("dark", DARK)])
def test_scheme_is_applied_and_each_text_stands_out(
    driver: Chrome, tmp_path: Path, scheme: str, colours: dict[str, str]
) -> None:
    show(driver, tmp_path, "map.html", html_of(full_map()), scheme=scheme)
    painted = driver.execute_script(PAINTED)
    assert len(painted) > 150
    for text, ink, ground in painted:
        assert contrast(hexed(ink), hexed(ground)) >= ENOUGH_FOR_TEXT, (text, ink, ground)
    assert hexed(driver.execute_script("return getComputedStyle(document.body).backgroundColor")) == colours["page"]
    show(driver, tmp_path, "map.svg", svg_of(full_map()), scheme=scheme)
    paper = driver.execute_script("return getComputedStyle(document.querySelector('.paper')).fill")
    assert hexed(paper) == colours["page"]


def hexed(colour: str) -> str:
    red, green, blue = map(int, re.findall(r"\d+", colour)[:3])
    return f"#{red:02x}{green:02x}{blue:02x}"


@pytest.mark.parametrize("name", ["map.svg", "map.html"])
def test_nothing_is_requested_and_the_browser_complains_of_nothing(driver: Chrome, tmp_path: Path, name: str) -> None:
    complaints(driver)
    show(driver, tmp_path, name, (svg_of if name == "map.svg" else html_of)(full_map()))
    loaded: list[Any] = driver.execute_script("return performance.getEntriesByType('resource').map(each => each.name)")
    assert loaded == []
    assert complaints(driver) == []


def test_paper_is_white_and_keeps_what_squares_and_marks_say(driver: Chrome, tmp_path: Path) -> None:
    show(driver, tmp_path, "map.html", html_of(full_map()), scheme="dark")
    media = {"media": "print", "features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    assert hexed(driver.execute_script("return getComputedStyle(document.body).backgroundColor")) == LIGHT["page"]
    assert hexed(driver.execute_script("return getComputedStyle(document.body).color")) == LIGHT["ink"]
    kept = "return getComputedStyle(document.querySelector('.square.free')).printColorAdjust"
    assert driver.execute_script(kept) == "exact"
    assert driver.execute_script("return document.querySelector('details').checkVisibility()") is False
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_the_policy_of_the_page_lets_no_script_run(driver: Chrome, tmp_path: Path) -> None:
    page = html_of(full_map()).replace("<main>", "<main><script>document.title = 'ran'</script>")
    show(driver, tmp_path, "map.html", page)
    assert driver.title.startswith("Map of the chip")
    complaints(driver)


def test_tables_keep_their_meaning_on_a_narrow_screen_and_links_lead_to_slots(driver: Chrome, tmp_path: Path) -> None:
    show(driver, tmp_path, "map.html", html_of(full_map()), width=400)
    tree = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = [node["role"]["value"] for node in tree if not node["ignored"]]
    assert roles.count("table") == 2
    assert roles.count("rowheader") == 16 + len(full_map().fields)
    link = driver.find_element("css selector", "#slot-4 .bonds a")
    target = link.get_attribute("href")
    link.send_keys("\n")
    assert driver.current_url == target
