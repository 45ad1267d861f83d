"""What the library does to a chip in its own process it does to a served one, over each leg."""

from __future__ import annotations

from tests.emulator.test_provisioning_by_wheel import TestBlankChip, TestConfiguration, TestDataZone, TestKeys, TestSha

__all__ = ["TestBlankChip", "TestConfiguration", "TestDataZone", "TestKeys", "TestSha"]
