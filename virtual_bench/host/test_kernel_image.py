from __future__ import annotations

import lzma

from virtual_bench.kernel import unpack_kernel


def _image(payload: bytes, sectors: int) -> bytes:
    start = ((sectors or 4) + 1) * 512 + 100
    head = bytearray(start)
    head[0x1F1] = sectors
    head[0x248:0x250] = (100).to_bytes(4, "little") + len(payload).to_bytes(4, "little")
    return bytes(head) + payload + b"rest"


def test_the_elf_file_comes_out_of_the_image() -> None:
    elf = b"\x7fELF" + bytes(5000)
    packed = lzma.compress(elf, check=lzma.CHECK_CRC32) + len(elf).to_bytes(4, "little")
    for sectors in (0, 4, 39):
        assert unpack_kernel(_image(packed, sectors)) == elf


def test_another_packing_boots_as_it_is() -> None:
    image = _image(b"\x28\xb5\x2f\xfd" + bytes(64), 4)
    assert unpack_kernel(image) == image
