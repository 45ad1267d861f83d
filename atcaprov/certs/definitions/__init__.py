"""Certificate definitions: the template of a family of certificates, and where its variable parts come from."""
