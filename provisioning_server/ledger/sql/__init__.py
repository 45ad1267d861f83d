"""All SQL of the ledger: its tables, its statements, and the databases that they run on."""
