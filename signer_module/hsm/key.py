"""A private key in an HSM or a smart card, reached through PKCS#11 (OASIS, PKCS #11 v2.40): made there, used there."""

from __future__ import annotations

import contextlib
import enum
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from atcaprov.certs.keys import key_id, verify_digest
from atcaprov.errors import AtcaProvError, CertificateError, Code, ProtocolError, TransportError, UsageError
from atcaprov.missing_packages import extra_command
from signer_module.on_files.pkcs11_file import PLACE_FILE, KeyPlace

if TYPE_CHECKING:
    import pkcs11

_PROOF: Final = bytes(range(32))
_ADVICE: Final = f"Check that the HSM is connected, and the labels, in {PLACE_FILE} or the options."
_UNCOMPRESSED_P256: Final = bytes.fromhex("044104")
"""DER of CKA_EC_POINT up to X: OCTET STRING of 65 bytes, uncompressed point."""
_ONE_AT_A_TIME: Final = threading.RLock()
"""python-pkcs11 tells the library (C_Initialize without arguments) that threads never meet in it."""


class Purpose(enum.Enum):
    """CKA_ID of a new key until its signer folder exists."""

    CREATE = b"atcaprov create"
    REQUEST = b"atcaprov request"


class HsmKey:
    """A key at its place. It is logged in from `login` until `close`.

    Every method raises TransportError when HSM, token or library are not there, UsageError HSM_UNUSABLE when the key is
    missing or the PIN is locked.
    """

    def __init__(self, place: KeyPlace) -> None:
        self.place = place
        self._session: Any = None
        self._public_key = b""
        self._key: Any = None

    @property
    def ready(self) -> bool:
        """Whether it is logged in and has its key."""
        return self._key is not None

    def check_present(self) -> None:
        """Raise TransportError when the token is gone."""
        with self._hsm():
            self._token()

    def open(self, pin: bytes | None, public_key: bytes, *, write: bool = False) -> None:
        """Log in, find the key, and prove that it belongs to a public key (X||Y, 64 bytes); `write` for `settle`.

        Raises UsageError PASSWORD_WRONG, CertificateError KEY_MISMATCH.
        """
        import pkcs11

        try:
            self._login(pin, write=write)
            with self._hsm():
                self._key = self._session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label=self.place.key)
            self._prove(public_key)
            self._public_key = public_key
        except AtcaProvError:
            self.close()
            raise

    def find_begun(self, pin: bytes | None, purpose: Purpose) -> bytes | None:
        """Log in, and return the public key (64 bytes) of a key that an interrupted run made; None: the label is free.

        Raises UsageError PASSWORD_WRONG, or HSM_UNUSABLE when the label is that of a key in use or of another purpose.
        """
        import pkcs11

        attribute = pkcs11.Attribute
        try:
            self._login(pin, write=True)
            with self._hsm():
                named = list(self._session.get_objects({attribute.LABEL: self.place.key}))
                if not named:
                    return None
                begun = {each.object_class: each for each in named if bytes(each[attribute.ID]) == purpose.value}
                kinds = {pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.ObjectClass.PUBLIC_KEY}
                if len(named) != len(begun) or begun.keys() != kinds:
                    raise self.taken()
                return self._take(begun[pkcs11.ObjectClass.PUBLIC_KEY], begun[pkcs11.ObjectClass.PRIVATE_KEY])
        except AtcaProvError:
            self.close()
            raise

    def generate(self, purpose: Purpose) -> bytes:
        """Make a new key on P-256 that never leaves the HSM, after `find_begun`; return its public key (64 bytes)."""
        try:
            with self._hsm():
                return self._take(*self._generated(purpose))
        except AtcaProvError:
            self.close()
            raise

    def settle(self) -> None:
        """Mark the key as in use: CKA_ID becomes its key id, so that no run takes it for one that was begun."""
        import pkcs11

        with self._hsm():
            named = self._session.get_objects({pkcs11.Attribute.LABEL: self.place.key})
            for each in list(named):
                each[pkcs11.Attribute.ID] = key_id(self._public_key)

    def sign(self, digest: bytes) -> bytes:
        """Return R||S (64 bytes) over a SHA-256 digest (32 bytes)."""
        import pkcs11

        with self._hsm():
            signature = bytes(self._key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA))
        if len(signature) != 64:
            raise ProtocolError(f"The HSM's signature has {len(signature)} bytes, not 64: is the key on P-256?")
        return signature

    def close(self) -> None:
        """Log out."""
        session, self._session, self._key = self._session, None, None
        if session is not None:
            with contextlib.suppress(RuntimeError), _ONE_AT_A_TIME:  # the token may be gone, and with it the session
                session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _login(self, pin: bytes | None, *, write: bool) -> None:
        if not pin:
            raise UsageError("The HSM needs its PIN.", code=Code.PASSWORD_WRONG)  # the token would count it as a try
        with self._hsm():
            import pkcs11

            try:
                self._session = _logged_in(self._token(), pin.decode(), write=write)
            except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange, UnicodeDecodeError):
                raise UsageError("The PIN is wrong.", code=Code.PASSWORD_WRONG) from None

    def taken(self) -> UsageError:
        """Return the error of a label that is in use."""
        return UsageError(
            f"The label of {self.place} already belongs to a key that this command did not make.",
            advice="Choose another label.",
            code=Code.HSM_UNUSABLE,
        )

    def _take(self, public: Any, private: Any) -> bytes:
        self._key = private
        public_key = _public_key(public)
        self._prove(public_key)
        self._public_key = public_key
        return public_key

    def _generated(self, purpose: Purpose) -> tuple[Any, Any]:
        import pkcs11
        from pkcs11.util.ec import encode_named_curve_parameters

        curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
        parameters = self._session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
        inside = {pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False, pkcs11.Attribute.PRIVATE: True}
        return parameters.generate_keypair(  # type: ignore[no-any-return]
            store=True,
            id=purpose.value,
            label=self.place.key,
            capabilities=pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY,
            private_template=inside,
        )

    def _prove(self, public_key: bytes) -> None:
        """Check now, not at the first board, that it is the right key."""
        if not verify_digest(public_key, _PROOF, self.sign(_PROOF)):
            raise CertificateError(
                f"The key found as {self.place} does not belong to the signer certificate.",
                advice=f"Check {PLACE_FILE}.",
                code=Code.KEY_MISMATCH,
            )

    def _token(self) -> pkcs11.Token:
        import pkcs11

        try:
            library = pkcs11.lib(self.place.library)
        except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
            raise TransportError(  # a server waits for it: the HSM's software may be started later
                f"{self.place.library} cannot be used as the library of an HSM: {_text(error)}.",
                advice="Give the PKCS#11 module of the HSM's maker with --pkcs11-library, such as libsofthsm2.so.",
                code=Code.HSM_UNUSABLE,
            ) from error
        return library.get_token(token_label=self.place.token)

    @contextlib.contextmanager
    def _hsm(self) -> Iterator[None]:
        """Turn what the HSM's library raises into an error of ours."""
        try:
            import pkcs11
        except ImportError as error:
            raise TransportError(
                "The Python package python-pkcs11 is missing; it is needed to reach an HSM.",
                advice=f"Install it: {extra_command('pkcs11')}",
                code=Code.LIBRARY_MISSING,
            ) from error
        unusable = (
            pkcs11.NoSuchKey, pkcs11.MultipleObjectsReturned, pkcs11.MultipleTokensReturned, pkcs11.PinLocked,
            pkcs11.PinExpired, pkcs11.UserPinNotInitialized, pkcs11.KeyTypeInconsistent, pkcs11.MechanismInvalid,
        )  # fmt: skip
        try:
            with _ONE_AT_A_TIME:
                yield
        except unusable as error:
            raise UsageError(
                f"In the HSM, {self.place} cannot be used: {_text(error)}.", advice=_ADVICE, code=Code.HSM_UNUSABLE
            ) from error
        except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
            what = f"The HSM with the token '{self.place.token}' gives an unexpected answer: {_text(error)}."
            raise TransportError(what, advice=_ADVICE, code=Code.DEVICE_NO_REPLY) from error


def _logged_in(token: pkcs11.Token, pin: str, *, write: bool) -> pkcs11.Session:
    """Open a session; another signer of this program may be logged in at the same token already."""
    import pkcs11

    try:
        return token.open(user_pin=pin, rw=write)
    except pkcs11.UserAlreadyLoggedIn:
        return token.open(rw=write)


def _public_key(public: Any) -> bytes:
    import pkcs11

    point = bytes(public[pkcs11.Attribute.EC_POINT])
    if len(point) != 67 or not point.startswith(_UNCOMPRESSED_P256):
        raise ProtocolError("The HSM does not give the new public key as an uncompressed point on P-256.")
    return point[len(_UNCOMPRESSED_P256) :]


def _text(error: Exception) -> str:
    return ": ".join(filter(None, (type(error).__name__, str(error))))
