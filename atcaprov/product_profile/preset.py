"""Presets: profiles to start from, and formats of others that no profile can describe, with the reason."""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from atcaprov.errors import Code, UsageError

DEFAULT_PRESET: Final = "tls-client"


@dataclass(frozen=True, slots=True)
class Preset:
    """One preset: its name, what it is, whether certificates of it were judged by others, and why none is possible."""

    name: str
    summary: str
    judged: bool = True
    """Whether programs of others have checked certificates of it, as the tests do again."""
    unfit: str = ""
    """Why no certificate of ours is one of these; empty if the compressed format holds them."""

    @property
    def text(self) -> str:
        """The TOML of the profile; raises UsageError (profile-invalid) with the reason if none is possible."""
        if self.unfit:
            raise UsageError(f"No profile can describe this certificate: {self.unfit}.", code=Code.PROFILE_INVALID)
        folder = importlib.resources.files("atcaprov.product_profile") / "presets"
        return (folder / f"{self.name}.toml").read_text(encoding="utf-8")


_PRESETS: Final = (
    Preset("tls-client", "TLS client of a server of your own"),
    Preset("idevid", "initial device identity, IEEE 802.1AR"),
    Preset("aws-iot", "device of AWS IoT Core"),
    Preset("azure-dps", "device of the Azure Device Provisioning Service"),
    Preset("matter-dac", "Device Attestation Certificate of Matter, as a shape", judged=False),
    Preset(
        "qi",
        "product unit certificate of Qi 1.3",
        judged=False,
        unfit="each has a number of its own, 9 bytes from a counter of the CA, in a critical extension (2.23.148.1.2)"
        " that certificate descriptions do not have; it has no key usage and no key ids, which they always have; and"
        " only a CA with a licence of the Wireless Power Consortium may issue it",
    ),
)
PRESETS: Final = MappingProxyType({preset.name: preset for preset in _PRESETS})


def preset(name: str) -> Preset:
    """Return a preset by its name; raises UsageError (profile-invalid) that lists the names."""
    if name not in PRESETS:
        raise UsageError(
            f"Unknown preset '{name}'.",
            advice=f"Use one of {', '.join(PRESETS)}.",
            code=Code.PROFILE_INVALID,
        )
    return PRESETS[name]
