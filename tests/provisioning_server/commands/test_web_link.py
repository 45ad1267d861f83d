"""`provisioning-server web-link`, with and without a server that has a page."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from atcaprov.web.address import WebAddress
from atcaprov.web.roles import Role
from provisioning_server.cli import command
from provisioning_server.control.client import run_command
from tests.support.in_memory_signer import MemorySigner
from tests.support.programs import run_in_process
from tests.support.raw_http_client import Visitor
from tests.support.server import running_server


@pytest.mark.slow
def test_link_logs_in_once_with_its_role_and_the_standing_link_stays(tmp_path: Path) -> None:
    with running_server(MemorySigner(), tmp_path, web=WebAddress("127.0.0.1", 0)):
        visitor = Visitor(tmp_path)
        standing = visitor.link
        for role in Role:
            ended = run_in_process(command, "web-link", "--role", role.value, "--data", str(tmp_path))
            assert ended.code == 0, ended.err
            code = urlsplit(ended.out.strip()).fragment
            reply = visitor.send_form("/login", {"code": code})
            visitor.cookie = reply.headers["set-cookie"].partition(";")[0]
            assert f"May {role}" in visitor.ask("GET", "/overview").text
            assert visitor.send_form("/login", {"code": code}, {"Cookie": ""}).status == 403
        assert visitor.link == standing
        with pytest.raises(Exception, match="cannot have the role"):
            run_command(tmp_path, "web-link", {"role": ["look"]})


def test_server_without_a_page_says_so(tmp_path: Path) -> None:
    with running_server(MemorySigner(), tmp_path):
        ended = run_in_process(command, "web-link", "--data", str(tmp_path))
    assert ended.code == 2
    assert "This server has no web page." in ended.err


def test_without_server_there_is_no_link(tmp_path: Path) -> None:
    ended = run_in_process(command, "web-link", "--data", str(tmp_path))
    assert ended.code == 3
    assert "No server runs with the data folder" in " ".join(ended.err.split())
