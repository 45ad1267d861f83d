"""The Provisioning Client: the operator's console and the face for a line script."""
