"""The channel over which commands talk to a running server."""
