"""The commands of the program `signer-module` and their options."""
