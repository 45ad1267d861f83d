"""Signers whose key is in an HSM."""
