"""The guide's files: signing log, certificate files, lines of the program log. Made from the ledger, after replies."""
