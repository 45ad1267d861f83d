"""The TCP port: connections of clients and the limits that protect the server."""
