"""Products that a server issues for, in memory."""

from __future__ import annotations

from pathlib import Path

from atcaprov.certs.descriptions.description import default_text
from atcaprov.product_profile.profile_file import profile_from_toml
from provisioning_server.products.product import Product
from provisioning_server.products.served_products import ServedProducts


def served(*zones: bytes) -> ServedProducts:
    """Return products of which only the configuration zones (128 bytes each) are known."""
    return ServedProducts([Product(zone) for zone in zones])


def profiled(*texts: str) -> ServedProducts:
    """Return the products of profiles in TOML."""
    profiles = [profile_from_toml(text, Path(f"product-{number}.toml")) for number, text in enumerate(texts, 1)]
    return ServedProducts([Product(profile.config_zone, profile) for profile in profiles])


def profile_text(name: str, more: str = "") -> str:
    """Return the profile of a product with the certificates that the default signers issue."""
    device = default_text("device").replace('role = "device"', "[certificate]")
    for table in ("subject", "validity", "extensions", "slots"):
        device = device.replace(f"[{table}]", f"[certificate.{table}]")
    return f'name = "{name}"\n{more}\n{device}'
