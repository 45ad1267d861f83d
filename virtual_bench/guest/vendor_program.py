"""A program of the vendor's library alone, on its own transports: `vendor_program hid` or `vendor_program i2c BUS`.

Prints the serial number and the configuration zone. A process of its own: the library's reads have no time limit.
"""

import sys

import cryptoauthlib as library


def main(kind: str, *bus: str) -> None:
    """Read one chip."""
    library.load_cryptoauthlib()
    if kind == "hid":
        config = library.cfg_ateccx08a_kithid_default()
    else:
        config = library.cfg_ateccx08a_i2c_default()
        config.cfg.atcai2c.bus = int(bus[0])
        config.cfg.atcai2c.address = 0xC0
    config.devtype = library.get_device_type_id("ATECC608")
    _require(library.atcab_init(config))
    serial_number, zone = bytearray(9), bytearray(128)
    _require(library.atcab_read_serial_number(serial_number))
    _require(library.atcab_read_config_zone(zone))
    _require(library.atcab_release())
    print(serial_number.hex(), zone.hex())


def _require(status: int) -> None:
    if status != library.Status.ATCA_SUCCESS:
        sys.exit(f"status {status}")


if __name__ == "__main__":
    main(*sys.argv[1:])
