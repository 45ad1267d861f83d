"""The web page of the server: its signers, and their passwords."""
