"""The records: signing logs, documents of signers, PEM files, and the data folder that holds them."""
