"""An external CA: the request that it gets, the certificate that it makes of it, and the chain of that."""
