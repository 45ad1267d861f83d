"""Signer modules: what stands where on the chip, and what a finished module does."""
