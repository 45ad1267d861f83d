"""A signer whose key is in an HSM or a smart card, reached through PKCS#11.

Its folder is that of a signer on files with `pkcs11.toml` instead of `key.pem`: the library of the HSM's maker, the
label of the token, the label of the key. The PIN is the password.
"""

from __future__ import annotations

import contextlib
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from atcaprov.certs.keys import verify_digest
from atcaprov.errors import AtcaProvError, CertificateError, Code, ProtocolError, TransportError, UsageError
from provisioning_server.signer_documents import SignerDocuments
from signer_module.signer_folder import KEY_FILE, SignerFolder

if TYPE_CHECKING:
    import pkcs11

PLACE_FILE: Final = "pkcs11.toml"
_FIELDS: Final = ("library", "token", "key")
_PROOF: Final = bytes(range(32))
_ADVICE: Final = f"Check that the HSM is connected, and what {PLACE_FILE} says."
_ONE_AT_A_TIME: Final = threading.RLock()
"""python-pkcs11 tells the library (C_Initialize without arguments) that threads never meet in it."""


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where the key is: path of the PKCS#11 library, labels of token and key."""

    library: str
    token: str
    key: str

    def __str__(self) -> str:
        return f"The key '{self.key}' in the token '{self.token}'"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `pkcs11.toml`; raises UsageError FILE_UNREADABLE or FILE_INVALID."""
        try:
            found = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{path} can't be read: {error.strerror}.", code=Code.FILE_UNREADABLE) from error
        except ValueError as error:
            raise _bad_file(path, f"it is not TOML: {error}") from error
        unknown = sorted(set(found) - set(_FIELDS))
        if unknown:
            raise _bad_file(path, f"it says '{unknown[0]}', which means nothing here")
        for name in _FIELDS:
            if not isinstance(found.get(name), str) or not found[name]:
                raise _bad_file(path, f"{name} must be a text")
        return cls(found["library"], found["token"], found["key"])


class HsmSigner:
    """Signs with a key that never leaves its HSM. It is logged in from `unlock` until `close`."""

    slow = True
    remaining: int | None = None

    def __init__(self, folder: SignerFolder, place: KeyPlace) -> None:
        self.name = folder.name
        self.serial = folder.serial
        self.signer_id = folder.signer_id
        self.wrong_tries_at = f"token {place.token} of {place.library}"
        self.documents = SignerDocuments.of(folder)
        self._place = place
        self._session: Any = None
        self._key: Any = None

    @staticmethod
    def is_at(path: Path) -> bool:
        """Whether a signer folder says that its key is in an HSM."""
        return (path / PLACE_FILE).exists() and not (path / KEY_FILE).exists()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a signer folder; the HSM is not asked for anything.

        Raises UsageError for its files, CertificateError when its parts do not belong together.
        """
        return cls(SignerFolder.load(path, key_elsewhere=True), KeyPlace.read(path / PLACE_FILE))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read a signer folder and find its token; raises as `load`, and TransportError when the token is not there."""
        signer = cls.load(path)
        signer.check_present()
        return signer

    @property
    def ready(self) -> bool:
        """Whether it is logged in."""
        return self._key is not None

    def unlock(self, password: bytes | None) -> None:
        """Log in with the PIN and find the key.

        Raises UsageError PASSWORD_WRONG, or HSM_UNUSABLE when the PIN is locked or the key is missing, CertificateError
        KEY_MISMATCH, TransportError when the token is gone.
        """
        import pkcs11

        if not password:
            raise UsageError("The HSM needs its PIN.", code=Code.PASSWORD_WRONG)  # the token would count it as a try
        try:
            pin = password.decode()
            with self._hsm():
                self._session = _logged_in(self._token(), pin)
                self._key = self._session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label=self._place.key)
            self._prove()
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange, UnicodeDecodeError):
            raise UsageError("The PIN is wrong.", code=Code.PASSWORD_WRONG) from None
        except AtcaProvError:
            self.close()
            raise

    def sign(self, digest: bytes) -> bytes:
        """Return R||S (64 bytes) over a SHA-256 digest (32 bytes); raises TransportError when the HSM does not."""
        import pkcs11

        with self._hsm():
            signature = bytes(self._key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA))
        if len(signature) != 64:
            raise ProtocolError(f"The HSM's signature has {len(signature)} bytes, not 64: is the key on P-256?")
        return signature

    def check_present(self) -> None:
        """Raise TransportError when the token is gone."""
        with self._hsm():
            self._token()

    def close(self) -> None:
        """Log out."""
        session, self._session, self._key = self._session, None, None
        if session is not None:
            with contextlib.suppress(RuntimeError), _ONE_AT_A_TIME:  # the token may be gone, and with it the session
                session.close()

    def _prove(self) -> None:
        """Find out now, not at a board, that the key is another one."""
        if not verify_digest(self.documents.signer_public_key, _PROOF, self.sign(_PROOF)):
            raise CertificateError(
                f"{self._place} is not the key of the signer certificate.",
                advice=f"Check {PLACE_FILE}.",
                code=Code.KEY_MISMATCH,
            )

    def _token(self) -> pkcs11.Token:
        import pkcs11

        return pkcs11.lib(self._place.library).get_token(token_label=self._place.token)

    @contextlib.contextmanager
    def _hsm(self) -> Iterator[None]:
        """Turn what the HSM's library raises into an error of ours; a wrong PIN passes as it is."""
        try:
            import pkcs11
        except ImportError as error:
            raise TransportError(
                "The Python package python-pkcs11 is missing, which reaches an HSM.",
                advice="Install atcaprov[pkcs11].",
                code=Code.LIBRARY_MISSING,
            ) from error
        unusable = (
            pkcs11.NoSuchKey, pkcs11.MultipleObjectsReturned, pkcs11.MultipleTokensReturned, pkcs11.PinLocked,
            pkcs11.PinExpired, pkcs11.UserPinNotInitialized, pkcs11.KeyTypeInconsistent, pkcs11.MechanismInvalid,
        )  # fmt: skip
        try:
            with _ONE_AT_A_TIME:
                yield
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange):
            raise
        except unusable as error:
            raise UsageError(
                f"{self._place} can't be used: {_text(error)}.", advice=_ADVICE, code=Code.HSM_UNUSABLE
            ) from error
        except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
            what = f"The HSM with the token '{self._place.token}' does not answer as it should: {_text(error)}."
            raise TransportError(what, advice=_ADVICE, code=Code.DEVICE_NO_REPLY) from error


def _logged_in(token: pkcs11.Token, pin: str) -> pkcs11.Session:
    """Open a session; another signer of this program may be logged in at the same token already."""
    import pkcs11

    try:
        return token.open(user_pin=pin)
    except pkcs11.UserAlreadyLoggedIn:
        return token.open()


def _text(error: Exception) -> str:
    return ": ".join(filter(None, (type(error).__name__, str(error))))


def _bad_file(path: Path, why: str) -> UsageError:
    return UsageError(f"{path} is not usable: {why}.", code=Code.FILE_INVALID)
