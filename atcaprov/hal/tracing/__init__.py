"""Traces: a HAL that records what passes through another one, the file that it writes, and what is masked in it."""
