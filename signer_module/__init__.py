"""Root and signers on files: keys, certificates, and what clients and products need of them."""
