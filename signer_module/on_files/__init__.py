"""Roots and signers in folders: keys, certificates, the register, and what a report says of them."""
