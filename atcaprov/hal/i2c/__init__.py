"""Chips on an I2C bus: the transfers of Linux, the wake pulse and the word addresses, and the search for chips."""
