"""The program `atcaprov`: tools for configuration zones, certificates and chips."""

from __future__ import annotations

from atcaprov.cli.main import main

__all__ = ["main"]
