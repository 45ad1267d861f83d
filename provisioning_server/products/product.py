"""A product that a server issues for, and the files it was read from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from atcaprov.config_zone.zone_file import read_zone_file
from atcaprov.product_profile.profile import ProductProfile
from atcaprov.product_profile.profile_file import read_profiles


@dataclass(frozen=True)
class ServedProduct:
    """A product: its configuration zone (128 bytes), and its profile unless only the zone is known."""

    config_zone: bytes
    profile: ProductProfile | None = None

    @property
    def name(self) -> str:
        """The name by which requests ask for it; empty if only its zone is known."""
        return "" if self.profile is None else self.profile.name

    @property
    def text(self) -> str:
        """The product in sentences."""
        return f"the product {self.name}" if self.name else "a product of this server"


@dataclass(frozen=True, slots=True)
class ProductFiles:
    """What the options of a server name: profiles (files, or folders of them), and files of configuration zones."""

    profiles: tuple[Path, ...] = ()
    zones: tuple[Path, ...] = ()

    def read(self) -> tuple[ServedProduct, ...]:
        """Return the products; raises UsageError, with file and line of a broken one."""
        profiled = [ServedProduct(profile.config_zone, profile) for profile in read_profiles(self.profiles)]
        return (*profiled, *(ServedProduct(read_zone_file(path).zone.data) for path in self.zones))
