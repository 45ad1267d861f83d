"""What a chip is and what is on it."""
