"""Rehearse a configuration on a software chip: what its slots can be used for after the locks."""
