"""The keys of a product profile: one table, from which the reader, the JSON Schema and the reference page are made."""

from __future__ import annotations

from typing import Any, Final

from atcaprov.chip.memory_map import SLOT_COUNT
from atcaprov.config_zone.findings import Allow
from atcaprov.product_profile.certificate_keys import CERTIFICATE, UNIT
from atcaprov.product_profile.keys import Choice, Key, ListOf, OtherTable, Table, Text, Whole
from atcaprov.provisioning.profile import DeliveredPart

NAME_SIZE: Final = 32
"""Characters of a product's name, as the wire protocol carries it."""
_NAME: Final = Text(
    NAME_SIZE, "[A-Za-z0-9](?:[A-Za-z0-9 ._+-]*[A-Za-z0-9])?", "letters, digits and spaces . _ + - inside"
)
_FILE: Final = Text(255, described="the name of a file, relative to the profile's folder")
_SLOT: Final = Whole(0, SLOT_COUNT - 1)
PROOF_POLICIES: Final = ("required", "optional", "none")

_CHIP: Final = Table(
    (
        Key(
            "part",
            Choice(tuple(part.value for part in DeliveredPart)),
            "How the chips are delivered",
            default='"blank"',
        ),
        Key(
            "config",
            _FILE,
            "File with the configuration zone that the chips must have, in any form that `atcaprov config` reads",
            default="the default configuration; of TFLXTLS parts the maker's",
        ),
        Key(
            "zone",
            OtherTable("a table with the keys of a configuration zone in TOML"),
            "The configuration zone itself, in the place of a file",
            default="as `config`",
        ),
        Key(
            "certificate_slots",
            ListOf(Whole(8, SLOT_COUNT - 1), 8, 1),
            "Slots to which the server may send certificates and the signer's key",
            default="[10, 11, 12]",
        ),
        Key("lock_slots", ListOf(_SLOT, SLOT_COUNT), "Slots that are locked one by one at the end", default="none"),
        Key(
            "allow",
            ListOf(Choice(tuple(map(str, Allow))), len(Allow)),
            "Settings of the configuration zone that are otherwise refused",
            default="none",
        ),
    ),
    not_both=(("config", "zone"),),
)
_SIGNERS: Final = Table(
    (
        Key("root", _FILE, "Certificate of the root (PEM) below which a signer must be", default="any"),
        Key(
            "name",
            Text(64),
            "Common name of the signers' certificates, without the signer id at its end",
            default="any",
        ),
        Key(
            "ids",
            ListOf(Text(4, "[0-9A-F]{4}", "four hexadecimal digits in upper case"), 100, 1),
            "Ids of the signers that may sign",
            default="any",
        ),
    )
)
_PROOF: Final = Table(
    (
        Key(
            "policy",
            Choice(PROOF_POLICIES),
            "Whether each chip must prove that it has the certified key",
            default='"optional"',
        ),
        Key("within_hours", Whole(1, 8760), "When an unproven certificate is overdue", default="24"),
        Key(
            "most_overdue",
            Whole(0, 100),
            "So many overdue certificates a station may leave before it gets no further ones of the product",
            default="10",
        ),
    )
)

PROFILE: Final = Table(
    (
        Key(
            "name",
            Text(
                NAME_SIZE, "[A-Za-z0-9](?:[A-Za-z0-9 ._+-]*[A-Za-z0-9])?", "letters, digits and spaces . _ + - inside"
            ),
            "Name of the product, by which stations and work orders ask for it",
            needed=True,
        ),
        Key("title", Text(200), "What the product is, for people", default="the name"),
        Key("description", _FILE, "Certificate description of the devices, a TOML file"),
        Key("certificate", CERTIFICATE, "The certificate description itself, in the place of a file"),
        Key("unit", UNIT, "What `{unit}` in the certificate's names stands for", default="no name holds `{unit}`"),
        Key("chip", _CHIP, "The product's chip", default="a blank chip with the default configuration"),
        Key("signers", _SIGNERS, "Which signers may sign", default="every signer that issues this certificate"),
        Key("proof", _PROOF, "Proofs that the certified key is in the chip", default="proofs are optional"),
    ),
    not_both=(("description", "certificate"),),
    one_of=("description", "certificate"),
)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a profile, as a map of plain values.

    What no schema says, such as two parts of a certificate in one slot, is checked by the reader alone.
    """
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Product profile"}
    return head | PROFILE.schema()
