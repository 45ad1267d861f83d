"""Every page in a browser: axe, keyboard, widths, dark and light, print. One browser for all."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from atcaprov.web.roles import Role
from tests.support import ledgers
from tests.support.axe import barriers
from tests.support.browser import browser, complaints
from tests.support.factory_days import administer, fill
from tests.support.in_memory_signer import MemorySigner
from tests.support.server import PATIENCE
from tests.support.web_pages import MemoryPages, served

pytestmark = pytest.mark.slow

PAGES = (
    "/overview",
    "/signers",
    "/stations",
    "/stations/remove?name=line-1",
    "/orders",
    "/orders/close?name=A-1001",
    "/certificates?q=nothing",
    "/certificates?list=revoked",
    "/certificates/0",
    "/certificates/1/revoke",
    "/audit",
)
WIDTHS = (320, 480, 800, 1280, 1920, 3840)
REACHABLE = "a[href], button:enabled, input:not([type=hidden]), select, summary, [tabindex='0']"
_FOCUSED = """
const each = document.activeElement, style = getComputedStyle(each), box = each.getBoundingClientRect();
return {number: [...document.querySelectorAll(arguments[0])].indexOf(each), html: each.outerHTML.slice(0, 100),
  outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2, seen: box.width > 1 && box.height > 1,
  inside: box.top < innerHeight && box.bottom > 0};
"""
_SHOWN = """
return [...document.querySelectorAll(arguments[0])].map((each) => each.checkVisibility()
  && !(each.closest("details:not([open])") && each.tagName !== "SUMMARY"));
"""


class Site:
    """A browser that is logged in as an administrator at pages of a factory."""

    def __init__(self, driver: Chrome, url: str, pages: MemoryPages) -> None:
        self.driver = driver
        self.url = url
        self.pages = pages

    def open(self, page: str) -> None:
        self.driver.get(self.url + page)

    def log_in(self, role: Role) -> None:
        self.driver.delete_all_cookies()
        self.driver.get("about:blank")
        self.open(f"/login#{self.pages.logins.new_code(role)}")
        self.driver.find_element(By.CSS_SELECTOR, "header nav")

    def media(self, *, scheme: str = "light", kind: str = "") -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": kind, "features": features})

    def until(self, look: Callable[[], bool]) -> None:
        """Wait until something is to be seen."""
        wait = WebDriverWait(self.driver, PATIENCE, 0.2, ignored_exceptions=[StaleElementReferenceException])
        wait.until(lambda _: look())

    def width(self, width: int) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.driver.execute_script(wide))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data, now = tmp_path_factory.mktemp("data"), datetime.now(UTC)
    low, waiting = MemorySigner(), MemorySigner(password=b"geheim")
    low.remaining = 40
    with contextlib.closing(MemoryPages(data, [ledgers.signer(), waiting, low], now=now)) as pages:
        fill(pages.ledger, now, 48)
        administer(pages.ledger, now)
        pages.connected.add("line-1")
        with served(pages) as url, browser(tmp_path_factory.mktemp("browser")) as driver:
            driver.implicitly_wait(10)
            driver.set_script_timeout(60)
            found = Site(driver, url, pages)
            found.log_in(Role.ADMINISTER)
            yield found


@pytest.fixture(autouse=True)
def as_at_first(site: Site) -> None:
    site.media()
    site.width(1280)


@pytest.mark.parametrize(("scheme", "rules"), [("light", ()), ("dark", ("color-contrast",))])
def test_axe_finds_no_barrier(site: Site, scheme: str, rules: tuple[str, ...]) -> None:
    site.media(scheme=scheme)
    found = {}
    for page in PAGES:
        site.open(page)
        site.driver.execute_script("document.querySelectorAll('details').forEach((each) => each.open = true)")
        found[page] = barriers(site.driver, *rules)
    assert {page: each for page, each in found.items() if each} == {}
    assert complaints(site.driver) == []


def test_axe_finds_no_barrier_at_the_login_and_on_a_phone(site: Site) -> None:
    site.width(320)
    for page in PAGES[:2]:
        site.open(page)
        assert barriers(site.driver) == []
    cookies = site.driver.get_cookies()
    site.driver.delete_all_cookies()
    site.open("/login")
    assert barriers(site.driver) == []
    for cookie in cookies:
        site.driver.add_cookie(cookie)


def test_no_page_is_wider_than_its_window(site: Site) -> None:
    found = {}
    for page in PAGES:
        site.open(page)
        for width in WIDTHS:
            site.width(width)
            found[page, width] = site.overflow()
    assert {place: pixels for place, pixels in found.items() if pixels > 0} == {}


def test_the_numbers_on_the_wall_are_read_from_three_metres(site: Site) -> None:
    """A capital letter of 15 mm is; it has 0.7 em. A wall screen of 55 inches is 1,218 mm wide."""
    site.open("/overview")
    for width in (1920, 3840):
        site.width(width)
        for place in (".numbers dd", ".alarms a, .no-alarm"):
            for each in site.driver.find_elements(By.CSS_SELECTOR, place)[:1]:
                pixels = float(each.value_of_css_property("font-size").removesuffix("px"))
                assert pixels * 0.7 * 1218 / width >= 15, (width, place, pixels)


def test_everything_is_reached_with_the_keyboard_and_seen_to_be(site: Site) -> None:
    for page in PAGES:
        site.open(page)
        shown = site.driver.execute_script(_SHOWN, REACHABLE)
        wanted = {number for number, visible in enumerate(shown) if visible}
        reached, body = set[int](), site.driver.find_element(By.TAG_NAME, "body")
        for _ in range(len(wanted) + 2):
            body.send_keys(Keys.TAB) if not reached else site.driver.switch_to.active_element.send_keys(Keys.TAB)
            focused = site.driver.execute_script(_FOCUSED, REACHABLE)
            if focused["number"] < 0:
                break
            assert focused["outline"], (page, focused)
            assert focused["seen"], (page, focused)
            assert focused["inside"], (page, focused)
            reached.add(focused["number"])
        assert reached == wanted, page


def test_the_skip_link_leads_past_the_navigation(site: Site) -> None:
    site.open("/overview")
    site.driver.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    link = site.driver.switch_to.active_element
    assert link.text == "Skip to the content"
    link.send_keys(Keys.ENTER)
    site.driver.switch_to.active_element.send_keys(Keys.TAB)
    inside = "return document.getElementById('content').contains(document.activeElement)"
    assert site.driver.execute_script(inside)


def test_paper_shows_the_content_without_what_only_a_screen_needs(site: Site) -> None:
    for page in ("/overview", "/certificates/0"):
        site.open(page)
        site.media(kind="print")
        assert not site.driver.find_element(By.CSS_SELECTOR, "header nav").is_displayed()
        assert site.driver.find_element(By.ID, "content").is_displayed()
        assert base64.b64decode(site.driver.print_page()).startswith(b"%PDF-")


def test_a_page_on_the_wall_keeps_itself_new_and_leaves_open_what_was_opened(site: Site) -> None:
    site.log_in(Role.LOOK)
    site.open("/overview")
    driver = site.driver
    details = driver.find_element(By.CSS_SELECTOR, "#plots details")
    driver.execute_script("arguments[0].open = true", details)
    before = driver.find_element(By.ID, "numbers").text
    assert fill(site.pages.ledger, site.pages.parts.figures.now(), 3) == 3
    site.until(lambda: driver.find_element(By.ID, "numbers").text != before)
    assert driver.find_element(By.CSS_SELECTOR, "#plots details").get_attribute("open") is not None
    assert complaints(driver) == []
