"""Documents in as few bytes as a module has: CBOR, deflated with a dictionary that both sides know.

The dictionary is what most certificates and descriptions share (`dictionary_1`, which belongs to the format's version),
followed by bytes that stand elsewhere on the module (public keys and their ids).
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import cbor2

from atcaprov.errors import CertificateError, Code
from signer_module.on_chip.dictionary_1 import dictionary

MAX_UNPACKED: Final = 16_384
_RAW_DEFLATE: Final = -15
_BEST: Final = 9


def pack(document: Any, known: bytes) -> bytes:
    """Return the packed document; `known` are bytes that the reader will have too."""
    deflater = zlib.compressobj(_BEST, zlib.DEFLATED, _RAW_DEFLATE, 9, zlib.Z_DEFAULT_STRATEGY, dictionary() + known)
    return deflater.compress(cbor2.dumps(document)) + deflater.flush()


def unpack(data: bytes, known: bytes) -> Any:
    """Return the document; raises CertificateError (module-invalid) for anything that `pack` does not give."""
    inflater = zlib.decompressobj(_RAW_DEFLATE, dictionary() + known)
    try:
        contents = inflater.decompress(data, MAX_UNPACKED)
        if not inflater.eof or inflater.unused_data:
            raise ValueError("it is cut off, too long, or followed by something")
        return cbor2.loads(contents)
    except Exception as error:  # decoders of foreign packages: whatever they raise on garbage means the same
        raise CertificateError(
            "The description on the signer module cannot be read: it is damaged.", code=Code.MODULE_INVALID
        ) from error
