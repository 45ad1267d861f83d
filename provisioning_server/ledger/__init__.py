"""The ledger: what was meant to be signed, what was issued, what was proven, in one log that a stranger can audit."""
