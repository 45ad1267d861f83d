"""Modes of the commands: values and bits of P1, and of P2 where it holds a choice.

Sources: DS20005927A, chapter 9; cryptoauthlib lib/calib for what only the ATECC608 has. The modes of Read, Write, Lock
and GenKey that the host code sends are in `commands`.
"""

from __future__ import annotations

from typing import Final

# Read, Write, Lock
SLOT_SHIFT: Final = 3
BLOCK_SHIFT: Final = 8
"""P2 of Read and Write in the data zone: block in bits 15-8, slot in bits 6-3, word in bits 2-0."""
ZONE_BLOCK_SHIFT: Final = 3
"""P2 in the other zones: block in bits 4-3, word in bits 2-0."""
LOCK_SLOT_SHIFT: Final = 2
"""P1 of Lock of a slot: its number in bits 5-2."""

# Info
INFO_REVISION: Final = 0x00
INFO_KEY_VALID: Final = 0x01
INFO_STATE: Final = 0x02
INFO_GPIO: Final = 0x03
INFO_LATCH: Final = 0x04
LATCH_CLEAR: Final = 0x02
LATCH_SET: Final = 0x03
"""P2 of Info with the latch."""
STATE_TEMP_KEY_VALID: Final = 0x80
STATE_AUTHORIZED_SLOT: Final = 0x78
STATE_SLOT_SHIFT: Final = 3
STATE_AUTHORIZED: Final = 0x04
STATE_SEED_UPDATED: Final = 0x01
"""Bits of byte 1 of Info(State)."""

# Counter
COUNTER_READ: Final = 0x00

# Nonce
NONCE_MODE: Final = 0x03
"""Mask of the bits of P1 that hold the mode; the others name a length and a target."""
NONCE_RANDOM: Final = 0x00
NONCE_RANDOM_KEEP_SEED: Final = 0x01
NONCE_FIXED: Final = 0x03
"""The input itself becomes the nonce."""
NONCE_64_BYTES: Final = 0x20
NONCE_TO_MESSAGE_DIGEST_BUFFER: Final = 0x40
NONCE_TO_ALTERNATE_KEY_BUFFER: Final = 0x80
NONCE_PLAIN_RANDOM: Final = 0x8000
"""P2: the answer of a random nonce is TempKey itself."""

# Random
RANDOM_KEEP_SEED: Final = 0x01

# GenDig: P1 is a zone, or one of these
GEN_DIG_SHARED_NONCE: Final = 0x03
GEN_DIG_COUNTER: Final = 0x04
GEN_DIG_KEY_CONFIG: Final = 0x05

# GenKey
GEN_KEY_DIGEST: Final = 0x08
"""The digest of the public key goes into TempKey."""
GEN_KEY_STORED_DIGEST: Final = 0x10
"""That of a public key which is stored in the slot."""

# MAC and CheckMac
MAC_CHALLENGE_IN_TEMP_KEY: Final = 0x01
MAC_SOURCE_IS_INPUT: Final = 0x04
"""TempKey came from the input, not from the random number generator; for DeriveKey, too."""
MAC_OTP_88: Final = 0x10
MAC_OTP_64: Final = 0x20

# Sign
SIGN_INTERNAL: Final = 0x00
SIGN_EXTERNAL: Final = 0x80

# Verify
VERIFY_STORED: Final = 0x00
VERIFY_VALIDATE_EXTERNAL: Final = 0x01
VERIFY_EXTERNAL: Final = 0x02
VERIFY_VALIDATE: Final = 0x03
VERIFY_FROM_MESSAGE_DIGEST_BUFFER: Final = 0x20
"""The message is there instead of in TempKey."""
VERIFY_P256: Final = 0x0004
"""P2 of Verify(external): KeyType."""

# PrivWrite
PRIV_WRITE_ENCRYPTED: Final = 0x40

# SHA
SHA_MODE: Final = 0x07
"""Mask of the bits of P1 that hold the mode; the others name a target."""
SHA_START: Final = 0x00
SHA_UPDATE: Final = 0x01
SHA_END: Final = 0x02
SHA_PUBLIC: Final = 0x03
"""Adds the public key that is stored in a slot."""
SHA_HMAC_START: Final = 0x04
SHA_READ_CONTEXT: Final = 0x06
SHA_WRITE_CONTEXT: Final = 0x07

# ECDH
ECDH_BY_READ_KEY: Final = 0x00
"""The slot's ReadKey says where the result goes."""
ECDH_KEY_IN_TEMP_KEY: Final = 0x01
ECDH_ENCRYPTED: Final = 0x02
ECDH_TO_SLOT: Final = 0x04
ECDH_TO_TEMP_KEY: Final = 0x08
ECDH_TO_BUS: Final = 0x0C

# KDF
KDF_PRF: Final = 0x00
KDF_AES: Final = 0x20
KDF_HKDF: Final = 0x40
KDF_FROM_TEMP_KEY: Final = 0x00
KDF_FROM_SLOT: Final = 0x02
KDF_TO_TEMP_KEY: Final = 0x00
KDF_TO_SLOT: Final = 0x08
KDF_TO_BUS: Final = 0x10
KDF_TO_BUS_ENCRYPTED: Final = 0x14
KDF_RESULT_SLOT_SHIFT: Final = 8
"""P2: the slot of the result in bits 11-8, that of the key in bits 3-0."""
KDF_LENGTH_SHIFT: Final = 24
"""Details: the length of the message in bits 31-24."""
KDF_MESSAGE_FROM_INPUT: Final = 0x02
"""Details of HKDF: the message is the one in the packet."""
KDF_PRF_32_BYTE_KEY: Final = 0x01
"""Details of the PRF: length of the key, in units of 16 bytes, less one."""

# AES
AES_ENCRYPT: Final = 0x00
AES_GFM: Final = 0x03
"""A multiplication in GCM's field."""

# SecureBoot
SECURE_BOOT_FULL: Final = 0x05

# SelfTest
SELF_TEST_RNG: Final = 0x01
SELF_TEST_ALL: Final = 0x3B

# UpdateExtra
UPDATE_EXTRA_USE: Final = 0x02
"""Uses up one use of a key (ATECC508A)."""
