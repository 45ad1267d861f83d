"""Passwords of signers: those that were given, those that somebody types, and where each is tried."""
