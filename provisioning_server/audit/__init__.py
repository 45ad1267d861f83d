"""What others can check of a ledger: checkpoints of its log, exported logs, birth records, witnesses."""
