"""A signer that an operator names, for certificates that it made after the backup, when the ledger lacks it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from atcaprov.bounded_reading import is_folder
from provisioning_server.lifecycle.signer_sources import open_signer
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.recovery.recovered_record import KnownSigner
from signer_module.on_files.signer_folder import SignerFolder


def named_signer(place: str) -> KnownSigner:
    """Return the signer in a signer folder, whose key is not needed, or of the signer module at a device URL.

    Raises AtcaProvError as `SignerFolder.load` and `PluggedModule.open`. No signature is made that a quota counts.
    """
    if ":" in place and not is_folder(Path(place)):
        with contextlib.closing(open_signer(place)) as module:
            return KnownSigner(module.serial, module.name, module.documents)
    folder = SignerFolder.load(Path(place), key_elsewhere=True)
    return KnownSigner(folder.serial, folder.name, SignerDocuments.of(folder))
