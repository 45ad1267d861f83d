"""Passwords of signers: given ones, typed ones, and which is tried on which signer."""
