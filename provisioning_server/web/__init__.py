"""The web page of the server: who signs here, and the passwords that signers wait for."""
