"""Software chips for other programs: one set of chips, reached over TCP and pseudo-terminals in several framings."""
