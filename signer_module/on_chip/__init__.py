"""Signer modules: what stands where on the chip, what a finished module does, and how one is created."""
