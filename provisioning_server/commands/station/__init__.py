"""The commands `provisioning-server station ...`."""
