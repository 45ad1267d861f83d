"""What is on a TFLXTLS after its run, and what its table allows, judged by the stock cryptoauthlib and OpenSSL."""

from __future__ import annotations

from collections.abc import Iterator
from ctypes import byref, c_size_t
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov import DeliveredPart, Device, EmulatedHal, Profile, Provisioned, Provisioner, SoftwareChip
from atcaprov.certs.keys import verify_digest
from tests.support.atcacert import c_definition, read_certificate, write_certificate
from tests.support.in_memory_server import InMemory, MemoryCa
from tests.support.openssl import verify_with_openssl
from tests.support.scripted_hal import ScriptedHal
from tests.support.stock_cryptoauthlib import LIBRARY, Wheel, buffer, driven, flag

pytestmark = pytest.mark.slow

IMAGES = ["tflxtls", "tflxtls-608a", "tflxtls-608c"]
CERTIFICATE_SLOTS = (10, 11, 12)
DIGEST = bytes(range(32))


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


def chip_of(hal: ScriptedHal) -> SoftwareChip:
    assert isinstance(hal.chip, EmulatedHal)
    return hal.chip.chip


def provisioned(image: str, authority: MemoryCa, **options: object) -> tuple[SoftwareChip, Provisioned]:
    hal = ScriptedHal(f"emulator:?image={image}")
    profile = Profile(part=DeliveredPart.TFLXTLS, replace_certificates=True, **options)  # type: ignore[arg-type]
    with Device(hal) as device:
        result = Provisioner(profile, authority.cert_info, InMemory(authority)).provision(device)
    return chip_of(hal), result


@pytest.mark.parametrize("image", IMAGES)
def test_the_library_reads_configuration_and_certificates(authority: MemoryCa, image: str, tmp_path: Path) -> None:
    chip, result = provisioned(image, authority, slots_to_lock=CERTIFICATE_SLOTS)
    with driven(chip) as wheel:
        assert wheel.fetch("calib_read_config_zone", 128) == bytes(chip.memory.config)
        for slot, expected in ((10, True), (11, True), (12, True), (8, False)):
            locked = flag()
            wheel.call("calib_is_slot_locked", slot, byref(locked))
            assert locked.value is expected
        signer = read_certificate(wheel, c_definition(authority.signer_definition), authority.root_public_key)
        device = read_certificate(wheel, c_definition(authority.device_definition), authority.signer_public_key)
        key = wheel.fetch("calib_get_pubkey", 64, 0)
        assert verify_digest(key, DIGEST, wheel.fetch("calib_sign", 64, 0, buffer(DIGEST)))
    assert (device, signer) == (result.device_certificate, result.signer_certificate)
    verify_with_openssl(tmp_path, device, signer, authority.root_certificate)


@pytest.mark.parametrize("key_slot", [2, 3, 4])
def test_the_library_signs_with_a_key_that_was_made(key_slot: int) -> None:
    authority = MemoryCa(private_key=key_slot)
    chip, result = provisioned("tflxtls", authority, device_key_slot=key_slot, slots_to_lock=(key_slot,))
    with driven(chip) as wheel:
        device = read_certificate(wheel, c_definition(authority.device_definition), authority.signer_public_key)
        key = wheel.fetch("calib_get_pubkey", 64, key_slot)
        assert verify_digest(key, DIGEST, wheel.fetch("calib_sign", 64, key_slot, buffer(DIGEST)))
        wheel.refused("calib_genkey", key_slot, buffer(bytes(64)))
    assert device == result.device_certificate


def test_the_run_writes_what_the_librarys_own_function_writes(authority: MemoryCa) -> None:
    ours, result = provisioned("tflxtls", authority)
    with Device.open("emulator:?image=tflxtls") as device:
        serial = device.serial_number()
    assert serial != result.serial_number
    hal = ScriptedHal("emulator:?image=tflxtls")
    with driven(chip_of(hal)) as wheel:
        write_certificate(wheel, c_definition(authority.device_definition), result.device_certificate)
        write_certificate(wheel, c_definition(authority.signer_definition), result.signer_certificate)
    for slot in CERTIFICATE_SLOTS:
        assert hal.memory.read_slot(slot, 0, 72) == ours.memory.read_slot(slot, 0, 72)


class TestTheTable:
    """A locked data zone does not close slots 10 to 12 of a TFLXTLS (WriteConfig Always), their slot lock does."""

    @pytest.fixture(params=IMAGES)
    def flex(self, request: pytest.FixtureRequest) -> Iterator[Wheel]:
        with driven(chip_of(ScriptedHal(f"emulator:?image={request.param}"))) as wheel:
            yield wheel

    @pytest.mark.parametrize("slot", CERTIFICATE_SLOTS)
    def test_certificates_are_written_until_their_slot_is_locked(self, flex: Wheel, slot: int) -> None:
        locked = flag()
        flex.call("calib_is_locked", 1, byref(locked))  # LOCK_ZONE_DATA
        assert locked.value
        flex.call("calib_write_bytes_zone", 2, slot, 0, buffer(b"c" * 72), 72)
        found = buffer(bytes(72))
        flex.call("calib_read_bytes_zone", 2, slot, 0, found, 72)
        assert bytes(found) == b"c" * 72
        flex.call("calib_lock_data_slot", slot)
        flex.refused("calib_write_bytes_zone", 2, slot, 0, buffer(b"d" * 72), 72)

    @pytest.mark.parametrize("slot", CERTIFICATE_SLOTS)
    @pytest.mark.parametrize("image", ["tngtls", "tngtls-608a", "tngtls-608c"])
    def test_certificates_of_a_tngtls_are_permanent(self, image: str, slot: int) -> None:
        with driven(chip_of(ScriptedHal(f"emulator:?image={image}"))) as wheel:
            wheel.refused("calib_write_bytes_zone", 2, slot, 0, buffer(b"c" * 72), 72)
            wheel.refused("calib_lock_data_slot", slot)

    @pytest.mark.parametrize("slot", [0, 1, 7, 9, 14])
    def test_other_slots_cannot_be_locked(self, flex: Wheel, slot: int) -> None:
        flex.refused("calib_lock_data_slot", slot)

    @pytest.mark.parametrize("slot", [0, 1])
    def test_the_makers_keys_cannot_be_replaced(self, flex: Wheel, slot: int) -> None:
        flex.refused("calib_genkey", slot, buffer(bytes(64)))


def test_the_makers_certificates_are_gone_afterwards(authority: MemoryCa) -> None:
    """The vendor's functions rebuild nothing that anyone signed: the warning of the run is true."""
    chip, _ = provisioned("tflxtls", authority)
    signer_key = authority.signer_key.public_key()
    with driven(chip) as wheel, wheel.as_the_only_device():
        out, size = buffer(bytes(1024)), c_size_t(1024)
        assert LIBRARY.tng_atcacert_read_device_cert(out, byref(size), None) == 0
    # The default description has the template id of the vendor's early definition, so there is something to rebuild.
    rebuilt = x509.load_der_x509_certificate(bytes(out)[: size.value])
    with pytest.raises(InvalidSignature):
        signer_key.verify(rebuilt.signature, rebuilt.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
