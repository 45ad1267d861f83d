"""Questions that spoil a blank chip: its setup, the locks, and what is asked on the way."""
