"""Transparency logs in the public formats: Merkle trees, tiles, signed notes, checkpoints and proofs. No I/O."""
