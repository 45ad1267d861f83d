"""`pkcs11.toml`: where the key of a signer folder is, if an HSM or a smart card holds it; in place of key.pem."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from atcaprov.bounded_reading import MalformedError, parse_toml, read_text
from atcaprov.errors import Code, UsageError

PLACE_FILE: Final = "pkcs11.toml"
_FIELDS: Final = ("library", "token", "key")


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Path of the PKCS#11 library, labels of token and key."""

    library: str
    token: str
    key: str

    def __str__(self) -> str:
        return f"the key '{self.key}' in the token '{self.token}'"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `pkcs11.toml`; raises UsageError FILE_UNREADABLE or FILE_INVALID."""
        try:
            found = parse_toml(read_text(path))
        except MalformedError as error:
            raise _bad_file(path, f"it is not TOML: {error}") from error
        unknown = sorted(set(found) - set(_FIELDS))
        if unknown:
            raise _bad_file(path, f"the field '{unknown[0]}' is unknown")
        for name in _FIELDS:
            if not isinstance(found.get(name), str) or not found[name]:
                raise _bad_file(path, f"{name} must be a string")
        return cls(found["library"], found["token"], found["key"])

    def to_toml(self) -> bytes:
        """Return what `read` reads; JSON texts are TOML texts too, but for the delete character."""
        lines = (f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in asdict(self).items())
        return "".join(lines).replace("\x7f", "\\u007F").encode()

    @classmethod
    def named(cls, library: Path | None, token: str | None, key: str | None) -> Self | None:
        """Return the place that options name, None if they name none; raises UsageError when one is missing."""
        if library is None and token is None and key is None:
            return None
        if library is None or not token or not key:
            raise UsageError(
                "A key in an HSM needs library, token and key.",
                advice="Give --pkcs11-library, --pkcs11-token and --pkcs11-key.",
            )
        found = cls(str(library.absolute()), token, key)
        try:
            found.to_toml()
        except UnicodeEncodeError:
            raise UsageError("The path of the HSM's library, or the label of the token or key, is not UTF-8.") from None
        return found


def _bad_file(path: Path, why: str) -> UsageError:
    return UsageError(f"{path} is not usable: {why}.", code=Code.FILE_INVALID)
