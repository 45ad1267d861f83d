"""Opens what a source of signers has found."""

from __future__ import annotations

from pathlib import Path

from provisioning_server.lifecycle.signer_sources import HSM_SCHEME
from provisioning_server.signers.hsm import HsmSigner
from provisioning_server.signers.module import PluggedModule
from provisioning_server.signers.module_pins import KnownModules


def open_signer(url: str, known: KnownModules | None = None) -> PluggedModule | HsmSigner:
    """Open the module at a device URL, or the HSM of a signer folder; raises as these do."""
    scheme, _, rest = url.partition(":")
    return HsmSigner.open(Path(rest)) if scheme == HSM_SCHEME else PluggedModule.open(url, known)
