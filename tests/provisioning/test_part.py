"""Which part a chip is: told by Info alone (AN3539, section 1.2.4)."""

from __future__ import annotations

import pytest

from atcaprov.chip.parts import is_508, is_608, is_known, part_name
from atcaprov.errors import Board, Code, ProvisioningError
from atcaprov.provisioning.part import newer_silicon, require_608


@pytest.mark.parametrize(
    ("revision", "name"),
    [
        ("00005000", "ATECC508A"),
        ("00006001", "ATECC608A"),
        ("00006002", "ATECC608A"),
        ("00006003", "ATECC608B"),
        ("00006004", "ATECC608C"),
        ("00006005", "ATECC608, unknown revision 00 00 60 05"),
        ("00020009", "unknown part, revision 00 02 00 09"),
        ("", "unknown part, revision "),
    ],
)
def test_the_name_of_a_part(revision: str, name: str) -> None:
    assert part_name(bytes.fromhex(revision)) == name


@pytest.mark.parametrize("revision", ["00005000", "00020009", "00000000", "00600002"])
def test_a_chip_that_is_not_a_608_is_refused_untouched(revision: str) -> None:
    with pytest.raises(ProvisioningError) as wrong:
        require_608(bytes.fromhex(revision))
    assert (wrong.value.code, wrong.value.board) == (Code.WRONG_PART, Board.UNTOUCHED)
    assert bytes.fromhex(revision).hex(" ") in str(wrong.value)
    assert newer_silicon(bytes.fromhex(revision)) is None


@pytest.mark.parametrize("silicon", range(256))
def test_every_608_is_accepted_and_unknown_silicon_is_warned_of(silicon: int) -> None:
    revision = bytes((0, 0, 0x60, silicon))
    assert is_608(revision)
    assert not is_508(revision)
    require_608(revision)
    warning = newer_silicon(revision)
    assert (warning is None) == is_known(revision) == (silicon <= 4)
    assert warning is None or warning.code == Code.REVISION_UNKNOWN
