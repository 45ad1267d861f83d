"""Certificate definitions derived from certificates that others made."""
