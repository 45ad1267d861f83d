"""The page in a browser: log in, enter passwords, watch modules being plugged in and unplugged."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from atcaprov import Device
from signer_module.on_chip.creation.module_builder import ModuleOrder
from signer_module.on_chip.module import SignerModule
from signer_module.on_files.root_folder import RootFolder
from tests.support.browser import browser, complaints
from tests.support.raw_http_client import Visitor
from tests.support.server import PATIENCE, server_program
from tests.support.signer_modules import PASSWORD, make, open_order, program_order, root_folder

pytestmark = pytest.mark.slow


class Page:
    """A user at the page: what it shows, and actions on it."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def until(self, look: Callable[[], object]) -> None:
        """Wait until something is to be seen."""
        wait = WebDriverWait(self.driver, PATIENCE, 0.1, ignored_exceptions=[StaleElementReferenceException])
        wait.until(lambda _: look())

    def shown(self, serial: str) -> str:
        """Return what the card of a signer says; empty if it has none."""
        return next((card.text for card in self.cards() if serial in card.text), "")

    def cards(self) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, "#signers > .signer")

    def summary(self) -> str:
        return self.driver.find_element(By.ID, "summary").text

    def at(self, path: str) -> bool:
        return self.driver.current_url.endswith(path)

    def can_type(self) -> WebElement | None:
        """Return the field of the first signer that takes a password now."""
        forms = self.driver.find_elements(By.CSS_SELECTOR, '[data-state="waiting"] form:has(button:enabled)')
        return forms[0].find_element(By.NAME, "password") if forms else None

    def type_password(self, text: str) -> None:
        """Wait for a field and give a password, with the keyboard only."""
        self.until(self.can_type)
        field = self.can_type()
        assert field is not None
        field.send_keys(text + Keys.ENTER)


def module(path: Path, root: RootFolder, wanted: ModuleOrder, signer_id: int) -> str:
    """Make a module in a file; return its serial number as the page shows it."""
    with Device.open(f"emulator:{path}") as device:
        make(device, root, wanted, signer_id.to_bytes(2, "big"))
    with SignerModule.open(f"emulator:{path}") as made:
        return made.serial.hex().upper()


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Chrome]:
    with browser(tmp_path) as found:
        yield found


def test_signers_are_unlocked_and_modules_come_and_go_on_the_page(driver: Chrome, tmp_path: Path) -> None:
    hub, drawer = tmp_path / "hub", tmp_path / "drawer"
    hub.mkdir()
    drawer.mkdir()
    root = root_folder(tmp_path / "root")
    locked = module(hub / "locked.json", root, program_order(PASSWORD), 1)
    free = module(drawer / "free.json", root, open_order(quota=100), 2)
    page = Page(driver)
    with server_program("--module-folder", hub, "--data", tmp_path / "data", "--web", "0") as server:
        server.wait_for("requires password.")
        visitor = Visitor(tmp_path / "data")
        driver.get(visitor.link)
        page.until(lambda: page.at("/signers"))
        assert "Waits for password" in page.shown(locked)
        page.until(lambda: driver.title == "(1) Signers - Provisioning Server")

        page.type_password("wrong")
        page.until(lambda: "The password is wrong." in page.shown(locked))
        page.type_password(PASSWORD.decode())
        page.until(lambda: "Ready" in page.shown(locked))
        assert page.summary() == "1 of 1 ready"
        assert page.can_type() is None
        server.wait_for("password accepted, ready.")

        shutil.move(drawer / "free.json", hub / "free.json")
        page.until(lambda: "Ready" in page.shown(free))
        assert "Certificates left\n100\n" in page.shown(free) + "\n"
        assert len(page.cards()) == 2
        (hub / "free.json").rename(drawer / "free.json")
        page.until(lambda: "Unplugged" in page.shown(free))
        page.until(lambda: page.summary() == "1 of 2 ready")
        assert complaints(driver) == []

        driver.find_element(By.CSS_SELECTOR, "header button").click()
        page.until(lambda: page.at("/login"))
        driver.get(f"{visitor.origin}/signers")
        assert page.at("/login")
        assert server.stop() == 0
    assert PASSWORD.decode() not in "\n".join(server.lines)


def test_the_page_says_when_the_server_is_gone(driver: Chrome, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    hub.mkdir()
    page = Page(driver)
    with server_program("--module-folder", hub, "--data", tmp_path / "data", "--web", "0") as server:
        server.address()
        driver.get(Visitor(tmp_path / "data").link)
        page.until(lambda: page.at("/signers"))
        assert page.summary() == "No signers"
        assert driver.find_element(By.ID, "none").is_displayed()
        lost = driver.find_element(By.ID, "lost")
        assert not lost.is_displayed()
        assert server.stop() == 0
        page.until(lost.is_displayed)


def test_a_name_that_looks_like_markup_stays_text(driver: Chrome, tmp_path: Path) -> None:
    hub = tmp_path / "hub<img src=x onerror=alert(1)>"
    hub.mkdir()
    (hub / "garbage.json").write_text("garbage")
    page = Page(driver)
    with server_program("--module-folder", hub, "--data", tmp_path / "data", "--web", "0") as server:
        server.wait_for("is out of use until it is reconnected")
        driver.get(Visitor(tmp_path / "data").link)
        page.until(lambda: page.at("/signers"))
        page.until(lambda: "<img src=x onerror=alert(1)>" in page.shown("garbage.json"))
        assert driver.find_elements(By.TAG_NAME, "img") == []
        server.stop()


def test_without_scripts_forms_do_it_all(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    hub.mkdir()
    locked = module(hub / "locked.json", root_folder(tmp_path / "root"), program_order(PASSWORD), 1)
    with (
        browser(tmp_path, "--blink-settings=scriptEnabled=false") as driver,
        server_program("--module-folder", hub, "--data", tmp_path / "data", "--web", "0") as server,
    ):
        page = Page(driver)
        server.wait_for("requires password.")
        visitor = Visitor(tmp_path / "data")
        driver.get(visitor.link)
        driver.find_element(By.NAME, "code").send_keys(visitor.code + Keys.ENTER)
        page.until(lambda: page.at("/signers"))
        page.type_password(PASSWORD.decode())
        page.until(lambda: "Ready" in page.shown(locked))
        assert complaints(driver) == []
        assert server.stop() == 0
