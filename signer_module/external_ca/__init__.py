"""An external CA: the request that it gets, the certificate that it returns, and the chain of that certificate."""
