"""Configuration zones: read, build, explain, check and compare the 128 bytes that decide what a chip can ever do."""
