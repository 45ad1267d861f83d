"""Carry packets to one chip: the seam between the device layer and every bus, kit or software chip."""
