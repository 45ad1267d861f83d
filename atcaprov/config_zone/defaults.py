"""The default product configuration.

configs/atecc608a-default.toml gives every setting with its reason and configs/atecc608a-default.hex the same bytes for
`--config`; tests prove the three equal.
"""

from __future__ import annotations

from typing import Final

DEFAULT_608A: Final = bytes.fromhex(
    """
    00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
    C0 00 00 00 85 00 82 20  85 20 85 20 85 20 8F 8F
    8F 8F 8F 8F 0F 0F 8F 8F  0F 8F 0F 8F 0F 8F 0F 0F
    0F 0F 0F 0F FF FF FF FF  00 00 00 00 FF FF FF FF
    00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
    00 00 00 00 00 00 55 55  FF FF 00 00 00 00 00 00
    33 00 33 00 33 00 33 00  33 00 1C 00 1C 00 1C 00
    3C 00 1C 00 1C 00 10 00  1C 00 3C 00 3C 00 3C 00
    """
)

DEFAULT_DEVICE_KEY_SLOT: Final = 0
DEFAULT_CERTIFICATE_SLOTS: Final = frozenset({10, 11, 12})
"""Device certificate, signer public key, signer certificate."""
