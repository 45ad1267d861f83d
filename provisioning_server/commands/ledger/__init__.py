"""The commands of `provisioning-server ledger`."""
