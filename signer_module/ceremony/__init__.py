"""A root on a computer without network: what is to be signed comes as a file, and goes back as a file with a record."""
