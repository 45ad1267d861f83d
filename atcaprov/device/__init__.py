"""One chip, driven by the stock cryptoauthlib library: methods named as the commands, typed errors, a guarded door."""
