"""One chip, driven by the stock cryptoauthlib: a method per command, typed errors, a guard against changes."""
