"""Errors that several HALs share: what happened, at which URL or file, and what to do."""

from __future__ import annotations

from atcaprov.errors import Board, Code, TransportError, UsageError
from atcaprov.hal.udev_rule import INSTALL_COMMAND
from atcaprov.missing_packages import install_command


def silent(url: str, seconds: float) -> TransportError:
    """Return the error for a board that gave no line in time."""
    return TransportError(
        f"The board at {url} did not answer within {seconds:.3g} s.",
        advice="Check that it is the kit's own port and not its debugger's; reconnect the board.",
        code=Code.DEVICE_NO_REPLY,
    )


def gone(url: str, reason: object) -> TransportError:
    """Return the error for a port that no longer works."""
    return TransportError(
        f"Lost the connection to the board at {url}: {reason}.",
        advice="Reconnect the board and try again.",
        code=Code.DEVICE_NOT_FOUND,
    )


def no_access(path: str, reason: object) -> TransportError:
    """Return the error for a device file that the user may not open."""
    return TransportError(
        f"{path} cannot be opened: {reason}.",
        advice=f"Run '{INSTALL_COMMAND}' and reconnect the board; see docs/howto/real-hardware.md.",
        code=Code.DEVICE_NO_PERMISSION,
    )


def not_there(path: str) -> TransportError:
    """Return the error for a device that does not exist."""
    return TransportError(
        f"{path} does not exist.",
        advice="Connect the board; 'provisioning-client devices' lists what is connected.",
        code=Code.DEVICE_NOT_FOUND,
    )


def wrong_kind(path: str, kind: str) -> UsageError:
    """Return the error for a file that is not a device of this kind."""
    return UsageError(f"{path} is not a {kind}.", advice="'provisioning-client devices' lists what is connected.")


def missing(package: str, purpose: str) -> TransportError:
    """Return the error for a Python package that is not installed."""
    return TransportError(
        f"The Python package {package} is not installed; {purpose} needs it.",
        advice=f"Install it with '{install_command(package)}'; see docs/howto/install.md.",
        code=Code.LIBRARY_MISSING,
    )


def address_taken(url: str) -> TransportError:
    """Return the error for a chip that would move to where another part answers."""
    return TransportError(
        f"This product's configuration moves the chip to {url}, where another part answers.",
        advice="Nothing was written. Take the other part off the bus, or use a fixture without it.",
        code=Code.ADDRESS_TAKEN,
        board=Board.UNTOUCHED,
    )
