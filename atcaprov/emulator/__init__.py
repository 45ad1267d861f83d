"""The software chip: an ATECC508A or ATECC608 whose answers follow from its memory bytes and its volatile state alone.

`chip.Chip` is the part on the bus; one module per command stands in `commands`. Host code reaches it only through
`atcaprov.hal.emulated`.
"""
