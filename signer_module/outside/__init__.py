"""An outside CA: the request that it gets, and the chain that it returns."""
