"""The commands of `provisioning-server crl`."""
