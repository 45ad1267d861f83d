"""The commands of `provisioning-server audit`."""
