"""`atcaprov udev-rule`: print or install the udev rule that gives users access to kits and I2C buses."""

from __future__ import annotations

from pathlib import Path

import click

from atcaprov.errors import UsageError
from atcaprov.hal.udev_rule import RULE_PATH, install_rule, reload_rules, rule_text
from atcaprov.program.console_text import say


@click.command("udev-rule")
@click.option("--install", is_flag=True, help="Write it to /etc/udev/rules.d and let udev read it; needs root.")
@click.option(
    "--force", is_flag=True, help="With --install: replace a rule that was changed, or is of another version."
)
@click.option(
    "--root",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="With --install: write it below this folder, as for a package or an image, and do not call udev.",
)
def command(install: bool, force: bool, root: Path | None) -> None:
    """Print or install the udev rule for kits and I2C buses.

    It gives users access to them (Linux).
    """
    if not install:
        if force or root is not None:
            raise UsageError("--force and --root belong to --install.", advice="Add --install.")
        click.echo(rule_text(), nl=False)
        return
    path = (root or Path("/")) / RULE_PATH
    if not install_rule(root or Path("/"), force=force):
        say(f"{path} is there already.")
        return
    say(f"{path} is written.")
    if root is None:
        say(_next_step(is_loaded=reload_rules()))


def _next_step(*, is_loaded: bool) -> str:
    if is_loaded:
        return "Reconnect the boards: the rule holds for what is plugged in from now on."
    return "udev was not notified. Restart the computer, or run 'udevadm control --reload' and reconnect the boards."
