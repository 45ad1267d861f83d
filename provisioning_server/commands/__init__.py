"""The commands of `provisioning-server` for its ledger; without a command it serves. Imported when they are named."""
