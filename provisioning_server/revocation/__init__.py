"""Certificates that are taken back, and the lists of them."""
