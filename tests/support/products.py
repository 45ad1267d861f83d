"""Products that a server issues for, in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from atcaprov.certs.descriptions.description import default_text
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.product_profile.profile_file import profile_from_toml
from atcaprov.wire.messages import CertificatesRequest
from provisioning_server.products.product import ServedProduct
from provisioning_server.products.served_products import ServedProducts
from tests.support.in_memory_signer import MemorySigner
from tests.support.server_parts import request


def served(*zones: bytes) -> ServedProducts:
    """Return products of which only the configuration zones (128 bytes each) are known."""
    return ServedProducts([ServedProduct(zone) for zone in zones])


def profiled(*texts: str) -> ServedProducts:
    """Return the products of profiles in TOML."""
    profiles = [profile_from_toml(text, Path(f"product-{number}.toml")) for number, text in enumerate(texts, 1)]
    return ServedProducts([ServedProduct(profile.config_zone, profile) for profile in profiles])


def profile_text(name: str, more: str = "") -> str:
    """Return the profile of a product with the certificates that the default signers issue."""
    device = default_text("device").replace('role = "device"', "[certificate]")
    for table in ("subject", "validity", "extensions", "slots"):
        device = device.replace(f"[{table}]", f"[certificate.{table}]")
    return f'name = "{name}"\n{more}\n{device}'


def chip_of(
    signer: MemorySigner, number: int = 1, product: str = "", *, zone: bytes = DEFAULT_608A
) -> CertificatesRequest:
    """Return the request of a chip that was locked with a configuration."""
    message = request(signer, number=number)
    locked = message.config_zone[:16] + zone[16:86] + message.config_zone[86:88] + zone[88:]
    return replace(message, config_zone=locked, product=product)
