"""What a chip is, what is on it, and whether that is good; read only."""
