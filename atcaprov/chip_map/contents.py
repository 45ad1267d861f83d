"""Say in a few words what a slot of a real chip holds, from what the chip shows to everyone."""

from __future__ import annotations

from collections.abc import Mapping

from atcaprov.certs.compressed_form import CompressedCertificate
from atcaprov.certs.keys import PADDED_KEY_SIZE, key_id, load_public_key, unpadded_public_key
from atcaprov.errors import CertificateError


def content_words(
    slots: Mapping[int, bytes], keys: Mapping[int, bool], public_keys: Mapping[int, bytes]
) -> dict[int, str]:
    """Return words for each slot of which something is known.

    `slots` has whole contents, `keys` whether a slot holds a valid private key, `public_keys` X||Y (64 bytes) of those
    that do.
    """
    words = {number: _of_data(data) for number, data in slots.items()}
    words |= {number: "a valid private key" if valid else "no valid key" for number, valid in keys.items()}
    words |= {number: f"a private key, key id {key_id(xy).hex()}" for number, xy in public_keys.items()}
    return words


def _of_data(data: bytes) -> str:
    if len(set(data)) == 1:
        return f"nothing: every byte is {data[0]:02X}"
    return _public_key(data[:PADDED_KEY_SIZE]) or _certificate(data) or "data"


def _public_key(data: bytes) -> str:
    try:
        xy = unpadded_public_key(data)
        load_public_key(xy)
    except CertificateError:
        return ""
    return f"a public key, key id {key_id(xy).hex()}"


def _certificate(data: bytes) -> str:
    if data.startswith(b"\x30\x82"):
        return "a certificate or another structure in DER"
    try:
        found = CompressedCertificate.parse(data)
    except CertificateError:
        return ""
    return f"a compressed certificate, signer id {found.signer_id.hex().upper()}"
