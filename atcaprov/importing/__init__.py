"""Bring certificates that were made elsewhere to a chip, and, if someone insists, a private key."""
