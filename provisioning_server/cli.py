"""The program `provisioning-server`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NoReturn

import click
from click.core import ParameterSource

from atcaprov.errors import AtcaProvError, UsageError
from atcaprov.program import event_loop
from atcaprov.program.exit_codes import run_program
from atcaprov.program.lazy_group import LazyGroup
from atcaprov.program.log_options import log_options
from atcaprov.program.process_hardening import harden_process, lock_memory
from atcaprov.terminal.console import open_console
from atcaprov.web.address import WebAddress
from provisioning_server.audit.log_key import LogChip
from provisioning_server.commands.parameter_types import CommandLine, CrlValidity, Duration, LedgerUrl, RateLimit
from provisioning_server.ledger.ledger_place import PostgresqlUrl
from provisioning_server.operations.metrics_access import MetricsAccess, metrics_access
from provisioning_server.operations.service_manager import service_manager
from provisioning_server.orders.quota_alarm import DEFAULT_ALARM
from provisioning_server.orders.rate_limits import DEFAULT_RATE, DEFAULT_SERVER_RATE, RequestRates
from provisioning_server.orders.rates import Rate
from provisioning_server.passwords.given_passwords import credentials_folder, read_passwords
from provisioning_server.products.product import ProductFiles
from provisioning_server.program_log import ProgramLog
from provisioning_server.records.data_folder import DataFolder
from provisioning_server.settings import DEFAULT_BIND, DEFAULT_PORT, Settings, default_data
from provisioning_server.settings_file import settings_option
from provisioning_server.signers.hsm import HsmSigner
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.software import SoftwareSigner
from provisioning_server.startup_checks import allow_enough_descriptors
from signer_module.commands.password_options import DESCRIPTOR

LOG_FORMATS: Final = ("text", "json")


@click.group(
    cls=LazyGroup,
    modules={
        "audit": "provisioning_server.commands.audit.group",
        "crl": "provisioning_server.commands.crl.group",
        "drain": "provisioning_server.commands.drain",
        "ledger": "provisioning_server.commands.ledger.group",
        "order": "provisioning_server.commands.order.group",
        "station": "provisioning_server.commands.station.group",
        "reload": "provisioning_server.commands.reload",
        "revoke": "provisioning_server.commands.revoke",
        "status": "provisioning_server.commands.status",
        "web-link": "provisioning_server.commands.web_link",
    },
    invoke_without_command=True,
    subcommand_metavar="[COMMAND [ARGS]...]",
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "PROVISIONING_SERVER",
        "show_default": True,
    },
)
@click.version_option(package_name="atcaprov")
@click.option(
    "--signer", "signers", metavar="DIR", envvar="PROVISIONING_SERVER_SIGNER", multiple=True,
    type=click.Path(path_type=Path),
    help="Folder of a signer, with key.pem or with pkcs11.toml for a key in an HSM. Repeat it for several signers.",
)  # fmt: skip
@click.option(
    "--module", "modules", metavar="URL", envvar="PROVISIONING_SERVER_MODULE", multiple=True,
    help="Signer module at a device URL, such as kit-hid:///dev/hidraw3. Repeat it for several modules.",
)  # fmt: skip
@click.option(
    "--module-folder", metavar="DIR", type=click.Path(path_type=Path),
    help="Folder of signer modules that are software chips, one JSON file each.",
)  # fmt: skip
@click.option("--scan", is_flag=True, help="Use every signer module that is plugged in, also those that come later.")
@click.option(
    "--data", metavar="DIR", type=click.Path(path_type=Path), default=default_data,
    show_default="of the user; on Linux ~/.local/share/atcaprov/provisioning-server",
    help="Folder for the ledger, logs/, certs/, signers/ and modules/.",
)  # fmt: skip
@click.option(
    "--ledger", metavar="URL", type=LedgerUrl(), show_default="a file in the data folder",
    help="Database of PostgreSQL with the ledger, which several servers share, such as"
    " postgresql://atcaprov@db.example/atcaprov.",
)  # fmt: skip
@click.option("--bind", metavar="ADDRESS", default=DEFAULT_BIND, help="Address to listen on.")
@click.option(
    "--port", metavar="NUM", default=DEFAULT_PORT, type=click.IntRange(0, 65535),
    help="Port to listen on; 0 lets the system choose, the log says which.",
)  # fmt: skip
@click.option("--tls", is_flag=True, help="Take TLS connections of enrolled stations only.")
@click.option(
    "--tls-name", "tls_names", metavar="NAME/IP", envvar="PROVISIONING_SERVER_TLS_NAME", multiple=True,
    show_default="name of the computer, --bind and those of loopback",
    help="Name or address by which stations reach the server, for its certificate. Repeat it for several names.",
)  # fmt: skip
@click.option(
    "--plain-network", is_flag=True,
    help="Allow an address that other computers reach, though the connection is neither secret nor authenticated.",
)  # fmt: skip
@click.option(
    "--quota-alarm", metavar="PERCENT", default=DEFAULT_ALARM, type=click.IntRange(0, 100),
    help="Warn when so much of a signer's quota or of a work order is left, or less; 0 for never.",
)  # fmt: skip
@click.option("--require-order", is_flag=True, help="Issue for work orders only.")
@click.option(
    "--rate", metavar="N/UNIT", type=RateLimit(), default=str(DEFAULT_RATE),
    help="How many certificates a station may ask for in a second (s), minute (m) or hour (h); none for no limit.",
)  # fmt: skip
@click.option(
    "--server-rate",
    metavar="N/UNIT",
    type=RateLimit(),
    default=str(DEFAULT_SERVER_RATE),
    help="The same for all stations together.",
)
@click.option(
    "--password-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="File of signer passwords, a line SN=PASSWORD each, or one password alone.",
)
@click.option(
    "--password-fd", metavar="NUM", type=DESCRIPTOR, help="Open file descriptor from which to read the passwords."
)
@click.option(
    "--accept-clock", metavar="REASON", allow_from_autoenv=False,
    help="Start although the clock is before the newest record, because you have checked it. The reason is recorded.",
)  # fmt: skip
@click.option(
    "--profile", "profiles", metavar="FILE", envvar="PROVISIONING_SERVER_PROFILE", multiple=True,
    type=click.Path(path_type=Path),
    help="Product profile, or a folder of them: only these products get certificates, and only from signers that fit"
    " them. Repeat it for several.",
)  # fmt: skip
@click.option(
    "--config", "configs", metavar="FILE", envvar="PROVISIONING_SERVER_CONFIG", multiple=True,
    type=click.Path(path_type=Path),
    help="Configuration zone of the product, as provisioning-client takes it; a chip with another one gets no"
    " certificate. Repeat it for several products.",
)  # fmt: skip
@click.option(
    "--proof-within", metavar="DURATION", type=Duration(), show_default="no limit",
    help="Warn when the chip of a certificate has not proven its key so long after the issue, such as 24h.",
)  # fmt: skip
@click.option(
    "--crl-validity", metavar="DURATION", type=CrlValidity(), default="7d",
    help="How long a list of revoked certificates is valid; the next one is signed when a quarter of it is left.",
)  # fmt: skip
@click.option(
    "--crl-from-quota", is_flag=True,
    help="Let signer modules with a quota sign these lists by themselves. The log says how many signatures a year.",
)  # fmt: skip
@click.option(
    "--on-revoked", metavar="COMMAND", type=CommandLine(), show_default="none",
    help="Command that gets each revocation as a JSON object on its standard input, at least once.",
)  # fmt: skip
@click.option("--allow-rekey", is_flag=True, help="Issue again for a chip that has a certificate for another key.")
@click.option(
    "--web", metavar="[HOST:]PORT",
    help="Serve the web page: the line's figures, and the passwords of signers. Port 0 lets the system choose.",
)  # fmt: skip
@click.option(
    "--web-cert", metavar="FILE", type=click.Path(path_type=Path), help="Certificate of the page, PEM; makes it HTTPS."
)
@click.option("--web-key", metavar="FILE", type=click.Path(path_type=Path), help="Its key, PEM without a password.")
@click.option(
    "--metrics-token", metavar="FILE", type=click.Path(path_type=Path),
    help="Serve metrics for Prometheus at /metrics of the page, for those who bring the token in this file.",
)  # fmt: skip
@click.option("--metrics-open", is_flag=True, help="Serve the metrics to everyone who reaches the page.")
@click.option("--log-module", metavar="URL", help="Chip that signs the checkpoints of the ledger, at a device URL.")
@click.option("--log-slot", metavar="NUM", default=0, type=click.IntRange(0, 15), help="Slot of the key in that chip.")
@click.option(
    "--log-format", type=click.Choice(LOG_FORMATS), default=LOG_FORMATS[0],
    help="Lines of the console: the texts of the program log, or a JSON object on each line.",
)  # fmt: skip
@log_options(logging.INFO)
@click.pass_context
def command(
    context: click.Context,
    signers: tuple[Path, ...],
    modules: tuple[str, ...],
    module_folder: Path | None,
    scan: bool,
    data: Path,
    ledger: PostgresqlUrl | None,
    bind: str,
    port: int,
    tls: bool,
    tls_names: tuple[str, ...],
    plain_network: bool,
    quota_alarm: int,
    require_order: bool,
    rate: Rate | None,
    server_rate: Rate | None,
    password_file: Path | None,
    password_fd: int | None,
    accept_clock: str | None,
    proof_within: timedelta | None,
    profiles: tuple[Path, ...],
    configs: tuple[Path, ...],
    crl_validity: timedelta,
    crl_from_quota: bool,
    on_revoked: tuple[str, ...] | None,
    allow_rekey: bool,
    web: str | None,
    web_cert: Path | None,
    web_key: Path | None,
    metrics_token: Path | None,
    metrics_open: bool,
    log_module: str | None,
    log_slot: int,
    log_format: str,
    log_level: int | None,
) -> None:
    """Issue certificates for chips over TCP until ESC, Ctrl-C or SIGTERM, or run a command on the server's ledger."""
    if context.invoked_subcommand is not None:
        _only_for_commands(context)
        return
    sources = [source for source in (password_file, password_fd) if source is not None]
    settings = Settings(
        signer_folders=signers,
        data=data,
        ledger=ledger,
        bind=bind,
        port=port,
        plain_network=plain_network,
        quota_alarm=quota_alarm,
        require_order=require_order,
        rates=RequestRates(rate, server_rate),
        tls=tls,
        tls_names=tls_names,
        accept_clock=accept_clock,
        allow_rekey=allow_rekey,
        proof_within=proof_within,
        products=ProductFiles(profiles, configs),
        crl_validity=crl_validity,
        crl_from_quota=crl_from_quota,
        on_revoked=on_revoked or (),
        passwords=tuple(password for source in sources for password in read_passwords(source)),
        credentials=credentials_folder(os.environ),
        modules=modules,
        module_folder=module_folder,
        scan=scan,
        web=_web_address(web, web_cert, web_key),
        metrics=_metrics(web, metrics_token, everyone=metrics_open),
        log_chip=None if log_module is None else LogChip(log_module, log_slot),
        log_as_json=log_format == "json",
        log_level=log_level,
    )
    serve(settings)


command.params.insert(0, settings_option())


def _only_for_commands(context: click.Context) -> None:
    """Refuse options before a command that it would not see: of the server's it takes the place of the ledger only."""
    for name in context.params:
        if name not in ("data", "ledger") and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = next(option for option in context.command.params if option.name == name)
            raise click.UsageError(
                f"{option.opts[-1]} is an option for serving. Leave it out before a command.", context
            )
    context.default_map = None  # its keys are options of the server, never those of a command


def serve(settings: Settings) -> None:
    """Run a server on this program's console until it is stopped; raises AtcaProvError."""
    from provisioning_server.app import (
        ProvisioningServer,  # a third of the start: --help and wrong options do not need it
    )

    manager = service_manager(os.environ)
    allow_enough_descriptors()
    registry = SignerRegistry(_software_signers(settings.signer_folders))
    folder = DataFolder(settings.data, datetime.now())
    with folder.locked(), folder.program_log() as file, open_console() as console:
        log = ProgramLog(file, sys.stdout, level=settings.log_level, as_json=settings.log_as_json)
        try:
            event_loop.run(ProvisioningServer(settings, registry, folder, log, console, manager).run())
        except AtcaProvError as error:
            log.last_words(str(error))
            raise
        finally:
            log.close()


def _metrics(web: str | None, token: Path | None, *, everyone: bool) -> MetricsAccess | None:
    access = metrics_access(token, everyone=everyone)
    if access is not None and web is None:
        raise UsageError(
            "--metrics-token and --metrics-open are for the port of the web page, but --web is missing.",
            advice="Give its address with --web.",
        )
    return access


def _web_address(place: str | None, certificate: Path | None, key: Path | None) -> WebAddress | None:
    if place is not None:
        return WebAddress.parse(place, certificate, key)
    if certificate is not None or key is not None:
        raise UsageError(
            "--web-cert and --web-key are for the web page, but --web is missing.",
            advice="Give its address with --web.",
        )
    return None


def _software_signers(folders: Iterable[Path]) -> Iterator[SoftwareSigner]:
    """Load the signers on files; of those in HSMs check the files, their HSMs may come later."""
    for folder in folders:
        if HsmSigner.is_at(folder):
            HsmSigner.load(folder)
        else:
            yield SoftwareSigner.load(folder)


def main() -> NoReturn:
    """Run the program."""
    harden_process()
    lock_memory()
    run_program(command, "provisioning-server")
