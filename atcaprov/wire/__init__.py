"""Wire protocol 1 between client and server, without I/O (docs/reference/wire-protocol.md)."""
