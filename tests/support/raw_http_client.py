"""A plain HTTP client of the server's web page, which can send what no browser would."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from atcaprov.web.login_links import FILE_NAME
from tests.support.server import PATIENCE

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SCRIPT = {**FORM, "Accept": "application/json"}


class HttpReply(NamedTuple):
    """One HTTP reply."""

    status: int
    headers: Mapping[str, str]
    text: str


class Visitor:
    """Hold the link of the next login and, once used, the `cookie` that came for it."""

    def __init__(self, data: Path, tls: ssl.SSLContext | None = None, host: str | None = None) -> None:
        """Take the link that a server without a console leaves in its data folder; `host` replaces its host."""
        self._data = data
        self._tls = tls
        self._host = host
        self.cookie = ""
        self.secret = ""

    @property
    def link(self) -> str:
        return (self._data / FILE_NAME).read_text().strip()

    @property
    def code(self) -> str:
        return urlsplit(self.link).fragment

    @property
    def place(self) -> str:
        """Host and port."""
        link = urlsplit(self.link)
        return f"{self._host or link.hostname}:{link.port}"

    @property
    def origin(self) -> str:
        return f"{urlsplit(self.link).scheme}://{self.place}"

    def connect(self) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(self.place, timeout=PATIENCE, context=self._tls)
        return http.client.HTTPConnection(self.place, timeout=PATIENCE)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpReply:
        """Send one request, with the cookie, and the origin if it is a form; an empty header is not sent."""
        own = {"Cookie": self.cookie, **({"Origin": self.origin} if method == "POST" else {})}
        sent = {name: value for name, value in {**own, **(headers or {})}.items() if value}
        connection = self.connect()
        try:
            connection.request(method, path, body, sent)
            reply = connection.getresponse()
            return HttpReply(
                reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read().decode()
            )
        finally:
            connection.close()

    def log_in(self, code: str = "") -> HttpReply:
        """Log in by the link, or with another code."""
        reply = self.send_form("/login", {"code": code or self.code})
        self.cookie = reply.headers["set-cookie"].partition(";")[0]
        found = re.search(r'name="secret" value="([^"]+)"', self.ask("GET", "/signers").text)
        assert found is not None
        self.secret = found[1]
        return reply

    def send_form(self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> HttpReply:
        return self.ask("POST", path, urlencode(fields).encode(), {**FORM, **(headers or {})})

    def give_password(self, signer: str, password: str) -> dict[str, Any]:
        """Send the form of a signer as the page's script does; return the JSON that comes back."""
        reply = self.send_form(
            f"/signers/{signer}/password", {"secret": self.secret, "password": password}, {"Accept": "application/json"}
        )
        found: dict[str, Any] = json.loads(reply.text)
        return found

    @contextmanager
    def events(self) -> Iterator[Iterator[dict[str, Any]]]:
        """Follow the page's events."""
        connection = self.connect()
        try:
            connection.request("GET", "/signers/events", headers={"Cookie": self.cookie})
            reply = connection.getresponse()
            assert reply.status == 200
            yield _events(reply)
        finally:
            connection.close()


def _events(reply: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    while line := reply.readline():
        name, _, value = line.decode().partition(": ")
        if name == "data":
            yield json.loads(value)
