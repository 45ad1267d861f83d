"""What is written down of certificates: the signing logs, the documents of signers, the certs folder."""
