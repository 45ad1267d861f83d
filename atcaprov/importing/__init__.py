"""Bring certificates that were made elsewhere to a chip, and a private key if an option demands it."""
