"""The life of signers at the server: they are plugged in, unlocked, used, checked, unplugged."""
