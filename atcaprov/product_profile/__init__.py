"""What a product is: its profile as data, for server, signer utility and client."""
