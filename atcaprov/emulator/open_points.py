"""Open points: questions about real chips that no public source answers, each with the default chosen here.

A command reads an open point only where its answer depends on it, so that `StrictOpenPoints` can raise there.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from atcaprov.chip.commands import Opcode, Status


@dataclass(frozen=True)
class OpenPoints:
    """The open points. The value of a status field is the status byte of the reply."""

    surplus_data: Literal["refuse", "ignore"] = "refuse"
    """Data sent with commands that have none: Info, Lock, Random, and modes of GenDig and MAC."""
    bad_block_code: int = Status.EXECUTION_ERROR
    """A block or word outside the zone or slot. The vendor's tests accept 03 and 0F."""
    partial_block_fill: Literal[0x00, 0xFF] = 0x00
    """What a 32-byte Read of a slot's last, partial block gives beyond the end of the slot."""
    info_state_seed: Literal["hidden", "shown"] = "hidden"
    """Bit 0 of byte 1 of Info(State): unused as on the TNGTLS data sheet, or whether the seed in EEPROM was updated."""
    lock_reserved_bytes: Literal["allow", "refuse"] = "allow"
    """Lock(config) while the reserved bytes 75 to 83 are not 0 (AN3539: they must be written 00)."""
    watchdog_margin: Literal["execution-time", "none"] = "execution-time"
    """Commands that would last longer than the watchdog are refused with EE; or they run and are interrupted."""
    bytes_behind_count: Literal["acknowledge", "refuse"] = "acknowledge"
    """Bytes after a command's count are ignored (DS20005927A, 6.2), and acknowledged or not (6.6: not)."""
    read_of_incomplete_command: Literal["high", "no-acknowledge"] = "high"
    """A read while a command waits for its last bytes gives FF (DS20005927A, 6.6), or is not acknowledged (6.5)."""
    data_crc_private: bool = False
    """The summary CRC of the data lock includes the slots of private keys (DS20005927A p. 75: left out)."""
    limited_use_commands: frozenset[int] = frozenset(
        {
            Opcode.ECDH,
            Opcode.MAC,
            Opcode.CHECK_MAC,
            Opcode.GEN_DIG,
            Opcode.AES,
            Opcode.KDF,
            Opcode.DERIVE_KEY,
            Opcode.SECURE_BOOT,
            Opcode.SHA,
            Opcode.VERIFY,
        }
    )
    """Commands beside Sign that advance Counter 0 on a LimitedUse slot; SHA is HMAC by SHA."""
    derive_key_roll_counts: bool = False
    """DeriveKey that rolls a key counts as a use of it; one that derives from a parent always counts for the parent."""
    offcurve_ecdh: int = Status.EXECUTION_ERROR
    """ECDH with a peer key off the curve. Verify answers 0F."""
    ecdh_odd_partner: Literal["same", "next"] = "same"
    """Slot that takes the ECDH result of an odd slot N: N itself (N | 1), or N + 1."""
    kdf_needs_pub_info: bool = True
    """KDF writes only slots with PubInfo 1."""
    nonce_before_lock: bool = True
    """Nonce (random) works before the configuration lock, on the fixed pattern."""
    use_lock: Literal["none", "refuse"] = "none"
    """Effect of UseLock on the slot that it names. Its bits are published, what they do is not."""
    count_match_copies: Literal["first", "both"] = "first"
    """The CountMatch slot has two copies of the limit: the first counts, or a key is refused when they differ."""
    authorization_uses: Literal["one", "many"] = "one"
    """How many uses of keys with ReqAuth one authorization serves: one, or all until it ends."""
    checkmac_copy: Literal["partner", "self", "odd-slot"] = "partner"
    """Source of the copy: for an even slot, slot + 1 if its ReadKey is 0, and else the slot itself; or for an even slot
    always itself; or slot + 1 for an even and the slot itself for an odd one.
    """
    checkmac_consumes: bool = True
    """CheckMac clears TempKey, also in modes that do not use it, unless it copied a key there."""
    errors_clear_temp_key: bool = False
    """Any refused command clears TempKey; Info, FF, 05 and EE never do."""
    other_commands_clear_temp_key: bool = False
    """Counter, ECDH, Lock, PrivWrite, SecureBoot, SelfTest, UpdateExtra and Write clear a TempKey that they do not use.

    Random, Read, Info, AES, KDF, SHA and Nonce for another buffer leave it, as the vendor's tests and public firmware
    show.
    """
    checkmac_challenge_authorizes: bool = False
    """CheckMac authorizes also over a challenge in the packet (modes 00 and 04), not only over a nonce in TempKey."""
    checkmac_failure_clears: bool = False
    """A failed CheckMac or Verify ends an authorization also when its key has no ReqAuth."""
    req_random_needs_temp_key: bool = True
    """On a ReqRandom slot MAC and CheckMac refuse a challenge that comes in the packet."""
    no_mac_stops_outputs: bool = False
    """Nonce with an old TempKey and AES refuse a TempKey that was made with a NoMac key, as MAC does."""
    no_mac_stops_hmac: bool = True
    """HMAC by SHA refuses a TempKey that was made with a NoMac key, as MAC does."""
    latch_clear_needs_authorization: bool = False
    """Clearing the persistent latch needs the CheckMac that setting it needs."""
    aes_disabled_code: int = Status.EXECUTION_ERROR
    """AES while AES_Enable (byte 13 bit 0) is 0."""
    key_type_code: int = Status.EXECUTION_ERROR
    """A command on a slot of the wrong KeyType."""
    sha_order_code: int = Status.EXECUTION_ERROR
    """SHA update or end without start."""
    data_open_use: bool = True
    """Sign, MAC, HMAC, AES, KDF, ECDH and Verify use the keys of slots while the data zone is open."""
    data_open_key_config: Literal["ignored", "obeyed"] = "ignored"
    """ReqAuth, ReqRandom, PubInfo and PersistentDisable are ignored or obeyed while the data zone is open."""
    data_open_sign_internal: bool = False
    """Sign(internal) works while the data zone is open."""
    data_open_write_key: Literal["any", "gen-dig"] = "any"
    """The key of encrypted Write and PrivWrite while the data zone is open: any TempKey, or one that GenDig made of the
    slot that WriteKey names.
    """
    data_open_clear_with_mac: Literal["store", "refuse"] = "store"
    """A clear Write of 64 bytes while the data zone is open stores the first 32, or is a parse error."""
    data_open_otp_encrypted: bool = True
    """Encrypted writes of the OTP zone work while it is open."""
    data_open_result_in_slot: bool = False
    """DeriveKey, and ECDH and KDF into a slot, work while the data zone is open."""
    gendig_before_lock: bool = False
    """GenDig of the configuration zone, a counter or a nonce works before the configuration lock."""
    gen_key_digest_bits: Literal["refuse", "ignore"] = "refuse"
    """Bits 2 and 3 of P1 beside bit 4, GenKey's digest of a stored public key: 03, or without effect."""
    privwrite_range_code: int = Status.ECC_FAULT
    """PrivWrite of 0 or of the curve's order or more."""
    secure_boot_table: Literal["documented", "refuse"] = "documented"
    """FullBoth allows Full, FullSig all three modes, or both refuse; published examples show FullDig only."""
    x509_format_stops_validation: bool = True
    """Verify (validate, invalidate) refuses a slot whose X509format byte is not 0."""
    sign_internal_validity: Literal["mode", "slot"] = "mode"
    """The byte "public key valid" in the message of Sign (internal): bit 0 of P1, or the state of the slot."""
    mac_otp_fields: Literal["refuse", "hash"] = "refuse"
    """Bits 4 and 5 of MAC's P1: 03, or OTP bytes in the message as cryptoauthlib's host calculation has them."""
    update_extra_use: bool = False
    """UpdateExtra knows mode 02, which uses up one use of the key that P2 names; otherwise 03."""
    validate_external_code: int = Status.PARSE_ERROR
    """Verify (validate external) while X509format is 0."""
    io_protection_off_code: int = Status.EXECUTION_ERROR
    """Encrypted outputs and MAC answers while ChipOptions does not enable the IO protection key."""
    encrypted_write_consumes: bool = True
    """Encrypted Write and PrivWrite clear TempKey also when they succeed."""


SHEET_508A: Final = OpenPoints(
    info_state_seed="shown",
    partial_block_fill=0x00,
    gen_key_digest_bits="ignore",
    sign_internal_validity="slot",
    surplus_data="ignore",
    update_extra_use=True,
    authorization_uses="one",
    checkmac_copy="odd-slot",
    errors_clear_temp_key=True,
    data_open_result_in_slot=True,
)
"""How the ATECC508A behaves where its data sheet (DS20005927A) settles what is open for the ATECC608."""


class OpenPointError(Exception):
    """A chip with strict open points had to answer where no source tells how; `point` names the open point."""

    def __init__(self, point: str) -> None:
        super().__init__(f"the answer depends on the open point '{point}'")
        self.point = point


_NAMES = frozenset(field.name for field in fields(OpenPoints))


class StrictOpenPoints(OpenPoints):
    """Open points that raise `OpenPointError` when an answer depends on one of them."""

    def __getattribute__(self, name: str) -> Any:
        if name in _NAMES:
            raise OpenPointError(name)
        return super().__getattribute__(name)
