"""The Provisioning Server: issues certificates for chips over TCP, with the signers it was given."""
