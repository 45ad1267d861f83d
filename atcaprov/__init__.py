"""Secure provisioning of ATECC608A chips: library, software chip and formats."""

__version__ = "0.1.0"
