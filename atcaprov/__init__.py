"""Secure provisioning of ATECC608 chips: library, software chip and formats."""

__version__ = "0.1.0"
