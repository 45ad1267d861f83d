"""The private key of a root's or signer's folder: check it, and give it another password."""

from __future__ import annotations

from pathlib import Path

from atcaprov.errors import Code, UsageError
from signer_module import files, root, signer_folder
from signer_module.root import RootFolder
from signer_module.signer_folder import SignerFolder


def open_folder(path: Path) -> RootFolder | SignerFolder:
    """Read and check the folder of a root or a signer; raises as their `load`."""
    if (path / signer_folder.DOCUMENT_FILE).is_file():
        return SignerFolder.load(path)
    if not (path / root.REGISTER_FILE).is_file():
        raise UsageError(f"{path} is the folder of neither a root nor a signer.", code=Code.FILE_UNREADABLE)
    found = RootFolder.load(path)
    if not found.has_key:
        raise UsageError(f"The key of {path} is on a root module.", advice="Name the module with --device.")
    return found


def replace_password(folder: RootFolder | SignerFolder, old: bytes | None, new: bytes) -> None:
    """Encrypt the key under another password; the file is replaced as a whole.

    Raises UsageError: password-wrong, key-file-invalid, file-unwritable.
    """
    key = folder.unlock(old)
    files.replace(folder.path / root.KEY_FILE, key.encode(new), files.PRIVATE)
