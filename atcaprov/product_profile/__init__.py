"""What one product needs, as data: its chip, its certificate, who signs it; for server, signer utility and client."""
