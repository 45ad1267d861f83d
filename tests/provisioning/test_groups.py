"""A client that takes any signer of its product: what it accepts, and what it never does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov import CertificateError, Code, Device, Profile, Provisioner
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.descriptions.description import default_description
from atcaprov.certs.descriptions.template import device_definition, signer_definition
from atcaprov.certs.rebuild import from_slots
from atcaprov.chip.memory_map import LOCK_CONFIG, LOCK_VALUE, LOCKED, UNLOCKED
from atcaprov.wire.messages import AnyMessage, CertificatesRequest, SignerRequest
from tests.support.in_memory_server import InMemory, MemoryCa
from tests.support.scripted_hal import ScriptedHal

ANY = Profile(any_of_group=True)


class Group(MemoryCa):
    """Offers its own signer; has certificates made by another one."""

    def __init__(self, other: MemoryCa | None = None) -> None:
        super().__init__()
        self.other = other or MemoryCa()
        self.other.root_key = self.root_key
        self.offering: MemoryCa | None = None

    def answer(self, request: AnyMessage) -> AnyMessage:
        if isinstance(request, SignerRequest):
            offering = self.offering or self
            return MemoryCa.answer(offering, SignerRequest(offering.signer_public_key))
        assert isinstance(request, CertificatesRequest)
        return self.other.answer(replace(request, signer_public_key=self.other.signer_public_key))


def provision(group: Group, hal: ScriptedHal, profile: Profile = ANY) -> InMemory:
    functions = InMemory(group)
    with Device(hal) as device:
        Provisioner(profile, group.cert_info, functions).provision(device)
    return functions


def refuse(group: Group, profile: Profile = ANY) -> str:
    """Return the code with which a run ends before a certificate is written."""
    hal, functions = ScriptedHal(), InMemory(group)
    with Device(hal) as device:
        with pytest.raises(CertificateError) as caught:
            Provisioner(profile, group.cert_info, functions).provision(device)
        assert device.read_config()[LOCK_VALUE] == UNLOCKED
    return caught.value.code


@pytest.mark.slow
def test_another_signer_of_the_group_certifies_and_the_run_can_be_repeated() -> None:
    group, hal = Group(), ScriptedHal()
    functions = provision(group, hal)
    for request in functions.requests:
        assert isinstance(request, CertificatesRequest | SignerRequest)
        assert request.any_of_group
    with Device(hal) as device:
        _, stored = from_slots(group.signer_definition, device.read_slot)
    assert stored == group.other.signer_public_key != group.signer_public_key
    again = provision(group, hal)
    assert isinstance(again.requests[-1], CertificatesRequest)
    assert again.requests[-1].existing_only


def test_client_without_any_of_group_accepts_only_the_named_signer() -> None:
    assert refuse(Group(), Profile()) == Code.CERTIFICATE_MISMATCH


def test_a_signer_under_another_root_is_never_of_the_group() -> None:
    group = Group()
    group.other.root_key = ec.generate_private_key(ec.SECP256R1())
    assert refuse(group) in (Code.CERTIFICATE_MISMATCH, Code.CHAIN_INVALID, Code.ROOT_NOT_PINNED)


def definition_of_another_product(device: bool) -> CertificateDefinition:
    now = datetime.now(UTC)
    signer = default_description("signer")
    if device:
        return device_definition(replace(default_description("device"), expire_years=3), signer=signer, at=now)
    root_name = default_description("root").subject_name()
    return signer_definition(replace(signer, expire_years=3), root_name=root_name, at=now)


@pytest.mark.parametrize("device", [True, False], ids=["device", "signer"])
def test_a_signer_of_another_product_is_never_of_the_group(device: bool) -> None:
    group = Group()
    definition = definition_of_another_product(device)
    if device:
        group.other.device_definition = definition
    else:
        group.other.signer_definition = definition
    assert refuse(group) == Code.CERTIFICATE_MISMATCH


@pytest.mark.parametrize("profile", [ANY, Profile()], ids=["any", "one"])
@pytest.mark.parametrize("ids", ["template_id", "chain_id"])
def test_an_offer_for_another_product_is_refused_before_the_chip_is_touched(profile: Profile, ids: str) -> None:
    group = Group()
    group.device_definition = replace(group.device_definition, **{ids: 9})  # type: ignore[arg-type]
    info = replace(group.cert_info, **{f"device_{ids}": 8})  # type: ignore[arg-type]
    with pytest.raises(CertificateError, match="another product") as caught:
        Provisioner(profile, info, InMemory(group)).prepare()
    assert caught.value.code == Code.CERTIFICATE_MISMATCH


def test_signer_of_another_name_is_refused() -> None:
    group = Group()
    info = replace(group.cert_info, signer_name="Another Signer")
    with pytest.raises(CertificateError, match="another product"):
        Provisioner(ANY, info, InMemory(group)).prepare()


def test_offered_signer_of_the_group_is_accepted() -> None:
    group = Group()
    group.offering = group.other
    hal = ScriptedHal()
    provision(group, hal)
    with Device(hal) as device:
        assert device.read_config()[LOCK_CONFIG] == LOCKED
