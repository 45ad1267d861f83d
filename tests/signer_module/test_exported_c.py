"""The C definitions that a module's export holds, for names, serial numbers and dates at their borders.

gcc compiles them, and with them the vendor's library rebuilds both certificates from a product's chip.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from atcaprov.certs.descriptions.description import default_text
from signer_module.commands import options
from signer_module.on_chip.module import SignerModule
from tests.signer_module.test_module_commands import compiled, provisioned
from tests.signer_module.test_openssl_and_gnutls import FIRST_YEAR_OF_DATES
from tests.support import atcacert
from tests.support.programs import run_signer_module as run
from tests.support.signer_modules import CHEAP, SIGNER, working_folder
from tests.support.stock_cryptoauthlib import Wheel

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Odd:
    """What a signer, its root and its devices are like, and when they are made."""

    at: datetime = datetime(2026, 6, 1, 8, 30, tzinfo=UTC)
    organization: str = "Example Organization"
    signer: str = "Signer {signer_id}"
    device: str = "Device {chip_serial}"
    signer_serial: str = "PUB_KEY_HASH"
    device_serial: str = "PUB_KEY_HASH"
    size: int | None = None
    years: int = 0
    version: int = 0
    alternative_name: str = ""
    """The lines of the device's table [subject_alt_name]."""
    definition: str = ""
    """What the definitions are called beyond `signer` and `device`."""

    def describe(self) -> tuple[str, ...]:
        """Write the descriptions into the working folder; return the options that name them."""
        subjects = {"signer": (self.signer, self.signer_serial), "device": (self.device, self.device_serial)}
        for role, (subject, serial) in subjects.items():
            text = default_text("signer" if role == "signer" else "device")
            sized = f"\nserial_number_size = {self.size}" if self.size and serial.endswith("HASH") else ""
            for old, new in (
                (f'name = "{role}"', f'name = "{role}{self.definition}"'),
                ('serial_number = "PUB_KEY_HASH"', f'serial_number = "{serial}"{sized}'),
                ("Example Organization", self.organization),
                (
                    f"Example ATECC608A {role.capitalize()} {{{'signer_id' if role == 'signer' else 'chip_serial'}}}",
                    subject,
                ),
                ("expire_years = 0", f"expire_years = {self.years}"),
                ("compressed_format = 0", f"compressed_format = {self.version}"),
            ):
                assert text.count(old) == 1, old
                text = text.replace(old, new)
            if self.alternative_name and role == "device":
                text = text.replace("[slots]", f"[subject_alt_name]\n{self.alternative_name}\n[slots]")
            Path(f"{role}.toml").write_text(text, encoding="utf-8")
        return ("--signer-description", "signer.toml", "--device-description", "device.toml")


CASES = {
    "plain": Odd(),
    "letters of two, three and four bytes": Odd(
        organization="Überströmungsgesellschaft 電子 🔒",
        signer="Čertifikát 電 {signer_id}",
        device="🔒 {chip_serial} 電",
    ),
    "longest names": Odd(
        organization="電" * 64, signer="ß" * 29 + "s {signer_id}", device="é" * 14 + "{chip_serial}" * 2
    ),
    "longest names without variable parts": Odd(organization="🔒" * 64, device="ü" * 32),
    "signs of C and of X.500": Odd(organization='*/ \\\\ %s " ??/ , + = < > # ;'.replace('"', '\\"'), device="\\\\x00"),
    "shortest names": Odd(organization="o", signer="s {signer_id}", device="d"),
    "numbers of signer id and chip": Odd(signer_serial="SIGNER_ID", device_serial="DEVICE_SN"),
    "shortest hashes": Odd(device_serial="DEVICE_SN_HASH", size=8),
    "longest hashes": Odd(device_serial="DEVICE_SN_HASH", size=20),
    "longest hashes of keys": Odd(size=20),
    "first hour": Odd(at=datetime(2000, 1, 1, tzinfo=UTC)),
    "last hour of format 0": Odd(at=datetime(2031, 12, 31, 23, 59, 59, tzinfo=UTC), years=31),
    "29 February with an end": Odd(at=datetime(2028, 2, 29, 12, tzinfo=UTC), years=1),
    "29 February without": Odd(at=datetime(2028, 2, 29, 12, tzinfo=UTC)),
    "end in the last year of UTCTime": Odd(at=datetime(2030, 12, 31, 23, tzinfo=UTC), years=19),
    "end in the first year of GeneralizedTime": Odd(at=datetime(2030, 1, 1, tzinfo=UTC), years=20),
    "last hour of UTCTime": Odd(at=datetime(2049, 12, 31, 23, tzinfo=UTC), years=1, version=1),
    "first hour of GeneralizedTime": Odd(at=datetime(2050, 1, 1, tzinfo=UTC), version=1),
    "last hour of format 1": Odd(at=datetime(2127, 12, 31, 23, 59, tzinfo=UTC), years=127, version=1),
    "alternative names of each kind": Odd(
        alternative_name='hardware_module_type = "1.3.6.1.4.1.32473.1"\nuri = "urn:example:{chip_serial}"\n'
        'directory_name = { organization = "電", serial_number = "{chip_serial}" }\n'
        'dns_name = "{chip_serial_lower}.example.com"'
    ),
    "long names of definitions": Odd(definition="_" + "x" * 25),
}


@pytest.mark.parametrize("case", CASES)
def test_the_library_rebuilds_with_what_a_module_exports(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = CASES[case]
    working_folder(tmp_path, monkeypatch)
    monkeypatch.setattr(options, "now", lambda: odd.at)
    monkeypatch.setattr("atcaprov.certs.dates.EARLIEST_CLOCK_YEAR", FIRST_YEAR_OF_DATES)
    assert run("root", "create", "--out", "root", "--no-password") == 0
    made = ("--device", SIGNER, "--no-password", *CHEAP, *odd.describe())
    assert run("signer", "create", "--root", "root", *made) == 0
    assert run("export", "--device", SIGNER, "--out", "export") == 0
    with SignerModule.open(SIGNER) as module:
        hal, device_der = provisioned(module, odd.at)
        signer_der, signer_key = module.certificate, module.public_key
    library = compiled(tmp_path / "export")
    root_key = bytes((ctypes.c_uint8 * 64).in_dll(library, f"g_signer{odd.definition}_1_ca_public_key"))
    wheel = Wheel(hal.chip.chip)  # type: ignore[attr-defined]
    for name, key, expected in (("1_signer", root_key, signer_der), ("2_device", signer_key, device_der)):
        definition = atcacert.Definition.in_dll(library, f"g_cert_def_{name}{odd.definition}")
        assert atcacert.read_certificate(wheel, definition, key) == expected
    wheel.close()
    subject = x509.load_der_x509_certificate(device_der).subject
    assert odd.organization.replace("\\\\", "\\").replace('\\"', '"') in [attribute.value for attribute in subject]
