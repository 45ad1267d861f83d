"""Roots and signers on files, in chips and in HSMs, and what clients and products need of them."""
