"""The private key of a root's or signer's folder: check it, and give it another password."""

from __future__ import annotations

from pathlib import Path

from atcaprov.bounded_reading import is_file
from atcaprov.errors import Code, UsageError
from signer_module.hsm.key import HsmKey
from signer_module.on_files import folder_files, root_folder, signer_folder
from signer_module.on_files.pkcs11_file import PLACE_FILE, KeyPlace
from signer_module.on_files.root_folder import RootFolder
from signer_module.on_files.signer_folder import SignerFolder
from signer_module.on_files.signer_register import REGISTER_FILE


def open_folder(path: Path) -> RootFolder | SignerFolder:
    """Read and check the folder of a root or a signer; raises as their `load`."""
    if is_file(path / signer_folder.DOCUMENT_FILE):
        return SignerFolder.load(path)
    if not is_file(path / REGISTER_FILE):
        raise UsageError(f"{path} is not the folder of a root or a signer.", code=Code.FILE_UNREADABLE)
    found = RootFolder.load(path)
    if not found.has_key:
        raise UsageError(f"The key of {path} is on a root module.", advice="Give the module with --device.")
    return found


def open_key_folder(path: Path) -> RootFolder | SignerFolder:
    """As `open_folder`, for what only a key in a file can do; raises UsageError for one in an HSM."""
    found = open_folder(path)
    if isinstance(found, SignerFolder) and found.key_in_hsm:
        raise UsageError(f"The key of {path} is in an HSM.", advice="Change its PIN with the HSM's own tools.")
    return found


def prove(folder: RootFolder | SignerFolder, password: bytes | None) -> None:
    """Raise unless the private key, in a file or an HSM, opens with the password and belongs to the certificate."""
    if isinstance(folder, SignerFolder) and folder.key_in_hsm:
        with HsmKey(KeyPlace.read(folder.path / PLACE_FILE)) as key:
            key.open(password, folder.public_key)
        return
    folder.unlock(password)


def replace_password(folder: RootFolder | SignerFolder, old: bytes | None, new: bytes) -> None:
    """Encrypt the key under another password; the file is replaced as a whole.

    Raises UsageError: password-wrong, key-file-invalid, file-unwritable.
    """
    key = folder.unlock(old)
    folder_files.replace(folder.path / root_folder.KEY_FILE, key.encode(new), folder_files.PRIVATE)
