"""Options that name who certified a chip: definitions, roots and issuers, from files or from the server."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from atcaprov.bounded_reading import MalformedError, is_file, parse_json, read_text
from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.certificate_files import read_certificate, read_certificates
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.x509_layout import authority_layout, certificate_layout
from atcaprov.errors import Code, UsageError
from atcaprov.inspection.certificates.defined import IssuerDefinitions
from atcaprov.provisioning.server_exchange import ask
from atcaprov.provisioning.station_identity import default_station_folder, is_enrolled
from atcaprov.provisioning.tcp_client import DEFAULT_HOST, DEFAULT_PORT, TcpClient
from atcaprov.web.address import is_loopback
from atcaprov.wire.messages import SignerReply, SignerRequest
from atcaprov.wire.server_place import ServerPlace

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_FOLDER: Final = click.Path(file_okay=False, path_type=Path)
_DEFINITION_FILES: Final = ("device_definition.json", "signer_definition.json")
_DOCUMENT_FILE: Final = "signer.json"
_ROOT_FILE, _SIGNER_FILE, _CHAIN_FILE = "root.pem", "signer.pem", "chain.pem"


@dataclass(frozen=True)
class KnownIssuer:
    """What the options tell: definitions with keys if they are those of our signers, and certificates (DER)."""

    definitions: IssuerDefinitions | None
    root: bytes | None
    issuers: Sequence[bytes]
    device_definition: CertificateDefinition | None = None
    """That of a CA of others, whose certificate is among the issuers."""


def issuer_options(command: _Command) -> _Command:
    """Add the options; the command gets their values by name and gives them to `known_issuer`."""
    options = (
        click.option("--signer", "folder", metavar="FOLDER", type=_FOLDER, help="Folder of the signer, or its export."),
        click.option(
            "--definition",
            "definition_files",
            metavar="FILE",
            type=_FILE,
            multiple=True,
            help="Certificate definitions (JSON) of device and signer, as an export has them; or of the device alone,"
            " with --issuer.",
        ),
        click.option("--certinfo", metavar="FILE", type=_FILE, help="Cert info file: the signer and the pinned root."),
        click.option(
            "--host", metavar="NAME/IP", help="Ask this Provisioning Server for the definitions; needs --certinfo."
        ),
        click.option(
            "--port", metavar="NUM", type=click.IntRange(1, 65535), help=f"Its port.  [default: {DEFAULT_PORT}]"
        ),
        click.option("--root", "root_file", metavar="FILE", type=_FILE, help="Certificate of the root that you trust."),
        click.option(
            "--issuer",
            "issuer_files",
            metavar="FILE",
            type=_FILE,
            multiple=True,
            help="Certificates of issuers that the chip does not hold.",
        ),
    )
    return reduce(lambda decorated, option: option(decorated), reversed(options), command)


def known_issuer(
    *,
    folder: Path | None,
    definition_files: Sequence[Path],
    certinfo: Path | None,
    host: str | None,
    port: int | None,
    root_file: Path | None,
    issuer_files: Sequence[Path],
) -> KnownIssuer:
    """Return what the options tell; no chip is touched.

    Raises:
        UsageError: the options do not go together, or a file cannot be read.
        CertificateError, TransportError, ServerRejected: a definition is damaged; the server is away, or refuses.
    """
    root = None if root_file is None else read_certificate(root_file)
    issuers = [der for path in issuer_files for der in read_certificates(path)]
    cert_info = None if certinfo is None else CertInfo.parse(read_text(certinfo))
    ways = [folder is not None, bool(definition_files), host is not None or port is not None]
    if sum(ways) > 1:
        raise UsageError("Give only one of --signer, --definition and --host: each names the definitions.")
    if folder is not None:
        return _of_folder(folder, root, issuers)
    if definition_files:
        return _of_files(definition_files, cert_info, root, issuers)
    if host is not None or port is not None:
        if cert_info is None:
            raise UsageError(
                "--host was given without --certinfo.", advice="Add --certinfo FILE, which names the signer."
            )
        definitions = _asked(host or DEFAULT_HOST, port or DEFAULT_PORT, cert_info)
        return KnownIssuer(_pinned(definitions, cert_info, root, issuers), root, issuers)
    if cert_info is not None:
        raise UsageError(
            "The cert info file pins keys and ids, but has no definition from which a certificate could be rebuilt.",
            advice="Add --host NAME, or give --signer FOLDER or --definition FILE instead.",
        )
    return KnownIssuer(None, root, issuers)


def _of_files(
    paths: Sequence[Path], cert_info: CertInfo | None, root: bytes | None, issuers: list[bytes]
) -> KnownIssuer:
    """Return what definition files tell: one of a device with its issuer's certificate, or one of each role."""
    if len(paths) == 1 and issuers:
        definition = _read_definition(paths[0])
        if definition.role == "device":
            return KnownIssuer(None, root, issuers, definition)
    return KnownIssuer(_pinned(_read_definitions(paths), cert_info, root, issuers), root, issuers)


def _of_folder(folder: Path, root: bytes | None, issuers: list[bytes]) -> KnownIssuer:
    """Return what the folder of a signer, or of an exported one, tells; its private key is not read."""
    missing = [name for name in (_SIGNER_FILE, _ROOT_FILE) if not is_file(folder / name)]
    if missing:
        raise UsageError(
            f"{folder} is not the folder of a signer: it has no {missing[0]}.",
            advice="Give the folder that signer-module made with the signer, or exported.",
            code=Code.FILE_INVALID,
        )
    definitions = _folder_definitions(folder)
    signer, own_root = read_certificate(folder / _SIGNER_FILE), read_certificate(folder / _ROOT_FILE)
    if is_file(folder / _CHAIN_FILE):
        issuers = [*read_certificates(folder / _CHAIN_FILE), *issuers]
    pinned = root or own_root
    keys = authority_layout(pinned).public_key.of(pinned), certificate_layout(signer).public_key.of(signer)
    return KnownIssuer(IssuerDefinitions(*definitions, *keys), pinned, issuers)


def _folder_definitions(folder: Path) -> tuple[CertificateDefinition, CertificateDefinition]:
    """Return the definitions of a signer's folder: in one document, or exported as two files."""
    document = folder / _DOCUMENT_FILE
    if not is_file(document):
        return _read_definitions([folder / name for name in _DEFINITION_FILES])
    try:
        parts = parse_json(read_text(document))
        device, signer = (json.dumps(parts[key]) for key in ("device_definition", "signer_definition"))
    except (MalformedError, KeyError, TypeError) as error:
        raise UsageError(f"{document} holds no definitions of a signer.", code=Code.FILE_INVALID) from error
    return CertificateDefinition.from_json(device), CertificateDefinition.from_json(signer)


def _pinned(
    definitions: tuple[CertificateDefinition, CertificateDefinition],
    cert_info: CertInfo | None,
    root: bytes | None,
    issuers: Sequence[bytes],
) -> IssuerDefinitions:
    """Return the definitions with the keys of root and signer, from the cert info file or from certificates."""
    if cert_info is not None:
        return IssuerDefinitions(*definitions, cert_info.root_public_key, cert_info.signer_public_key)
    if root is None:
        raise UsageError(
            "The definitions do not say which root is trusted.",
            advice="Add --certinfo FILE or --root FILE.",
        )
    key = authority_layout(root).public_key.of(root)
    signer = next((certificate_layout(der).public_key.of(der) for der in issuers), None)
    return IssuerDefinitions(*definitions, key, signer)


def _read_definitions(paths: Sequence[Path]) -> tuple[CertificateDefinition, CertificateDefinition]:
    found = {definition.role: definition for definition in map(_read_definition, paths)}
    if set(found) != {"device", "signer"} or len(paths) != len(found):
        raise UsageError(
            "Two definitions are needed, one of the device and one of the signer.",
            advice="Give --definition for each, or that of the device with its issuer's certificate by --issuer FILE.",
        )
    return found["device"], found["signer"]


def _read_definition(path: Path) -> CertificateDefinition:
    return CertificateDefinition.from_json(read_text(path))


def _asked(host: str, port: int, cert_info: CertInfo) -> tuple[CertificateDefinition, CertificateDefinition]:
    """Ask a server; one on another computer is asked over TLS if this computer is enrolled as a station."""
    place = ServerPlace(host, port)
    station = None if is_loopback(host) or not is_enrolled(default_station_folder()) else default_station_folder()
    with closing(TcpClient(servers=[str(place)], station=station)) as client:
        reply = ask(client, SignerRequest(cert_info.signer_public_key, any_of_group=True), SignerReply)
    return (
        CertificateDefinition.from_bytes(reply.device_definition),
        CertificateDefinition.from_bytes(reply.signer_definition),
    )
