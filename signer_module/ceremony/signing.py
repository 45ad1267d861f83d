"""A root signs a bundle: every check first, then the register, then the certificates, then the record.

The signed bundle is kept in the root's folder before it goes anywhere: the same bundle gets the same answer again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.bounded_reading import read_text, status
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.issue import issue
from atcaprov.certs.keys import key_id
from atcaprov.errors import CertificateError, Code, UsageError
from signer_module.ceremony.bundle import LONGEST_FILE, Bundle, time_text
from signer_module.ceremony.certification_request import CertificationRequest
from signer_module.ceremony.record import CeremonyRecord
from signer_module.ceremony.signed_bundle import SignedBundle, sha256
from signer_module.on_files import folder_files
from signer_module.on_files.create_signer import definitions_of
from signer_module.on_files.root_folder import RootFolder, RootKey
from signer_module.on_files.signer_register import id_of

FOLDER: Final = "ceremonies"
"""In the root's folder: each signed bundle, named by the beginning of the digest of what was signed."""
_NAME_DIGITS: Final = 16
_EARLIEST: Final = timedelta(hours=1)
_LATEST: Final = timedelta(days=31)


def signed_before(root: RootFolder, bundle: Bundle) -> SignedBundle | None:
    """Return what this root has made of a bundle already; raises UsageError or CertificateError for a damaged file."""
    path = _kept(root, bundle)
    if status(path) is None:
        return None
    signed = SignedBundle.decode(read_text(path, LONGEST_FILE))
    signed.require_root(root.public_key)
    return signed


def check_bundle(root: RootFolder, bundle: Bundle, now: datetime, clock_reason: str) -> CertificateDefinition:
    """Find everything that can be wrong before the root's key is used; return what the certificates are made by.

    Raises UsageError or CertificateError. Nothing has changed then.
    """
    definition, _ = definitions_of(root, bundle.descriptions, now)
    if not clock_reason and not bundle.made - _EARLIEST <= now <= bundle.made + _LATEST:
        raise CertificateError(
            f"The clock of this computer says {now:%Y-%m-%d %H:%M} UTC; the bundle was made {time_text(bundle.made)}.",
            advice="Set the clock, or say why it is right with --accept-clock.",
            code=Code.CLOCK_WRONG,
        )
    with root.register.locked():
        root.register.require_writable()
    given = root.register.issued()
    for request in bundle.requests:
        _check_request(root, request, given)
    _make_folder(root)
    folder_files.require_room(root.path / FOLDER / "room")
    return definition


def sign_bundle(
    root: RootFolder, root_key: RootKey, bundle: Bundle, definition: CertificateDefinition, record: CeremonyRecord
) -> SignedBundle:
    """Sign what was checked, and keep it in the root's folder. `record` lacks only the certificates.

    Cut anywhere, it can be run again: an id stays with its key, and what was not kept was never given away.
    """
    with root.register.locked():
        given = root.register.issued()
        for request in bundle.requests:
            if request.signer_id.hex().upper() not in given:
                root.register.enter(request.signer_id, request.public_key, request.name, record.time)
        certificates = tuple(_certificate(root, root_key, definition, each, record.time) for each in bundle.requests)
        complete = CeremonyRecord(
            time=record.time,
            place=record.place,
            reason=record.reason,
            witnesses=record.witnesses,
            bundle_sha256=bundle.digest,
            root_key_id=key_id(root.public_key).hex(),
            certificates_sha256=tuple(map(sha256, certificates)),
            clock_reason=record.clock_reason,
        )
        signed = SignedBundle(bundle, root.certificate, certificates, complete, root_key.sign(complete.digest))
        signed.check()
        folder_files.replace(_kept(root, bundle), signed.encode().encode())
    return signed


def _check_request(root: RootFolder, request: CertificationRequest, given: dict[str, str]) -> None:
    """Refuse an id or a key that the root has used otherwise."""
    signer_id = request.signer_id.hex().upper()
    if request.public_key == root.public_key:
        raise CertificateError("The request is for the root's own key.", code=Code.KEY_MISMATCH)
    owner, own = given.get(signer_id), id_of(given, request.public_key)
    if owner not in (None, request.key_id):
        raise UsageError(
            f"The signer id {signer_id} belongs to another signer of this root.",
            advice="Make the request again with an id that is free.",
            code=Code.KEY_MISMATCH,
        )
    if own is not None and own != request.signer_id:
        raise UsageError(
            f"The key of the request was certified as {own.hex().upper()} before, not as {signer_id}.",
            advice="Make the request again with that id, or with a new key.",
            code=Code.KEY_MISMATCH,
        )


def _certificate(
    root: RootFolder, root_key: RootKey, definition: CertificateDefinition, request: CertificationRequest, now: datetime
) -> bytes:
    return issue(
        definition,
        subject_public_key=request.public_key,
        ca_public_key=root.public_key,
        signer_id=request.signer_id,
        issue_date=definition.issue_date(now),
        sign=root_key.sign,
    ).der


def _kept(root: RootFolder, bundle: Bundle) -> Path:
    return root.path / FOLDER / f"{bundle.digest.hex()[:_NAME_DIGITS]}.json"


def _make_folder(root: RootFolder) -> None:
    """Make the folder of the ceremonies if it is not there; raises UsageError (file-unwritable)."""
    folder = root.path / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        durable_files.sync_folder(root.path)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}.", code=Code.FILE_UNWRITABLE) from error
