"""Certificates that a restored ledger lacks, found again on stations, in signing logs and in certificate files."""
