"""The commands of the chip, one module each."""
