"""Opens the page if it is wanted; what it needs is imported then, so that a server without it needs less."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atcaprov.errors import Code, UsageError
from atcaprov.log import Log
from atcaprov.missing_packages import extra_command
from atcaprov.web.address import WebAddress
from atcaprov.web.login_links import Links
from provisioning_server.passwords.unlock_service import PasswordDesk
from provisioning_server.web.views import SignerBoard

if TYPE_CHECKING:
    from provisioning_server.web.service import WebPage


def open_page(address: WebAddress, board: SignerBoard, desk: PasswordDesk, log: Log, links: Links) -> WebPage:
    """Return the page, which does not listen yet; raises UsageError, LIBRARY_MISSING if its packages are missing."""
    try:
        from provisioning_server.web.service import WebPage
    except ImportError as error:
        raise UsageError(
            f"The Python package {error.name} is missing, which serves the web page.",
            advice=f"Install what the page needs: {extra_command('web')}",
            code=Code.LIBRARY_MISSING,
        ) from error
    return WebPage(address, board, desk, log, links)
