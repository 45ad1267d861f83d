"""The vendor's library as a judge of certificates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.chips import awake_chip, configured_memory
from tests.support.stock_cryptoauthlib import Wheel, driven

KEY_SLOT: Final = (0x0085, 0x0033)
"""A P-256 private key whose public key may be asked for."""
DATA_SLOT: Final = (0x8F0F, 0x001C)
"""Read in clear, never written after the lock."""
SLOTS: Final = {slot: KEY_SLOT if slot < 8 else DATA_SLOT for slot in range(16)}


@pytest.fixture
def wheel() -> Iterator[Wheel]:
    """A locked chip with private keys in slots 0-7 and readable data in 8-15."""
    with driven(awake_chip(configured_memory(slots=SLOTS))) as found:
        yield found
