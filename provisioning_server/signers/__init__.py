"""Signers: the kinds of keys that certify devices, and the registry of those that are connected."""
