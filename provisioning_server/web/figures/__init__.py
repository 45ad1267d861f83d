"""Numbers of the ledger for the web page: read beside the server, in bounded time, once for all who look."""
