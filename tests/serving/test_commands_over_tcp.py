"""Every command of the library's own test configuration, over each leg."""

from __future__ import annotations

from tests.emulator.test_commands_by_wheel import (
    TestAes,
    TestCounters,
    TestDeriveKey,
    TestEcdh,
    TestEncryptedAccess,
    TestKdf,
    TestLimitedUse,
    TestMac,
    TestPersistentLatch,
    TestSecureBoot,
    TestSelfTest,
    TestVerify,
    chip,
)

__all__ = [
    "TestAes",
    "TestCounters",
    "TestDeriveKey",
    "TestEcdh",
    "TestEncryptedAccess",
    "TestKdf",
    "TestLimitedUse",
    "TestMac",
    "TestPersistentLatch",
    "TestSecureBoot",
    "TestSelfTest",
    "TestVerify",
    "chip",
]
