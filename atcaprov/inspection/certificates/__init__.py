"""Find the certificates on a chip and rebuild them: ours, the maker's, and those of other public tools."""
