from __future__ import annotations

import json
from pathlib import Path

import pytest

from atcaprov.cli.main import atcaprov
from atcaprov.product_profile.preset import PRESETS
from tests.product_profile.profiles import FITTING, MINIMAL
from tests.support.programs import Ended, run_in_process


def profile(*arguments: str | Path) -> Ended:
    return run_in_process(atcaprov, "profile", *map(str, arguments))


@pytest.mark.parametrize("name", FITTING)
def test_template_checks_clean(name: str, tmp_path: Path) -> None:
    printed = profile("template", name)
    assert printed.code == 0
    path = tmp_path / "product.toml"
    path.write_text(printed.out)
    checked = profile("check", path)
    assert checked.code == 0
    assert f"product example-{name} is valid. Key in slot 0, certificates in slots 10, 11, 12" in checked.out


def test_template_without_a_name_is_the_plain_tls_client() -> None:
    assert profile("template").out == PRESETS["tls-client"].text


def test_template_that_does_not_fit_is_refused() -> None:
    ended = profile("template", "qi")
    assert (ended.code, ended.out) == (2, "")
    assert "No profile can describe this certificate" in ended.err


def test_unknown_preset_lists_the_names() -> None:
    ended = profile("template", "x")
    assert ended.code == 2
    assert f"Use one of {', '.join(PRESETS)}." in ended.err


def test_list_marks_what_is_not_judged_or_not_possible() -> None:
    lines = profile("list").out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == list(PRESETS)
    assert any(line.startswith("matter-dac") and line.endswith("not judged by programs of others") for line in lines)
    assert any("no profile: each has a number of its own" in line for line in lines)


def test_check_names_file_line_and_field(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(MINIMAL.replace("chain_id = 0", "chain_id = 99"))
    ended = profile("check", path)
    assert ended.code == 2
    assert f"{path}, line 5: certificate.chain_id must be a whole number from 0 to 15, not 99." in ended.err


def test_schema_is_json() -> None:
    assert json.loads(profile("schema").out)["title"] == "Product profile"
