"""Have a Trust part prove that it comes from Microchip: maker's certificate, fresh signature, Microchip's root.

Only parts that the maker has certified (TNGTLS, TFLXTLS, TNGLORA) can do it; a blank part has nothing to prove it with.
The root is never shipped with atcaprov: it is taken from the installed driver of the vendor, cryptoauthlib.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_size_t
from dataclasses import dataclass
from functools import lru_cache

from atcaprov.certs.chain import verify_chain
from atcaprov.certs.x509_layout import authority_layout
from atcaprov.chip.trust_parts import trust_part_name
from atcaprov.device.device import Device
from atcaprov.errors import Board, CertificateError, Code, ProvisioningError, UsageError
from atcaprov.inspection.certificates import microchip
from atcaprov.inspection.certificates.found import FoundChain
from atcaprov.inspection.key_proof import prove_key
from atcaprov.inspection.snapshot import read_snapshot
from atcaprov.vendor_library import open_library

_ADVICE_BLANK = "Nothing was changed. Order Trust parts where this proof is needed, or leave out --require-genuine."
_ADVICE_FORGED = "Set the board aside and ask the supplier where the part comes from."


@dataclass(frozen=True)
class GenuinePart:
    """A part that has proved where it comes from: its chain on the chip, and the root (DER) that it leads to."""

    chain: FoundChain
    root: bytes


def prove_genuine(device: Device, *, root: bytes | None = None) -> GenuinePart:
    """Have a part prove that Microchip made it; nothing is changed.

    `root` is a test root (DER) in the place of Microchip's, which is taken from the vendor's library.

    Raises:
        ProvisioningError: the part holds no certificate of the maker, so it cannot prove anything (code
            GENUINE_UNPROVABLE; a blank part is one of these).
        UsageError: `root` is not for a P-256 key.
        CertificateError: its certificates do not lead to the root, or it does not hold the key of its certificate (code
            NOT_GENUINE; set the board aside).
    """
    root = root if root is not None else vendor_root()
    _require_p256(root)
    chip = read_snapshot(device, slots=microchip.SLOTS)
    chain = next(microchip.find(chip), None)
    if chain is None:
        raise _without_certificate(chip.config)
    assert chain.key_slot is not None
    try:
        require_chain(chain, root)
        prove_key(device, chain.key_slot, chain.device.public_key)
    except CertificateError as error:
        raise CertificateError(
            f"This part does not prove that it is genuine. {error.what}",
            advice=_ADVICE_FORGED,
            code=Code.NOT_GENUINE,
            board=Board.SET_ASIDE,
        ) from error
    return GenuinePart(chain, root)


def _require_p256(root: bytes) -> None:
    try:
        authority_layout(root)
    except CertificateError as error:
        raise UsageError("The test root is not a certificate for a P-256 key, as Microchip's is.") from error


def require_chain(chain: FoundChain, root: bytes) -> None:
    """Return if the maker's two certificates lead to `root` (DER); raises CertificateError."""
    layout = authority_layout(root)
    key_id = layout.subject_key_id
    device, signer = chain.certificates
    verify_chain(
        device.der,
        signer.der,
        layout.public_key.of(root),
        root_key_id=key_id.of(root) if key_id is not None else None,
    )


def _without_certificate(config: bytes) -> ProvisioningError:
    name = trust_part_name(config)
    if name is None:
        return ProvisioningError(
            "This part cannot prove that it is genuine: a blank part holds no certificate of the maker.",
            advice=_ADVICE_BLANK,
            code=Code.GENUINE_UNPROVABLE,
            board=Board.UNTOUCHED,
        )
    return ProvisioningError(
        f"This part says that it is an {name}, but holds no certificate of the maker that fits its key.",
        advice=_ADVICE_FORGED,
        code=Code.GENUINE_UNPROVABLE,
        board=Board.SET_ASIDE,
    )


@lru_cache(maxsize=1)
def vendor_root() -> bytes:
    """Return Microchip's root certificate (DER) from the installed library of the vendor.

    Raises TransportError (LIBRARY_MISSING) if there is none, or it has no such certificate.
    """
    size_pointer = POINTER(c_size_t)
    library = open_library(
        {
            "tng_atcacert_root_cert_size": [size_pointer],
            "tng_atcacert_root_cert": [ctypes.c_char_p, size_pointer],
        }
    )
    size = c_size_t()
    library.tng_atcacert_root_cert_size(byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    library.tng_atcacert_root_cert(buffer, byref(size))
    return buffer.raw[: size.value]
