"""The records of a data folder from before the ledger: read strictly, verified, taken over, compared."""
