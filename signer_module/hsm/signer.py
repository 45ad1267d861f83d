"""Signers whose key is made in an HSM: certified by a root of ours, or by an external CA from a request.

The key carries its `Purpose` until the signer folder exists, so that the same command resumes an interrupted run.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from atcaprov.certs.chain import verify_issuer
from atcaprov.certs.descriptions.description import CertificateDescription
from atcaprov.certs.x509_layout import certificate_layout
from atcaprov.errors import Code, UsageError
from signer_module.external_ca.chain import ExternalChain
from signer_module.external_ca.request_and_certificate import external_document, signed_request
from signer_module.hsm.key import HsmKey, Purpose
from signer_module.on_files import folder_files, signer_folder
from signer_module.on_files.create_signer import KeyInHsm, check_signer, create_signer
from signer_module.on_files.pkcs11_file import PLACE_FILE, KeyPlace
from signer_module.on_files.root_folder import RootFolder, RootKey
from signer_module.on_files.signer_folder import SignerFolder
from signer_module.signer_description import SignerDescriptions

Pin = Callable[[], bytes | None]


def create_in_hsm(
    path: Path,
    place: KeyPlace,
    pin: Pin,
    *,
    root: RootFolder,
    root_key: RootKey,
    require_left: Callable[[RootKey], None],
    descriptions: SignerDescriptions,
    signer_id: bytes | None,
    now: datetime,
    index: int = 0,
) -> SignerFolder:
    """Make a signer that a root certifies; raises as `create_signer` and `HsmKey`, if possible before a key is made.

    `require_left` raises when the root has no signatures left; one that is already certified needs none.
    """
    if finished := _finished_by_a_cut_run(path, place, pin, Purpose.CREATE):
        return finished
    require_left(root_key)
    folder_files.require_new_folder(path)
    check_signer(root, descriptions, None, None, now)
    with HsmKey(place) as hsm:
        begun = hsm.find_begun(pin(), Purpose.CREATE)
        check_signer(root, descriptions, _elsewhere(place, begun) if begun else None, signer_id, now)
        made = create_signer(
            path,
            root=root,
            root_key=root_key,
            descriptions=descriptions,
            key=_elsewhere(place, begun or hsm.generate(Purpose.CREATE)),
            password=None,
            signer_id=signer_id,
            now=now,
            index=index,
        )
        hsm.settle()
        return made


def request_from_hsm(
    place: KeyPlace, pin: Pin, description: CertificateDescription, signer_id: bytes, earlier: bytes | None
) -> bytes:
    """Return a request (PKCS#10, DER) for a new key, or again for the key of an earlier request.

    `earlier` is the key (64 bytes) of the request that stands where this one will: raises UsageError KEY_MISMATCH when
    the key in the HSM is another.
    """
    with HsmKey(place) as hsm:
        begun = hsm.find_begun(pin(), Purpose.REQUEST)
        if earlier not in (None, begun):
            raise UsageError(
                f"The file already exists and is a request for another key than {place}.",
                advice="Choose another file.",
                code=Code.KEY_MISMATCH,
            )
        public_key = begun or hsm.generate(Purpose.REQUEST)
        return signed_request(description, signer_id, public_key, hsm.sign)


def import_to_folder(
    path: Path, place: KeyPlace, pin: Pin, descriptions: SignerDescriptions, chain: ExternalChain
) -> SignerFolder:
    """Make the folder of a signer that an external CA has certified, with its whole chain.

    Raises CertificateError when the certificate is for another key (KEY_MISMATCH) or not as the descriptions say.
    """
    if finished := _finished_by_a_cut_run(path, place, pin, Purpose.REQUEST):
        return finished
    folder_files.require_new_folder(path)
    issuer_key = verify_issuer(chain.issuer)
    document, compressed = external_document(descriptions, chain.signer, chain.issuer, issuer_key)
    contents = signer_folder.public_contents(chain.signer, compressed, chain.issuer, document.definitions(), 0)
    above = b"".join(map(folder_files.pem_certificate, chain.authorities))
    contents |= {
        signer_folder.CHAIN_FILE: (above, folder_files.PUBLIC),
        PLACE_FILE: (place.to_toml(), folder_files.PUBLIC),
    }
    with HsmKey(place) as hsm:
        hsm.open(pin(), certificate_layout(chain.signer).public_key.of(chain.signer), write=True)
        with folder_files.new_folder(path) as folder:
            folder_files.write_all(folder, contents, named=path)
            SignerFolder.load(folder)
        hsm.settle()
    return SignerFolder.load(path)


def _finished_by_a_cut_run(path: Path, place: KeyPlace, pin: Pin, purpose: Purpose) -> SignerFolder | None:
    """Return a folder that already exists, and mark its key as in use; None if there is none, or another one."""
    if not signer_folder.is_in_hsm(path) or KeyPlace.read(path / PLACE_FILE) != place:
        return None
    folder = SignerFolder.load(path)
    with HsmKey(place) as hsm:
        if hsm.find_begun(pin(), purpose) != folder.public_key:
            return None
        hsm.settle()
    return folder


def _elsewhere(place: KeyPlace, public_key: bytes) -> KeyInHsm:
    return KeyInHsm(public_key, PLACE_FILE, place.to_toml())
