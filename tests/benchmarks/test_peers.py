"""This server beside a CA server of others, in one run: cfssl with its SQLite database, both with durable records.

cfssl verifies a certificate request, which is signed, where our protocol takes a public key; it writes one row to its
database, where ours writes an intent, an entry and the log.
"""
