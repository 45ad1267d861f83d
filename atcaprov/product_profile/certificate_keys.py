"""The keys of the `[certificate]` table: those of a device's certificate description.

The description itself is read by `atcaprov.certs.descriptions`, which knows the rules between them. This table refuses
unknown keys and wrong types first, and gives the schema.
"""

from __future__ import annotations

from typing import Final

from atcaprov.certs.dates import MAX_EXPIRE_YEARS
from atcaprov.certs.descriptions.extensions import OBJECT_ID
from atcaprov.certs.descriptions.subject import ATTRIBUTES
from atcaprov.certs.unit_rule import LONGEST_PATTERN, LONGEST_UNIT, UnitForm
from atcaprov.chip.memory_map import SLOT_COUNT, SLOT_SIZES
from atcaprov.product_profile.keys import Choice, Key, ListOf, Table, Text, Whole

_LONGEST: Final = 200
_C_NAME: Final = Text(32, "[A-Za-z_][A-Za-z0-9_]*", "letters, digits and _")
_KEY_USAGES: Final = Choice(("digital_signature", "key_agreement", "content_commitment"))
_USAGES: Final = Text(
    64, rf"client_auth|server_auth|{OBJECT_ID.pattern}", '"client_auth", "server_auth" or an object id'
)
_ATTRIBUTES: Final = tuple(
    Key(name, Text(longest + 64), f"Attribute of the name, at most {longest} characters with its placeholders filled")
    for name, (_, longest) in ATTRIBUTES.items()
)
_SUBJECT: Final = Table(tuple(Key(key.name, key.kind, key.meaning, key.name == "common_name") for key in _ATTRIBUTES))
_VALIDITY: Final = Table(
    (
        Key("expire_years", Whole(0, max(MAX_EXPIRE_YEARS.values())), "Years of validity; 0: no expiry", needed=True),
        Key("compressed_format", Whole(0, 1), "Highest compressed format that may be issued", default="0"),
    )
)
_EXTENSIONS: Final = Table(
    (
        Key("key_usage", ListOf(_KEY_USAGES, 3, 1), "What the device's key may be used for", needed=True),
        Key("extended_key_usage", ListOf(_USAGES, 9), "What the certificate may be used for", default="not said"),
        Key(
            "crl_distribution_points",
            ListOf(Text(_LONGEST), 4, 1),
            "URIs of the signer's list of revoked certificates",
            default="none",
        ),
    )
)
_ALTERNATIVE_NAMES: Final = Table(
    (
        Key("uri", Text(_LONGEST), "A URI, such as `urn:example:{chip_serial}`"),
        Key("dns_name", Text(_LONGEST), "A host name, such as `{chip_serial_lower}.example.com`"),
        Key("directory_name", Table(_ATTRIBUTES), "A name of its own, with the attributes of `subject`"),
        Key(
            "hardware_module_type",
            Text(64, OBJECT_ID.pattern, "an object id"),
            "Object id of the hardware's type (RFC 4108); the chip's serial number follows by itself",
        ),
    )
)
_SLOTS: Final = Table(
    (
        Key("private_key", Whole(0, SLOT_COUNT - 1), "Slot of the device's key", needed=True),
        Key("compressed_certificate", Whole(8, SLOT_COUNT - 1), "Slot of the certificate", needed=True),
    )
)

CERTIFICATE: Final = Table(
    (
        Key("role", Choice(("device",)), "Always the certificate of a device", default='"device"'),
        Key(
            "name", Text(32, "[A-Za-z_][A-Za-z0-9_]*", "letters, digits and _"), "Name in exported C code", needed=True
        ),
        Key("template_id", Whole(0, 15), "Number of this family of certificates, never used for another", needed=True),
        Key("chain_id", Whole(0, 15), "Second such number", needed=True),
        Key(
            "serial_number",
            Choice(("PUB_KEY_HASH", "DEVICE_SN_HASH", "DEVICE_SN")),
            "What the certificate's serial number is made of",
            needed=True,
        ),
        Key("serial_number_size", Whole(8, 20), "Its length in bytes, for the hashes", default="16"),
        Key("subject", _SUBJECT, "The subject's attributes in the order of the certificate", needed=True),
        Key("validity", _VALIDITY, "How long the certificate is valid", needed=True),
        Key("extensions", _EXTENSIONS, "Extensions of the certificate", needed=True),
        Key("subject_alt_name", _ALTERNATIVE_NAMES, "Subject alternative names, one of each kind", default="none"),
        Key("slots", _SLOTS, "Where the chip keeps its parts", needed=True),
    )
)

UNIT: Final = Table(
    (
        Key("form", Choice(tuple(map(str, UnitForm))), "Text, or an address of 6 or 8 bytes", needed=True),
        Key(
            "pattern",
            Text(LONGEST_PATTERN),
            "Regular expression of characters, classes such as `[A-Z0-9]` and counts such as `{8}`; text needs one",
            default="any address",
        ),
        Key("length", Whole(1, LONGEST_UNIT), "Characters of a name", default="as the pattern has it"),
        Key("zone", Choice(("data", "otp")), "Where the chip keeps the name", default='"data"'),
        Key("slot", Whole(0, SLOT_COUNT - 1), "Slot of the name, in the data zone"),
        Key("offset", Whole(0, max(SLOT_SIZES) - 1), "Its first byte there, a multiple of 32", default="0"),
        Key("case", Choice(("upper", "lower")), "Digits of an address in the certificate", default='"upper"'),
        Key("separator", Choice(("", ":", "-")), "Between two digits of an address and the next", default="none"),
    )
)
