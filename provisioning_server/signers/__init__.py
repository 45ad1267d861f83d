"""Signers: what holds the key that certifies devices."""
