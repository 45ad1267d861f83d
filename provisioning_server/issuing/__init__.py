"""Issuing: decides on requests, has certificates signed and records them. Knows no sockets."""
