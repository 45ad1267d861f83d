"""Compressed certificates, their definitions, and the X.509 certificates rebuilt from them."""
