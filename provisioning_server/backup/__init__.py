"""Backups of a ledger while its server runs, and how one becomes the ledger again."""
