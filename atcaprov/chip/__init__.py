"""Facts of the ATECC508A and ATECC608 as data; the only logic is the packet CRC and looking facts up.

Host code and the software chip share this room and nothing else. Sources: Microchip DS20005927A, DS40002239A, AN3539,
and the public cryptoauthlib sources, as named beside each table.
"""
