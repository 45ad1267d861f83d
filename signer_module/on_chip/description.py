"""The description on a module: what it says of its certificates, in the few bytes that it has.

It is CBOR, deflated with a dictionary that both sides know: the preset one, followed by bytes that stand elsewhere on
the module (the root's public key and its key id). The certificate definitions themselves do not fit. They are made
again from the descriptions, which always gives the same bytes, and compared with a digest: a program that would make
other definitions says so and does not issue.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import replace
from typing import Any, Final

import cbor2

from atcaprov.certs.chain import verify_issuer
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.descriptions.description import CertificateDescription, description_document
from atcaprov.certs.keys import key_id
from atcaprov.errors import AtcaProvError, CertificateError, Code, UsageError
from signer_module.on_chip.preset_dictionary import DICTIONARY_1
from signer_module.on_chip.slot_layout import DESCRIPTION_SIZE
from signer_module.signer_description import SignerDocument

MAX_UNPACKED: Final = 16_384
"""Bytes; no description of a module comes near it."""
_DIGEST_SIZE: Final = 16
_RAW_DEFLATE: Final = -15
_BEST: Final = 9
_POINTS: Final = "crl_distribution_points"


def pack_signer(document: SignerDocument, root_public_key: bytes) -> bytes:
    """Return the bytes for a signer module, of whose root key (64 bytes) the reader knows already.

    Raises UsageError (definition-invalid) when a module has not enough room for them.
    """
    packed = _packed_signer(document, root_public_key)
    device = document.device
    options = {"subject_alt_name": device.subject_alt_name, _POINTS: device.extensions.crl_distribution_points}
    given = [name for name, value in options.items() if value]
    if len(packed) > DESCRIPTION_SIZE and given:
        without = replace(device.extensions, crl_distribution_points=())
        plain = replace(document, device=replace(device, subject_alt_name=None, extensions=without))
        raise _too_long(len(packed), len(packed) - len(_packed_signer(plain, root_public_key)), " and ".join(given))
    return fitting(packed)


def _packed_signer(document: SignerDocument, root_public_key: bytes) -> bytes:
    contents = [
        document.root_certificate,
        description_document(document.signer),
        description_document(document.device),
        document.year,
        document.serial,
        _digest(document.definitions()),
    ]
    return pack(contents, known_root(root_public_key))


def unpack_signer(data: bytes, root_public_key: bytes) -> SignerDocument:
    """Read `pack_signer`; raises CertificateError, module-invalid unless the root certificate is not of its key."""
    try:
        root, signer, device, year, serial, digest = unpack(data, known_root(root_public_key))
        verify_issuer(root, root_public_key)  # before a parser that trusts sees it
        found = SignerDocument(
            root,
            CertificateDescription.from_document(signer),
            CertificateDescription.from_document(device),
            year,
            serial,
        )
        same = _digest(found.definitions()) == digest
    except CertificateError:
        raise
    except (AtcaProvError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise invalid("its description is not that of a signer") from error
    if not same:
        raise invalid("this program makes other certificate definitions from it than the program that wrote it")
    return found


def pack_root(certificate: bytes, public_key: bytes) -> bytes:
    """Return the description of a root module: its certificate (DER)."""
    return fitting(pack([certificate], known_root(public_key)))


def unpack_root(data: bytes, public_key: bytes) -> bytes:
    """Read `pack_root`; raises CertificateError (module-invalid)."""
    contents = unpack(data, known_root(public_key))
    if not isinstance(contents, list) or len(contents) != 1 or not isinstance(contents[0], bytes):
        raise invalid("its description is not that of a root")
    return contents[0]


def known_root(public_key: bytes) -> bytes:
    """Return what a reader knows of the root before it unpacks."""
    return public_key + key_id(public_key)


def fitting(description: bytes) -> bytes:
    """Return a description that fits a module; raises UsageError (definition-invalid) that says by how much not."""
    if len(description) > DESCRIPTION_SIZE:
        raise _too_long(len(description))
    return description


def _too_long(size: int, optional: int = 0, options: str = "") -> UsageError:
    part = f", {optional} of them for the device's {options}" if options else ""
    names = f"{options.replace(' and ', ', ')} or the names" if options else "the names"
    return UsageError(
        "The issuer's certificate and the descriptions are too long for the module: "
        f"it has {DESCRIPTION_SIZE} bytes for them, and {size} are needed{part}.",
        advice=f"Shorten {names} in the certificate descriptions, or use an issuer with a smaller certificate.",
        code=Code.DEFINITION_INVALID,
    )


def _digest(definitions: tuple[CertificateDefinition, CertificateDefinition]) -> bytes:
    return hashlib.sha256(b"".join(each.to_bytes() for each in definitions)).digest()[:_DIGEST_SIZE]


def invalid(why: str) -> CertificateError:
    """Return the error of a module whose description contradicts itself."""
    return CertificateError(f"The signer module is not usable: {why}.", code=Code.MODULE_INVALID)


def pack(document: Any, known: bytes) -> bytes:
    """Return a document as deflated CBOR; `known` are bytes that the reader has, too."""
    deflater = zlib.compressobj(_BEST, zlib.DEFLATED, _RAW_DEFLATE, 9, zlib.Z_DEFAULT_STRATEGY, DICTIONARY_1 + known)
    return deflater.compress(cbor2.dumps(document)) + deflater.flush()


def unpack(data: bytes, known: bytes) -> Any:
    """Return the document; raises CertificateError (module-invalid) for anything that `pack` does not give."""
    inflater = zlib.decompressobj(_RAW_DEFLATE, DICTIONARY_1 + known)
    try:
        contents = inflater.decompress(data, MAX_UNPACKED)
        if not inflater.eof or inflater.unused_data:
            raise ValueError("it is cut off, too long, or followed by something")
        return cbor2.loads(contents)
    except Exception as error:  # other packages' decoders: any exception means garbage
        raise CertificateError(
            "The description on the signer module cannot be read: it is damaged.", code=Code.MODULE_INVALID
        ) from error
