"""What finds signers, opens them and gets them ready."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from provisioning_server.issuing.signing_thread import SigningThreads
from provisioning_server.lifecycle.module_watcher import ModuleWatcher
from provisioning_server.lifecycle.signer_lifecycle import SignerLifecycle
from provisioning_server.lifecycle.signer_sources import (
    ModuleFolder,
    NamedHsms,
    NamedModules,
    PluggedKits,
    SignerSource,
    open_signer,
)
from provisioning_server.parts.context import ServerContext
from provisioning_server.passwords.given_passwords import GivenPasswords
from provisioning_server.passwords.password_choice import PasswordChoice
from provisioning_server.settings import Settings
from provisioning_server.signers.hsm import HsmSigner
from provisioning_server.signers.module_pins import ModulePins


@dataclass(frozen=True, slots=True)
class SignerParts:
    """The life of the signers, and what looks for modules that come and go."""

    lifecycle: SignerLifecycle
    watcher: ModuleWatcher


def signer_parts(context: ServerContext, threads: SigningThreads) -> SignerParts:
    """Build them, on the running loop; nothing is opened yet."""
    signers, log, settings = context.signers, context.log, context.settings
    lifecycle = SignerLifecycle(signers, threads, log, context.now, _password_choice(settings))
    opened = functools.partial(open_signer, pins=ModulePins(context.folder.modules))
    return SignerParts(lifecycle, ModuleWatcher(_sources(settings), signers, lifecycle, log, opened))


def _password_choice(settings: Settings) -> PasswordChoice:
    places = len(settings.modules) + len(_hsms(settings))
    return PasswordChoice(GivenPasswords(settings.passwords, settings.credentials), places)


def _sources(settings: Settings) -> list[SignerSource]:
    sources: list[SignerSource] = []
    if settings.modules:
        sources.append(NamedModules(settings.modules))
    if settings.module_folder is not None:
        sources.append(ModuleFolder(settings.module_folder))
    if settings.scan:
        sources.append(PluggedKits())
    if hsms := _hsms(settings):
        sources.append(NamedHsms(hsms))
    return sources


def _hsms(settings: Settings) -> list[Path]:
    return [folder for folder in settings.signer_folders if HsmSigner.is_at(folder)]
