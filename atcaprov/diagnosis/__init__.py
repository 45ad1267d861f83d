"""Why a chip, a bus or a certificate does not work: from the bus to the server."""
