"""Create root and signer modules from blank chips, and finish those that an interrupted run has begun."""
