"""Chip images: the memory of the parts of the family when they leave the factory.

An image is a JSON file: `{"format": "atcaprov chip image", "version": 1, "title", "source", "revision": 4 bytes,
"info_revision": 4 bytes, "serial_end": last byte of the serial number, "bytes_13_to_15", "bytes_16_to_127": list of hex
lines, "otp": list of hex lines, "keys": slots that are delivered with a private key, "certificates": a kind of
`trust_chain`}`; bytes are hexadecimal. `revision` is bytes 4 to 7 of the configuration zone, `info_revision` what Info
answers (the same if it is missing). OTP without `otp` and the data zone of a new part are FF.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from atcaprov.bounded_reading import MalformedError, parse_json, read_text
from atcaprov.chip.memory_map import CONFIG_SIZE, OTP_SIZE
from atcaprov.chip.parts import REVISION_SIZE
from atcaprov.emulator.memory import DATA_SIZE, Memory
from atcaprov.emulator.random_source import RandomSource, SystemRandom
from atcaprov.emulator.slot import MemorySlot
from atcaprov.errors import Code, UsageError

BLANK: Final = "atecc608a"
"""The image of a chip unless another one is named."""
_FORMAT: Final = "atcaprov chip image"
_VERSION: Final = 1
CERTIFIED_KEYS: Final = MappingProxyType({"tngtls": 0, "tngtls-2": 0, "tflxtls": 0, "tnglora": 1})
"""Kinds of `trust_chain`, and the slot of the key that each certifies; blank chips need not load X.509."""
_SERIAL_START: Final = bytes.fromhex("0123")
_FOLDERS: Final = (
    Path(__file__).with_name("images"),  # in an installed package
    Path(__file__).parents[2] / "configs" / "images",  # in the source tree
)


@dataclass(frozen=True)
class Image:
    """One type of chip. `config`: 128 bytes; `make` fills in the serial number.

    `revision` is the answer of Info, 4 bytes; `otp` has 64 bytes, or None where the zone is not written; `certificates`
    is a kind of `trust_chain`, if the part comes with some.
    """

    title: str
    config: bytes
    serial_end: int
    keys: tuple[int, ...]
    revision: bytes
    otp: bytes | None
    certificates: str | None

    def make(self, random_source: RandomSource, serial: bytes | None = None, *, fill: int = 0xFF) -> Memory:
        """Return the memory of a new chip, with a serial number of its own unless `serial` (9 bytes) is given.

        `fill` is the byte in data and OTP where nothing is written: the content of a new chip is not published, FF is
        this project's choice.
        """
        serial = serial or _SERIAL_START + random_source.take(6) + bytes((self.serial_end,))
        config = serial[:4] + self.config[4:8] + serial[4:] + self.config[13:]
        otp = self.otp or bytes((fill,)) * OTP_SIZE
        memory = Memory(config, otp, bytes((fill,)) * DATA_SIZE, self.revision)
        for slot in self.keys:
            scalar, _ = random_source.key_pair()
            MemorySlot(memory, slot).store_private_key(scalar)
        if self.certificates is not None:
            from atcaprov.emulator.trust_chain import CHAIN_KINDS, write_chain  # blank chips need not load X.509

            write_chain(memory, random_source, CHAIN_KINDS[self.certificates])
        return memory


def image_names() -> list[str]:
    """Return the names of the images that come with atcaprov."""
    return sorted({path.stem for folder in _FOLDERS for path in folder.glob("*.json")})


def load_image(name: str) -> Image:
    """Return the image of that name; a name that ends with `.json` is a file.

    Raises:
        UsageError: the image is unknown (USAGE), or the file is not an image (FILE_INVALID).
    """
    if name.endswith(".json"):
        return parse_image(read_text(Path(name)), name)
    image = _packaged(name)
    if image is not None:
        return image
    raise UsageError(f"Unknown chip image '{name}'.", advice=f"Use one of: {', '.join(image_names())}.")


@lru_cache
def _packaged(name: str) -> Image | None:
    for folder in _FOLDERS:
        if name in {path.stem for path in folder.glob("*.json")}:
            return parse_image(read_text(folder / f"{name}.json"), name)
    return None


def parse_image(text: str, name: str) -> Image:
    """Return the image in `text`; `name` is for messages.

    Raises:
        UsageError: the text is not an image (FILE_INVALID).
    """
    try:
        document = parse_json(text)
    except MalformedError as error:
        raise _invalid(name, f"it is not JSON: {error}") from None
    if not isinstance(document, dict) or document.get("format") != _FORMAT or document.get("version") != _VERSION:
        raise _invalid(name, f"it is not an '{_FORMAT}' file of version {_VERSION}")
    try:
        return _image(document)
    except (KeyError, TypeError, ValueError) as error:
        raise _invalid(name, f"{type(error).__name__} {error}") from None


def _image(document: dict[str, Any]) -> Image:
    config = b"".join(
        (
            bytes(4),
            _sized(document["revision"], REVISION_SIZE),
            bytes(5),
            _sized(document["bytes_13_to_15"], 3),
            _sized("".join(document["bytes_16_to_127"]), CONFIG_SIZE - 16),
        )
    )
    keys = tuple(document["keys"])
    if not all(isinstance(slot, int) and 0 <= slot < 16 for slot in keys):
        raise ValueError("'keys' has a number that is not a slot")
    (serial_end,) = bytes.fromhex(document["serial_end"])
    revision = _sized(document.get("info_revision", document["revision"]), REVISION_SIZE)
    otp = _sized("".join(document["otp"]), OTP_SIZE) if "otp" in document else None
    certificates = document.get("certificates")
    if certificates is not None and CERTIFIED_KEYS.get(certificates) not in keys:
        raise ValueError("'certificates' is unknown, or its slot has no key for them")
    return Image(str(document["title"]), config, serial_end, keys, revision, otp, certificates)


def _sized(text: str, size: int) -> bytes:
    content = bytes.fromhex(text)
    if len(content) != size:
        raise ValueError(f"{len(content)} bytes instead of {size}")
    return content


def _invalid(name: str, reason: str) -> UsageError:
    return UsageError(f"The chip image {name} cannot be used: {reason}.", code=Code.FILE_INVALID)


def blank_608a(serial: bytes) -> Memory:
    """Return the memory of a blank ATECC608A with this 9-byte serial number."""
    return load_image(BLANK).make(SystemRandom(), serial)
