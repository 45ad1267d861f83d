"""Carry packets to one chip: the interface between the device layer and every bus, kit or software chip."""
