"""What stations may ask for: work orders and rate limits."""
