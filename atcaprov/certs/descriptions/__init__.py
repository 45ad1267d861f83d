"""Certificate descriptions: readable TOML from which definitions are made."""
